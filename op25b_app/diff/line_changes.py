"""Tell which lines keep their traffic when one policy replaces another.

Traffic is what a line sends from addresses of its own, mail and tunnels apart: the packets that only a tag or
a source address can have blocked (decisions 1 and 2 of ``docs/decisions.md``). Which addresses a line has is
known where they are bound to it; otherwise it may have any that it could use before.
"""

from __future__ import annotations

import enum
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import NamedTuple

from op25b_app.diff.match_switches import pairs_of
from op25b_app.net.prefix import WIDTH, Prefix
from op25b_app.net.prefix_cover import held_by
from op25b_app.net.ranges import Ranges, common, complement
from op25b_app.policy.model import (
    Binding,
    Mode,
    Policy,
    PortRole,
    SourceValidation,
    SubscriberPort,
    Switch,
)
from op25b_app.policy.port_names import is_unresolved
from op25b_app.verify.symbolic_policy import with_nat64

MOST_CUT_OFF = 0.01
"""Share of the lines that may lose all their traffic before an operator has to agree."""
MOST_OPENED = 0.5
"""Share of the lines that may become trusted before an operator has to agree."""
SINGLE_LINE = 1
"""Number of lines that any change may concern: 1 % of a small network is less than one line."""

_VERSIONS = tuple(WIDTH)


class Fate(enum.Enum):
    """Share of its traffic that a line has under the new policy; the order is that of reports."""

    KEEPS = "keeps"
    LOSES_ALL = "loses all"
    LOSES_IPV4 = "loses IPv4"
    LOSES_IPV6 = "loses IPv6"
    LOSES_SOME = "loses some"
    """Some of the addresses that are bound to it."""
    GETS = "gets"
    """It had none before."""
    HAS_NONE = "has none"
    """As before."""

    @property
    def is_loss(self) -> bool:
        """True where traffic is lost."""
        return self in (Fate.LOSES_ALL, Fate.LOSES_IPV4, Fate.LOSES_IPV6, Fate.LOSES_SOME)


class Reason(enum.Enum):
    """Why traffic is lost."""

    TAG = "tag"
    UPLINK = "uplink"
    UNBOUND = "unbound"
    REBOUND = "rebound"
    """Other addresses, or another MAC address, are bound to the line."""
    FOREIGN = "foreign"
    """None of its addresses is one of those that may be used behind the switch."""


class LineChange(NamedTuple):
    """Change of one line; ``reason`` is None where it loses nothing."""

    fate: Fate
    reason: Reason | None = None


@dataclass(frozen=True)
class LineChanges:
    """All lines of the old policy on switches that both have, by what becomes of them.

    A line has the name of its switch in the new policy. ``trusted`` are those at ports that become trusted.
    """

    by_change: Mapping[LineChange, tuple[SubscriberPort, ...]]
    trusted: tuple[SubscriberPort, ...] = ()

    @cached_property
    def total(self) -> int:
        """The number of lines."""
        return sum(map(len, self.by_change.values()))

    def count(self, fate: Fate) -> int:
        """Return the number of lines with a fate."""
        return sum(len(lines) for change, lines in self.by_change.items() if change.fate is fate)

    @property
    def losses(self) -> list[tuple[LineChange, tuple[SubscriberPort, ...]]]:
        """The kinds of losses with their lines, the worst first."""
        fates, reasons = list(Fate), [None, *Reason]
        found = [each for each in self.by_change.items() if each[0].fate.is_loss]
        return sorted(found, key=lambda each: (fates.index(each[0].fate), reasons.index(each[0].reason)))

    @property
    def cut_off(self) -> tuple[SubscriberPort, ...]:
        """The lines that lose all their traffic."""
        return tuple(line for change, lines in self.losses if change.fate is Fate.LOSES_ALL for line in lines)

    @property
    def cuts_off_many(self) -> bool:
        """True where more lines than one, and more than 1 %, lose all their traffic."""
        return self.count(Fate.LOSES_ALL) > max(SINGLE_LINE, self.total * MOST_CUT_OFF)

    @property
    def opens_many(self) -> bool:
        """True where more lines than one, and more than half of them, become trusted."""
        return len(self.trusted) > max(SINGLE_LINE, self.total * MOST_OPENED)


def line_changes(old: Policy, new: Policy, only: Collection[str] | None = None) -> LineChanges:
    """Return what becomes of each line; ``only`` are names of switches in either policy, None for all.

    Lines of switches whose ports with names are not known are left out.
    """
    comparison = _Comparison(old, new)
    found: dict[LineChange, list[SubscriberPort]] = {}
    trusted = []
    for before, after in pairs_of(old, new).common:
        if only is not None and not {before.name, after.name} & set(only):
            continue
        if is_unresolved(before) or is_unresolved(after):
            continue
        for line, change in comparison.of_switch(before, after):
            named = line._replace(switch=after.name)
            found.setdefault(change, []).append(named)
            if line.port in after.trusted_ports:
                trusted.append(named)
    return LineChanges({change: tuple(lines) for change, lines in found.items()}, tuple(trusted))


_Space = Mapping[int, Ranges]
"""Addresses by IP version."""
_Tags = frozenset["int | None"]
_Listed = Mapping["int | None", _Space]
"""Addresses by the MAC address that may use them; None is any."""


class _Sources(NamedTuple):
    """Source addresses in both ``space`` and ``listed``; None stands for all addresses."""

    space: _Space | None = None
    listed: _Listed | None = None


_EVERY_SOURCE = _Sources()
_NO_SOURCE = _Sources(listed={})


class _Comparison:
    def __init__(self, old: Policy, new: Policy) -> None:
        self._before = _Reading(old)
        self._after = _Reading(new, self._before)
        self._spaces: dict[tuple[int, int], _Space] = {}

    def of_switch(self, before: Switch, after: Switch) -> Iterator[tuple[SubscriberPort, LineChange]]:
        bound_before, bound_after = _by_port(before), _by_port(after)
        is_same = self._are_bound_alike(before, after)
        for line in before.lines():
            here = bound_before.get(line.port, ())
            if is_same and line.vlan is None and _are_same(here, bound_after.get(line.port, ())):
                is_bound = any(binding.addresses for binding in here if not binding.vlan)
                yield line, _KEEPS if is_bound else _HAS_NONE
                continue
            tags = self._before.tags_of(before, line)
            carried = _common_tags(tags, self._after.permitted_tags(after, line.port))
            had = self._before.sources(before, line.port, tags, bound_before)
            has = _NO_SOURCE
            if carried is None or carried:
                has = self._after.sources(after, line.port, carried, bound_after)
            fate = self._fate(had, has)
            reason = self._reason(after, line, carried, has, fate) if fate.is_loss else None
            yield line, LineChange(fate, reason)

    def _are_bound_alike(self, before: Switch, after: Switch) -> bool:
        """Return whether equal bindings of a port without VLANs give its line the same traffic.

        That is so for most lines, and soon seen.
        """
        return (
            self._before.validation is self._after.validation is SourceValidation.BINDING
            and before.mode is after.mode is Mode.ENFORCE
            and self._before.blocks_encapsulation
            and self._after.blocks_encapsulation
            and not (before.vlans or after.vlans)
            and before.subscriber_ports.isdisjoint(after.uplink_ports | after.trusted_ports)
        )

    def _fate(self, had: _Sources, has: _Sources) -> Fate:
        before = [version for version in _VERSIONS if self._overlap(had, had, version)]
        if had.space is has.space and had.listed == has.listed:
            return Fate.KEEPS if before else Fate.HAS_NONE
        if had is _EVERY_SOURCE:
            # A line has addresses of the ISP: one without IPv6 takes none away.
            before = [version for version in before if self._before.own[version]] or before
        if not before:
            has_any = any(self._overlap(has, has, version) for version in _VERSIONS)
            return Fate.GETS if has_any else Fate.HAS_NONE
        lost = [version for version in before if not self._overlap(had, has, version)]
        if len(lost) == len(before):
            return Fate.LOSES_ALL
        if lost:
            return Fate.LOSES_IPV4 if lost == [4] else Fate.LOSES_IPV6
        return Fate.KEEPS if self._contains(has, had) else Fate.LOSES_SOME

    def _reason(
        self, switch: Switch, line: SubscriberPort, carried: _Tags | None, has: _Sources, fate: Fate
    ) -> Reason:
        if carried is not None and not carried:
            return Reason.TAG
        if line.port in switch.uplink_ports:
            return Reason.UPLINK
        if self._after.validation is not SourceValidation.BINDING:
            return Reason.FOREIGN
        lost = {Fate.LOSES_IPV4: [4], Fate.LOSES_IPV6: [6]}.get(fate, _VERSIONS)
        is_bound = any(self._overlap(has, has, version) for version in lost)
        return Reason.REBOUND if is_bound else Reason.UNBOUND

    def _overlap(self, one: _Sources, other: _Sources, version: int) -> bool:
        """Return whether an address of one version is in both."""
        space = self._common_space(one.space, other.space)
        for listed in _common_listed(one.listed, other.listed, version):
            here = None if space is None else space[version]
            if listed is None or here is None:
                if listed != () and here != ():
                    return True
            elif any(_touches(here, *each) for each in listed):
                return True
        return False

    def _common_space(self, one: _Space | None, other: _Space | None) -> _Space | None:
        if one is None or one is other:
            return other
        if other is None:
            return one
        name = id(one), id(other)
        if name not in self._spaces:
            self._spaces[name] = {version: common(one[version], other[version]) for version in _VERSIONS}
        return self._spaces[name]

    def _contains(self, outer: _Sources, inner: _Sources) -> bool:
        """Return whether ``outer`` holds all addresses that ``inner`` lists; True where it lists none.

        Where a line might have had any address of a space, nobody knows which of them it had.
        """
        if inner.listed is None or inner.space is not None:
            return True
        for mac, space in inner.listed.items():
            for version in _VERSIONS:
                rest = space[version]
                for other, held in (outer.listed or {}).items():
                    if mac is None or other is None or mac == other:
                        rest = common(rest, complement(held[version], 0, (1 << WIDTH[version]) - 1))
                if outer.listed is not None and rest:
                    return False
                if outer.space is not None and not all(
                    _covers(outer.space[version], *each) for each in space[version]
                ):
                    return False
        return True


class _Reading:
    """Traffic that one policy lets lines send."""

    def __init__(self, policy: Policy, earlier: _Reading | None = None) -> None:
        self._policy = policy
        self._earlier = earlier
        self._served: dict[str, _Sources] = {}
        self.validation = policy.hardening.source_validation
        self.blocks_encapsulation = policy.hardening.block_encapsulation

    def permitted_tags(self, switch: Switch, port: int) -> _Tags | None:
        """Return the tags that a port may carry, None for an untagged frame; None for all."""
        role = switch.role_of(port)
        is_free = role is PortRole.TRUSTED or switch.mode is Mode.MONITOR
        if is_free or not self.blocks_encapsulation:
            return None
        tags = switch.vlans.get(port)
        if tags is None:
            return None if role is PortRole.UPLINK else _UNTAGGED
        return tags

    def tags_of(self, switch: Switch, line: SubscriberPort) -> _Tags | None:
        """Return the tags of the frames of a line; None for all.

        Monitor mode lets other tags through, but they are not the line's.
        """
        carried = switch.vlans.get(line.port, _UNTAGGED) if self.blocks_encapsulation else None
        if line.vlan is None:
            return carried
        own = frozenset({line.vlan}) if line.vlan else _WITHOUT_VLAN
        return own if carried is None else own & carried

    def sources(
        self,
        switch: Switch,
        port: int,
        tags: _Tags | None,
        bound: Mapping[int, Sequence[Binding]],
    ) -> _Sources:
        """Return the sources from which packets under ``tags`` pass at a port."""
        role = switch.role_of(port)
        is_free = role is PortRole.TRUSTED or switch.mode is Mode.MONITOR
        if is_free or not self.validation.of_every_packet:
            return _EVERY_SOURCE
        if role is PortRole.UPLINK:
            return self._of_others
        if self.validation is SourceValidation.PREFIX:
            return self._served_by(switch)
        return _Sources(listed=_listed(bound.get(port, ()), tags))

    def _served_by(self, switch: Switch) -> _Sources:
        if switch.name not in self._served:
            listed: _Listed | None = None
            if switch.serves is not None:
                listed = {None: _space_of(entry.prefix for entry in switch.serves)}
            self._served[switch.name] = _Sources(self.own, listed)
        return self._served[switch.name]

    @cached_property
    def own(self) -> _Space:
        """The own space; where it is that of the policy before, the same object."""
        listed = (*self._policy.dynamic, *self._policy.static)
        own = _space_of(entry.prefix for entry in listed)
        return self._earlier.own if self._earlier is not None and self._earlier.own == own else own

    @cached_property
    def _of_others(self) -> _Sources:
        """All but the own space; mail destinations may send from outside, too."""
        mail = with_nat64(self._policy, (entry.prefix for entry in self._policy.mail_destinations))
        own, servers = self.own, _space_of(mail)
        ends = {version: (1 << WIDTH[version]) - 1 for version in _VERSIONS}
        others = {
            version: complement(
                common(own[version], complement(servers[version], 0, ends[version])), 0, ends[version]
            )
            for version in _VERSIONS
        }
        return _Sources(others)


_UNTAGGED: _Tags = frozenset({None})
_WITHOUT_VLAN: _Tags = frozenset({None, 0})
"""No tag, or a priority tag (IEEE 802.1Q-2022, 6.9)."""
_KEEPS, _HAS_NONE = LineChange(Fate.KEEPS), LineChange(Fate.HAS_NONE)


def _common_tags(one: _Tags | None, other: _Tags | None) -> _Tags | None:
    if one is None:
        return other
    return one if other is None else one & other


def _by_port(switch: Switch) -> Mapping[int, Sequence[Binding]]:
    found: dict[int, list[Binding]] = {}
    for binding in switch.bindings:
        found.setdefault(binding.port, []).append(binding)
    return found


def _are_same(one: Sequence[Binding], other: Sequence[Binding]) -> bool:
    """Return whether these bindings of one port are the same, wherever they are written."""
    return len(one) == len(other) and all(
        here is there
        or (
            (here.vlan, here.mac) == (there.vlan, there.mac)
            and [entry.prefix for entry in here.addresses] == [entry.prefix for entry in there.addresses]
        )
        for here, there in zip(one, other, strict=True)
    )


def _listed(bound: Iterable[Binding], tags: _Tags | None) -> _Listed:
    """Return the addresses that are bound to frames under ``tags``."""
    vlans = None if tags is None else {tag or 0 for tag in tags}
    found: dict[int | None, _Space] = {}
    for binding in bound:
        if binding.vlan is None or vlans is None or binding.vlan in vlans:
            space = _space_of(entry.prefix for entry in binding.addresses)
            known = found.get(binding.mac)
            found[binding.mac] = space if known is None else _both(known, space)
    return found


def _both(one: _Space, other: _Space) -> _Space:
    ends = {version: (1 << WIDTH[version]) - 1 for version in _VERSIONS}
    return {
        version: complement(
            common(*(complement(each[version], 0, ends[version]) for each in (one, other))), 0, ends[version]
        )
        for version in _VERSIONS
    }


def _space_of(prefixes: Iterable[Prefix]) -> _Space:
    by_version: dict[int, list[Prefix]] = {version: [] for version in _VERSIONS}
    for prefix in prefixes:
        by_version[prefix.version].append(prefix)
    return {version: held_by(found) if found else () for version, found in by_version.items()}


def _common_listed(one: _Listed | None, other: _Listed | None, version: int) -> Iterator[Ranges | None]:
    """Yield the addresses that both list, for each MAC address that both let use them; None for all."""
    if one is None or other is None or one is other:
        listed = other if one is None else one
        yield from [None] if listed is None else (space[version] for space in listed.values())
        return
    for mac, space in one.items():
        for another, second in other.items():
            if mac is None or another is None or mac == another:
                yield common(space[version], second[version])


def _touches(ranges: Ranges, first: int, last: int) -> bool:
    """Return whether any value from ``first`` to ``last`` is in the ranges."""
    place = bisect_right(ranges, last, key=itemgetter(0)) - 1
    return place >= 0 and ranges[place][1] >= first


def _covers(ranges: Ranges, first: int, last: int) -> bool:
    """Return whether all values from ``first`` to ``last`` are in the ranges, which are apart."""
    place = bisect_right(ranges, first, key=itemgetter(0)) - 1
    return place >= 0 and ranges[place][1] >= last
