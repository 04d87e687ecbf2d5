"""Our encoder against Ryu's, byte for byte, and both directions against each other."""

from __future__ import annotations

import contextlib
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ryu.lib import addrconv
from ryu.ofproto import ofproto_parser
from ryu.ofproto.ofproto_protocol import ProtocolDesc

from op25b_app.openflow import codec
from op25b_app.openflow.codec import FlowModCommand
from op25b_app.openflow.flow_rule import (
    CONTROLLER_PORT,
    NORMAL,
    TAG_MASK,
    Action,
    CopyToController,
    FieldValue,
    FlowRule,
    Goto,
    GotoWithTag,
    Match,
    OpaqueInstructions,
    Output,
)
from op25b_app.openflow.oxm import FIELDS, OxmType, decode_match, encode_match

VERSIONS = (4, 5, 6)
NEWER_THAN_13 = {"pbb_uca", "tcp_flags", "actset_output", "packet_type"}
KNOWN_TO_RYU = [field for field in FIELDS if field.name not in NEWER_THAN_13]
TEXT = {32: addrconv.ipv4.bin_to_text, 48: addrconv.mac.bin_to_text, 128: addrconv.ipv6.bin_to_text}
ADDRESSES = ("eth_", "ipv4_", "ipv6_src", "ipv6_dst", "ipv6_nd", "arp_spa", "arp_tpa", "arp_sha", "arp_tha")


def value_of(oxm: OxmType, value: int) -> Any:
    """A value as Ryu's parser wants it: addresses as text."""
    if oxm.name.startswith(ADDRESSES) and oxm.name != "eth_type":
        return TEXT[8 * oxm.length](value.to_bytes(oxm.length, "big"))
    return value


@st.composite
def fields(draw: st.DrawFn, oxm: OxmType) -> FieldValue:
    value = draw(st.integers(0, oxm.full_mask))
    if not oxm.maskable or draw(st.booleans()):
        return FieldValue(oxm.name, value)
    host_bits = draw(st.integers(0, oxm.full_mask.bit_length() - 1))
    prefix = oxm.full_mask >> host_bits << host_bits
    mask = draw(st.just(prefix) | st.integers(1, oxm.full_mask))
    return FieldValue(oxm.name, value) if mask == oxm.full_mask else FieldValue(oxm.name, value & mask, mask)


@st.composite
def matches(draw: st.DrawFn) -> Match:
    chosen = draw(st.lists(st.sampled_from(KNOWN_TO_RYU), unique=True, max_size=8))
    return tuple(draw(fields(oxm)) for oxm in sorted(chosen, key=lambda oxm: oxm.number))


onward = st.one_of(
    st.builds(Goto, st.integers(0, 254)),
    st.builds(GotoWithTag, st.integers(0, 254), st.integers(0, TAG_MASK)),
    st.builds(Output, st.integers(1, 0xFFFFFFFF)),
)
actions = st.one_of(st.none(), onward, st.builds(CopyToController, onward))
rules = st.builds(
    FlowRule,
    table=st.integers(0, 254),
    priority=st.integers(0, 0xFFFF),
    match=matches(),
    action=actions,
    cookie=st.integers(0, (1 << 64) - 1),
    hard_timeout=st.integers(0, 0xFFFF),
)


def ryu_match(parser: Any, match: Match) -> Any:
    by_name = {oxm.name: oxm for oxm in FIELDS}
    values = {}
    for name, value, mask in match:
        oxm = by_name[name]
        values[name] = value_of(oxm, value) if mask is None else (value_of(oxm, value), value_of(oxm, mask))
    return parser.OFPMatch(**values)


def ryu_instructions(parser: Any, action: Action) -> list[Any]:
    if isinstance(action, Goto):
        return [parser.OFPInstructionGotoTable(action.table)]
    if isinstance(action, GotoWithTag):
        tagging = parser.OFPInstructionWriteMetadata(action.tag, TAG_MASK)
        return [tagging, parser.OFPInstructionGotoTable(action.table)]
    if isinstance(action, Output):
        output = parser.OFPActionOutput(action.port, max_len=0)
        return [parser.OFPInstructionActions(parser.ofproto.OFPIT_APPLY_ACTIONS, [output])]
    if isinstance(action, CopyToController):
        copy = parser.OFPActionOutput(CONTROLLER_PORT, parser.ofproto.OFPCML_NO_BUFFER)
        further = ryu_instructions(parser, action.onward)
        is_output = isinstance(action.onward, Output)
        sent = [copy, *further.pop(0).actions] if is_output else [copy]
        return [parser.OFPInstructionActions(parser.ofproto.OFPIT_APPLY_ACTIONS, sent), *further]
    return []


def ryu_flow_mod(version: int, rule: FlowRule, command: FlowModCommand, xid: int, flags: int) -> bytes:
    datapath = ProtocolDesc(version)
    parser, ofproto = datapath.ofproto_parser, datapath.ofproto
    adding = command is FlowModCommand.ADD
    message = parser.OFPFlowMod(
        datapath,
        cookie=rule.cookie,
        cookie_mask=0 if adding else 0xFFFFFFFFFFFFFFFF,
        table_id=rule.table,
        command=command,
        hard_timeout=rule.hard_timeout if adding else 0,
        priority=rule.priority,
        buffer_id=ofproto.OFP_NO_BUFFER,
        out_port=ofproto.OFPP_ANY,
        out_group=ofproto.OFPG_ANY,
        flags=flags,
        match=ryu_match(parser, rule.match),
        instructions=ryu_instructions(parser, rule.action) if adding else [],
    )
    message.set_xid(xid)
    message.serialize()
    return bytes(message.buf)


def flow_stats_reply(
    *installed: codec.FlowStats, more: bool = False, counters: tuple[int, int] = (5, 6)
) -> bytes:
    """A reply of OpenFlow 1.3, written down from section 7.3.5.2 of its specification."""
    body = b""
    for rule, idle_timeout, flags, duration in installed:
        flow_mod = codec.encode_flow_mod(rule, version=4, xid=0)
        match_and_instructions = flow_mod[48:]
        body += struct.pack(
            "!HBxIIHHHH4xQQQ",
            48 + len(match_and_instructions),
            rule.table,
            int(duration),
            round(duration % 1 * 1e9),
            rule.priority,
            idle_timeout,
            rule.hard_timeout,
            flags,
            rule.cookie,
            *counters,
        )
        body += match_and_instructions
    return struct.pack("!BBHIHH4x", 4, 19, 16 + len(body), 7, 1, more) + body


@pytest.mark.parametrize("command", list(FlowModCommand))
@pytest.mark.parametrize("version", VERSIONS)
@given(rule=rules, xid=st.integers(0, 0xFFFFFFFF), flags=st.sampled_from([0, codec.SEND_FLOW_REMOVED]))
def test_a_flow_mod_is_ryus_byte_for_byte(
    version: int, command: FlowModCommand, rule: FlowRule, xid: int, flags: int
) -> None:
    ours = codec.encode_flow_mod(rule, command=command, version=version, xid=xid, flags=flags)
    assert ours == ryu_flow_mod(version, rule, command, xid, flags)


@pytest.mark.parametrize("oxm", KNOWN_TO_RYU, ids=lambda oxm: oxm.name)
def test_every_field_is_ryus_byte_for_byte(oxm: OxmType) -> None:
    parser = ProtocolDesc(4).ofproto_parser
    for field in [
        FieldValue(oxm.name, oxm.full_mask),
        FieldValue(oxm.name, 0),
        *([FieldValue(oxm.name, 1, 1)] * oxm.maskable),
    ]:
        theirs = bytearray()
        ryu_match(parser, (field,)).serialize(theirs, 0)
        assert encode_match((field,)) == bytes(theirs)


@pytest.mark.parametrize("version", VERSIONS)
def test_requests_are_ryus_byte_for_byte(version: int) -> None:
    datapath = ProtocolDesc(version)
    parser = datapath.ofproto_parser
    read = parser.OFPFlowDescStatsRequest if version == 6 else parser.OFPFlowStatsRequest
    for theirs, ours in (
        (parser.OFPBarrierRequest(datapath), codec.encode_barrier_request(version=version, xid=9)),
        (read(datapath), codec.encode_flow_stats_request(version=version, xid=9)),
    ):
        theirs.set_xid(9)
        theirs.serialize()
        assert ours == bytes(theirs.buf)


@given(match=matches())
def test_a_match_survives_the_wire(match: Match) -> None:
    encoded = encode_match(match)
    assert decode_match(b"before" + encoded, len("before")) == (match, len("before") + len(encoded))
    assert len(encoded) % 8 == 0


@given(rule=rules, idle=st.integers(0, 0xFFFF), counters=st.tuples(*[st.integers(0, (1 << 64) - 1)] * 2))
def test_a_rule_survives_the_wire(rule: FlowRule, idle: int, counters: tuple[int, int]) -> None:
    installed = codec.FlowStats(rule, idle, 1, 12.5 if rule.hard_timeout else 0.0)
    reply = flow_stats_reply(installed, installed, more=True, counters=counters)
    assert list(codec.decode_flow_stats(reply)) == [installed, installed]
    assert codec.has_more(reply)
    assert not codec.has_more(flow_stats_reply(installed))


@given(rule=rules)
def test_ryu_reads_the_reply_alike(rule: FlowRule) -> None:
    """The replies of these tests are well-formed to somebody else, too."""
    reply = flow_stats_reply(codec.FlowStats(rule, 0, 0, 1.25))
    message = ofproto_parser.msg(ProtocolDesc(4), 4, 19, len(reply), 7, reply)
    (flow,) = message.body
    assert (flow.table_id, flow.priority, flow.cookie) == (rule.table, rule.priority, rule.cookie)
    assert (flow.hard_timeout, flow.packet_count, flow.byte_count) == (rule.hard_timeout, 5, 6)
    theirs = bytearray()
    flow.match.serialize(theirs, 0)
    assert bytes(theirs) == encode_match(rule.match)


def test_instructions_of_others_are_kept_as_they_are() -> None:
    group = bytes.fromhex("00040010 00000000 00160008 00000001".replace(" ", ""))
    both = bytes.fromhex("00010008 05000000".replace(" ", "")) + group
    for instructions in (group, both, bytes.fromhex("0004000800000000")):
        rule = FlowRule(0, 1, (), OpaqueInstructions(instructions), 9)
        (found,) = codec.decode_flow_stats(flow_stats_reply(codec.FlowStats(rule, 0, 0)))
        assert found.rule == rule


def test_equal_numbers_are_not_equal_actions() -> None:
    """To go on in table 5 is not to go out of port 5, however often one of them was seen before."""
    for action in (Goto(5), Output(5), GotoWithTag(5, 0), Goto(5)):
        rule = FlowRule(0, 1, (), action, 9)
        (found,) = codec.decode_flow_stats(flow_stats_reply(codec.FlowStats(rule, 0, 0)))
        assert found.rule == rule
    assert len({Goto(5), Output(5), GotoWithTag(5, 0)}) == 3


def test_a_tag_is_known_in_whatever_order_its_instructions_come() -> None:
    goto, tagging = (
        bytes.fromhex("0001000809000000"),
        bytes.fromhex("0002001800000000") + struct.pack("!QQ", 3, 0xFF),
    )
    for instructions in (tagging + goto, goto + tagging):
        rule = FlowRule(0, 1, (), OpaqueInstructions(instructions), 9)
        (found,) = codec.decode_flow_stats(flow_stats_reply(codec.FlowStats(rule, 0, 0)))
        assert found.rule.action == GotoWithTag(9, 3)


def test_other_metadata_is_no_tag() -> None:
    goto = bytes.fromhex("0001000809000000")
    for value, mask in ((3, 0xFFFF), (0x103, 0x1FF), (3, 3), (0x100, 0xFF)):
        tagging = bytes.fromhex("0002001800000000") + struct.pack("!QQ", value, mask)
        for instructions in (tagging + goto, goto + tagging, tagging):
            rule = FlowRule(0, 1, (), OpaqueInstructions(instructions), 9)
            (found,) = codec.decode_flow_stats(flow_stats_reply(codec.FlowStats(rule, 0, 0)))
            assert found.rule == rule


def test_a_tag_that_does_not_fit_is_refused() -> None:
    for tag in (-1, TAG_MASK + 1):
        with pytest.raises(ValueError, match="does not fit 8 bits"):
            codec.encode_flow_mod(FlowRule(0, 1, (), GotoWithTag(3, tag), 9), version=4, xid=1)


def test_a_rule_that_was_read_before_is_the_same_one() -> None:
    """Read again, from this switch or another: not decoded, and not another copy in memory."""
    rule = FlowRule(2, 7, (FieldValue("eth_type", 0x0800),), Goto(9), 77)
    first = codec.FlowStats(rule, 0, 0)
    (one,) = codec.decode_flow_stats(flow_stats_reply(first, counters=(5, 6)))
    (other,) = codec.decode_flow_stats(flow_stats_reply(first._replace(duration=2.0), counters=(7, 8)))
    assert one == first
    assert one is other
    for different in (first._replace(flags=1), first._replace(idle_timeout=9)):
        assert [*codec.decode_flow_stats(flow_stats_reply(different))] == [different]
    for changed in (
        rule._replace(table=3),
        rule._replace(priority=8),
        rule._replace(cookie=78),
        rule._replace(hard_timeout=60),
        rule._replace(action=NORMAL),
        rule._replace(match=()),
    ):
        (found,) = codec.decode_flow_stats(flow_stats_reply(first._replace(rule=changed)))
        assert found.rule == changed


@pytest.mark.parametrize(
    ("wire", "match"),
    [
        ("80000a02 0800", (FieldValue("eth_type", 0x0800),)),
        ("80001708 0a0000ff ffffff00", (FieldValue("ipv4_src", 0x0A000000, 0xFFFFFF00),)),
        ("80001708 0a0000ff ffffffff", (FieldValue("ipv4_src", 0x0A0000FF),)),
        ("80001708 00000000 00000000", ()),
        ("80000d04 1064 1fff", (FieldValue("vlan_vid", 0x1064),)),
        ("80001c02 0019 80000a02 0800", (FieldValue("eth_type", 0x0800), FieldValue("tcp_dst", 0x19))),
        ("00013401 01", (FieldValue("oxm_0001_26", 1),)),
        ("80007804 00000009", (FieldValue("oxm_8000_60", 9),)),
        ("8000c801 09", (FieldValue("oxm_8000_100", 9),)),
        ("80000a01 08", (FieldValue("oxm_8000_5", 8),)),
        ("ffff0508 4f4e4600 0003 000f", (FieldValue("oxm_ffff_2_4f4e4600", 3, 15),)),
        ("ffff0402 4f4e", (FieldValue("oxm_ffff_2", 0x4F4E),)),
        ("80017803", None),
        ("8000", None),
    ],
)
def test_matches_of_others(wire: str, match: Match | None) -> None:
    body = bytes.fromhex(wire.replace(" ", ""))
    encoded = struct.pack("!HH", 1, 4 + len(body)) + body + bytes(-(4 + len(body)) % 8)
    if match is None:
        with pytest.raises(ValueError, match="cut short"):
            decode_match(encoded, 0)
    else:
        assert decode_match(encoded, 0) == (match, len(encoded))


@pytest.mark.parametrize(
    ("match", "complaint"),
    [
        ((FieldValue("ipv4_src", 0x0A000001, 0xFF000000),), "bits outside its mask"),
        ((FieldValue("tcp_dst", 16, 0xFFF0),), "takes no mask"),
        ((FieldValue("ipv4_src", 0, 0),), "mask"),
        ((FieldValue("tcp_dst", 65536),), "does not fit 16 bits"),
        ((FieldValue("vlan_vid", 0x2000),), "does not fit 13 bits"),
        ((FieldValue("tcp_dst", 25), FieldValue("ip_proto", 6)), "out of order"),
        ((FieldValue("tcp_dst", 25), FieldValue("tcp_dst", 26)), "out of order"),
        ((FieldValue("tcp_port", 25),), "no OpenFlow match field is called 'tcp_port'"),
    ],
)
def test_what_no_switch_would_take_is_refused(match: Match, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        encode_match(match)


def test_broken_replies_name_the_byte() -> None:
    rule = FlowRule(0, 1, (FieldValue("eth_type", 0x0800),), NORMAL, 9)
    whole = flow_stats_reply(codec.FlowStats(rule, 0, 0))
    for length in range(17, len(whole)):
        with pytest.raises(ValueError, match="at byte 16"):
            list(codec.decode_flow_stats(whole[:length]))


@given(garbage=st.binary(min_size=1, max_size=200), version=st.sampled_from(VERSIONS))
def test_garbage_ends_in_rules_or_in_value_error(garbage: bytes, version: int) -> None:
    message = struct.pack("!BBHIHH4x", version, 19, 16 + len(garbage), 7, 1, 0) + garbage
    with contextlib.suppress(ValueError):
        assert all(isinstance(each, codec.FlowStats) for each in codec.decode_flow_stats(message))
