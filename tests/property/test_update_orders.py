"""From one policy to another, no packet is treated as neither says, wherever a plan stops."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from op25b_app.compiler.compiler import compile_rules
from op25b_app.openflow.codec import FlowModCommand, FlowStats
from op25b_app.openflow.flow_mods import Change, UpdateStep
from op25b_app.openflow.flow_rule import NORMAL, FlowRule
from op25b_app.openflow.instruction_decoder import stored_rule
from op25b_app.policy.model import Policy, Verdict
from op25b_app.sync.capabilities import Capabilities
from op25b_app.sync.reconcile import reconcile
from op25b_app.sync.ruleset import Ruleset
from op25b_app.sync.update_orders import behind_gate, closed_first, in_place, staged
from op25b_app.sync.update_plan import plan_changes
from op25b_app.verify.diagram import Diagram, Diagrams
from op25b_app.verify.header import SIZES
from op25b_app.verify.symbolic_tables import TableVerdicts
from tests.generated import NOW, SWITCH, policies

pytestmark = pytest.mark.slow

HANDOVER = 7
SAMPLES = 12
"""How many moments of a plan are looked at: each time at every packet."""

Holding = dict[object, FlowRule]
Order = Callable[[UpdateStep, Ruleset, Ruleset], list[UpdateStep] | None]


class Moment(NamedTuple):
    """What a switch holds after some messages of a plan."""

    holding: Holding
    sent: Sequence[Change]


def rules_of(policy: Policy) -> Ruleset:
    return Ruleset([compile_rules(policy, policy.switches[SWITCH], NOW)])


def changes_from(found: Iterable[FlowRule], wanted: Ruleset) -> UpdateStep:
    return reconcile(wanted, [FlowStats(rule, 0, 0) for rule in found]).repairs


def in_place_or_staged(changes: UpdateStep, found: Ruleset, wanted: Ruleset) -> list[UpdateStep] | None:
    steps = in_place(changes, found, wanted)
    return staged(changes, found, wanted) if steps is None else steps


def planned(changes: UpdateStep, found: Ruleset, wanted: Ruleset) -> list[UpdateStep]:
    return [*plan_changes(changes, found, wanted, Capabilities()).steps]


def gated(changes: UpdateStep, found: Ruleset, wanted: Ruleset) -> list[UpdateStep]:
    return behind_gate(changes, wanted)


def closed_first_or_gated(changes: UpdateStep, found: Ruleset, wanted: Ruleset) -> list[UpdateStep]:
    steps = closed_first(changes, found, wanted)
    return behind_gate(changes, wanted) if steps is None else steps


def moments(
    data: st.DataObject, found: Sequence[FlowRule], wanted: Ruleset, order: Order
) -> tuple[list[Moment], Moment]:
    """Some moments while a plan is carried out, each step in any order, and the end."""
    steps = order(changes_from(found, wanted), Ruleset([found]), wanted)
    assert steps is not None
    messages: list[Change] = []
    for step in steps:
        messages.extend(data.draw(st.permutations(step)))
    stops = set(data.draw(st.lists(st.integers(0, len(messages)), max_size=SAMPLES)))
    holding: Holding = {rule.key: rule for rule in found}
    seen = []
    for number, change in enumerate(messages):
        if number in stops:
            seen.append(Moment(dict(holding), messages[:number]))
        if change.command is FlowModCommand.ADD:
            holding[change.rule.key] = change.rule
        else:
            holding.pop(change.rule.key, None)
    return seen, Moment(holding, messages)


def assert_reached(end: Moment, wanted: Ruleset) -> None:
    """All is there, but for time-outs that are still to be prolonged."""
    assert {rule._replace(hard_timeout=0) for rule in end.holding.values()} == {
        rule._replace(hard_timeout=0) for rule in wanted.rules
    }


class Verdicts:
    """Whether every packet passes, by what a switch holds."""

    def __init__(self) -> None:
        self._diagrams = Diagrams(SIZES)

    def passing(self, rules: Iterable[FlowRule]) -> Diagram:
        reported = [stored_rule(rule, "this rule") for rule in rules]
        verdicts = TableVerdicts(self._diagrams, reported, HANDOVER).verdicts()
        return self._diagrams.map(_passes, verdicts)

    def assert_hold(
        self, what: Callable[..., bool], seen: Iterable[Moment], before: Diagram, after: Diagram
    ) -> None:
        """At each moment, of what may become of every packet now, before and after."""

        def join(values: Any, value: Any) -> Any:
            return (*values, value)

        for moment in seen:
            joined = self._diagrams.map(lambda value: (value,), self.passing(moment.holding.values()))
            for diagram in (before, after):
                joined = self._diagrams.apply(join, joined, diagram)
            assert all(what(*cast("tuple[Any, ...]", values)) for values in joined.values), moment.sent


def _passes(verdict: object) -> frozenset[bool]:
    """All that may become of a packet."""
    verdicts = verdict if isinstance(verdict, frozenset) else {verdict}
    assert all(isinstance(each, Verdict) for each in verdicts)
    return frozenset(each is not Verdict.BLOCK for each in verdicts)


def as_one_of_both(now: frozenset[bool], before: frozenset[bool], after: frozenset[bool]) -> bool:
    return now <= before | after


def no_more_than_either(now: frozenset[bool], before: frozenset[bool], after: frozenset[bool]) -> bool:
    return True not in now or True in before | after


@settings(max_examples=100, deadline=None)
@given(st.data(), policies(), policies())
def test_no_packet_is_treated_as_neither_policy_says(data: st.DataObject, old: Policy, new: Policy) -> None:
    found, wanted, verdicts = rules_of(old).rules, rules_of(new), Verdicts()
    before, after = verdicts.passing(found), verdicts.passing(wanted.rules)
    seen, end = moments(data, found, wanted, in_place_or_staged)
    assert_reached(end, wanted)
    verdicts.assert_hold(as_one_of_both, seen, before, after)


@settings(max_examples=50, deadline=None)
@given(st.data(), policies(), policies(), policies())
def test_nor_where_a_plan_was_interrupted_and_another_one_begins(
    data: st.DataObject, old: Policy, new: Policy, newest: Policy
) -> None:
    verdicts = Verdicts()
    interrupted, _ = moments(data, rules_of(old).rules, rules_of(new), in_place_or_staged)
    for moment in interrupted[:3]:
        found, wanted = [*moment.holding.values()], rules_of(newest)
        before, after = verdicts.passing(found), verdicts.passing(wanted.rules)
        seen, end = moments(data, found, wanted, in_place_or_staged)
        assert_reached(end, wanted)
        verdicts.assert_hold(as_one_of_both, seen, before, after)


@settings(max_examples=100, deadline=None)
@given(st.data(), policies(), policies())
def test_closed_first_never_permits_what_neither_policy_permits(
    data: st.DataObject, old: Policy, new: Policy
) -> None:
    found, wanted, verdicts = rules_of(old).rules, rules_of(new), Verdicts()
    before, after = verdicts.passing(found), verdicts.passing(wanted.rules)
    seen, end = moments(data, found, wanted, data.draw(st.sampled_from((closed_first_or_gated, gated))))
    assert_reached(end, wanted)
    verdicts.assert_hold(no_more_than_either, seen, before, after)


@settings(max_examples=100, deadline=None)
@given(st.data(), policies())
def test_an_empty_switch_is_closed_until_all_is_there(data: st.DataObject, policy: Policy) -> None:
    wanted, verdicts = rules_of(policy), Verdicts()
    before, after = verdicts.passing(()), verdicts.passing(wanted.rules)
    seen, end = moments(data, (), wanted, planned)
    assert_reached(end, wanted)
    verdicts.assert_hold(as_one_of_both, seen, before, after)


@settings(max_examples=100, deadline=None)
@given(st.data(), policies(), st.sampled_from((0, 1, 60, 300)))
def test_a_switch_that_another_application_has_filled_is_not_closed_meanwhile(
    data: st.DataObject, policy: Policy, priority: int
) -> None:
    theirs = FlowRule(0, priority, (), NORMAL, cookie=0)
    wanted, verdicts = rules_of(policy), Verdicts()
    before, after = verdicts.passing([theirs]), verdicts.passing([*wanted.rules, theirs])
    seen, _ = moments(data, [theirs], wanted, planned)
    verdicts.assert_hold(as_one_of_both, seen, before, after)
