"""How a switch is brought from what it holds to what is wanted: which changes, in which order and how."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary

from op25b_app.rules.flow import FlowRule
from op25b_app.rules.pipeline import Table
from op25b_app.switch.batch import Change, Group
from op25b_app.switch.codec import Command
from op25b_app.switch.reconcile import absent
from op25b_app.switch.ruleset import Ruleset
from op25b_app.switch.transition import closed_first, in_place, staged, visited


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
    """Groups of changes, each to be confirmed before the next; the first one all at once if ``bundled``.

    ``first`` and ``last`` need no order of their own: they go with the first group and the last.
    """

    groups: Sequence[Group]
    bundled: bool = False
    first: tuple[Change, ...] = ()
    last: tuple[Change, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.groups or self.first or self.last)


def plan_changes(
    changes: Group, found: Ruleset, wanted: Ruleset, abilities: Abilities, *, crowded: bool = False
) -> Plan:
    """The safest plan that the switch can carry out: see :mod:`op25b_app.switch.transition`.

    ``changes`` lead from ``found``, the whole table, to ``wanted``. With ``crowded``, deletions have to make
    room for additions.
    """
    reached = visited(found.outcomes) if changes else {Table.ADMIT}
    if reached == {Table.ADMIT} and changes is absent(wanted).repairs:
        return Plan(_installation(wanted))
    if abilities.bundles and len(changes) > 1 and len(reached) > 1:
        return Plan([Group(sorted(changes, key=_deletions_first))], bundled=True)
    if crowded:
        return Plan(closed_first(changes, found, wanted, crowded=True))
    if (groups := in_place(changes, found, wanted)) is not None:
        return Plan(groups)
    if abilities.tags and _has_room_for_both(found, wanted, abilities.room):
        return Plan(staged(changes, found, wanted))
    return Plan(closed_first(changes, found, wanted))


def mark_changes(mark: FlowRule, found: Iterable[FlowRule]) -> tuple[tuple[Change, ...], tuple[Change, ...]]:
    """What puts the marker on a switch that has the markers ``found``, and what takes old ones away."""
    present = [*found]
    new = () if mark in present else (Change(Command.ADD, mark),)
    old = tuple(Change(Command.DELETE_STRICT, rule, rule) for rule in present if rule.key != mark.key)
    return new, old


def _installation(wanted: Ruleset) -> Sequence[Group]:
    """The groups for an empty switch; the same objects whenever they are asked for."""
    if wanted not in _installations:
        groups = in_place(absent(wanted).repairs, Ruleset(()), wanted)
        assert groups is not None
        _installations[wanted] = groups
    return _installations[wanted]


_installations: WeakKeyDictionary[Ruleset, Sequence[Group]] = WeakKeyDictionary()


def _deletions_first(change: Change) -> bool:
    return change.command is Command.ADD


def _has_room_for_both(found: Ruleset, wanted: Ruleset, room: Mapping[int, int]) -> bool:
    needed = Counter(rule.table for rule in (*found.rules, *wanted.rules) if rule.table != Table.ADMIT)
    return all(needed[table] <= room.get(table, needed[table]) for table in needed)
