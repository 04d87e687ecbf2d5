"""Wanted against found: what to change on a switch, and whether what it holds is exactly what was wanted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from op25b_app.rules.flow import FlowRule, Match, Opaque
from op25b_app.rules.ofctl import format_action, format_match
from op25b_app.switch.codec import Command, InstalledRule

TIMEOUT_TOLERANCE = 2.0
"""Seconds by which the end of a rule may differ from the wanted one: whole seconds on one side, transport."""

RENEW_BELOW = 32768.0
"""A rule that is to last longer than its time-out can say is added again when fewer seconds are left."""


class Change(NamedTuple):
    """One flow-mod to send."""

    command: Command
    rule: FlowRule


class Difference(NamedTuple):
    """One way in which a table is not what was wanted; as text, a sentence."""

    what: str
    rule: FlowRule

    def __str__(self) -> str:
        return f"{self.what}: {describe(self.rule)}"


class Plan(NamedTuple):
    """What makes a table what it should be, and what stands in the way.

    ``repairs`` put right what differs, in the order in which they are safe to send; ``differences`` says what
    that is. ``renewals`` only prolong rules that are there. Rules of others, even in the place of ours, are
    left alone: whether they change a verdict is for the proof to say.
    """

    repairs: tuple[Change, ...]
    renewals: tuple[Change, ...]
    differences: tuple[Difference, ...]

    @property
    def changes(self) -> tuple[Change, ...]:
        return self.repairs + self.renewals


def reconcile(wanted: Sequence[FlowRule], found: Iterable[InstalledRule]) -> Plan:
    """Compare a switch's whole table with the rules wanted there.

    Additions come in the order of ``wanted``, then deletions, from the first table to the last. Only rules
    with a cookie of ours are ever deleted or replaced.
    """
    ours: dict[tuple[int, int, Match], InstalledRule] = {}
    others: set[tuple[int, int, Match]] = set()
    for installed in found:
        rule = installed.rule
        if rule.ours:
            ours[rule.key] = installed
        else:
            others.add(rule.key)

    repairs: list[Change] = []
    renewals: list[Change] = []
    differences: list[Difference] = []
    for rule in wanted:
        if rule.key in others:
            continue
        present = ours.pop(rule.key, None)
        if present is None:
            differences.append(Difference("missing", rule))
        elif aspect := _differing_aspect(rule, present):
            differences.append(Difference(f"has another {aspect} than wanted", present.rule))
        else:
            if _ends_early(rule, present):
                renewals.append(Change(Command.ADD, rule))
            continue
        repairs.append(Change(Command.ADD, rule))

    for rule in sorted((installed.rule for installed in ours.values()), key=lambda rule: rule.table):
        differences.append(Difference("not wanted", rule))
        repairs.append(Change(Command.DELETE_STRICT, rule))
    return Plan(tuple(repairs), tuple(renewals), tuple(differences))


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
    return "flag" if installed.flags else None


def _ends_early(wanted: FlowRule, installed: InstalledRule) -> bool:
    """Whether it is time to prolong a rule with a time-out."""
    return _seconds_left(installed) < min(wanted.hard_timeout - TIMEOUT_TOLERANCE, RENEW_BELOW)


def _seconds_left(installed: InstalledRule) -> float:
    """How long a rule will last; 0 where it has no time-out."""
    timeout = installed.rule.hard_timeout
    return timeout - installed.duration if timeout else 0.0
