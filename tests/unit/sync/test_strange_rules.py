"""Rules that a switch reports and that we cannot read, or cannot write: each one is only itself to blame."""

from __future__ import annotations

import pickle
import struct

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from op25b_app.openflow import codec
from op25b_app.openflow.codec import FlowModCommand
from op25b_app.openflow.flow_mods import Change, FlowModFormat, UpdateStep
from op25b_app.openflow.flow_rule import NORMAL, FieldValue, FlowRule, RuleRole
from op25b_app.openflow.instruction_decoder import stored_rule
from op25b_app.openflow.oxm import ReportedMatch, decode_match, encode_match
from op25b_app.openflow.stored_rule import Unsupported
from op25b_app.sync.reconcile import describe
from op25b_app.sync.session import AUDIT_SECONDS
from testing.fake_switch import Abilities
from testing.fake_switch.rules import remove
from testing.fake_switch.wire import Kind
from tests.world import RULES, Messages, World, desired

BLOCK = 0x25B0 << 48 | RuleRole.BLOCK << 40 | 7
THEIRS = 7
VERSIONS = (4, 5, 6)
NX_TTL = bytes.fromhex("00013a0140")
"""A field of Open vSwitch (NXM_NX_IP_TTL)."""
TCP = bytes.fromhex("80000a020800 8000140106")
STRANGE = {
    "a field of another class": TCP + NX_TTL,
    "a field before what it needs": NX_TTL + TCP,
    "a mask that OpenFlow does not have": TCP + bytes.fromhex("80001d04 0010fff0"),
    "a field twice": TCP + TCP,
    "a value too large": bytes.fromhex("80000c02 3000"),
    "a field of an experimenter": bytes.fromhex("ffff5406 4f4e4600 0002"),
}
"""What stands in a match, by what is strange about it."""
APPLY_NORMAL = bytes.fromhex("00040018 00000000 0000 0010 fffffffa 0000 000000000000")
BROKEN = {
    "a match of another kind": bytes.fromhex("00000058") + bytes(84),
    "a match longer than the rule": bytes.fromhex("00010100") + bytes(4),
    "a match of two bytes": bytes.fromhex("00010002") + bytes(4),
    "a field cut short": bytes.fromhex("00010009 80000a02 08") + bytes(7),
    "no match at all": b"",
    "one byte": b"\0",
}
"""What stands in the place of match and instructions."""
SMTP = {"in_port": 1, "eth_type": 0x0800, "ip_proto": 6, "ipv4_src": 5, "ipv4_dst": 1, "tcp_dst": 25}


def match_of(fields: bytes) -> bytes:
    length = 4 + len(fields)
    return struct.pack("!HH", 1, length) + fields + bytes(-length % 8)


def described(version: int, cookie: int, rest: bytes, table: int = 2) -> bytes:
    """An entry of flow statistics; ``rest`` is match and instructions, in 1.5 with statistics between."""
    if version == 6:
        return struct.pack("!HxxBxHHHHHQ", 24 + len(rest), table, 999, 0, 0, 0, 0, cookie) + rest
    head = struct.pack("!HBxIIHHHHxxxxQQQ", 48 + len(rest), table, 1, 0, 999, 0, 0, 0, cookie, 0, 0)
    return head + rest


def updated(version: int, cookie: int, rest: bytes) -> bytes:
    """An entry of a flow monitor: a rule that is new."""
    if version == 4:
        return struct.pack("!HHHHHHHBxQ", 24 + len(rest), 0, 0, 999, 0, 0, 0, 2, cookie) + rest
    return struct.pack("!HHBBHHHxxxxQ", 24 + len(rest), 1, 2, 0, 0, 0, 999, cookie) + rest


def with_entry(message: bytes, entry: bytes) -> bytes:
    """A reply with one more entry."""
    return message[:2] + struct.pack("!H", len(message) + len(entry)) + message[4:] + entry


def rest_of(fields: bytes, version: int) -> bytes:
    return match_of(fields) + bytes.fromhex("0000000400000000") * (version == 6) + APPLY_NORMAL


class Haunted(World):
    """A world whose switch reports one rule more than it holds, and tells of it before."""

    def __init__(self, version: int, cookie: int, rest: bytes) -> None:
        super().__init__(version=version, capabilities=Abilities(versions=(version,)))
        self.entry = described(version, cookie, rest)
        self.on_wire = self._haunt

    def _haunt(self, message: bytes) -> Messages:
        if codec.is_flow_stats_reply(message) and not codec.has_more(message):
            return [with_entry(message, self.entry)]
        return [message]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("cookie", [BLOCK, THEIRS], ids=["our cookie", "theirs"])
@pytest.mark.parametrize("strange", [*STRANGE, *BROKEN])
def test_a_rule_that_cannot_be_read_or_deleted_keeps_no_other_from_repair(
    version: int, cookie: int, strange: str
) -> None:
    rest = rest_of(STRANGE[strange], version) if strange in STRANGE else BROKEN[strange]
    world = Haunted(version, cookie, rest)
    world.connect(desired()._replace(violation=lambda wanted, others, *_: f"{len(others)} others"))
    assert set(world.rules) == set(RULES)
    assert world.status[0] == "degraded"
    assert "internal error" not in world.status[1]
    for lost in RULES[0], RULES[-2]:
        remove(world.switch, lost)
        world.run_told()
        world.wait(2 * AUDIT_SECONDS)
        assert set(world.rules) == set(RULES)
    assert not world.switch.forward(SMTP).passes


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("strange", STRANGE)
def test_a_rule_under_our_cookie_is_deleted_by_the_bytes_in_which_it_was_told(
    version: int, strange: str
) -> None:
    world = Haunted(version, BLOCK, rest_of(STRANGE[strange], version))
    handled: list[bytes] = []
    world.channel.on_handled = lambda message: handled.append(message.raw)
    world.connect(desired())
    deletions = [raw for raw in handled if command_of(raw) == FlowModCommand.DELETE_STRICT]
    assert deletions
    assert all(raw.endswith(match_of(STRANGE[strange])) for raw in deletions)


def command_of(raw: bytes) -> int | None:
    """Of a flow-mod, alone or as a part of a bundle."""
    flow_mod = raw[{Kind.EXPERIMENTER: 24, Kind.BUNDLE_ADD: 16}.get(Kind(raw[1]), 0) :]
    return flow_mod[25] if len(flow_mod) > 25 and flow_mod[1] == Kind.FLOW_MOD else None


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("strange", [*STRANGE, *BROKEN])
def test_news_that_cannot_be_read_has_the_table_read(version: int, strange: str) -> None:
    rest = rest_of(STRANGE[strange], 4) if strange in STRANGE else BROKEN[strange]
    world = World(version=version, capabilities=Abilities(versions=(version,)))
    world.connect(desired())
    world.now += 10
    world.run(world.deliver(report_message(version, updated(version, BLOCK, rest))))
    assert world.status[0] == "checking"
    assert world.session.due_at <= world.now


def report_message(version: int, entry: bytes) -> bytes:
    head = struct.pack("!HHxxxx", 0xFFFF if version == 4 else 16, 0)
    head += struct.pack("!II", 0x4F4E4600, 1870) if version == 4 else b""
    return struct.pack("!BBHI", version, 19, 8 + len(head) + len(entry), 0) + head + entry


@settings(deadline=None)
@given(data=st.binary(max_size=90))
@example(data=b"")
def test_whatever_a_switch_reports_can_be_described_judged_and_deleted_or_left(data: bytes) -> None:
    for version in VERSIONS:
        message = struct.pack("!BBHIHHxxxx", version, 19, 16, 7, 1, 0)
        rules = codec.decode_flow_stats(with_entry(message, described(version, BLOCK, data)))
        (read_rule,) = rules
        rule = read_rule.rule
        assert describe(rule)
        assert stored_rule(rule, "text").table == 2
        deletion = Change(FlowModCommand.DELETE_STRICT, rule, rule)
        encoded = UpdateStep([deletion, Change(FlowModCommand.ADD, RULES[0])]).encoded(FlowModFormat(version))
        assert encoded.not_encodable in ((), (deletion,))
        assert encode_match(RULES[0].match) in encoded.chunks[0]


@settings(deadline=None)
@given(fields=st.binary(max_size=60))
def test_a_match_that_is_read_can_be_written_and_names_the_same_rule(fields: bytes) -> None:
    octets = match_of(fields)
    try:
        match, _ = decode_match(octets, 0)
    except ValueError:
        return
    again, _ = decode_match(encode_match(match), 0)
    assert again == match
    assert encode_match(again) == encode_match(match)


def test_what_a_broken_rule_does_is_never_taken_for_known() -> None:
    """Not even where its bytes would be good instructions."""
    for rest in (*BROKEN.values(), APPLY_NORMAL, bytes.fromhex("0005000800000000")):
        message = struct.pack("!BBHIHHxxxx", 4, 19, 16, 7, 1, 0)
        (found,) = codec.decode_flow_stats(with_entry(message, described(4, THEIRS, rest)))
        steps = stored_rule(found.rule, "text").steps
        assert any(isinstance(step, Unsupported) for step in steps), rest.hex()


def test_a_reported_match_is_equal_to_the_fields_it_has_and_keeps_its_bytes() -> None:
    octets = match_of(NX_TTL + TCP)
    match, _ = decode_match(octets, 0)
    assert isinstance(match, ReportedMatch)
    assert match == tuple(match)
    assert encode_match(pickle.loads(pickle.dumps(match))) == octets


def test_a_change_that_no_message_can_express_is_named_and_the_others_are_sent() -> None:
    world = World()
    odd = FlowRule(2, 300, (FieldValue("tcp_dst", 1 << 20),), NORMAL, BLOCK)
    world.connect(desired([*RULES[:5], odd, *RULES[5:]]))
    assert world.status[0] == "degraded"
    assert "refused 1 rule: no OpenFlow message can express it, so it was not sent" in world.status[1]
    assert {rule for rule in RULES if rule.table} - {*world.rules} == set()
