"""How a switch is brought from what it holds to what is wanted: which changes, in which order and how."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from op25b_app.rules.flow import FlowRule
from op25b_app.rules.marker import is_marker
from op25b_app.rules.pipeline import Table
from op25b_app.switch.codec import Command
from op25b_app.switch.reconcile import Change
from op25b_app.switch.transition import Group, closed_first, in_place, staged, visited
from op25b_app.switch.wanted import Wanted, outcomes_of


class Abilities(NamedTuple):
    """What a switch can do.

    ``tags`` is matching and writing metadata, ``monitor`` telling of changes as they happen. ``room`` is how
    many rules tables hold, as far as that is known.
    """

    bundles: bool = False
    monitor: bool = False
    tags: bool = True
    room: Mapping[int, int] = {}


class Plan(NamedTuple):
    """Groups of changes, each to be confirmed before the next; the first one all at once if ``bundled``."""

    groups: Sequence[Group]
    bundled: bool = False

    def framed(self, first: Iterable[Change], last: Iterable[Change]) -> Plan | None:
        """The same with changes that need no order of their own; None where there is nothing at all."""
        groups = [[*group] for group in self.groups] or [[]]
        groups[0][:0] = first
        groups[-1] += last
        return self._replace(groups=[tuple(group) for group in groups]) if groups[0] else None


def plan_changes(
    changes: Sequence[Change],
    found: Sequence[FlowRule],
    wanted: Wanted,
    abilities: Abilities,
    *,
    crowded: bool = False,
) -> Plan:
    """The safest plan that the switch can carry out: see :mod:`op25b_app.switch.transition`.

    ``changes`` lead from ``found``, the whole table, to ``wanted``. With ``crowded``, deletions have to make
    room for additions.
    """
    if abilities.bundles and len(changes) > 1 and len(visited(outcomes_of(found))) > 1:
        return Plan([tuple(sorted(changes, key=_deletions_first))], bundled=True)
    if crowded:
        return Plan(closed_first(changes, found, wanted.outcomes))
    if (groups := in_place(changes, found, wanted.outcomes)) is not None:
        return Plan(groups)
    if abilities.tags and _has_room_for_both(found, wanted.rules, abilities.room):
        return Plan(staged(changes, found, wanted.rules))
    return Plan(closed_first(changes, found, wanted.outcomes))


def mark_changes(mark: FlowRule, found: Iterable[FlowRule]) -> tuple[list[Change], list[Change]]:
    """What puts the marker on a switch, and what takes old ones away."""
    present = [*filter(is_marker, found)]
    new = [] if any(rule.key == mark.key for rule in present) else [Change(Command.ADD, mark)]
    old = [Change(Command.DELETE_STRICT, rule, rule) for rule in present if rule.key != mark.key]
    return new, old


def _deletions_first(change: Change) -> bool:
    return change.command is Command.ADD


def _has_room_for_both(
    found: Sequence[FlowRule], wanted: Sequence[FlowRule], room: Mapping[int, int]
) -> bool:
    needed = Counter(rule.table for rule in (*found, *wanted) if rule.table != Table.ADMIT)
    return all(needed[table] <= room.get(table, needed[table]) for table in needed)
