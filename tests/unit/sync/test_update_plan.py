"""Which order is chosen for what a switch can and has room for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from op25b_app.compiler.compiler import compile_rules
from op25b_app.compiler.marker import Marker, marker_rule
from op25b_app.openflow.codec import FlowModCommand, FlowStats
from op25b_app.openflow.flow_mods import UpdateStep
from op25b_app.openflow.flow_rule import NORMAL, FieldValue, FlowRule, Goto, RuleRole
from op25b_app.policy.model import Policy
from op25b_app.sync.capabilities import Capabilities
from op25b_app.sync.reconcile import reconcile
from op25b_app.sync.ruleset import Ruleset
from op25b_app.sync.update_orders import DROP_ALL, needs_tags
from op25b_app.sync.update_plan import UpdatePlan, marker_changes, plan_changes
from tests.generated import NOW, SWITCH, policies
from tests.world import RULES

BLOCK = 0x25B0 << 48 | RuleRole.BLOCK << 40
BUNDLES = Capabilities(bundles=True)


def blocks(first: int, count: int) -> list[FlowRule]:
    return [
        FlowRule(2, 132, (FieldValue("ipv4_src", number),), None, BLOCK | number)
        for number in range(first, first + count)
    ]


def changes_from(found: Iterable[FlowRule], wanted: Ruleset) -> UpdateStep:
    return reconcile(wanted, [FlowStats(rule, 0, 0) for rule in found]).repairs


def plan(found: Sequence[FlowRule], wanted: Sequence[FlowRule], capabilities: Capabilities) -> UpdatePlan:
    after = Ruleset([wanted])
    return plan_changes(changes_from(found, after), Ruleset([found]), after, capabilities)


def planned(
    found: Sequence[FlowRule], wanted: Sequence[FlowRule], **capabilities: Any
) -> Sequence[UpdateStep]:
    """The groups of a plan without a bundle."""
    return plan(found, wanted, Capabilities(**capabilities)).steps


def rules_in(groups: Iterable[UpdateStep]) -> set[FlowRule]:
    return {change.rule for group in groups for change in group}


def commands(groups: Iterable[UpdateStep]) -> list[FlowModCommand]:
    return [change.command for group in groups for change in group]


def test_many_changes_go_in_a_bundle_with_what_goes_first() -> None:
    bundle = plan(RULES, [*RULES[:1], *blocks(1, 9), *RULES[5:]], BUNDLES)
    assert bundle.bundled
    assert commands(bundle.steps) == [FlowModCommand.DELETE_STRICT] * 4 + [FlowModCommand.ADD] * 9


def test_one_change_needs_no_bundle_and_nothing_needs_no_plan() -> None:
    one, nothing = plan(RULES, RULES[1:], BUNDLES), plan(RULES, RULES, BUNDLES)
    assert (one.bundled, len(one.steps)) == (False, 1)
    assert not nothing
    assert nothing._replace(first=marker_changes(marker_rule(Marker(1, "5eed" * 8), 2), ()))


def test_what_does_the_same_as_before_needs_no_gate() -> None:
    """Not even where nothing else would do: without tags, and in several tables that do more than block."""
    found = [rule._replace(cookie=rule.cookie ^ 1 << 30) for rule in OVER_THERE]
    groups = planned(found, OVER_THERE, tags=False)
    assert [*map(len, groups)] == [len(OVER_THERE)]
    moved = [rule for rule in OVER_THERE if rule.table != 3]
    groups = planned(found, [*moved, FlowRule(3, 10, (), None, BLOCK)], tags=False)
    assert rules_in(groups[:1]) == set(moved)


BEFORE, AFTER = [*RULES[:1], *blocks(1, 20), *RULES[-3:]], [*RULES[:1], *blocks(21, 20), *RULES[-3:]]
OVER_THERE = [rule._replace(action=Goto(3)) if rule.action == NORMAL else rule for rule in RULES]


def test_changes_are_made_in_place_where_there_is_room_for_old_and_new() -> None:
    for capacity in ({}, {2: 43}):
        groups = planned(BEFORE, AFTER, capacity=capacity)
        assert commands(groups) == [FlowModCommand.ADD] * 20 + [FlowModCommand.DELETE_STRICT] * 20


def test_what_blocks_waits_behind_a_gate_for_the_room_of_what_blocked() -> None:
    closed, *between, opened = planned(BEFORE, AFTER, capacity={0: 9, 2: 42})
    assert rules_in([closed]) == rules_in([opened]) == {DROP_ALL}
    assert commands(between) == [FlowModCommand.DELETE_STRICT] * 20 + [FlowModCommand.ADD] * 20


def test_what_only_permits_makes_room_without_a_gate() -> None:
    moved = [rule._replace(match=(FieldValue("in_port", n),)) for n, rule in enumerate(RULES[1:21])]
    groups = planned(RULES, [*RULES[:1], *moved, *RULES[-3:]], capacity={0: 9, 2: 23})
    assert commands(groups) == [FlowModCommand.DELETE_STRICT] * 20 + [FlowModCommand.ADD] * 20


def test_a_stage_is_built_where_there_are_tags_and_room_for_both() -> None:
    further = [*OVER_THERE, FlowRule(3, 10, (), None, BLOCK)]
    tagged = [*filter(needs_tags, rules_in(planned(RULES, further)))]
    assert tagged
    assert not [*filter(needs_tags, rules_in(planned(RULES, further, tags=False)))]
    held = Counter(rule.table for rule in (*RULES, *further))
    assert DROP_ALL not in rules_in(planned(RULES, further, capacity={3: 4, 2: held[2]}))
    assert DROP_ALL in rules_in(planned(RULES, further, capacity={3: 4, 2: held[2] - 1}))


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(policies(), policies(), st.integers(0, 12), st.booleans())
def test_no_table_ever_holds_more_than_it_has_room_for(
    old: Policy, new: Policy, spare: int, tags: bool
) -> None:
    """As long as it has room for either policy, one gate and two markers."""
    found, wanted = (compile_rules(each, each.switches[SWITCH], NOW) for each in (old, new))
    either = Counter(rule.table for rule in found) | Counter(rule.table for rule in wanted)
    capacity = {table: count + spare for table, count in either.items()}
    capacity[0] += 1
    capacity[Ruleset([wanted]).last_own_table] += 2
    held = Counter(rule.table for rule in found)
    held[Ruleset([wanted]).last_own_table] += 2
    for group in planned(found, wanted, capacity=capacity, tags=tags):
        held.update(change.rule.table for change in group if change.before is None)
        assert all(held[table] <= capacity.get(table, 0) for table in held), group
        held.subtract(change.rule.table for change in group if change.command is FlowModCommand.DELETE_STRICT)
