"""Compare two policies on all switches of a network."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from op25b_app.compiler.compiler import compile_rules
from op25b_app.diff.blocking import stops_blocking
from op25b_app.diff.comparison import SwitchPolicy
from op25b_app.diff.match_switches import pairs_of
from op25b_app.diff.switch_diff import SwitchDifference
from op25b_app.diff.traffic import Traffic
from op25b_app.net.prefix import Prefix
from op25b_app.net.prefix_cover import held_by
from op25b_app.net.ranges import Ranges, common
from op25b_app.policy.canonical import meaning, prefixes
from op25b_app.policy.lint import unbound_lines
from op25b_app.policy.model import MailException, Mode, Policy, SubscriberPort, Switch
from op25b_app.verify.budget import Budget, OverBudgetError, steps_for
from op25b_app.verify.symbolic_policy import longest_match_stretches


class RuleChanges(NamedTuple):
    """Numbers of flow rules on a switch; table, priority and match identify a rule."""

    added: int
    removed: int
    changed: int
    unchanged: int


class ExceptionEnd(NamedTuple):
    """An exception in force or to come ``before`` or ``after``, or in both with another start or end.

    ``starts`` is None where it is in force.
    """

    before: MailException | None
    after: MailException | None


@dataclass(frozen=True, slots=True)
class SwitchEffect:
    """Changes that are the same on each of some switches.

    ``rules`` are by the switch's name in the new policy, in the order of the old one. ``renamed`` and
    ``moved`` hold old names and old datapath ids where those differ. ``unknown_because`` says why ``traffic``
    is not known; None where it is.
    """

    rules: Mapping[str, RuleChanges]
    traffic: tuple[Traffic, ...]
    unknown_because: str | None
    mode: tuple[Mode, Mode]
    forwarding_table: tuple[int | None, int | None]
    renamed: Mapping[str, str]
    moved: Mapping[str, int]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the switches in the new policy."""
        return tuple(self.rules)


@dataclass(frozen=True, slots=True)
class Effect:
    """The changes on all switches; ``untouched`` are switches without any.

    ``cut_off`` are the lines that can get an address and no further from now on; ``lines`` is the number of
    lines compared.
    """

    switches: tuple[SwitchEffect, ...]
    untouched: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    exceptions: tuple[ExceptionEnd, ...]
    stops_blocking: tuple[str, ...]
    cut_off: tuple[SubscriberPort, ...] = ()
    lines: int = 0

    @property
    def treats_all_alike(self) -> bool:
        """True where both policies share switches, and treat every packet at them alike."""
        return bool(self.switches or self.untouched) and not any(
            switch.traffic
            or switch.unknown_because
            or switch.forwarding_table[0] != switch.forwarding_table[1]
            for switch in self.switches
        )


_NOT_OF_EVERY_SWITCH = frozenset({"isp_name", "switches", "exceptions", "lines"})
"""Fields of a policy that are only text for people, compared by switch, or felt as learned bindings."""
_FOR_PEOPLE = frozenset({"name", "reason"})
"""Fields of an exception that are only text for people."""
_WHICH_SWITCH = frozenset({"name", "dpid", "certificate"})
"""Fields of a switch that identify it and do not change its rules."""

_Treatment = tuple[tuple[Traffic, ...], str | None, tuple[Mode, Mode], tuple[int | None, int | None]]


def effect(
    old: Policy,
    new: Policy,
    at: float,
    only: Collection[str] | None = None,
    is_over: Callable[[], bool] = lambda: False,
) -> Effect:
    """Compare two policies at a moment (seconds since 1970), for every packet.

    ``only`` are names of switches, in either policy; None for all. Switches with the same settings are
    compared once. The number of its rules limits the work for each; the work ends early where ``is_over``,
    called now and then, returns True. ``unknown_because`` says so where a result is not known.
    """
    pairs = pairs_of(old, new)
    alike_everywhere = _of_every_switch(old, at) == _of_every_switch(new, at)
    known: dict[Hashable, tuple[tuple[Traffic, ...], str | None, RuleChanges]] = {}
    groups: dict[_Treatment, list[tuple[Switch, Switch, RuleChanges]]] = {}
    untouched: list[str] = []
    for before, after in pairs.common:
        if only is not None and not {before.name, after.name} & set(only):
            continue
        key = _of_switch(old, before, at), _of_switch(new, after, at)
        is_same_switch = (before.name, before.dpid) == (after.name, after.dpid)
        if alike_everywhere and key[0] == key[1] and is_same_switch:
            untouched.append(after.name)
            continue
        if key not in known:
            known[key] = _compared(SwitchPolicy(old, before), SwitchPolicy(new, after), at, is_over)
        traffic, unknown_because, rules = known[key]
        tables = before.forwarding_table, after.forwarding_table
        treatment = traffic, unknown_because, (before.mode, after.mode), tables
        groups.setdefault(treatment, []).append((before, after, rules))
    return Effect(
        switches=tuple(
            SwitchEffect(
                {after.name: rules for _, after, rules in found},
                *treatment,
                renamed={after.name: was.name for was, after, _ in found if was.name != after.name},
                moved={after.name: was.dpid for was, after, _ in found if was.dpid != after.dpid},
            )
            for treatment, found in groups.items()
        ),
        untouched=tuple(untouched),
        added=_names(pairs.added, only),
        removed=_names(pairs.removed, only),
        exceptions=tuple(_ends(old, new, at)),
        stops_blocking=tuple(stops_blocking(old, new, at, is_over)),
        cut_off=tuple(_cut_off(old, new, only)),
        lines=sum(len([*after.lines()]) for _, after in pairs.common if only is None or after.name in only),
    )


def _cut_off(old: Policy, new: Policy, only: Collection[str] | None) -> Iterator[SubscriberPort]:
    """Yield the lines that lose all their traffic, on switches that both policies have."""
    before = {(old.switches[line.switch].dpid, line.port, line.vlan) for line in unbound_lines(old)}
    common = {after.name: earlier for earlier, after in pairs_of(old, new).common}
    for line in unbound_lines(new):
        earlier = common.get(line.switch)
        if earlier is None or (only is not None and line.switch not in only):
            continue
        if line.port in earlier.subscriber_ports and (earlier.dpid, line.port, line.vlan) not in before:
            yield line


def _compared(
    old: SwitchPolicy, new: SwitchPolicy, at: float, is_over: Callable[[], bool]
) -> tuple[tuple[Traffic, ...], str | None, RuleChanges]:
    rules = _rule_changes(old, new, at)
    budget = Budget(steps_for(sum(rules)), is_over)
    try:
        return SwitchDifference(old, new, at, budget).traffic(), None, rules
    except OverBudgetError as error:
        return (), f"could not be worked out within {error.within}", rules


def _rule_changes(old: SwitchPolicy, new: SwitchPolicy, at: float) -> RuleChanges:
    before = {rule.key: rule for rule in compile_rules(*old, at)}
    after = {rule.key: rule for rule in compile_rules(*new, at)}
    kept = before.keys() & after.keys()
    changed = sum(before[key] != after[key] for key in kept)
    return RuleChanges(len(after) - len(kept), len(before) - len(kept), changed, len(kept) - changed)


def _names(switches: Iterable[Switch], only: Collection[str] | None) -> tuple[str, ...]:
    return tuple(switch.name for switch in switches if only is None or switch.name in only)


def _ends(old: Policy, new: Policy, at: float) -> Iterator[ExceptionEnd]:
    """Yield exceptions that begin, end, or get another end; an exception is identified by what it permits."""
    before, after = _not_past(old, at), _not_past(new, at)
    for permission in dict.fromkeys([*after, *before]):
        was, will = before.get(permission), after.get(permission)
        if was is None or will is None or (was.starts, was.expires) != (will.starts, will.expires):
            yield ExceptionEnd(was, will)


def _not_past(policy: Policy, at: float) -> dict[Hashable, MailException]:
    """Return, of exceptions that permit the same, the one that ends last; one in force before one to come.

    The start of those that are in force is left out.
    """
    found: dict[Hashable, MailException] = {}
    for exception in policy.exceptions:
        permission = exception.source, exception.destination
        other = found.get(permission)
        if not exception.is_to_come(at):
            exception = replace(exception, starts=None)
        if not exception.is_past(at) and (other is None or _lasts(exception) > _lasts(other)):
            found[permission] = exception
    return found


def _lasts(exception: MailException) -> tuple[bool, float]:
    return exception.starts is None, math.inf if exception.expires is None else exception.expires


def _of_every_switch(policy: Policy, at: float) -> Hashable:
    """Return the parts of a policy, without the switch itself, on which a switch's rules may depend."""
    bound = [entry.prefix for _, entry in policy.bound_prefixes()]
    exceptions = [entry for entry in policy.exceptions if entry.in_force(at)]
    lines = [entry.source for entry in exceptions if isinstance(entry.source, SubscriberPort)]
    return (
        meaning(policy, without=_NOT_OF_EVERY_SWITCH),
        frozenset(meaning(entry, without=_FOR_PEOPLE) for entry in exceptions),
        tuple(_bound_static(policy, version, bound) for version in (4, 6)),
        frozenset((line, prefixes(policy.bound_to(line))) for line in lines),
    )


def _bound_static(policy: Policy, version: int, bound: Sequence[Prefix]) -> Ranges:
    """Return the static addresses that are bound to any line: elsewhere they are not exempt.

    No other binding matters to another switch.
    """
    held = held_by(prefix for prefix in bound if prefix.version == version)
    return common(held, longest_match_stretches(policy, version, is_static=True)) if held else ()


def _of_switch(policy: Policy, switch: Switch, at: float) -> Hashable:
    """Return the parts of a switch on which its rules may depend."""
    exceptions = [entry for entry in policy.exceptions if entry.in_force(at)]
    return (
        meaning(switch, without=_WHICH_SWITCH),
        frozenset(
            meaning(replace(entry, source=entry.source._replace(switch="")), without=_FOR_PEOPLE)
            for entry in exceptions
            if isinstance(entry.source, SubscriberPort) and entry.source.switch == switch.name
        ),
    )
