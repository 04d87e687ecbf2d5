"""The fake switch answers as a real Open vSwitch does: the same bytes to both, and the answers compared."""

from __future__ import annotations

import itertools
import re
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from op25b_app.openflow import codec, wire
from op25b_app.openflow.flow_monitor import decode_updates, is_flow_update
from op25b_app.openflow.oxm import match_size
from op25b_app.openflow.oxs import decode_statistics
from testing.fake_switch import Abilities, Channel, FakeSwitch, Kind, Message
from testing.fake_switch.messages import (
    actions,
    bundle_add,
    bundle_control,
    flow_mod,
    flow_statistics,
    goto,
    match,
    monitor,
    output,
    oxm,
    role_request,
    write_metadata,
)
from testing.fake_switch.oddities import bundle_messages, odd_messages
from testing.fake_switch.wire import Stream, pack
from testing.patience import HANG_SECONDS
from testing.private_ovs import PrivateOvs

VERSIONS = pytest.mark.parametrize("version", [4, 5, 6], ids=["1.3", "1.4", "1.5"])
FLUSH_XID = 0x7FFFFFFF
ROOM = 3
"""Entries that table 1 holds."""
UNTOLD = (Kind.HELLO, Kind.FLOW_REMOVED)
"""Open vSwitch sends the latter to a bridge's controllers, and to nobody on its own socket."""
PORTS = (1, 2, 3, 4)
ROLES = ((0, 5), (9, 5), (3, 5), (2, 4), (2, 5), (0, 0), (1, 1), (2, 1 << 63 | 4), (2, (1 << 63) + 5))


class Real:
    """A connection to a bridge."""

    def __init__(self, path: Path, version: int) -> None:
        self._version = version
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(HANG_SECONDS)
        self._socket.connect(str(path))
        self._stream = Stream()
        self.ask(pack(version, Kind.HELLO, 0))

    def ask(self, messages: bytes) -> list[Message]:
        """All that it says until it has answered an echo after these messages."""
        self._socket.sendall(messages + pack(self._version, Kind.ECHO_REQUEST, FLUSH_XID))
        said: list[Message] = []
        while not said or said[-1].xid != FLUSH_XID:
            received = self._socket.recv(1 << 16)
            assert received, "the bridge closed the connection"
            said += self._stream.feed(received)
        return [message for message in said[:-1] if message.kind not in UNTOLD]

    def close(self) -> None:
        self._socket.close()


class Fake:
    """A connection to a fake switch."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._stream = Stream()

    def ask(self, messages: bytes) -> list[Message]:
        pieces = self._channel.receive(messages, 0.0)
        said = [message for piece in pieces for message in self._stream.feed(piece)]
        return [message for message in said if message.kind not in UNTOLD]


class Both:
    """A bridge and a fake switch with as many entries, and two connections to each."""

    def __init__(self, path: Path, version: int) -> None:
        self.version = version
        self.switch = FakeSwitch(capabilities=Abilities(room_of={1: ROOM}, part_bytes=1 << 15))
        self.real = [Real(path, version) for _ in range(2)]
        self._fake = [Fake(self.switch.connect(version)) for _ in range(2)]
        self.real[0].ask(flow_mod(version, 0, command=3, table=255))

    def send(self, messages: bytes, by: int = 0) -> None:
        """Send to both on one connection, and compare what both say on either."""
        for number in (by, 1 - by):
            sent = messages if number == by else b""
            real, fake = self.real[number].ask(sent), self._fake[number].ask(sent)
            assert [comparable(each) for each in real] == [comparable(each) for each in fake], (
                f"connection {number}, {sent.hex()}"
            )


def packets_of(reply: bytes) -> list[int]:
    """How many packets each rule of a part of flow statistics has counted (1.3.5 and 1.5.1, 7.3.5.2)."""

    def counted(entry: bytes) -> int:
        if reply[0] < wire.OPENFLOW_15:
            return int.from_bytes(entry[32:40], "big")
        return decode_statistics(entry, 24 + match_size(entry, 24))[0].packets

    return [*wire.decode_entries(reply, wire.MULTIPART_HEADER_SIZE, counted, "flow statistics")]


def comparable(message: Message) -> object:
    """What two switches may not differ in: not the order of entries and fields, nor durations."""
    if message.kind == Kind.MULTIPART_REPLY and codec.is_flow_stats_reply(message.raw):
        return sorted(
            (
                *each.rule[:3],
                str(each.rule.action),
                *each.rule[4:],
                each.idle_timeout,
                each.flags,
                packets,
            )
            for each, packets in zip(
                codec.decode_flow_stats(message.raw), packets_of(message.raw), strict=True
            )
        )
    if is_flow_update(message.raw):
        return Counter(decode_updates(message.raw))
    return message.raw


@pytest.fixture(scope="module")
def ovs() -> Iterator[PrivateOvs]:
    with PrivateOvs() as private:
        yield private


@pytest.fixture
def bridge(ovs: PrivateOvs) -> Iterator[Path]:
    ovs.add_bridge("real", PORTS, protocols="OpenFlow13,OpenFlow14,OpenFlow15")
    limit = ["--", "--id=@t", "create", "Flow_Table", f"flow_limit={ROOM}"]
    ovs.vsctl(*limit, "--", "set", "Bridge", "real", "flow_tables:1=@t")
    yield ovs.directory / "real.mgmt"
    ovs.vsctl("del-br", "real")


@contextmanager
def both_at(path: Path, version: int) -> Iterator[Both]:
    both = Both(path, version)
    try:
        yield both
    finally:
        for connection in both.real:
            connection.close()


@VERSIONS
def test_odd_messages(bridge: Path, version: int) -> None:
    with both_at(bridge, version) as both:
        for name, message in odd_messages(version):
            print(name)
            both.send(message)
        both.send(flow_statistics(version, 1))


@VERSIONS
def test_bundles(bridge: Path, version: int) -> None:
    with both_at(bridge, version) as both:
        for name, messages in bundle_messages(version):
            print(name)
            both.send(messages)


@VERSIONS
def test_roles(bridge: Path, version: int) -> None:
    with both_at(bridge, version) as both:
        for xid, ((role, generation), by) in enumerate(itertools.product(ROLES, (0, 1))):
            both.send(role_request(version, xid, role, generation), by)
            both.send(flow_mod(version, xid) + pack(version, Kind.BARRIER_REQUEST, xid), 1 - by)


NETWORKS = tuple(
    (10 << 24 | third << 8, mask) for third in (0, 1) for mask in (0xFFFFFF00, 0xFFFF0000, 0xFF000000)
)
SOURCES = [match(oxm(5, 2, 0x0800), oxm(11, 4, address & mask, mask)) for address, mask in NETWORKS]
WHAT = [
    match(),
    match(oxm(0, 4, 1)),
    match(oxm(0, 4, 2)),
    *SOURCES,
    match(oxm(5, 2, 0x0800), oxm(10, 1, 6), oxm(14, 2, 25)),
    match(oxm(2, 8, 1, 1)),
]
DOES = [
    b"",
    actions(output(2)),
    actions(output(3)),
    goto(2),
    write_metadata(1, 0xFF) + goto(2),
    actions(output(3), instruction=3) + goto(2),
]
FRAMES = {
    f"in_port={port},tcp,nw_src=10.0.{third}.1,tp_dst={to}": {
        "in_port": port,
        "eth_type": 0x0800,
        "ip_proto": 6,
        "ipv4_src": 10 << 24 | third << 8 | 1,
        "tcp_dst": to,
        "vlan_vid": 0,
    }
    for port in (1, 4)
    for third in (0, 1)
    for to in (25, 26)
}


@st.composite
def flow_mods(draw: st.DrawFn, version: int, xid: int, *, bundled: bool, ranked: bool) -> bytes:
    """Flow-mods that meet each other often.

    In a bundle, Open vSwitch 3.1.0 does not always see what the same bundle has added: with commands that are
    not strict, and when it checks for an overlap. ``ranked``: no two entries of equal priority match the same
    frame, of which nobody could say where it goes.
    """
    what = draw(st.integers(0, len(WHAT) - 1))
    table = draw(st.sampled_from((0, 0, 1)))
    command = draw(st.sampled_from((0, 0, 2, 4) if bundled else (0, 0, 0, 0, 1, 2, 3, 4)))
    return flow_mod(
        version,
        xid,
        WHAT[what],
        draw(st.sampled_from(DOES)),
        command=command,
        table=draw(st.sampled_from((table, table, 255))) if command > 2 else table,
        priority=what if ranked else draw(st.sampled_from((1, 2))),
        cookie=draw(st.sampled_from((1, 2, 3))),
        cookie_mask=draw(st.sampled_from((0, 0, 1, 3))) if command else 0,
        flags=draw(st.sampled_from((0, 0, 1, 4) if bundled else (0, 0, 1, 2, 4))),
        timeouts=draw(st.sampled_from(((0, 0), (0, 0), (600, 900)))),
        out_port=draw(st.sampled_from((0xFFFFFFFF, 0xFFFFFFFF, 2))),
    )


@st.composite
def exchanges(draw: st.DrawFn, version: int, *, ranked: bool = False) -> list[tuple[bytes, int]]:
    """Messages, and which of two connections sends them."""
    found = []
    for number in range(draw(st.integers(4, 12))):
        bundled, by, count = draw(st.booleans()), draw(st.sampled_from((0, 1))), draw(st.integers(1, 4))
        some = [
            draw(flow_mods(version, 100 * number + n, bundled=bundled, ranked=ranked)) for n in range(count)
        ]
        if bundled:
            some = [bundle_add(number, each) for each in some]
            some += [bundle_control(version, 100 * number + 90, number, 2)]
            some += [bundle_control(version, 100 * number + 91, number, 4)]
        found.append((b"".join(some), by))
    return found


@VERSIONS
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_what_happens_to_entries(bridge: Path, version: int, data: st.DataObject) -> None:
    """Two controllers at work, one of them with a flow monitor, with and without bundles."""
    with both_at(bridge, version) as both:
        both.send(monitor(version, 1, 1, 0b11110))
        both.send(flow_mod(version, 2, instructions=actions(output(2)), table=2, priority=0))
        both.send(flow_mod(version, 3, WHAT[-1], actions(output(3)), table=2, priority=1))
        for messages, by in data.draw(exchanges(version)):
            both.send(messages, by)
            both.send(flow_statistics(version, 4))
            both.send(flow_statistics(version, 5, kind=2, table=0))


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_where_frames_go(ovs: PrivateOvs, bridge: Path, data: st.DataObject) -> None:
    with both_at(bridge, 4) as both:
        both.send(flow_mod(4, 3, WHAT[-1], actions(output(2)), table=2, priority=1))
        for messages, by in data.draw(exchanges(4, ranked=True)):
            both.send(messages, by)
        for frame, fields in FRAMES.items():
            traced = ovs.appctl("ofproto/trace", "real", f"{frame},dl_src=02:00:00:00:00:01")
            done = re.sub(r"userspace\(.*\)", "", traced.rpartition("Datapath actions: ")[2])
            sent = re.findall(r"\b[23]\b", done)
            assert [int(port) for port in sent] == [*both.switch.forward(fields).ports], traced
