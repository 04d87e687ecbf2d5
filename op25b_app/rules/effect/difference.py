"""What two policies do differently on one switch, as the difference of two diagrams of the specification."""

from __future__ import annotations

import functools
import operator
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from op25b_app.policy.model import Policy, PortRole, Switch
from op25b_app.policy.packet import ETH_ARP, ETH_IPV4, ETH_IPV6, ETH_LENGTH, TCP
from op25b_app.rules.effect.addresses import Ranges, common, complement, merged
from op25b_app.rules.effect.example import find_in_region, find_usual
from op25b_app.rules.effect.kinds import Constraints, kind_of, mail_kind_of, one_of_each_kind, paths
from op25b_app.rules.effect.regions import ranges_of, regions, stretches_of_both
from op25b_app.rules.effect.traffic import Change, Kind, Traffic, change_of
from op25b_app.rules.proof.diagram import Diagram, Diagrams, evaluate
from op25b_app.rules.proof.header import FIELDS, LEVELS, SIZES, UNTAGGED
from op25b_app.rules.proof.prove import LAST_PORT, LOCAL_PORT
from op25b_app.rules.proof.specification import Specification

Roles = tuple[PortRole, PortRole]
"""Before and after."""
_VLAN, _IN_PORT, _ETH_TYPE = LEVELS["vlan_vid"], LEVELS["in_port"], LEVELS["eth_type"]
_VERSIONS = {ETH_IPV4: 4, ETH_IPV6: 6}
_SMTP = 25
_KINDS = list(Kind)
_OF_MODE = (Change.ENFORCED, Change.LET_THROUGH)


class Judgement(NamedTuple):
    """A policy and the switch in it that is looked at."""

    policy: Policy
    switch: Switch


class Difference:
    """What becomes of packets at one switch when ``new`` takes the place of ``old``."""

    def __init__(self, old: Judgement, new: Judgement, at: float) -> None:
        self._diagrams = Diagrams(SIZES)
        self._old, self._new, self._at = old, new, at
        self._ports = ports_by_roles(old.switch, new.switch)
        self._changes = {roles: self._compared(old, new, roles) for roles in self._ports}

    def change(self, header: Mapping[str, int]) -> Change | None:
        """What becomes of the packet with a header (by OXM name, in the values of the proof's domain)."""
        port = header["in_port"]
        roles = self._old.switch.role_of(port), self._new.switch.role_of(port)
        change: Change | None = evaluate(self._changes[roles], [header.get(name, 0) for name in FIELDS])
        return change

    def traffic(self) -> tuple[Traffic, ...]:
        """All packets whose verdict changes, kind by kind, and no other packets."""
        found = dict.fromkeys((*self._of_mode(), *self._kind_by_kind()))
        return tuple(sorted(found, key=lambda traffic: _KINDS.index(traffic.kind)))

    def _of_mode(self) -> Iterator[Traffic]:
        """One for all packets that are enforced, or let through, from now on."""
        for change in _OF_MODE:
            for roles, ports in self._ports.items():
                changes = self._within(self._changes[roles], ports)
                if change in changes.values:
                    yield self._shown(Traffic(Kind.MODE, change, roles, ()), changes, ports)
                    break

    def _kind_by_kind(self) -> Iterator[Traffic]:
        for roles, ports in self._ports.items():
            if self._changes[roles].values == {None}:
                continue
            whole = self._within(self._changes[roles], ports)
            if roles[0] is roles[1]:
                yield from self._by_kind(roles, ports)
                yield from self._by_tag(roles, whole)
                continue
            for change in _told(whole.values):
                yield self._shown(Traffic(Kind.ROLE, change, roles, ports), whole, ports)

    def _compared(self, old: Judgement, new: Judgement, roles: Roles) -> Diagram:
        """The function from headers to ``Change`` or None, right for packets at ports of these roles."""
        before, after = (
            Specification(self._diagrams, *judgement, self._at).verdicts(role)
            for judgement, role in zip((old, new), roles, strict=True)
        )
        unchanged = self._diagrams.leaf(None)
        return self._diagrams.apply(
            change_of, before, after, lambda one, other: unchanged if one is other else None
        )

    def _within(self, changes: Diagram, ports: Ranges) -> Diagram:
        """``changes`` of the packets that can come in at these ports."""
        diagrams, yes, no = self._diagrams, self._diagrams.leaf(True), self._diagrams.leaf(False)
        here = diagrams.intervals(_IN_PORT, ((first, last, yes) for first, last in ports), no)
        ethertypes = diagrams.intervals(_ETH_TYPE, ((ETH_LENGTH, 0xFFFF, yes),), no)
        return diagrams.choose(diagrams.both(ethertypes, here), changes, diagrams.leaf(None))

    def _by_kind(self, roles: Roles, ports: Ranges) -> Iterator[Traffic]:
        """What changes under tags that a port may carry before and after; but for its tag it is the same."""
        diagrams, untagged = self._diagrams, self._changes[roles]
        tags = {**self._old.switch.vlans, **self._new.switch.vlans}
        if tags:
            old, new = (
                judgement._replace(switch=replace(judgement.switch, vlans=MappingProxyType({})))
                for judgement in (self._old, self._new)
            )
            untagged = self._compared(old, new, roles)
        closed = tuple((port, port) for port in sorted(tags) if self._usual_tag(roles[0], port) is None)
        ports = common(ports, complement(closed, 1, LOCAL_PORT))
        changes = self._within(diagrams.fix(untagged, _VLAN, UNTAGGED), ports)
        if not _told(changes.values):
            return
        for eth_type, version in _VERSIONS.items():
            part = diagrams.fix(changes, _ETH_TYPE, eth_type)
            yield from self._of_version(roles, ports, part, version, eth_type)
        arp = diagrams.fix(changes, _ETH_TYPE, ETH_ARP)
        readable = self._specification().one_of("eth_type", (ETH_ARP, *_VERSIONS))
        others = diagrams.choose(readable, diagrams.leaf(None), changes)
        for kind, part in ((Kind.ARP, arp), (Kind.ETHERTYPE, others)):
            for change in _told(part.values):
                traffic = self._shown(Traffic(kind, change, roles, ()), part, ports)
                header = self._under_usual_tag(roles[0], traffic.example)
                yield replace(
                    traffic, example={**header, "eth_type": ETH_ARP} if kind is Kind.ARP else header
                )

    def _of_version(
        self, roles: Roles, ports: Ranges, changes: Diagram, version: int, eth_type: int
    ) -> Iterator[Traffic]:
        diagrams, none, ask = self._diagrams, self._diagrams.leaf(None), self._specification().one_of
        smtp = ask("tcp_dst", (_SMTP,))
        if roles[0] is PortRole.UPLINK:
            smtp = diagrams.either(smtp, ask("tcp_src", (_SMTP,)))
        mail = diagrams.both(ask("ip_proto", (TCP,)), smtp)
        of_mail: dict[Diagram, list[tuple[Kind, Constraints]]] = {}
        for constraints, part in paths(diagrams.choose(mail, changes, none)):
            of_mail.setdefault(part, []).append((mail_kind_of(roles[0], constraints), constraints))
        others: dict[Diagram, list[tuple[Kind, Constraints]]] = {}
        for constraints, part in paths(diagrams.choose(mail, none, changes)):
            others.setdefault(part, []).append((kind_of(version, constraints), constraints))
        for part, named in (*of_mail.items(), *others.items()):
            for kind, constraints in one_of_each_kind(named):
                constraints = {"eth_type": (eth_type, eth_type), **constraints}
                yield from self._of_kind(kind, roles, ports, part, version, constraints)

    def _of_kind(
        self, kind: Kind, roles: Roles, ports: Ranges, part: Diagram, version: int, constraints: Constraints
    ) -> Iterator[Traffic]:
        diagrams = self._diagrams
        for change in _told(part.values):
            where = diagrams.map(functools.partial(operator.is_, change), part)
            for region in regions(diagrams, where, version):
                port = self._usual_port(region.ports)
                header = find_in_region(diagrams, where, region, constraints, port)
                others = common(ports, complement(region.ports, 1, LOCAL_PORT))
                yield Traffic(
                    kind=kind,
                    change=change,
                    roles=roles,
                    ports=region.ports if others else (),
                    other_ports=others,
                    sources=region.sources,
                    destinations=region.destinations,
                    partly=region.partly,
                    example=self._under_usual_tag(roles[0], header),
                )

    def _by_tag(self, roles: Roles, whole: Diagram) -> Iterator[Traffic]:
        """What changes under tags that a port may carry only before or only after."""
        diagrams = self._diagrams
        before, after = (
            Specification(diagrams, *judgement, self._at).forbidden_tag(roles[0])
            for judgement in (self._old, self._new)
        )
        forbidden = diagrams.apply(operator.is_not, before, after)
        stretches: dict[tuple[Diagram, Diagram], list[tuple[int, int]]] = {}
        for first, last, where, changes in stretches_of_both(forbidden, whole, _VLAN):
            if where.values != {False}:
                stretches.setdefault((where, changes), []).append((first, last))
        found: dict[Change, Traffic] = {}
        for (where, changes), tags in stretches.items():
            ports = common(ranges_of(where, _IN_PORT, True), self._ports[roles])
            for change in _told(changes.values) if ports else ():
                header = find_usual(changes, change, ports, self._usual_port(ports))
                if header is None:
                    continue
                known = found.get(change)
                found[change] = Traffic(
                    kind=Kind.TAG,
                    change=change,
                    roles=roles,
                    ports=merged([*ports, *(known.ports if known else ())]),
                    tags=merged([*tags, *(known.tags if known else ())]),
                    partly=True,
                    example=known.example if known else {**header, "vlan_vid": tags[0][0]},
                )
        yield from found.values()

    def _shown(self, traffic: Traffic, changes: Diagram, ports: Ranges) -> Traffic:
        """With an example."""
        header = find_usual(changes, traffic.change, ports, self._usual_port(ports))
        assert header is not None, "the caller knows that there is such a change"
        return replace(traffic, example=header)

    def _under_usual_tag(self, role: PortRole, header: Mapping[str, int]) -> dict[str, int]:
        return {**header, "vlan_vid": self._usual_tag(role, header["in_port"]) or UNTAGGED}

    def _usual_port(self, ports: Ranges) -> int:
        """One that the new policy names, if there is one."""
        switch = self._new.switch
        named = sorted(switch.subscriber_ports | switch.uplink_ports | switch.trusted_ports)
        return next((port for port in named if common(((port, port),), ports)), ports[0][0])

    def _usual_tag(self, role: PortRole, port: int) -> int | None:
        """A tag, in the proof's domain, that a port may carry before and after; None where there is none."""
        written = [*self._old.switch.vlans.get(port, ()), *self._new.switch.vlans.get(port, ())]
        places = {UNTAGGED, *(UNTAGGED if tag is None else tag + 1 for tag in written)}
        for place in sorted(places):
            if all(_may_carry(judgement, role, port, place) for judgement in (self._old, self._new)):
                return place
        return None

    def _specification(self) -> Specification:
        return Specification(self._diagrams, *self._new, self._at)


def ports_by_roles(old: Switch, new: Switch) -> dict[Roles, Ranges]:
    """All ports that a switch can have, by their roles; those without a role are subscriber ports."""
    named = sorted(old.uplink_ports | old.trusted_ports | new.uplink_ports | new.trusted_ports)
    found: dict[Roles, list[tuple[int, int]]] = {}
    for port in named:
        found.setdefault((old.role_of(port), new.role_of(port)), []).append((port, port))
    taken = tuple((port, port) for port in named)
    free = [*complement(taken, 1, LAST_PORT), *complement(taken, LOCAL_PORT, LOCAL_PORT)]
    found.setdefault((PortRole.SUBSCRIBER, PortRole.SUBSCRIBER), []).extend(free)
    return {roles: merged(ranges) for roles, ranges in found.items()}


def _told(values: Collection[object]) -> list[Change]:
    """Changes that are told kind by kind."""
    return [change for change in Change if change in values and change not in _OF_MODE]


def _may_carry(judgement: Judgement, role: PortRole, port: int, place: int) -> bool:
    policy, switch = judgement
    tags = switch.vlans.get(port)
    if not policy.hardening.block_encapsulation:
        return True
    if tags is None:
        return role is PortRole.UPLINK or place == UNTAGGED
    return (place - 1 if place else None) in tags
