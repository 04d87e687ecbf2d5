"""What a switch may say when: nothing is parsed that no switch would say, or that nobody asked for."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest
import ryu.ofproto

from op25b_app.openflow import codec, wire
from op25b_app.openflow.flow_monitor import encode_monitor_request
from op25b_app.sync import message_filter
from op25b_app.sync.message_filter import MessageFilter, Stage

VERSIONS = (4, 5, 6)
HELLO, ERROR, ECHO_REQUEST, PACKET_IN, PORT_STATUS = 0, 1, 2, 10, 12
METERS, PORTS = 10, 13
OUR_XID = 0x25B0_2501


def message(kind: int, xid: int = 7, body: bytes = b"", version: int = 4) -> bytes:
    return wire.encode_message(version, kind, xid, body)


def multipart(kind: int, xid: int = 7, *, more: bool = False, size: int = 0, version: int = 4) -> bytes:
    return message(wire.MULTIPART_REPLY, xid, struct.pack("!HHxxxx", kind, more) + bytes(size), version)


def question(kind: int, xid: int = 7, version: int = 4) -> bytes:
    return wire.encode_multipart_request(version, kind, xid, b"")


def greeted(version: int = 4) -> MessageFilter:
    """A connection whose switch was asked what it is."""
    made = MessageFilter()
    assert made.violation(message(HELLO, version=version)) == ""
    made.asked(message(5, 3, version=version))
    return made


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def opened(version: int) -> MessageFilter:
    made = greeted(version)
    assert made.violation(message(6, 3, bytes(24), version)) == ""
    made.stage = Stage.OPEN
    return made


@pytest.mark.parametrize("version_name", ["3", "4", "5"])
def test_every_type_is_classified(version_name: str) -> None:
    """Ryu's definitions know all of them; a new one is a matter for whoever adds it."""
    text = (Path(ryu.ofproto.__file__).parent / f"ofproto_v1_{version_name}.py").read_text()
    types = {name: int(number) for name, number in re.findall(r"^OFPT_(\w+) = (\d+)", text, re.MULTILINE)}
    assert len(types) >= 29
    for name, number in types.items():
        classes = [
            message_filter.ALWAYS,
            message_filter.REPLIES,
            message_filter.UNREQUESTED,
            message_filter.COMMANDS,
        ]
        assert sum(number in each for each in classes) == 1, name
        is_reply = name.endswith("_REPLY") and name != "ECHO_REPLY"
        assert (number in message_filter.REPLIES) is is_reply, name
        if name.endswith("_REQUEST") and name != "ECHO_REQUEST":
            assert number in message_filter.REQUESTS, name


def test_before_the_hello_only_that_counts() -> None:
    for kind in {*range(256)} - message_filter.ALWAYS - {HELLO}:
        assert "before its hello" in MessageFilter().violation(message(kind, body=bytes(24)))
    for kind in message_filter.ALWAYS:
        assert MessageFilter().violation(message(kind)) == ""


def test_before_the_features_only_those_count_and_only_where_they_were_asked_for() -> None:
    for kind in {*range(256)} - message_filter.ALWAYS - {6}:
        assert "before its features" in greeted().violation(message(kind, body=bytes(24)))
    assert greeted().violation(message(6, 4, bytes(24))) != ""
    assert greeted().violation(message(6, 3, bytes(24))) == ""


def test_a_hello_as_long_as_a_message_can_be_is_not_read() -> None:
    assert "65535 bytes" in MessageFilter().violation(message(HELLO, body=bytes(0xFFFF - 8)))


def test_what_was_asked_is_answered_once(opened: MessageFilter, version: int) -> None:
    reply = multipart(METERS, version=version)
    assert "multipart kind 10) without a request" in opened.violation(reply)
    opened.asked(question(METERS, version=version))
    assert opened.violation(multipart(METERS, 8, version=version)) != "", "another xid"
    assert opened.violation(multipart(9, version=version)) != "", "another kind"
    assert opened.violation(message(21, version=version)) != "", "another type"
    for more in (True, True, False):
        assert opened.violation(multipart(METERS, more=more, version=version)) == ""
    assert opened.violation(reply) != "", "again"


@pytest.mark.parametrize("request_type", sorted(message_filter.REQUESTS - {wire.MULTIPART_REQUEST}))
def test_replies_of_other_types_are_answers_too(
    opened: MessageFilter, version: int, request_type: int
) -> None:
    reply = message(request_type + 1, 9, version=version)
    assert "without a request" in opened.violation(reply)
    opened.asked(message(request_type, 9, version=version))
    assert opened.violation(reply) == ""
    assert "without a request" in opened.violation(reply)


def test_an_error_is_an_answer_as_well(opened: MessageFilter, version: int) -> None:
    opened.asked(question(METERS, version=version))
    assert opened.violation(message(ERROR, version=version)) == ""
    assert opened.violation(multipart(METERS, version=version)) != ""


def test_requests_may_be_sent_together_and_among_others(opened: MessageFilter, version: int) -> None:
    echo = message(ECHO_REQUEST, 1, b"abc", version)
    opened.asked(echo + question(METERS, 2, version) + question(PORTS, 3, version) + echo)
    assert opened.violation(multipart(PORTS, 3, version=version)) == ""
    assert opened.violation(multipart(METERS, 2, version=version)) == ""


@pytest.mark.parametrize("sent", [b"", b"\4", bytes(8), bytes(100), message(18)[:8], message(18)[:5]])
def test_whatever_is_sent_is_noted_without_a_mistake(opened: MessageFilter, sent: bytes) -> None:
    opened.asked(sent)


def test_requests_that_are_never_answered_take_no_room(opened: MessageFilter, version: int) -> None:
    for xid in range(10 * message_filter.MAX_ASKED):
        opened.asked(question(METERS, xid, version))
    assert len(vars(opened)["_asked"]) == message_filter.MAX_ASKED
    assert opened.violation(multipart(METERS, xid, version=version)) == ""


def test_sessions_judge_their_own_answers_and_what_a_flow_monitor_tells(
    opened: MessageFilter, version: int
) -> None:
    assert opened.violation(multipart(1, OUR_XID, version=version)) == ""
    monitor = encode_monitor_request(version=version, xid=0)
    update = monitor[:1] + bytes([wire.MULTIPART_REPLY]) + monitor[2:]
    assert opened.violation(update) == ""


def test_what_comes_unasked_counts(opened: MessageFilter, version: int) -> None:
    for kind in message_filter.UNREQUESTED - {HELLO}:
        assert opened.violation(message(kind, body=bytes(48), version=version)) == ""
    for kind in message_filter.COMMANDS | {HELLO, 99}:
        assert opened.violation(message(kind, body=bytes(48), version=version)) != ""


def test_what_takes_long_to_read_is_not_read(opened: MessageFilter, version: int) -> None:
    """A port has few properties, and a packet few fields; Ryu takes 100 ms and more for as many as fit."""
    assert opened.violation(message(PORT_STATUS, body=bytes(0xFFFF - 8), version=version)) != ""
    fields = struct.pack("!IHBBQ", 0, 0, 0, 0, 0) + struct.pack("!HH", 1, 0xFF00) + bytes(0xFF00 - 4)
    assert "fields" in opened.violation(message(PACKET_IN, body=fields, version=version))
    long = struct.pack("!IHBBQHH", 0, 0, 0, 0, 0, 1, 12) + bytes(9000)
    assert opened.violation(message(PACKET_IN, body=long, version=version)) == ""


def test_of_ports_a_switch_tells_so_many_only(opened: MessageFilter, version: int) -> None:
    size = 64 * 1000
    for xid in (1, 2):
        opened.asked(question(PORTS, xid, version))
        reported = 0
        while not (
            violation := opened.violation(multipart(PORTS, xid, more=True, size=size, version=version))
        ):
            reported += size
            assert reported < 2 * message_filter.PORTS_BYTES
        assert "about its ports" in violation
        assert reported > message_filter.PORTS_BYTES - 2 * size


def test_another_version_than_is_spoken_is_not_read(opened: MessageFilter, version: int) -> None:
    for other in {1, *VERSIONS} - {version}:
        assert "version" in opened.violation(message(PACKET_IN, body=bytes(48), version=other))
        assert opened.violation(message(ERROR, version=other)) == ""


def test_a_connection_that_is_not_in_use_shows_that_it_lives(opened: MessageFilter, version: int) -> None:
    opened.stage = Stage.STANDBY
    for kind in {*range(256)} - message_filter.ALWAYS:
        assert "not in use" in opened.violation(message(kind, OUR_XID, bytes(48), version))
    assert opened.violation(message(ECHO_REQUEST, version=version)) == ""


def test_the_requests_of_sessions_are_answered_by_their_xid() -> None:
    assert codec.encode_barrier_request(version=4, xid=OUR_XID)[1] in message_filter.REQUESTS
