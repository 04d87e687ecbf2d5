"""Wanted against found: what to change on a switch, and whether what it holds is exactly what was wanted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from op25b_app.rules.flow import FlowRule, Match, Opaque
from op25b_app.rules.ofctl import format_action, format_match
from op25b_app.rules.pipeline import Table
from op25b_app.switch.codec import SEND_FLOW_REMOVED, Command, InstalledRule
from op25b_app.switch.wanted import Wanted

TIMEOUT_TOLERANCE = 2.0
"""Seconds by which the end of a rule may differ from the wanted one: whole seconds on one side, transport."""

RENEW_BELOW = 32768.0
"""A rule that is to last longer than its time-out can say is added again when fewer seconds are left."""

Key = tuple[int, int, Match]


class Change(NamedTuple):
    """One flow-mod; ``before`` is the rule that stands in its place now, None where none does."""

    command: Command
    rule: FlowRule
    before: FlowRule | None = None


class Difference(NamedTuple):
    """One way in which a table is not what was wanted; as text, a sentence."""

    what: str
    rule: FlowRule

    def __str__(self) -> str:
        return f"{self.what}: {describe(self.rule)}"


class Comparison(NamedTuple):
    """What makes a table what it should be.

    ``repairs`` put right what differs, in no particular order; ``differences`` says what that is, one for
    one. ``renewals`` only prolong rules that are there.
    """

    repairs: tuple[Change, ...]
    renewals: tuple[Change, ...]
    differences: tuple[Difference, ...]


def reconcile(wanted: Wanted, found: Iterable[InstalledRule], *, reclaim: bool = False) -> Comparison:
    """Compare a switch's whole table with the rules wanted there.

    Rules of others are left alone: whether they change a verdict is for the proof to say. Only where one
    stands in the very place of ours, in a table that is ours alone or, with ``reclaim``, in table 0, it is
    replaced.
    """
    places: dict[Key, InstalledRule] = {}
    superfluous: list[FlowRule] = []
    for installed in found:
        rule = installed.rule
        if rule.key in wanted.by_key:
            places[rule.key] = installed
        elif rule.ours:
            superfluous.append(rule)

    repairs: list[Change] = []
    renewals: list[Change] = []
    differences: list[Difference] = []
    for key, rule in wanted.by_key.items():
        present = places.get(key)
        if present is None:
            repairs.append(Change(Command.ADD, rule))
            differences.append(Difference("missing", rule))
        elif not present.rule.ours:
            if reclaim or rule.table != Table.ADMIT:
                repairs.append(Change(Command.ADD, rule, present.rule))
                differences.append(
                    Difference(f"overwritten by a rule with cookie {present.rule.cookie:#x}", rule)
                )
        elif aspect := _differing_aspect(rule, present):
            repairs.append(Change(Command.ADD, rule, present.rule))
            differences.append(Difference(f"has another {aspect} than wanted", present.rule))
        elif _ends_early(rule, present):
            renewals.append(Change(Command.ADD, rule, present.rule))
    for rule in superfluous:
        repairs.append(Change(Command.DELETE_STRICT, rule, rule))
        differences.append(Difference("not wanted", rule))
    return Comparison(tuple(repairs), tuple(renewals), tuple(differences))


def describe(rule: FlowRule) -> str:
    """A rule in a few words, in the field names of OpenFlow."""
    match = format_match(rule.match) or "everything"
    action = "instructions of its own" if isinstance(rule.action, Opaque) else format_action(rule.action)
    return f"table {int(rule.table)} priority {int(rule.priority)} {match} -> {action}"


def _differing_aspect(wanted: FlowRule, installed: InstalledRule) -> str | None:
    """What tells two rules with the same key apart; one that only ends early is the same."""
    if wanted.action != installed.rule.action:
        return "action"
    if wanted.cookie != installed.rule.cookie:
        return "cookie"
    if installed.idle_timeout or bool(wanted.hard_timeout) != bool(installed.rule.hard_timeout):
        return "time-out"
    if _seconds_left(installed) > wanted.hard_timeout + TIMEOUT_TOLERANCE:
        return "end"
    return "flag" if installed.flags & ~SEND_FLOW_REMOVED else None


def _ends_early(wanted: FlowRule, installed: InstalledRule) -> bool:
    """Whether it is time to prolong a rule with a time-out."""
    return _seconds_left(installed) < min(wanted.hard_timeout - TIMEOUT_TOLERANCE, RENEW_BELOW)


def _seconds_left(installed: InstalledRule) -> float:
    """How long a rule will last; 0 where it has no time-out."""
    timeout = installed.rule.hard_timeout
    return timeout - installed.duration if timeout else 0.0
