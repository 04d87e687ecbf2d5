"""Compare two policies on all switches of a network."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from op25b_app.compiler.compiler import Compiler
from op25b_app.diff.address_text import AddressSet
from op25b_app.diff.alike import Likeness, ports_of
from op25b_app.diff.comparison import SwitchPolicy
from op25b_app.diff.line_changes import LineChanges, line_changes
from op25b_app.diff.match_switches import pairs_of
from op25b_app.diff.objections import Objections, objections
from op25b_app.diff.switch_diff import SwitchDifference
from op25b_app.diff.traffic import Traffic
from op25b_app.net.prefix import Prefix
from op25b_app.net.prefix_cover import held_by
from op25b_app.net.ranges import Ranges, common
from op25b_app.policy.canonical import meaning, prefixes
from op25b_app.policy.exposure import Port25Moves, port_25_moves
from op25b_app.policy.model import MailException, Mode, Policy, SubscriberPort, Switch
from op25b_app.policy.port_names import is_unresolved
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
    like: str | None = None
    """The switch whose ports and bound addresses ``traffic`` has, where other switches have other ones."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the switches in the new policy."""
        return tuple(self.rules)


@dataclass(frozen=True, slots=True)
class Effect:
    """The changes on all switches; ``untouched`` are switches without any.

    ``lines`` says what becomes of each line, ``port_25`` for how many addresses port 25 opens and closes,
    ``objections`` what an operator has to agree to; these and ``port_25`` are of all switches.
    """

    switches: tuple[SwitchEffect, ...]
    untouched: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    exceptions: tuple[ExceptionEnd, ...]
    objections: Objections
    lines: LineChanges
    port_25: tuple[Port25Moves, ...] = ()

    @property
    def stops_blocking(self) -> tuple[str, ...]:
        """Why switches that block now would block nothing."""
        return self.objections.stops_blocking

    @property
    def treats_all_alike(self) -> bool:
        """True where both policies share switches, and treat every packet at them alike."""
        return bool(self.switches or self.untouched) and not any(
            switch.traffic
            or switch.unknown_because
            or switch.forwarding_table[0] != switch.forwarding_table[1]
            for switch in self.switches
        )


_NOT_OF_EVERY_SWITCH = frozenset({"isp_name", "switches", "exceptions", "exceptions_by_name", "lines"})
"""Fields that are text for people, permit nothing, are compared by switch, or felt as learned bindings."""
_FOR_PEOPLE = frozenset({"name", "reason"})
"""Fields of an exception that are only text for people."""
_WHICH_SWITCH = frozenset({"name", "dpid", "certificate"})
"""Fields of a switch that identify it and do not change its rules."""
_OF_PORTS = frozenset({"subscriber_ports", "uplink_ports", "trusted_ports", "vlans", "bindings"})
"""Fields of a switch that are compared by themselves."""

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
    comparer = _Comparer(old, new, at, is_over)
    groups: dict[_Treatment, _Group] = {}
    untouched: list[str] = []
    for before, after in pairs.common:
        if only is not None and not {before.name, after.name} & set(only):
            continue
        if comparer.is_untouched(before, after):
            untouched.append(after.name)
            continue
        traffic, unknown_because, rules = comparer.compared(before, after)
        tables = before.forwarding_table, after.forwarding_table
        treatment = traffic, unknown_because, (before.mode, after.mode), tables
        groups.setdefault(treatment, []).append((before, after, rules))
    lines = line_changes(old, new, only)
    return Effect(
        switches=tuple(
            SwitchEffect(
                {after.name: rules for _, after, rules in found},
                *treatment,
                renamed={after.name: was.name for was, after, _ in found if was.name != after.name},
                moved={after.name: was.dpid for was, after, _ in found if was.dpid != after.dpid},
                like=_like(treatment[0], found),
            )
            for treatment, found in groups.items()
        ),
        untouched=tuple(untouched),
        added=_names(pairs.added, only),
        removed=_names(pairs.removed, only),
        exceptions=tuple(_ends(old, new, at)),
        objections=objections(old, new, at, is_over, lines if only is None else None),
        lines=lines,
        port_25=tuple(port_25_moves(old, new, at)),
    )


def _like(traffic: Sequence[Traffic], found: _Group) -> str | None:
    """Return the switch whose ports and addresses are in ``traffic``; None where every switch has these.

    Where traffic is told of some bound addresses, those that are bound to another switch are treated as any
    other at the first one.
    """
    before, after, _ = found[0]
    if any(change.ports or change.other_ports or change.tags for change in traffic):
        where = _lines(before, after)
        if any(_lines(*each[:2]) != where for each in found):
            return after.name
    bound = _bound(before, after)
    others = (here for each in found[1:] if (here := _bound(*each[:2])) != bound)
    other = next(others, bound)
    sets = {each for change in traffic for each in (change.sources, change.destinations) if each is not None}
    is_same = all(_held(each, bound) == _held(each, other) for each in sets)
    return None if is_same else after.name


def _lines(before: Switch, after: Switch) -> object:
    """Return the roles and tags of ports, and the lines to which something is bound, before and after."""
    return tuple(
        (
            *(switch.subscriber_ports, switch.uplink_ports, switch.trusted_ports, {**switch.vlans}),
            [(binding.port, binding.vlan, len(binding.addresses)) for binding in switch.bindings],
        )
        for switch in (before, after)
    )


def _held(addresses: AddressSet, bound: Iterable[tuple[int, int]]) -> frozenset[bool]:
    """Return whether some, and whether not all, of the bound addresses of one version are in a set."""
    return frozenset(address in addresses for version, address in bound if version == addresses.version)


class _Comparer:
    """Compares switches of two policies, once for all that change alike."""

    def __init__(self, old: Policy, new: Policy, at: float, is_over: Callable[[], bool]) -> None:
        self._old, self._new = old, new
        self._at = at
        self._is_over = is_over
        self._alike_everywhere = _of_every_switch(old, at) == _of_every_switch(new, at)
        self._for_lines = _exceptions_for_lines(old, at), _exceptions_for_lines(new, at)
        self._known: dict[Hashable, _Compared] = {}

    def is_untouched(self, before: Switch, after: Switch) -> bool:
        """Return whether neither a rule nor a verdict changes on a switch, nor which switch it is."""
        if not self._alike_everywhere or (before.name, before.dpid) != (after.name, after.dpid):
            return False
        if (is_unresolved(before) or is_unresolved(after)) and not self._waits_alike:
            return False
        one, other = self._without_ports(before, after)
        return one == other and ports_of(before) == ports_of(after)

    def compared(self, before: Switch, after: Switch) -> _Compared:
        """Return the changes on a switch, as they are on one that changes alike."""
        if is_unresolved(before) or is_unresolved(after):
            what = "is not known: it has ports by name, and has not described its ports yet"
            return (), what, RuleChanges(0, 0, 0, 0)
        ports: Hashable = ports_of(before), ports_of(after)
        if before.bindings or after.bindings:
            ports = self._likeness.ports(before, after)
        key = *self._without_ports(before, after), ports
        if key not in self._known:
            self._known[key] = self._compare(before, after)
        return self._known[key]

    def _without_ports(self, before: Switch, after: Switch) -> tuple[Hashable, Hashable]:
        one, other = self._for_lines
        return _of_switch(before, one), _of_switch(after, other)

    @cached_property
    def _waits_alike(self) -> bool:
        """True where the same exceptions wait for ports with names."""
        old, new = (
            {meaning(exception, without=_FOR_PEOPLE) for exception in policy.exceptions_by_name}
            for policy in (self._old, self._new)
        )
        return old == new

    @cached_property
    def _likeness(self) -> Likeness:
        return Likeness(self._old, self._new, self._at)

    @cached_property
    def _compilers(self) -> tuple[Compiler, Compiler]:
        before = Compiler(self._old)
        return before, Compiler(self._new, before)

    def _compare(self, before: Switch, after: Switch) -> _Compared:
        rules = self._rule_changes(before, after)
        budget = Budget(steps_for(sum(rules)), self._is_over)
        policies = SwitchPolicy(self._old, before), SwitchPolicy(self._new, after)
        try:
            return SwitchDifference(*policies, self._at, budget).traffic(), None, rules
        except OverBudgetError as error:
            return (), f"could not be worked out within {error.within}", rules

    def _rule_changes(self, before: Switch, after: Switch) -> RuleChanges:
        """Count the rules that change; those that both policies have are mostly the same objects."""
        compilers = zip(self._compilers, (before, after), strict=True)
        segments = [compiler.segments(switch, self._at) for compiler, switch in compilers]
        old, new = ({id(rule): rule for segment in found for rule in segment} for found in segments)
        same = old.keys() & new.keys()
        one, other = (
            {rule.key: rule for each, rule in found.items() if each not in same} for found in (old, new)
        )
        both = one.keys() & other.keys()
        changed = sum(one[key] != other[key] for key in both)
        kept = len(same) + len(both) - changed
        return RuleChanges(len(other) - len(both), len(one) - len(both), changed, kept)


_Compared = tuple[tuple[Traffic, ...], "str | None", RuleChanges]
_Group = list[tuple[Switch, Switch, RuleChanges]]


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
        policy.snoops_dhcp,
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


def _exceptions_for_lines(policy: Policy, at: float) -> Mapping[str, frozenset[Hashable]]:
    """Return what exceptions in force permit lines, by the name of the switch."""
    found: dict[str, set[Hashable]] = {}
    for entry in policy.exceptions:
        if isinstance(entry.source, SubscriberPort) and entry.in_force(at):
            anywhere = replace(entry, source=entry.source._replace(switch=""))
            found.setdefault(entry.source.switch, set()).add(meaning(anywhere, without=_FOR_PEOPLE))
    return {name: frozenset(permitted) for name, permitted in found.items()}


def _of_switch(switch: Switch, for_lines: Mapping[str, frozenset[Hashable]]) -> Hashable:
    """Return the parts of a switch, but for its ports, on which its rules may depend."""
    return meaning(switch, without=_WHICH_SWITCH | _OF_PORTS), for_lines.get(switch.name)


def _bound(before: Switch, after: Switch) -> list[tuple[int, int]]:
    """Return the version and the first address of each bound prefix, before and after."""
    bindings = (*before.bindings, *after.bindings)
    return [entry.prefix[:2] for binding in bindings for entry in binding.addresses]
