"""Connections on which something else than OpenFlow happens, or nothing any more."""

from __future__ import annotations

import re
import struct
import time
from collections.abc import Callable

import pytest

from op25b_app.sync.claims import LIFE_SECONDS
from testing.fake_switch import Kind
from testing.fake_switch.actions import LOCAL
from testing.fake_switch.dialler import Dialler, Fault
from testing.fake_switch.rules import rules_on
from testing.fake_switch.switch import FakeSwitch
from testing.fake_switch.wire import HEADER, MAX_BYTES, pack
from testing.patience import HANG_SECONDS
from tests.faults.rig import LITTLE, Rig
from tests.faults.strangers import is_ended, open_as_switch, xid_of

pytestmark = pytest.mark.slow

QUARREL_SECONDS = 6.0
"""Longer than it takes until the one in use is asked again whether it lives."""
AGAIN_SECONDS = LIFE_SECONDS + 15.0
"""A former connection has so long to show that it lives; Ryu would let it stay for a minute."""

GARBAGE = {
    "zeros": bytes(200),
    "ones": b"\xff" * 200,
    "another protocol": b"GET / HTTP/1.0\r\n\r\n" * 10,
    "lengths below 8": HEADER.pack(4, Kind.ECHO_REQUEST, 7, 1) * 20,
    "length 0": HEADER.pack(4, Kind.ECHO_REQUEST, 0, 1) * 20,
    "version 0": HEADER.pack(0, Kind.ECHO_REQUEST, 8, 1),
    "version 2": HEADER.pack(2, Kind.ECHO_REQUEST, 8, 1),
    "version 255": HEADER.pack(255, Kind.ECHO_REQUEST, 8, 1),
    "error of 1.1": pack(2, Kind.ERROR, 0, struct.pack("!HH", 1, 1) + bytes(64)),
    "version of later": pack(5, Kind.BARRIER_REPLY, 1),
    "unknown type": pack(4, 99, 1, b"abc"),
    "the longest message": pack(4, Kind.ECHO_REQUEST, 1, bytes(MAX_BYTES - HEADER.size)),
    "a request for controllers": pack(4, Kind.FEATURES_REQUEST, 1),
    "cut port status": pack(4, Kind.PORT_STATUS, 1, b"\0" * 9),
    "cut packet-in": pack(4, Kind.PACKET_IN, 1, b"\0" * 5),
    "cut flow-removed": pack(4, Kind.FLOW_REMOVED, 1, b"\0" * 20),
    "cut multipart": pack(4, Kind.MULTIPART_REPLY, 1, b"\0\1"),
    "cut port description": pack(4, Kind.MULTIPART_REPLY, 1, struct.pack("!HHxxxx", 13, 0) + bytes(30)),
    "cut statistics": pack(4, Kind.MULTIPART_REPLY, 0x25B02501, struct.pack("!HHxxxx", 1, 0) + bytes(30)),
    "unknown multipart": pack(4, Kind.MULTIPART_REPLY, 1, struct.pack("!HHxxxx", 77, 0)),
    "cut experimenter": pack(4, Kind.EXPERIMENTER, 1, b"ONF"),
    "second features": pack(4, Kind.FEATURES_REPLY, 1, bytes(24)),
    "cut features": pack(4, Kind.FEATURES_REPLY, 1, bytes(3)),
    "cut hello": pack(4, Kind.HELLO, 1, b"\0\1\0\xff"),
}
ERRORS = {
    "without a cause": pack(4, Kind.ERROR, 1, struct.pack("!HH", 5, 1)),
    "with a short cause": pack(4, Kind.ERROR, 1, struct.pack("!HH", 5, 1) + b"\4\xe0\0"),
    "without anything": pack(4, Kind.ERROR, 1),
    "with half a type": pack(4, Kind.ERROR, 1, b"\0"),
    "of an unknown type": pack(4, Kind.ERROR, 1, struct.pack("!HH", 99, 99) + bytes(64)),
    "of an experimenter": pack(4, Kind.ERROR, 1, struct.pack("!HHI", 0xFFFF, 1, 0x2320) + bytes(64)),
    "of an experimenter, cut": pack(4, Kind.ERROR, 1, struct.pack("!HH", 0xFFFF, 1)),
    "in the format of 1.0": pack(1, Kind.ERROR, 0, struct.pack("!HHII", 0xB0C2, 0, 0x2320, 0x01020600)),
    "with text that is none": pack(4, Kind.ERROR, 1, struct.pack("!HH", 0, 0) + b"\xff\xfe\0"),
    "of the greatest length": pack(4, Kind.ERROR, 1, struct.pack("!HH", 5, 1) + b"\xff" * (MAX_BYTES - 12)),
}


def test_who_claims_to_be_a_second_switch_takes_nobodys_place(rig: Rig) -> None:
    taken = rig.steady.switch.dpid.to_bytes(8, "big")

    def also_steady(message: bytes) -> bytes:
        is_features = message[1] == Kind.FEATURES_REPLY
        return message + message[:8] + taken + message[16:] if is_features else message

    dialler = rig.dial(rig.new_switch(), faults=[Fault(bend=also_steady)])
    rig.wait_for(dialler, "protected")
    rig.assert_undisturbed()


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage_in_the_middle(rig: Rig, what: str) -> None:
    """Whatever the controller makes of it: afterwards the switch is protected, and no other has noticed."""
    dialler = rig.dial(rig.new_switch())
    rig.wait_for_protection(dialler)
    rig.diallers.do(lambda: dialler.send(GARBAGE[what]))
    rig.diallers.do(lambda: dialler.send(pack(4, Kind.ECHO_REQUEST, 99)))
    time.sleep(0.5)
    rig.assert_undisturbed()
    rig.diallers.do(dialler.end)
    rig.wait_until(lambda: dialler.connections > 1, lambda: "not connected again")
    rig.wait_for_protection(dialler)


@pytest.mark.parametrize("what", ERRORS)
def test_odd_errors(rig: Rig, what: str) -> None:
    """They end no connection."""
    dialler = rig.dial(rig.new_switch())
    rig.wait_for_protection(dialler)
    rig.diallers.do(lambda: dialler.send(ERRORS[what]))
    rig.wait_for_echo(dialler)
    assert rig.state(dialler)[0] == "protected"
    assert dialler.connections == 1


@pytest.mark.parametrize("what", ERRORS)
def test_odd_errors_while_it_connects(rig: Rig, what: str) -> None:
    """One behind each message that the switch sends."""
    dialler = rig.dial(rig.new_switch(), faults=[Fault(bend=lambda message: message + ERRORS[what])])
    rig.wait_for_protection(dialler)
    assert dialler.connections == 1


def with_length(message: bytes, length: int) -> bytes:
    return message[:2] + length.to_bytes(2, "big") + message[4:]


def cut(message: bytes) -> bytes:
    return message[: max(8, len(message) - 5)]


BENDS: dict[str, Callable[[bytes], bytes]] = {
    "announces too much": lambda message: message[:2] + b"\xff\xff" + message[4:],
    "announces too little": lambda message: with_length(message, len(cut(message))),
    "cut at the end": lambda message: with_length(cut(message), len(cut(message))),
    "one byte more": lambda message: with_length(message, len(message) + 1) + b"\0",
    "flipped": lambda message: message[:8] + bytes(byte ^ 0x55 for byte in message[8:]),
    "another xid": lambda message: message[:4] + b"\x25\xb0\x25\0" + message[8:],
    "twice": lambda message: message * 2,
}


@pytest.mark.parametrize("bend", BENDS)
@pytest.mark.parametrize("kind", ["hello", "features", "ports", "multipart", "everything later"])
def test_bent_messages(rig: Rig, bend: str, kind: str) -> None:
    """The first connection bends some messages; what comes of it ends with that connection."""

    def bent(message: bytes) -> bytes:
        is_ports = message[1] == Kind.MULTIPART_REPLY and message[8:10] == b"\0\x0d"
        concerned = {
            "hello": message[1] == Kind.HELLO,
            "features": message[1] == Kind.FEATURES_REPLY,
            "ports": is_ports,
            "multipart": message[1] == Kind.MULTIPART_REPLY and not is_ports,
            "everything later": message[1] not in (Kind.HELLO, Kind.FEATURES_REPLY) and not is_ports,
        }[kind]
        return BENDS[bend](message) if concerned else message

    dialler = rig.dial(rig.new_switch(), faults=[Fault(bend=bent)])
    time.sleep(1)
    rig.assert_undisturbed()
    if dialler.connections == 1:
        rig.diallers.do(dialler.end)
    rig.wait_for_protection(dialler)


def test_a_switch_that_is_there_and_says_nothing(rig: Rig) -> None:
    """Half-open: it is lost once it has left a few echo requests without an answer."""
    dialler = rig.dial(rig.new_switch())
    rig.wait_for_protection(dialler)
    rig.diallers.do(dialler.hang)
    rig.wait_for(dialler, "lost")
    rig.assert_undisturbed()
    rig.diallers.do(dialler.go_on)
    rig.wait_for_protection(dialler)


@pytest.mark.parametrize(
    ("what", "why"),
    [("silence", "answer"), ("version 0", "no OpenFlow")],
)
def test_a_lost_switch_says_why(rig: Rig, what: str, why: str) -> None:
    dialler = rig.dial(rig.new_switch())
    rig.wait_for_protection(dialler)
    rig.diallers.do(dialler.hang)
    if what in GARBAGE:
        rig.diallers.do(lambda: dialler.send(GARBAGE[what]))
    _, reason = rig.wait_for(dialler, "lost")
    assert why in reason


def test_two_switches_with_one_datapath_id(rig: Rig) -> None:
    """The first is kept as wanted, and the state tells of both for as long as they are two."""
    first = rig.new_switch()
    second = FakeSwitch(first.dpid, capabilities=LITTLE, ports=(1, 2, 3, 4, LOCAL))
    one = rig.dial(first)
    rig.wait_for_protection(one)
    two = rig.dial(second)
    _, reason = rig.wait_for(one, "degraded", "two connections claim this datapath id")
    assert re.search(r"from 127\.0\.0\.1:\d+ and 127\.0\.0\.1:\d+: only", reason)
    end = time.monotonic() + QUARREL_SECONDS
    while time.monotonic() < end:
        assert rig.state(one) == ("degraded", reason)
        time.sleep(0.2)
    assert (one.connections, two.connections) == (1, 1), "they take the connection from each other"
    assert not rules_of(rig, two)
    rig.hang_up(one)
    rig.wait_for_protection(two)
    assert two.connections == 1
    again = rig.dial(first)
    rig.wait_for(two, "degraded", "two connections claim this datapath id")
    rig.hang_up(again)
    rig.wait_for_protection(two)


def test_a_switch_that_connects_again_does_not_wait_for_its_former_connection(rig: Rig) -> None:
    """That is half-open: it stays, and nobody is there."""
    switch = rig.new_switch()
    former = rig.dial(switch)
    rig.wait_for_protection(former)
    rig.diallers.do(former.hang)
    began = time.monotonic()
    again = rig.dial(FakeSwitch(switch.dpid, capabilities=LITTLE, ports=(1, 2, 3, 4, LOCAL)))
    rig.wait_until(lambda: rig.holds_all(again), lambda: "not filled")
    assert time.monotonic() - began < AGAIN_SECONDS
    assert "no sign of life while another connection claimed" in rig.log, "not for want of echo replies"
    rig.wait_for_protection(again)
    assert again.connections == 1


def test_auxiliary_connections_are_let_be(rig: Rig) -> None:
    """They come after the main one, from the same host, and are nothing that speaks for the switch."""
    dialler = rig.dial(rig.new_switch())
    rig.wait_for_protection(dialler)
    port, dpid = rig.controller.port, dialler.switch.dpid
    auxiliary = [open_as_switch(port, dpid, number) for number in (1, 2)]
    for each in auxiliary:
        assert not is_ended(each, 0.2)
        each.sendall(pack(4, Kind.PACKET_IN, 1, bytes(48)) + pack(4, Kind.ECHO_REQUEST, 77))
        each.settimeout(HANG_SECONDS)
        assert xid_of(each, Kind.ECHO_REPLY) == 77
    assert rig.state(dialler)[0] == "protected"
    assert dialler.connections == 1
    with open_as_switch(port, dpid, 1) as again:
        assert is_ended(auxiliary[0], HANG_SECONDS)
        rig.wait_until(lambda: "another one has its number now" in rig.log, lambda: rig.log)
        assert not is_ended(again, 0.2)
        rig.hang_up(dialler)
        assert is_ended(again, HANG_SECONDS)
    with open_as_switch(port, dpid, 1) as orphan:
        assert is_ended(orphan, HANG_SECONDS)
    # Both that had a main one, and the one that came without.
    rig.wait_until(lambda: rig.log.count("auxiliary to a main connection") >= 3, lambda: rig.log)
    for each in auxiliary:
        each.close()


def rules_of(rig: Rig, dialler: Dialler) -> object:
    return rig.diallers.do(lambda: rules_on(dialler.switch))
