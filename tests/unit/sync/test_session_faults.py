"""What a session makes of switches that refuse, are silent, are full, or are disturbed by others."""

from __future__ import annotations

import math
import struct

import pytest

from op25b_app.compiler.marker import Marker, marker_rule
from op25b_app.openflow.flow_rule import NORMAL, FieldValue, FlowRule, Goto
from op25b_app.sync.desired_state import DesiredState
from op25b_app.sync.read_back import TIMES_AT_ONCE
from op25b_app.sync.resync_schedule import LookBudget
from op25b_app.sync.ruleset import Ruleset
from op25b_app.sync.session import ANSWER_SECONDS, AUDIT_SECONDS, ROUNDS, Session
from op25b_app.sync.status import Outcome, State
from op25b_app.sync.update_orders import DROP_ALL
from testing.fake_switch import Abilities, Refusal
from testing.fake_switch.flow_mod import Command
from testing.fake_switch.rules import put, remove
from testing.fake_switch.wire import Kind, Message, pack
from tests.world import OURS, PORTS, READ_BACK, RULES, STATIC, TCP, Messages, World, at, desired

ANOTHER_DIGEST = "beef" * 16
ONWARD = (
    FlowRule(2, 10, (), None, OURS | 1),
    *(
        FlowRule(2, 132, (*TCP, FieldValue("ipv4_src", 0x64400000 + n)), Goto(3), STATIC | n)
        for n in range(20)
    ),
    FlowRule(3, 10, (), None, OURS | 40),
    FlowRule(3, 132, (*TCP, FieldValue("ipv4_dst", 5)), NORMAL, STATIC | 41),
    FlowRule(1, 10, (), Goto(3), OURS | 2),
    FlowRule(1, 200, (*TCP, FieldValue("tcp_dst", 25)), Goto(2), OURS | 3),
    FlowRule(0, 100, (), Goto(1), OURS | 4),
)
"""What no order of changes in place leads to from the rules of the other policy."""
ANOTHER = desired(ONWARD)._replace(digest=ANOTHER_DIGEST)
CANNOT_MATCH = Refusal(4, 6)
ADD_TO_BUNDLE = (2301).to_bytes(4, "big")
TO_ADDRESS_5 = b"\x80\x00\x18\x04\x00\x00\x00\x05"
"""A field of a match."""


def installed(**capabilities: bool) -> World:
    world = World(capabilities=Abilities(**capabilities))  # type: ignore[arg-type]
    world.connect(desired())
    assert world.status[0] == "protected"
    world.switch.flow_mods.clear()
    return world


def test_a_switch_without_bundles_and_metadata_gets_another_policy() -> None:
    world = installed(metadata=False, bundles=False)
    world.run(world.session.assign(ANOTHER, world.now))
    assert world.status == ("protected", f"{len(ONWARD)} rules read back as wanted and proven")


def test_what_permits_and_is_refused_with_a_tag_and_without_keeps_no_other_from_coming() -> None:
    world = installed(bundles=False)
    world.switch.conduct.refuse = lambda flow: (
        CANNOT_MATCH if flow.command is Command.ADD and flow.priority % 0x4000 == 132 else None
    )
    world.run(world.session.assign(ANOTHER, world.now))
    state, reason = world.status
    assert state == "degraded"
    assert "refused 21 rules: it cannot match on a field of the rule" in reason
    assert "metadata" not in reason
    assert {rule for rule in ONWARD if rule.priority != 132} <= set(world.rules)


def test_a_bundle_that_takes_few_messages_is_not_held_against_the_rules() -> None:
    world = installed()
    added: list[Message] = []

    def too_many(message: Message) -> Refusal | None:
        if message.kind != Kind.EXPERIMENTER or message.raw[12:16] != ADD_TO_BUNDLE:
            return None
        added.append(message)
        return Refusal(0xFFFF, 2312, 0x4F4E4600) if len(added) > 10 else None

    world.switch.conduct.refuse_message = too_many
    world.run(world.session.assign(ANOTHER, world.now))
    assert len(added) > 10
    assert world.status[0] == "protected"


def test_what_was_refused_of_an_old_policy_does_not_spoil_the_new_one() -> None:
    """Its bundle is committed at the first attempt."""
    world = installed()
    world.switch.conduct.refuse_message = lambda message: (
        CANNOT_MATCH if TO_ADDRESS_5 in message.raw else None
    )
    world.on_wire = lambda message: [message] if message[1] == Kind.ERROR else []
    world.run(world.session.assign(ANOTHER, world.now))
    world.switch.conduct.refuse_message = lambda message: None
    world.on_wire = lambda message: [message]
    handled: list[int] = []
    world.channel.on_handled = lambda message: handled.append(message.kind)
    world.run(world.session.assign(desired(ONWARD[1:])._replace(digest="f00d" * 16), world.now))
    assert world.status[0] == "protected"
    assert handled.count(Kind.MULTIPART_REQUEST) == 2, "its table is read before and after"


def test_ports_that_come_in_order_do_not_make_a_table_whole() -> None:
    """The last judgement of the table is void once it is known to be broken."""
    world = World(ports=PORTS | {7})
    world.connect(desired())
    assert world.status[0] == "degraded"
    remove(world.switch, RULES[0])
    world.switch.conduct.swallow = lambda flow: at(flow) == (2, 10)
    world.on_wire = lambda message: [message] if message[1] != Kind.BARRIER_REPLY else []
    world.run_told()
    world.wait(1)
    world.run(world.session.ports_changed(PORTS, world.now))
    assert world.status[0] == "degraded"


def test_what_fails_without_a_connection_is_not_tried_again() -> None:
    """Nor is a tick due then that nothing would come of: that is a loop without end."""
    session = Session(0x1, now=0.0)
    assert session.fail("internal error", now=1.0) == Outcome()
    assert session.status.state is State.LOST
    assert session.due_at == math.inf


def exception_until(expires: float) -> DesiredState:
    """A policy with an exception that ends then."""

    def wanted(now: float, tables: int) -> Ruleset:
        left = min(int(expires - now), 65535)
        permit = FlowRule(2, 400, (FieldValue("in_port", 1),), NORMAL, OURS | 99, left)
        return Ruleset([RULES, (permit,) * (left > 0)])

    return desired()._replace(wanted=wanted, digest=f"{expires:064.0f}")


@pytest.mark.parametrize("seconds", [0.0, 5.0])
def test_a_table_that_is_slow_to_read_is_as_wanted_with_an_exception_in_it(seconds: float) -> None:
    world = World()

    def slowly(message: bytes) -> Messages:
        world.now += seconds * (message[1] == Kind.MULTIPART_REPLY)
        return [message]

    world.on_wire = slowly
    world.connect(exception_until(world.now + 10_000))
    assert world.status[0] == "protected"
    assert len(world.sent) == len(RULES) + 1


def test_an_exception_that_lasts_too_long_is_cut_short() -> None:
    world = World()
    world.connect(exception_until(11_000))
    world.run(world.session.assign(exception_until(6_000), world.now))
    assert [rule.hard_timeout for rule in world.rules if rule.hard_timeout] == [5_000]
    assert world.status[0] == "protected"


def test_an_exception_that_ends_while_its_table_is_read_is_not_missed() -> None:
    world = World()
    world.connect(exception_until(world.now + 3))
    tables = []

    def late(message: bytes) -> Messages:
        if message[1] == Kind.MULTIPART_REPLY:
            tables.append(message)
            world.now += 4
        return [message]

    world.on_wire = late
    world.run(world.session.tick(world.now + AUDIT_SECONDS * 2))
    assert tables
    assert world.status[0] == "protected"
    world.wait(1)
    assert set(world.rules) == set(RULES)


def test_a_place_of_ours_in_table_0_is_taken_back_where_something_else_is_wrong_as_well() -> None:
    """Whether it had been ours does not depend on how the table was when somebody took it."""
    world = World()
    world.connect(desired())
    world.switch.conduct.refuse = lambda flow: Refusal(5, 4) if flow.table == 2 else None
    remove(world.switch, RULES[3])
    world.run_told()
    world.wait(1)
    assert world.status[0] == "degraded"
    put(world.switch, RULES[-1]._replace(cookie=0, action=NORMAL))
    world.run_told()
    world.wait(3)
    assert RULES[-1] in world.rules
    assert world.status[0] == "degraded"
    world.switch.conduct.refuse = lambda flow: None
    world.wait(60)
    assert world.status == ("protected", READ_BACK)


SAVED = LookBudget.MAX_SAVED / LookBudget.LEAST_COST


@pytest.mark.parametrize("standing_by", [False, True])
def test_others_who_change_rules_all_the_time_do_not_keep_us_busy(standing_by: bool) -> None:
    """Neither where they are put right each time, nor where a newer policy forbids that."""
    world = World()
    world.connect(desired())
    if standing_by:
        put(world.switch, marker_rule(Marker(7, ANOTHER_DIGEST), 2))
    asked: list[int] = []
    world.channel.on_handled = lambda message: asked.append(message.kind)
    for _ in range(1000):
        world.now += 0.01
        put(world.switch, RULES[0])
        remove(world.switch, RULES[0])
        world.run_told()
        if world.session.due_at <= world.now:
            world.run(world.session.tick(world.now))
    assert 5 <= asked.count(Kind.MULTIPART_REQUEST) <= 2 * (2 * 10 + SAVED) + 2
    assert world.status[0] == "degraded" if standing_by else "protected"
    world.wait(1)
    assert (set(world.rules) == set(RULES)) is not standing_by


@pytest.mark.parametrize("kind", [1871, 1872])
def test_a_table_is_read_where_the_switch_has_not_told_of_all_changes(kind: int) -> None:
    world = World()
    world.connect(desired())
    reported = pack(4, Kind.EXPERIMENTER, 0, struct.pack("!II", 0x4F4E4600, kind))
    world.now += 10
    world.run(world.deliver(reported))
    assert world.session.due_at <= world.now


def test_what_permits_and_is_refused_keeps_no_other_from_coming() -> None:
    """However many steps there are, one for each prefix length."""
    world = installed(bundles=False)
    odd = [FlowRule(2, 300 + number, (), NORMAL, STATIC | number) for number in range(3 * ROUNDS)]
    low = FlowRule(2, 200, (), NORMAL, OURS | 300)
    world.switch.conduct.refuse = lambda flow: CANNOT_MATCH if flow.priority >= 300 else None
    new = [*RULES, *odd, low]
    world.run(world.session.assign(desired(new)._replace(digest=ANOTHER_DIGEST), world.now))
    assert low in world.rules
    assert world.status[0] == "degraded"
    assert world.status[1].startswith(f"refused {len(odd)} rules")


def test_a_switch_that_never_has_what_it_was_sent_is_not_sent_it_for_ever() -> None:
    world = installed(bundles=False)
    world.switch.conduct.swallow = lambda flow: at(flow) == (2, 131)
    new = [*RULES, FlowRule(2, 131, (), NORMAL, OURS | 300)]
    world.run(world.session.assign(desired(new)._replace(digest=ANOTHER_DIGEST), world.now))
    assert world.status[1].startswith("its table is not as sent: missing: table 2 priority 131")
    assert len(world.sent) == 1 + TIMES_AT_ONCE, "with the new policy, and when it was seen to be missing"


def test_a_switch_that_leaves_the_policy_while_it_is_behind_a_gate_is_let_out() -> None:
    world = installed(bundles=False, metadata=False)
    world.on_wire = lambda message: [] if DROP_ALL in world.rules else [message]
    world.run(world.session.assign(ANOTHER, world.now))
    assert DROP_ALL in world.rules
    world.run(world.session.assign(None, world.now))
    assert DROP_ALL not in world.rules
    assert world.status == ("unknown", "no longer in the policy; its rules stay as they are")


def test_a_rule_that_goes_while_the_rest_of_the_table_is_read_is_not_thought_to_be_there() -> None:
    world = World(capabilities=Abilities(part_bytes=200))
    world.connect(desired())
    parts: list[bytes] = []

    def remove_what_was_read(message: bytes) -> Messages:
        parts.append(message)
        if len(parts) != 5:
            return [message]
        remove(world.switch, RULES[-1])
        return [*world.channel.due(world.now), message]

    world.on_wire = remove_what_was_read
    world.run(world.session.assign(desired()._replace(digest="beef" * 16), world.now))
    assert len(parts) > 5
    assert RULES[-1] not in world.rules
    world.wait(1)
    assert set(world.rules) == set(RULES)


def test_a_table_that_was_not_put_right_is_read_before_another_policy_changes_it() -> None:
    world = World()
    world.connect(desired())
    remove(world.switch, RULES[0])
    world.switch.conduct.swallow = lambda flow: at(flow) == (2, 10)
    world.on_wire = lambda message: [message] if message[1] != Kind.BARRIER_REPLY else []
    world.run_told()
    world.wait(ANSWER_SECONDS + 2)
    assert world.status[0] == "degraded"
    handled: list[int] = []
    world.channel.on_handled = lambda message: handled.append(message.kind)
    world.switch.conduct.swallow = lambda flow: False
    world.on_wire = lambda message: [message]
    world.run(world.session.assign(ANOTHER, world.now))
    assert handled[:2] == [Kind.BARRIER_REQUEST, Kind.MULTIPART_REQUEST]
    assert world.status[0] == "protected"
