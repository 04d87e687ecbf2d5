"""Find switches that change alike: those that differ only in which port has which number and addresses.

Neither a rule nor a verdict depends on the digits of an address, only on the sets of the two policies that
hold it: the own space, mail destinations, exceptions and so on. Two prefixes of one length that lie in the
same sets may be exchanged, and so may two MAC addresses, and two ports. Switches that such exchanges turn
into one another change alike, and one of them is compared for all.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Hashable, Iterable, Iterator
from operator import itemgetter
from typing import NamedTuple

from op25b_app.net.prefix import WIDTH, Prefix
from op25b_app.net.prefix_cover import held_by, minimal_cover
from op25b_app.net.ranges import Ranges, common, merged
from op25b_app.policy.canonical import prefixes
from op25b_app.policy.model import Binding, Policy, SubscriberPort, Switch
from op25b_app.verify.symbolic_policy import longest_match_stretches, with_nat64

_SPECIAL = tuple(map(Prefix.parse, ("169.254.0.0/16", "0.0.0.0/32", "fe80::/10", "::/128", "ff02::1:2/128")))
"""Prefixes of which decision 0 speaks: link-local, unspecified, and the group of DHCPv6 servers."""
_MULTICAST = 1 << 40
"""Bit of a MAC address that makes it one of a group."""


def bindings_of(switch: Switch) -> Hashable:
    """Return what is bound to the lines of a switch, without places in files and the order of addresses."""
    return tuple(
        (binding.port, binding.vlan, binding.mac, prefixes(binding.addresses)) for binding in switch.bindings
    )


def ports_of(switch: Switch) -> Hashable:
    """Return the roles and tags of the ports of a switch, and what is bound to their lines."""
    roles = switch.subscriber_ports, switch.uplink_ports, switch.trusted_ports
    return roles, frozenset(switch.vlans.items()), bindings_of(switch)


class Likeness:
    """Tells which switches of two policies change alike at a moment (seconds since 1970)."""

    def __init__(self, old: Policy, new: Policy, at: float) -> None:
        self._labels = {version: _Labels(version, [*_sets(version, old, new, at)]) for version in WIDTH}
        self._by_name = {
            entry.source.switch
            for policy in (old, new)
            for entry in policy.exceptions
            if isinstance(entry.source, SubscriberPort)
        }
        self._any_static = bool(old.static or new.static)

    def ports(self, before: Switch, after: Switch) -> Hashable:
        """Return a value that is the same for switches whose ports, with all that is bound, change alike.

        Where they cannot be exchanged, it holds ports and addresses themselves.
        """
        return self._exchangeable(before, after) or (ports_of(before), ports_of(after))

    def _exchangeable(self, before: Switch, after: Switch) -> Hashable | None:
        if {before.name, after.name} & self._by_name or before.serves is not None or after.serves is not None:
            return None
        if self._any_static and not (_one_for_each_line(before) and _one_for_each_line(after)):
            return None
        bound = [self._bound(switch) for switch in (before, after)]
        if bound[0] is None or bound[1] is None:
            return None
        shapes = []
        for port in _named_ports(before) | _named_ports(after):
            here = [
                (_settings(switch, port), found.get(port, ()))
                for switch, found in zip((before, after), bound, strict=True)
                if found is not None
            ]
            lines = [
                (settings, [(vlan, mac is None, addresses) for vlan, mac, addresses, _ in lines])
                for settings, lines in here
            ]
            shapes.append((repr(lines), [line for _, lines in here for line in lines]))
        shapes.sort(key=itemgetter(0))
        numbers: dict[Prefix, int] = {}
        macs: dict[int | None, int] = {}
        found = [
            (
                shape,
                [
                    (
                        macs.setdefault(mac, len(macs)),
                        *(numbers.setdefault(prefix, len(numbers)) for prefix in prefixes),
                    )
                    for _, mac, _, prefixes in lines
                ],
            )
            for shape, lines in shapes
        ]
        return repr(found) if _apart(numbers) else None

    def _bound(self, switch: Switch) -> dict[int, list[_Bound]] | None:
        """Return what is bound to each port; None where addresses cannot be exchanged."""
        found: dict[int, list[_Bound]] = {}
        for binding in switch.bindings:
            prefixes = [*_cover(binding)]
            labels = [self._labels[prefix.version].label(prefix) for prefix in prefixes]
            if None in labels or (binding.mac is not None and binding.mac & _MULTICAST):
                return None
            addresses = [
                (prefix.version, prefix.length, label) for prefix, label in zip(prefixes, labels, strict=True)
            ]
            found.setdefault(binding.port, []).append(_Bound(binding.vlan, binding.mac, addresses, prefixes))
        return found


class _Bound(NamedTuple):
    """A binding: ``addresses`` are version, length and part of the address space of each of ``prefixes``."""

    vlan: int | None
    mac: int | None
    addresses: list[tuple[int, int, int | None]]
    prefixes: list[Prefix]


def _named_ports(switch: Switch) -> set[int]:
    bound = (binding.port for binding in switch.bindings)
    return {*switch.subscriber_ports, *switch.uplink_ports, *switch.trusted_ports, *switch.vlans, *bound}


def _settings(switch: Switch, port: int) -> tuple[object, ...]:
    """Return what a switch says of a port, but for bindings; tags in one order, for they are written out."""
    tags = switch.vlans.get(port)
    ordered = None if tags is None else sorted(-1 if tag is None else tag for tag in tags)
    return switch.role_of(port).value, switch.has_role(port), ordered


class _Labels:
    """Numbers for the parts of the address space that lie in the same sets."""

    def __init__(self, version: int, sets: Iterable[Ranges]) -> None:
        changes: dict[int, list[int]] = {}
        for number, ranges in enumerate(sets):
            for first, last in ranges:
                changes.setdefault(first, []).append(number)
                changes.setdefault(last + 1, []).append(number)
        self._bounds = [0]
        self._values = [0]
        known: dict[frozenset[int], int] = {frozenset(): 0}
        held: frozenset[int] = frozenset()
        for bound in sorted(changes):
            for number in changes[bound]:
                held = held ^ {number}
            value = known.setdefault(held, len(known))
            if value != self._values[-1]:
                self._bounds.append(bound)
                self._values.append(value)

    def label(self, prefix: Prefix) -> int | None:
        """Return the number of the part that holds a prefix; None where several do."""
        place = bisect_right(self._bounds, prefix.network) - 1
        if place + 1 < len(self._bounds) and self._bounds[place + 1] <= prefix.last:
            return None
        return self._values[place]


def _sets(version: int, old: Policy, new: Policy, at: float) -> Iterator[Ranges]:
    """Yield the sets of addresses of one IP version on which a rule or a verdict of any switch may depend."""

    def of(listed: Iterable[Prefix]) -> Ranges:
        return held_by(prefix for prefix in listed if prefix.version == version)

    yield from (of([prefix]) for prefix in _SPECIAL)
    for policy in (old, new):
        yield of(with_nat64(policy, (entry.prefix for entry in policy.mail_destinations)))
        yield of(entry.prefix for entry in policy.hardening.tunnels.permit_to)
        yield of(entry.prefix for entry in policy.dynamic)
        yield of(entry.prefix for entry in policy.static)
        static = merged([*longest_match_stretches(policy, version, is_static=True)])
        yield static
        if static:
            yield common(static, of(entry.prefix for _, entry in policy.bound_prefixes()))
        for exception in policy.exceptions:
            if not exception.in_force(at):
                continue
            if exception.destination is not None:
                yield of(with_nat64(policy, [exception.destination]))
            if isinstance(exception.source, Prefix):
                yield of([exception.source])
            else:
                yield of(entry.prefix for entry in policy.bound_to(exception.source))


def _cover(binding: Binding) -> Iterator[Prefix]:
    """Yield the fewest prefixes with the bound addresses: as many as there are rules."""
    listed = [entry.prefix for entry in binding.addresses]
    if len({prefix.version for prefix in listed}) == len(listed):
        yield from sorted(listed)
        return
    for version in WIDTH:
        yield from minimal_cover(version, (prefix for prefix in listed if prefix.version == version))


def _one_for_each_line(switch: Switch) -> bool:
    """Return whether no line has several bindings, whose static addresses might merge."""
    return len({(binding.port, binding.vlan) for binding in switch.bindings}) == len(switch.bindings)


def _apart(bound: Collection[Prefix]) -> bool:
    """Return whether no prefix holds another one."""
    latest: dict[int, int] = {}
    for version, network, length in sorted(bound):
        if network <= latest.get(version, -1):
            return False
        latest[version] = network | ((1 << (WIDTH[version] - length)) - 1)
    return True
