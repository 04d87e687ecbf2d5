"""Plan the changes from the observed to the desired state, their order and how they are sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary

from op25b_app.compiler.pipeline import Table
from op25b_app.openflow.codec import FlowModCommand
from op25b_app.openflow.flow_mods import Change, UpdateStep, deletions_first
from op25b_app.openflow.flow_rule import FlowRule
from op25b_app.openflow.instruction_encoder import meaning
from op25b_app.sync.capabilities import Capabilities
from op25b_app.sync.capacity import is_dispensable
from op25b_app.sync.reconcile import absent
from op25b_app.sync.ruleset import Ruleset
from op25b_app.sync.update_orders import behind_gate, closed_first, in_place, opened_last, staged, visited

_ORDERS = (opened_last, in_place, staged, closed_first)
"""Orders of changes; the first that suits is taken."""

MARKERS = 2
"""Maximum number of markers at a time."""
GATES = 1


class UpdatePlan(NamedTuple):
    """Steps, each to be confirmed before the next; the first one all at once if ``bundled``.

    Changes of ``first`` need no order of their own: they go before the first step. A plan that
    ``blocks_meanwhile`` goes on blocking if it is not carried out to its end.
    """

    steps: Sequence[UpdateStep]
    bundled: bool = False
    first: tuple[Change, ...] = ()
    blocks_meanwhile: bool = False

    def __bool__(self) -> bool:
        return bool(self.steps or self.first)


def plan_changes(
    changes: UpdateStep, found: Ruleset, wanted: Ruleset, capabilities: Capabilities
) -> UpdatePlan:
    """Return the safest plan that the switch can carry out: see :mod:`op25b_app.sync.update_orders`.

    ``changes`` lead from ``found``, the whole table, to ``wanted``. Without a bundle, changes of only a
    cookie or time-out go before all others.
    """
    if not changes:
        return UpdatePlan(())
    if Table.ADMIT not in found.outcomes and changes is absent(wanted).repairs:
        return UpdatePlan(installation(wanted))
    reached = visited(found.outcomes)
    if capabilities.bundles and len(changes) > 1 and len(reached) > 1:
        return UpdatePlan([UpdateStep(sorted(changes, key=deletions_first))], bundled=True)
    renewed = UpdateStep(change for change in changes if _does_the_same(change))
    if renewed:
        changes = UpdateStep(change for change in changes if not _does_the_same(change))
        new = {change.rule.key: change.rule for change in renewed}
        found = Ruleset([[new.get(rule.key, rule) for rule in found.rules]])
    before = [renewed] if renewed else []
    for order in _ORDERS if changes else ():
        if order is staged and not capabilities.tags:
            continue
        steps = order(changes, found, wanted)
        if steps is not None and _fit(steps, found, wanted, capabilities.capacity):
            return UpdatePlan([*before, *steps], blocks_meanwhile=order is closed_first)
    if not changes:
        return UpdatePlan(before)
    return UpdatePlan([*before, *behind_gate(changes, wanted, _makes_room)], blocks_meanwhile=True)


def marker_changes(marker: FlowRule, found: Iterable[FlowRule]) -> tuple[Change, ...]:
    """Return the changes that add a missing marker to the markers ``found``, and then delete the old ones."""
    present = [*found]
    is_there = any(rule.key == marker.key and meaning(rule.action) == marker.action for rule in present)
    new = () if is_there else (Change(FlowModCommand.ADD, marker),)
    return (
        *new,
        *(Change(FlowModCommand.DELETE_STRICT, rule, rule) for rule in present if rule.key != marker.key),
    )


def installation(wanted: Ruleset) -> Sequence[UpdateStep]:
    """Return the steps for an empty switch; the same objects at every call."""
    if wanted not in _installations:
        nothing, changes = Ruleset(()), absent(wanted).repairs
        steps = opened_last(changes, nothing, wanted) or in_place(changes, nothing, wanted)
        assert steps is not None
        _installations[wanted] = steps
    return _installations[wanted]


_installations: WeakKeyDictionary[Ruleset, Sequence[UpdateStep]] = WeakKeyDictionary()


def _does_the_same(change: Change) -> bool:
    """Return whether a rule replaces one that does the same with packets: that needs no order."""
    before = change.before
    return change.command is FlowModCommand.ADD and before is not None and before.action == change.rule.action


def _makes_room(change: Change) -> bool:
    """Return whether a change makes room for the gate, and only blocks more."""
    goes = change.command is FlowModCommand.DELETE_STRICT and change.rule.table == Table.ADMIT
    return goes and is_dispensable(change.rule)


def _fit(steps: Sequence[UpdateStep], found: Ruleset, wanted: Ruleset, capacity: Mapping[int, int]) -> bool:
    """Return whether tables with this room hold the most rules of a plan at any moment.

    A table that only loses rules always fits, however full it is.
    """
    most = len(found) + sum(map(len, steps)) + MARKERS
    if most <= min(capacity.values(), default=most):
        return True
    held = Counter(rule.table for rule in found.rules)
    held[wanted.last_own_table] += MARKERS
    for step in steps:
        coming = Counter(change.rule.table for change in step if change.before is None)
        held.update(coming)
        if any(held[table] > capacity.get(table, held[table]) for table in coming):
            return False
        held.subtract(change.rule.table for change in step if change.command is FlowModCommand.DELETE_STRICT)
    return True
