"""What a rule counts is what it did: counters begin with 0 where another rule did something else before."""

from __future__ import annotations

import pytest

from op25b_app.openflow.codec import RESET_COUNTS, FlowModCommand
from op25b_app.openflow.flow_mods import Change, flags_of
from op25b_app.openflow.flow_rule import NORMAL, FieldValue, FlowRule, Goto, GotoWithTag, RuleRole
from testing.fake_switch import Abilities, FlowMod, Refusal
from testing.fake_switch.rules import put
from tests.world import OURS, RULES, World, desired

BLOCK, WOULD_BLOCK, FORWARD = (
    0x25B0 << 48 | role << 40 | 7 for role in (RuleRole.BLOCK, RuleRole.WOULD_BLOCK, RuleRole.FORWARD)
)
RULE = FlowRule(2, 10, (), None, BLOCK)
MONITORED = RULE._replace(action=NORMAL, cookie=WOULD_BLOCK)
PACKETS = 14
MOVED = [
    rule._replace(
        table=rule.table + (rule.table > 0),
        action=Goto(rule.action.table + 1) if isinstance(rule.action, Goto) else rule.action,
    )
    for rule in RULES
]


@pytest.mark.parametrize(
    ("before", "after", "resets"),
    [
        (MONITORED, RULE, True),
        (RULE, MONITORED, True),
        (MONITORED, MONITORED._replace(cookie=FORWARD), True),
        (RULE._replace(cookie=7), RULE, True),
        (RULE._replace(action=Goto(5)), RULE, True),
        (RULE._replace(action=None), RULE._replace(action=Goto(5)), True),
        (RULE._replace(hard_timeout=5), RULE, False),
        (RULE._replace(cookie=BLOCK ^ 1), RULE, False),
        (RULE._replace(action=Goto(5)), RULE._replace(action=GotoWithTag(5, 1)), False),
        (RULE._replace(action=GotoWithTag(5, 1)), RULE._replace(action=Goto(5)), False),
        (None, RULE, False),
    ],
)
def test_counters_go_on_where_a_rule_goes_on_to_do_the_same(
    before: FlowRule | None, after: FlowRule, resets: bool
) -> None:
    assert flags_of(Change(FlowModCommand.ADD, after, before)) == RESET_COUNTS * resets
    assert flags_of(Change(FlowModCommand.DELETE_STRICT, after, before)) == 0


def counts_on(world: World) -> dict[object, int]:
    """Packets of each rule, by table and priority."""
    return {(entry.flow.table, *entry.flow.key): entry.packets for entry in world.switch.entries()}


def installed(**capabilities: bool) -> World:
    """A switch in monitor mode whose rules have all counted something."""
    world = World(capabilities=Abilities(**capabilities))  # type: ignore[arg-type]
    world.connect(desired([MONITORED, *RULES[1:]]))
    for entry in world.switch.entries():
        entry.packets = PACKETS
    return world


def enforced(world: World, *rules: FlowRule) -> None:
    world.run(world.session.assign(desired(rules)._replace(digest="beef" * 16), world.now))


@pytest.mark.parametrize("bundles", [True, False], ids=["bundles", "steps"])
def test_a_change_of_mode_begins_to_count_anew_and_only_there(bundles: bool) -> None:
    world = installed(bundles=bundles)
    enforced(world, RULE, *RULES[1:])
    assert world.status[0] == "protected"
    counted = counts_on(world)
    assert counted.pop((2, 10, ())) == 0
    markers = {
        (entry.flow.table, *entry.flow.key) for entry in world.switch.entries() if entry.flow.priority == 2
    }
    assert {count for key, count in counted.items() if key not in markers} == {PACKETS}


@pytest.mark.parametrize("metadata", [True, False], ids=["staged", "behind a gate"])
def test_rules_that_stay_count_on_whatever_the_way_is(metadata: bool) -> None:
    world = installed(bundles=False, metadata=metadata)
    enforced(world, *MOVED[:-3], *MOVED[-3:])
    assert world.status[0] == "protected"
    assert {entry.packets for entry in world.switch.entries() if entry.flow.table > 2} == {0}
    world = installed(bundles=False, metadata=metadata)
    unchanged = RULES[-1]
    enforced(world, *[rule for rule in MOVED if rule.table], unchanged, FlowRule(1, 10, (), NORMAL, OURS | 2))
    assert world.status[0] == "protected"
    (admitting,) = (entry for entry in world.switch.entries() if entry.flow.table == 0)
    assert admitting.packets == PACKETS


def test_a_repair_does_not_count_what_another_rule_did() -> None:
    world = installed()
    put(world.switch, MONITORED._replace(action=Goto(9), cookie=7))
    for entry in world.switch.entries():
        entry.packets = PACKETS
    world.run_told()
    world.wait(2)
    assert counts_on(world)[2, 10, ()] == 0


@pytest.mark.parametrize("bundles", [True, False], ids=["bundles", "steps"])
def test_a_switch_that_does_not_know_the_flag_gets_the_rules_without(bundles: bool) -> None:
    def refuse(flow: FlowMod) -> Refusal | None:
        return Refusal(5, 7) if flow.flags & RESET_COUNTS else None

    world = installed(bundles=bundles)
    world.switch.conduct.refuse = refuse
    enforced(world, RULE, *RULES[1:])
    assert world.status[0] == "protected"
    assert RULE in world.rules


def test_what_is_new_asks_for_no_flag() -> None:
    world = World()
    world.connect(desired([RULE, FlowRule(0, 100, (FieldValue("in_port", 1),), Goto(2), OURS | 9)]))
    assert {flow.flags for flow in world.switch.flow_mods} == {0}
