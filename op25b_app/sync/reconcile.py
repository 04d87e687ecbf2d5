"""Compare the wanted with the found flow rules of a switch, and list the repairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary

from op25b_app.compiler.marker import is_marker
from op25b_app.compiler.pipeline import MARKER_PRIORITY, Table
from op25b_app.openflow.codec import NO_COUNTS, FlowModCommand, FlowStats
from op25b_app.openflow.flow_mods import Change, UpdateStep
from op25b_app.openflow.flow_rule import FlowRule, OpaqueInstructions
from op25b_app.openflow.ofctl import format_action, format_match
from op25b_app.openflow.oxm import ReportedMatch
from op25b_app.sync.ruleset import Ruleset

TIMEOUT_TOLERANCE = 2.0
"""Seconds by which a rule's end may differ from the wanted one: whole seconds on one side, transport."""

RENEW_BELOW = 32768.0
"""Seconds left below which a rule that outlasts the longest time-out is added again."""


class Difference(NamedTuple):
    """Difference between a table and the wanted rules; as text, a sentence."""

    what: str
    rule: FlowRule

    def __str__(self) -> str:
        return f"{self.what}: {describe(self.rule)}"


class Comparison(NamedTuple):
    """Result of a comparison.

    ``repairs`` remove the ``differences``, one for one, in no particular order. ``renewals`` only prolong
    present rules. ``others`` are unmanaged rules that stay, and managed rules that no message can name, since
    the switch reports no readable match of them.
    """

    repairs: UpdateStep
    renewals: tuple[Change, ...]
    differences: tuple[Difference, ...]
    others: tuple[FlowRule, ...] = ()


def reconcile(
    wanted: Ruleset,
    found: Sequence[FlowStats],
    *,
    held: Ruleset | None = None,
    age: float = 0.0,
) -> Comparison:
    """Compare a switch's whole table, but for markers, with the rules wanted there.

    Unmanaged rules stay: the proof decides whether they change a verdict. One with the key of a wanted rule
    is replaced outside table 0, and in table 0 where the switch has ``held`` a managed rule with that key.
    ``found`` is up to ``age`` seconds older than ``wanted``.
    """
    recognised = wanted.recognised
    present = set(map(recognised.get, map(id, found))) - {None}
    repairs: list[Change] = []
    renewals: list[Change] = []
    differences: list[Difference] = []
    others: list[FlowRule] = []
    for installed in found if len(present) < len(found) else ():
        if id(installed) in recognised:
            continue
        rule = installed.rule
        counterpart = wanted.by_key.get(rule.key)
        if counterpart is not None:
            present.add(id(counterpart))
            if rule == counterpart and _lasts(installed):
                wanted.recognise(installed, counterpart)
            elif not rule.is_managed and rule.table == Table.ADMIT and not _has_held(held, rule):
                others.append(rule)
            elif what := _difference(counterpart, installed, age):
                repairs.append(Change(FlowModCommand.ADD, counterpart, rule))
                differences.append(what)
            elif counterpart.hard_timeout and _ends_early(counterpart, installed):
                renewals.append(Change(FlowModCommand.ADD, counterpart, rule))
        elif rule.is_managed and _can_be_named(rule):
            repairs.append(Change(FlowModCommand.DELETE_STRICT, rule, rule))
            differences.append(Difference("not wanted", rule))
        else:
            others.append(rule)
    if not present and not repairs:
        return absent(wanted)._replace(others=tuple(others))
    if len(present) < len(wanted):
        missing = [rule for rule in wanted.rules if id(rule) not in present]
        repairs += (Change(FlowModCommand.ADD, rule) for rule in missing)
        differences += (Difference("missing", rule) for rule in missing)
    return Comparison(UpdateStep(repairs), tuple(renewals), tuple(differences), tuple(others))


def markers_among(found: Sequence[FlowStats]) -> tuple[list[FlowRule], Sequence[FlowStats]]:
    """Return the markers in a table, and the rest of it."""
    marked = [each for each in found if each.rule.priority == MARKER_PRIORITY and is_marker(each.rule)]
    if not marked:
        return [], found
    identities = set(map(id, marked))
    return [each.rule for each in marked], [each for each in found if id(each) not in identities]


def difference(held: Ruleset, wanted: Ruleset) -> UpdateStep:
    """Return the changes from ``held`` to ``wanted``, time-outs aside; quick where they share objects."""
    places = {rule.key: rule for rule in held.without(wanted)}
    changes: list[Change] = []
    for rule in wanted.without(held):
        before = places.pop(rule.key, None)
        if before is None or (before.action, before.cookie) != (rule.action, rule.cookie):
            changes.append(Change(FlowModCommand.ADD, rule, before))
    changes += (Change(FlowModCommand.DELETE_STRICT, rule, rule) for rule in places.values())
    return UpdateStep(changes)


def absent(wanted: Ruleset) -> Comparison:
    """Return the comparison with an empty table; the same objects at every call."""
    if wanted not in _absent:
        repairs = UpdateStep(Change(FlowModCommand.ADD, rule) for rule in wanted.rules)
        differences = tuple(Difference("missing", rule) for rule in wanted.rules)
        _absent[wanted] = Comparison(repairs, (), differences)
    return _absent[wanted]


_absent: WeakKeyDictionary[Ruleset, Comparison] = WeakKeyDictionary()


def describe(rule: FlowRule) -> str:
    """Return a rule in a few words, in the field names of OpenFlow."""
    match = format_match(rule.match) or "everything"
    action = (
        "instructions of its own"
        if isinstance(rule.action, OpaqueInstructions)
        else format_action(rule.action)
    )
    return f"table {int(rule.table)} priority {int(rule.priority)} {match} -> {action}"


def _difference(wanted: FlowRule, installed: FlowStats, age: float) -> Difference | None:
    """Return the difference of two rules with the same key; None where the found one at most ends early."""
    rule = installed.rule
    if not rule.is_managed:
        return Difference(f"overwritten by a rule with cookie {rule.cookie:#x}", wanted)
    aspect = None
    if wanted.action != rule.action:
        aspect = "action"
    elif wanted.cookie != rule.cookie:
        aspect = "cookie"
    elif installed.idle_timeout or bool(wanted.hard_timeout) != bool(rule.hard_timeout):
        aspect = "time-out"
    elif rule.hard_timeout and _seconds_left(installed) > wanted.hard_timeout + TIMEOUT_TOLERANCE + age:
        aspect = "end"
    elif installed.flags & NO_COUNTS:
        aspect = "flag"
    return None if aspect is None else Difference(f"has another {aspect} than wanted", rule)


def _has_held(held: Ruleset | None, rule: FlowRule) -> bool:
    return held is not None and rule.key in held.by_key


def _can_be_named(rule: FlowRule) -> bool:
    return not isinstance(rule.match, ReportedMatch) or rule.match.can_be_named


def _lasts(installed: FlowStats) -> bool:
    """Return whether a rule has no time-out and counts packets and bytes."""
    timeouts = installed.idle_timeout or installed.rule.hard_timeout
    return not timeouts and not installed.flags & NO_COUNTS


def _ends_early(wanted: FlowRule, installed: FlowStats) -> bool:
    """Return whether it is time to prolong a rule with a time-out."""
    return _seconds_left(installed) < min(wanted.hard_timeout - TIMEOUT_TOLERANCE, RENEW_BELOW)


def _seconds_left(installed: FlowStats) -> float:
    """Return the seconds until a rule ends; 0 where it has no time-out."""
    timeout = installed.rule.hard_timeout
    return timeout - installed.duration if timeout else 0.0
