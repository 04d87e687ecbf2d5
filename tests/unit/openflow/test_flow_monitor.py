"""Flow monitors: the request against Ryu's, and updates as Open vSwitch 3.1 sent them."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ryu.ofproto.ofproto_protocol import ProtocolDesc

from op25b_app.openflow import codec
from op25b_app.openflow.bundle import encode_commit
from op25b_app.openflow.flow_monitor import (
    FlowEvent,
    FlowUpdate,
    decode_updates,
    encode_monitor_request,
    is_flow_update,
)
from op25b_app.openflow.flow_rule import NORMAL, FieldValue, FlowRule, Goto

VERSIONS = (4, 5, 6)
MATCH = (FieldValue("eth_type", 0x0800), FieldValue("ipv4_src", 10 << 24, 0xFF000000))
RULE = FlowRule(2, 5, MATCH, None, 7)
ADDED = FlowUpdate(FlowEvent.ADDED, RULE)
ONF = "ffff0000 00000000 4f4e4600 0000074e"
STANDARD = "00100000 00000000"
WIRE_MATCH = "00010016 80000a02 08008000 17080a00 0000ff00 00000000"
OUTPUT_NORMAL = "00040018 00000000 00000010 fffffffa 00000000 00000000"


def wire(version: int, text: str, kind: int = 19) -> bytes:
    body = bytes.fromhex(text)
    return struct.pack("!BBHI", version, kind, 8 + len(body), 0) + body


CAPTURED = [
    (4, f"{ONF} 0030 0000 0000 0005 0000 0000 0016 02 00 0000000000000007 {WIRE_MATCH}", ADDED),
    (
        4,
        f"{ONF} 0048 0000 0000 0005 0000 0000 0016 02 00 0000000000000007 {WIRE_MATCH} {OUTPUT_NORMAL}",
        FlowUpdate(FlowEvent.ADDED, RULE._replace(action=NORMAL)),
    ),
    (
        4,
        f"{ONF} 0048 0001 0002 0005 0000 0000 0016 02 00 0000000000000007 {WIRE_MATCH} {OUTPUT_NORMAL}",
        FlowUpdate(FlowEvent.REMOVED, RULE._replace(action=NORMAL), 2),
    ),
    (
        4,
        f"{ONF} 0028 0002 0000 0002 0000 0000 000c 01 00 25b0000000000002 "
        "0001000c 80000004 00000002 00000000",
        FlowUpdate(FlowEvent.MODIFIED, FlowRule(1, 2, (FieldValue("in_port", 2),), None, 0x25B0 << 48 | 2)),
    ),
    (
        4,
        f"{ONF} 0020 0001 0001 0003 0000 0001 0004 02 00 0000000000000000 00010004 00000000",
        FlowUpdate(FlowEvent.REMOVED, FlowRule(2, 3, (), None, 0, 1), 1),
    ),
    (4, f"{ONF} 0008 0003 00000500", FlowUpdate(FlowEvent.OWN, xid=0x500)),
    (5, f"{STANDARD} 0030 0001 02 00 0000 0000 0005 00000000 0000000000000007 {WIRE_MATCH}", ADDED),
    (
        6,
        f"{STANDARD} 0048 0002 02 02 0000 0000 0005 00000000 0000000000000007 {WIRE_MATCH} {OUTPUT_NORMAL}",
        FlowUpdate(FlowEvent.REMOVED, RULE._replace(action=NORMAL), 2),
    ),
    (
        5,
        f"{STANDARD} 0028 0003 01 00 0000 0000 0002 00000000 25b0000000000002 "
        "0001000c 80000004 00000002 00000000",
        FlowUpdate(FlowEvent.MODIFIED, FlowRule(1, 2, (FieldValue("in_port", 2),), None, 0x25B0 << 48 | 2)),
    ),
    (
        6,
        f"{STANDARD} 0020 0002 02 01 0000 0001 0003 00000000 0000000000000000 00010004 00000000",
        FlowUpdate(FlowEvent.REMOVED, FlowRule(2, 3, (), None, 0, 1), 1),
    ),
    (5, f"{STANDARD} 0008 0004 00000500", FlowUpdate(FlowEvent.OWN, xid=0x500)),
    (6, f"{STANDARD} 0008 0005 00000000", FlowUpdate(FlowEvent.PAUSED)),
    (6, f"{STANDARD} 0008 0006 00000000", FlowUpdate(FlowEvent.RESUMED)),
    (5, f"{STANDARD} 0030 0000 02 00 0000 0000 0005 00000000 0000000000000007 {WIRE_MATCH}", ADDED),
]


@pytest.mark.parametrize("version", [5, 6])
def test_the_standard_request_is_ryus_byte_for_byte(version: int) -> None:
    datapath = ProtocolDesc(version)
    ofproto = datapath.ofproto
    flags = ofproto.OFPFMF_ADD | ofproto.OFPFMF_REMOVED | ofproto.OFPFMF_MODIFY | ofproto.OFPFMF_INSTRUCTIONS
    theirs = datapath.ofproto_parser.OFPFlowMonitorRequest(datapath, monitor_id=1, monitor_flags=flags)
    theirs.set_xid(9)
    theirs.serialize()
    assert encode_monitor_request(version=version, xid=9) == bytes(theirs.buf)


def test_the_extensions_request_is_the_one_that_open_vswitch_takes() -> None:
    """Ryu's leaves out the header of the match, and is refused."""
    assert encode_monitor_request(version=4, xid=9) == struct.pack(
        "!BBHIHHxxxxIIIHHIBxxxHHxxxx",
        *(4, 18, 48, 9, 0xFFFF, 0),
        *(0x4F4E4600, 1870, 1, 0b111110, 4, 0xFFFFFFFF, 0xFF),
        *(1, 4),
    )


@pytest.mark.parametrize(("version", "text", "update"), CAPTURED)
def test_updates_are_read(version: int, text: str, update: FlowUpdate) -> None:
    message = wire(version, text)
    assert is_flow_update(message)
    assert list(decode_updates(message)) == [update]


def test_one_message_tells_of_many_rules_in_order() -> None:
    entries = [text.removeprefix(STANDARD) for version, text, _ in CAPTURED if version != 4]
    updates = [update for version, _, update in CAPTURED if version != 4]
    assert list(decode_updates(wire(5, STANDARD + " ".join(entries)))) == updates
    entries = [text.removeprefix(ONF) for version, text, _ in CAPTURED if version == 4]
    updates = [update for version, _, update in CAPTURED if version == 4]
    assert list(decode_updates(wire(4, ONF + " ".join(entries)))) == updates


def test_the_extension_pauses_and_resumes_in_messages_of_their_own() -> None:
    for kind, event in ((1871, FlowEvent.PAUSED), (1872, FlowEvent.RESUMED)):
        message = struct.pack("!BBHIII", 4, 4, 16, 0, 0x4F4E4600, kind)
        assert is_flow_update(message)
        assert list(decode_updates(message)) == [FlowUpdate(event)]


def test_the_first_reply_tells_nothing() -> None:
    for message in (wire(4, ONF), wire(5, STANDARD), wire(6, STANDARD)):
        assert is_flow_update(message)
        assert list(decode_updates(message)) == []


def test_the_rule_of_an_update_has_its_action_and_time_out() -> None:
    goto = "00010008 04000000"
    entry = f"0038 0000 0000 0005 0000 0003 0016 02 00 0000000000000007 {WIRE_MATCH} {goto}"
    (update,) = decode_updates(wire(4, f"{ONF} {entry}"))
    assert update.rule == FlowRule(2, 5, MATCH, Goto(4), 7, 3)


@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_else_is_an_update(version: int) -> None:
    others = [
        codec.encode_barrier_request(version=version, xid=1),
        encode_commit(version=version, bundle=1, xid=1),
        wire(version, "00010000 00000000"),
        wire(version, "ffff0000 00000000 00002320 0000074e"),
        wire(version, "ffff0000 00000000 4f4e4600 0000074f"),
        wire(version, "ffff0000 00000000 4f4e46"),
        wire(version, "4f4e4600 0000074e", kind=4),
        wire(version, "00002320 0000074f", kind=4),
        wire(version, "4f4e46", kind=4),
        wire(version, "00"),
    ]
    assert [is_flow_update(message) for message in others] == [False] * len(others)
    standard, extension = wire(version, STANDARD), wire(version, ONF)
    assert [is_flow_update(standard), is_flow_update(extension)] == [version != 4, version == 4]


@pytest.mark.parametrize(("version", "text"), [(4, ONF), (5, STANDARD), (6, STANDARD)])
def test_broken_updates_count_as_a_pause(version: int, text: str) -> None:
    """As if the switch had not told: so the table is read."""
    paused = FlowUpdate(FlowEvent.PAUSED)
    first = len(wire(version, text))
    entry = next(each for number, each, _ in CAPTURED if number == version).removeprefix(text)
    whole = wire(version, text + entry)
    for length in range(first + 1, len(whole)):
        assert list(decode_updates(whole[:length])) == [paused]
    (good,) = decode_updates(whole)
    unknown = wire(version, f"{text} 0008 0009 00000000 {entry}")
    assert list(decode_updates(unknown)) == [paused, good]
    short = wire(version, f"{text} 000a 0002 00000000 0000 {entry}")
    assert list(decode_updates(short)) == [paused, good]
    broken = list(decode_updates(wire(version, text + entry.replace("0001", "0002") + entry)))
    assert len(broken) == 2
    assert broken[1] == good


@given(garbage=st.binary(max_size=200), version=st.sampled_from(VERSIONS))
def test_garbage_ends_in_updates(garbage: bytes, version: int) -> None:
    message = wire(version, ONF if version == 4 else STANDARD) + garbage
    assert all(isinstance(update, FlowUpdate) for update in decode_updates(message))
