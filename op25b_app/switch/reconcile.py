"""Wanted against found: what to change on a switch, and whether what it holds is exactly what was wanted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from op25b_app.rules.flow import FlowRule, Match, Opaque
from op25b_app.rules.ofctl import format_action, format_match
from op25b_app.rules.pipeline import LAST_TABLE
from op25b_app.switch.codec import Command, InstalledRule

TIMEOUT_TOLERANCE = 2.0
"""Seconds by which the end of a rule may differ from the wanted one: whole seconds on one side, transport."""

RENEW_BELOW = 32768.0
"""A rule that is to last longer than its time-out can say is added again when fewer seconds are left."""

_ETH_LLDP = 0x88CC


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
    that is. ``renewals`` only prolong rules that are there. ``foreign`` are rules of others that decide
    before ours or sit in tables of ours: they are reported and left alone.
    """

    repairs: tuple[Change, ...]
    renewals: tuple[Change, ...]
    differences: tuple[Difference, ...]
    foreign: tuple[Difference, ...]

    @property
    def changes(self) -> tuple[Change, ...]:
        return self.repairs + self.renewals


def reconcile(wanted: Sequence[FlowRule], found: Iterable[InstalledRule]) -> Plan:
    """Compare a switch's whole table with the rules wanted there.

    Additions come in the order of ``wanted``, then deletions, from the first table to the last. Only rules
    with a cookie of ours are ever deleted or replaced.
    """
    ours: dict[tuple[int, int, Match], InstalledRule] = {}
    others: dict[tuple[int, int, Match], FlowRule] = {}
    for installed in found:
        rule = installed.rule
        if rule.ours:
            ours[rule.key] = installed
        else:
            others[rule.key] = rule

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
    foreign = tuple(_foreign(wanted, others.values()))
    return Plan(tuple(repairs), tuple(renewals), tuple(differences), foreign)


def describe(rule: FlowRule) -> str:
    """A rule in a few words, in the field names of OpenFlow."""
    match = format_match(rule.match) or "everything"
    action = "instructions of its own" if isinstance(rule.action, Opaque) else format_action(rule.action)
    return f"table {int(rule.table)} priority {int(rule.priority)} {match} -> {action}"


def overlap(one: Match, other: Match) -> bool:
    """Whether some frame may match both; a field that only one of them names does not tell them apart."""
    fields = {field.name: field for field in other}
    for name, value, mask in one:
        if (field := fields.get(name)) and (value ^ field.value) & _bits(mask) & _bits(field.mask):
            return False
    return True


def covers(wide: Match, narrow: Match) -> bool:
    """Whether every frame that matches ``narrow`` matches ``wide``."""
    fields = {field.name: field for field in narrow}
    for name, value, mask in wide:
        field = fields.get(name)
        if field is None or _bits(mask) & ~_bits(field.mask) or (value ^ field.value) & _bits(mask):
            return False
    return True


def _bits(mask: int | None) -> int:
    return -1 if mask is None else mask


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


def _foreign(wanted: Sequence[FlowRule], others: Iterable[FlowRule]) -> Iterator[Difference]:
    last_table = max(LAST_TABLE, max((rule.table for rule in wanted), default=0))
    first_table = sorted((rule for rule in wanted if rule.table == 0), key=lambda rule: -rule.priority)
    for rule in others:
        if 0 < rule.table <= last_table:
            yield Difference("rule of another application in a table of op25b", rule)
        elif rule.table == 0 and not _is_discovery(rule) and _decides_first(rule, first_table):
            yield Difference("rule of another application that decides before those of op25b", rule)


def _decides_first(rule: FlowRule, ours: Sequence[FlowRule]) -> bool:
    """Whether a rule of another application may see a frame before ours, which come with falling priority."""
    if not ours or rule.priority < ours[-1].priority:
        return False
    for mine in ours:
        if mine.priority <= rule.priority:
            if overlap(mine.match, rule.match):
                return True
        elif covers(mine.match, rule.match):
            return False
    return False


def _is_discovery(rule: FlowRule) -> bool:
    """LLDP frames carry no IP: rules for link discovery take nothing from us."""
    return any(field.name == "eth_type" and field.value == _ETH_LLDP for field in rule.match)
