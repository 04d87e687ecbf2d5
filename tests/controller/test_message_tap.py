"""Ryu's own connections with our parser in between: what is read when, and what ends no connection."""

from __future__ import annotations

import logging
import struct
import time
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import pytest
from ryu.base import app_manager
from ryu.controller import ofp_event
from ryu.controller.controller import Datapath
from ryu.controller.handler import MAIN_DISPATCHER, register_instance, set_ev_handler
from ryu.controller.ofp_handler import OFPHandler
from ryu.ofproto import ofproto_parser

from op25b_app.controller.ryu_patches import tap_messages
from op25b_app.openflow import bundle, codec, wire
from op25b_app.openflow.flow_rule import NORMAL, FieldValue, FlowRule

VERSIONS = (4, 5, 6)
BARRIER_REPLY = 21
RULE = FlowRule(
    2, 7, (FieldValue("eth_type", 0x0800), FieldValue("ipv4_src", 10 << 24, 0xFF000000)), NORMAL, 0x25B0 << 48
)
MATCH = bytes.fromhex("0001001680000a020800800017080a000000ff0000000000")
EVENTS = [
    ofp_event.EventOFPFlowStatsReply,
    ofp_event.EventOFPFlowDescStatsReply,
    ofp_event.EventOFPTableFeaturesStatsReply,
    ofp_event.EventOFPFlowRemoved,
    ofp_event.EventOFPFlowMonitorReply,
    ofp_event.EventOFPExperimenterStatsReply,
    ofp_event.EventOFPExperimenter,
    ofp_event.EventOFPBundleCtrlMsg,
    ofp_event.EventONFBundleCtrlMsg,
    ofp_event.EventOFPErrorMsg,
    ofp_event.EventOFPBarrierReply,
]


class Ryu(OFPHandler):
    """Ryu's handler of OpenFlow with its own handlers, which also keeps what it is handed."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Any] = []
        self.handed: list[bytes] = []
        """What a session would see, and of that ``taken`` are the xids of what is its own."""
        self.taken: set[int] = set()
        self.spent: list[tuple[int, float]] = []
        """Of each message its bytes, and how many seconds of work it was."""
        self.wait_seconds = 0.0
        self.waited = 0

    def take(self, datapath: Any, message: bytes) -> bool:
        self.handed.append(message)
        return int.from_bytes(message[4:8], "big") in self.taken

    def wait(self, datapath: Any) -> None:
        assert len(self.handed) == self.waited, "a message was read before its turn"
        self.waited += 1
        time.sleep(self.wait_seconds)

    def charge(self, datapath: Any, size: int, seconds: float) -> None:
        self.spent.append((size, seconds))

    @set_ev_handler(EVENTS, MAIN_DISPATCHER)
    def keep(self, event: Any) -> None:
        self.events.append(event)


class Socket:
    """The end of a connection that a switch has sent ``received`` over and then closed."""

    def __init__(self, received: Iterable[bytes]) -> None:
        self._received = iter(received)

    def recv(self, _: int) -> bytes:
        return next(self._received, b"")

    def setsockopt(self, *_: int) -> None: ...
    def settimeout(self, _: float) -> None: ...
    def close(self) -> None: ...


@pytest.fixture
def ryu(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ryu]:
    originals = dict(ofproto_parser._MSG_PARSERS)
    handler = Ryu()
    tap_messages(handler.take, handler.wait, handler.charge)
    handler.logger = logging.getLogger("ryu.ofp_event")
    register_instance(handler)
    monkeypatch.setitem(app_manager.SERVICE_BRICKS, "ofp_event", handler)
    yield handler
    ofproto_parser._MSG_PARSERS.update(originals)


def receive(ryu: Ryu, version: int, *messages: bytes) -> list[Any]:
    """The events that Ryu makes of messages; a barrier's reply after them tells that it still receives."""
    barrier = wire.encode_message(version, BARRIER_REPLY, 0x2525, b"")
    datapath = Datapath(Socket([b"".join(messages) + barrier]), ("192.0.2.1", 6653))
    datapath.set_version(version)
    datapath.set_state(MAIN_DISPATCHER)
    datapath._recv_loop()
    events, ryu.events = ryu.events, []
    assert events, "the connection ended"
    assert events[-1].msg.xid == 0x2525, "the connection ended before the barrier"
    return events[:-1]


def error(version: int, kind: int, code: int, content: bytes) -> bytes:
    return wire.encode_message(version, wire.ERROR, 7, struct.pack("!HH", kind, code) + content)


def messages_left_unread(version: int) -> dict[str, bytes]:
    """A message of each kind, and the name of its event."""
    multipart = struct.Struct("!HHxxxx")

    def reply(kind: int, body: bytes) -> bytes:
        return wire.encode_message(version, wire.MULTIPART_REPLY, 9, multipart.pack(kind, 0) + body)

    output = codec.encode_flow_mod(RULE, version=version, xid=0)[-24:]
    features = reply(12, struct.pack("!HB5x32s20xI", 64, 3, b"third", 77))
    if version == wire.OPENFLOW_13:
        statistics = (
            struct.pack("!HBxIIHHHH4xQQQ", 96, 2, 1, 0, 7, 0, 0, 0, RULE.cookie, 5, 6) + MATCH + output
        )
        update = struct.pack("!HHHHHHHBxQ", 72, 0, 0, 7, 0, 0, 0x16, 2, RULE.cookie) + MATCH + output
        removed = struct.pack("!QHBBIIHHQQ", RULE.cookie, 7, 2, 2, 1, 0, 0, 0, 5, 6) + MATCH
        onf = struct.pack("!II", wire.ONF_EXPERIMENTER, 1870)
        return {
            "EventOFPFlowStatsReply": reply(1, statistics),
            "EventOFPTableFeaturesStatsReply": features,
            "EventOFPFlowRemoved": wire.encode_message(version, wire.FLOW_REMOVED, 0, removed),
            "EventOFPExperimenterStatsReply": reply(0xFFFF, onf + update),
            "EventOFPExperimenter": wire.encode_message(
                version, wire.EXPERIMENTER, 0, struct.pack("!II", wire.ONF_EXPERIMENTER, 1871)
            ),
            "EventONFBundleCtrlMsg": answer_of(bundle.encode_commit(version=version, bundle=3, xid=9)),
        }
    update = struct.pack("!HHBBHHH4xQ", 72, 1, 2, 0, 0, 0, 7, RULE.cookie) + MATCH + output
    common = {
        "EventOFPTableFeaturesStatsReply": features,
        "EventOFPFlowMonitorReply": reply(16, update),
        "EventOFPBundleCtrlMsg": answer_of(bundle.encode_commit(version=version, bundle=3, xid=9)),
    }
    if version == wire.OPENFLOW_14:
        statistics = (
            struct.pack("!HBxIIHHHH4xQQQ", 96, 2, 1, 0, 7, 0, 0, 0, RULE.cookie, 5, 6) + MATCH + output
        )
        removed = struct.pack("!QHBBIIHHQQ", RULE.cookie, 7, 2, 2, 1, 0, 0, 0, 5, 6) + MATCH
        flow_stats = "EventOFPFlowStatsReply"
    else:
        oxs = struct.pack("!HHHBBQ", 0, 16, 0x8002, 5 << 1, 8, 6)
        statistics = struct.pack("!HxxBxHHHH2xQ", 88, 2, 7, 0, 0, 0, RULE.cookie) + MATCH + oxs + output
        removed = struct.pack("!BBHHHQ", 2, 2, 7, 0, 0, RULE.cookie) + MATCH + oxs
        flow_stats = "EventOFPFlowDescStatsReply"
    return common | {
        flow_stats: reply(1, statistics),
        "EventOFPFlowRemoved": wire.encode_message(version, wire.FLOW_REMOVED, 0, removed),
    }


def answer_of(control: bytes) -> bytes:
    """The switch's answer to a bundle control message: one type higher."""
    return control[:-3] + bytes([control[-3] + 1]) + control[-2:]


@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_is_parsed_before_somebody_asks(
    ryu: Ryu, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = messages_left_unread(version)
    with monkeypatch.context() as patched:
        patched.setitem(ofproto_parser._MSG_PARSERS, version, refusing(ofproto_parser._MSG_PARSERS[version]))
        events = [event for message in messages.values() for event in receive(ryu, version, message)]
    assert [type(event).__name__ for event in events] == list(messages)
    assert [event.msg.buf for event in events] == list(messages.values())
    assert {type(event.msg.buf) for event in events} == {bytes}


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_taken_makes_no_event_and_comes_in_order(ryu: Ryu, version: int) -> None:
    messages = [*messages_left_unread(version).values(), error(version, 5, 1, b"")]
    ryu.taken = {7, 9}
    left = [event.msg.buf for event in receive(ryu, version, *messages)]
    assert ryu.handed[:-1] == messages
    assert left == [each for each in messages if each[4:8] == bytes(4)]
    assert {type(each) for each in ryu.handed} == {bytes}


@pytest.mark.parametrize("version", VERSIONS)
def test_others_find_what_ryu_parses(ryu: Ryu, version: int) -> None:
    messages = messages_left_unread(version)
    events = dict(zip(messages, receive(ryu, version, *messages.values()), strict=True))
    for event in events.values():
        assert "version=0x" in str(event.msg)
    statistics = events.get("EventOFPFlowDescStatsReply") or events["EventOFPFlowStatsReply"]
    (flow,) = statistics.msg.body
    assert (flow.table_id, flow.priority, flow.cookie) == (2, 7, RULE.cookie)
    (table,) = events["EventOFPTableFeaturesStatsReply"].msg.body
    assert (table.table_id, table.max_entries) == (3, 77)
    removed = events["EventOFPFlowRemoved"].msg
    assert (removed.table_id, removed.cookie, removed.match["ipv4_src"]) == (
        2,
        RULE.cookie,
        ("10.0.0.0", "255.0.0.0"),
    )
    committed = events.get("EventOFPBundleCtrlMsg") or events["EventONFBundleCtrlMsg"]
    assert (committed.msg.bundle_id, committed.msg.type) == (3, 5)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_ryu_cannot_parse_ends_no_connection(ryu: Ryu, version: int) -> None:
    whole = [*messages_left_unread(version).values()]
    cut = [wire.encode_message(version, each[1], 9, each[8 : len(each) - 9]) for each in whole]
    unknown = wire.encode_message(version, 0x77, 9, b"\xff" * 8)
    packet_in = wire.encode_message(version, 10, 9, b"\xff" * 30)
    for event in receive(ryu, version, *cut, unknown, packet_in):
        assert not hasattr(event.msg, "no_such_attribute")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("kind", "code", "content"),
    [
        (5, 1, codec.encode_barrier_request(version=4, xid=3)),
        (1, 1, b""),
        (1, 1, b"abc"),
        (99, 1, b"\xff" * 64),
        (0, 0, b"caf\xc3\xa9"),
        (17, 13, b"\x05\x21\x00\x10" + bytes(12)),
    ],
    ids=["table full", "no content", "short", "unknown", "not ASCII", "bundle failed"],
)
def test_every_error_is_handed_over(ryu: Ryu, version: int, kind: int, code: int, content: bytes) -> None:
    (event,) = receive(ryu, version, error(version, kind, code, content))
    message = event.msg
    assert (message.type, message.code, message.xid) == (kind, code, 7)
    assert message.data == (b"caf??" if kind == 0 else content)


@pytest.mark.parametrize("version", VERSIONS)
def test_errors_of_experimenters_are_handed_over(ryu: Ryu, version: int) -> None:
    onf = struct.pack("!I", wire.ONF_EXPERIMENTER)
    (event,) = receive(ryu, version, error(version, 0xFFFF, 2313, onf + b"what failed"))
    message = event.msg
    assert (message.type, message.code, message.exp_type) == (0xFFFF, None, 2313)
    assert (message.experimenter, message.data) == (wire.ONF_EXPERIMENTER, b"what failed")
    (event,) = receive(ryu, version, error(version, 0xFFFF, 2313, b"\x4f"))
    assert (event.msg.exp_type, event.msg.data) == (2313, b"")


@pytest.mark.parametrize("version", VERSIONS)
def test_errors_in_the_format_of_openflow_10_end_no_connection(ryu: Ryu, version: int) -> None:
    """Open vSwitch 3.1 sends such for a flow monitor that it refuses, some with a type that 1.0 never had."""
    refused = bytes.fromhex("0101001800000000b0c20000000023200001020900010004")
    strange = bytes.fromhex("0101001800000000ffff0001000023200001020900010004")
    events = receive(ryu, version, refused, strange)
    assert [(event.msg.version, event.msg.type) for event in events] == [(1, 0xB0C2), (1, 0xFFFF)]


@pytest.mark.parametrize("version", VERSIONS)
def test_of_each_message_it_is_told_how_much_work_it_was(
    ryu: Ryu, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = messages_left_unread(version)["EventOFPTableFeaturesStatsReply"]
    taken = ryu.take

    def take(datapath: Any, message: bytes) -> bool:
        end = time.thread_time() + (0.05 if message == slow else 0.0)
        while time.thread_time() < end:
            pass
        return taken(datapath, message)

    tap_messages(take, ryu.wait, ryu.charge)
    receive(ryu, version, slow, error(version, 5, 1, b""))
    assert [size for size, _ in ryu.spent] == [len(slow), 12, 8]
    assert ryu.spent[0][1] >= 0.05 > ryu.spent[1][1]


def test_nobody_pays_for_having_waited(ryu: Ryu, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither for a turn nor in one: who paid for that had to wait for longer the next time."""
    taken = ryu.take
    ryu.wait_seconds = 0.05

    def take(datapath: Any, message: bytes) -> bool:
        time.sleep(0.05)
        return taken(datapath, message)

    tap_messages(take, ryu.wait, ryu.charge)
    receive(ryu, 4, error(4, 5, 1, b""))
    assert ryu.waited == len(ryu.spent) == 2
    assert all(seconds < 0.04 for _, seconds in ryu.spent)


@pytest.mark.parametrize("version", VERSIONS)
def test_of_an_error_not_every_byte_is_handed_on(ryu: Ryu, version: int) -> None:
    """Ryu writes each of them out, in 15 ms for the longest message."""
    (event,) = receive(ryu, version, error(version, 5, 1, bytes(0xFFFF - 12)))
    assert len(event.msg.data) == 2048


def refusing(parse: Any) -> Any:
    """Ryu's entry with a parser behind it that must not be reached."""

    *before, parser = parse.args

    def fail(datapath: Any, version: int, kind: int, *rest: Any) -> Any:
        assert kind == BARRIER_REPLY, "parsed"
        return parser(datapath, version, kind, *rest)

    return partial(parse.func, *before, fail)
