"""Compare two policies on one switch: the difference of two diagrams of the symbolic policy."""

from __future__ import annotations

import functools
import operator
from collections.abc import Collection, Iterator
from dataclasses import replace

from op25b_app.diff.classify import Constraints, kind_of, mail_kind_of, one_of_each_kind, paths
from op25b_app.diff.comparison import PolicyComparison, SwitchPolicy
from op25b_app.diff.example import find_in_region, find_usual
from op25b_app.diff.regions import regions
from op25b_app.diff.traffic import Kind, Traffic, VerdictChange
from op25b_app.net.port_number import LOCAL_PORT
from op25b_app.net.ranges import Ranges, common, complement, merged
from op25b_app.policy.model import PortRole
from op25b_app.policy.packet import ETH_ARP, ETH_IPV4, ETH_IPV6, TCP
from op25b_app.verify.budget import Budget
from op25b_app.verify.diagram import Diagram, Diagrams
from op25b_app.verify.header import LEVELS, SIZES
from op25b_app.verify.prove import ports_by_roles
from op25b_app.verify.symbolic_policy import SymbolicPolicy

_ETH_TYPE = LEVELS["eth_type"]
_VERSIONS = {ETH_IPV4: 4, ETH_IPV6: 6}
_SMTP = 25
_KINDS = list(Kind)
_OF_MODE = (VerdictChange.ENFORCED, VerdictChange.LET_THROUGH)
_BY_KIND = tuple(change for change in VerdictChange if change not in _OF_MODE)


class SwitchDifference:
    """The changes for packets at one switch when ``new`` replaces ``old``.

    The constructor and the methods raise OverBudgetError where ``budget`` is used up.
    """

    def __init__(self, old: SwitchPolicy, new: SwitchPolicy, at: float, budget: Budget | None = None) -> None:
        self._diagrams = Diagrams(SIZES, budget)
        before = SymbolicPolicy(self._diagrams, *old, at)
        self._symbolic = SymbolicPolicy(self._diagrams, *new, at)
        symbolic = before, self._symbolic
        switch = new.switch
        named = switch.subscriber_ports | switch.uplink_ports | switch.trusted_ports
        self._named_ports = merged([(port, port) for port in named])
        self._comparisons = {
            roles: PolicyComparison(self._diagrams, old, new, roles, ports, at, symbolic)
            for roles, ports in ports_by_roles(old.switch, new.switch).items()
        }

    def traffic(self) -> tuple[Traffic, ...]:
        """Return all packets whose verdict changes, and no other packets, kind by kind."""
        found = dict.fromkeys((*self._of_mode(), *self._kind_by_kind()))
        return tuple(sorted(found, key=lambda traffic: _KINDS.index(traffic.kind)))

    def _of_mode(self) -> Iterator[Traffic]:
        """Yield one entry for all packets newly enforced, or newly let through."""
        for change in _OF_MODE:
            for comparison in self._comparisons.values():
                found = self._by_situation(comparison, (change,), Kind.MODE)
                if found:
                    yield replace(found[0], ports=(), tags=())
                    break

    def _kind_by_kind(self) -> Iterator[Traffic]:
        for roles, comparison in self._comparisons.items():
            if roles[0] is roles[1]:
                yield from self._by_kind(comparison)
                yield from self._by_situation(comparison, _BY_KIND, Kind.TAG)
            else:
                for traffic in self._by_situation(comparison, _BY_KIND, Kind.ROLE):
                    yield replace(traffic, ports=comparison.ports, tags=())

    def _by_situation(
        self, comparison: PolicyComparison, wanted: Collection[VerdictChange], kind: Kind
    ) -> list[Traffic]:
        """Return the tags and ports at which a packet has a wanted change.

        For ``Kind.TAG``, only tags that the ports may carry only before or only after.
        """
        found: dict[VerdictChange, Traffic] = {}
        for tags, ports, carried in comparison.situations:
            if kind is Kind.TAG and carried[0] is carried[1]:
                continue
            changes = comparison.changes_under(carried, tags)
            for change in wanted:
                header = find_usual(changes, change, ports, self._usual_port(ports))
                if header is None:
                    continue
                if not comparison.tag_matters:
                    header["vlan_vid"] = tags[0][0]
                known = found.get(change)
                found[change] = Traffic(
                    kind=kind,
                    change=change,
                    roles=comparison.roles,
                    ports=merged([*ports, *(known.ports if known else ())]),
                    tags=merged([*tags, *(known.tags if known else ())]),
                    partly=True,
                    example=known.example if known else header,
                )
        return list(found.values())

    def _by_kind(self, comparison: PolicyComparison) -> Iterator[Traffic]:
        """Yield the changes under tags that a port may carry before and after."""
        diagrams, ports = self._diagrams, comparison.usable_ports
        changes = comparison.changes_of_carried()
        if not _by_kind_changes(changes.values):
            return
        for eth_type, version in _VERSIONS.items():
            part = diagrams.fix(changes, _ETH_TYPE, eth_type)
            yield from self._of_version(comparison, part, version, eth_type)
        arp = diagrams.fix(changes, _ETH_TYPE, ETH_ARP)
        readable = self._symbolic.one_of("eth_type", (ETH_ARP, *_VERSIONS))
        others = diagrams.choose(readable, diagrams.leaf(None), changes)
        for kind, part in ((Kind.ARP, arp), (Kind.ETHERTYPE, others)):
            for change in _by_kind_changes(part.values):
                header = find_usual(part, change, ports, self._usual_port(ports))
                assert header is not None, "there is such a change at these ports"
                header = comparison.with_usual_tag(header)
                if kind is Kind.ARP:
                    header["eth_type"] = ETH_ARP
                yield Traffic(kind, change, comparison.roles, example=header)

    def _of_version(
        self, comparison: PolicyComparison, changes: Diagram, version: int, eth_type: int
    ) -> Iterator[Traffic]:
        role, diagrams, ask = comparison.roles[1], self._diagrams, self._symbolic.one_of
        smtp = ask("tcp_dst", (_SMTP,))
        if role is PortRole.UPLINK:
            smtp = diagrams.either(smtp, ask("tcp_src", (_SMTP,)))
        mail = diagrams.both(ask("ip_proto", (TCP,)), smtp)
        of_mail: dict[Diagram, list[tuple[Kind, Constraints]]] = {}
        for constraints, part in paths(diagrams.choose(mail, changes, diagrams.leaf(None))):
            of_mail.setdefault(part, []).append((mail_kind_of(role, constraints), constraints))
        others: dict[Diagram, list[tuple[Kind, Constraints]]] = {}
        for constraints, part in paths(diagrams.choose(mail, diagrams.leaf(None), changes)):
            others.setdefault(part, []).append((kind_of(version, constraints), constraints))
        for part, named in (*of_mail.items(), *others.items()):
            for kind, constraints in one_of_each_kind(named):
                constraints = {"eth_type": (eth_type, eth_type), **constraints}
                yield from self._of_kind(comparison, kind, part, version, constraints)

    def _of_kind(
        self, comparison: PolicyComparison, kind: Kind, part: Diagram, version: int, constraints: Constraints
    ) -> Iterator[Traffic]:
        diagrams = self._diagrams
        for change in _by_kind_changes(part.values):
            where = diagrams.map(functools.partial(operator.is_, change), part)
            for region in regions(diagrams, where, version):
                port = self._usual_port(region.ports)
                header = find_in_region(diagrams, where, region, constraints, port)
                header = comparison.with_usual_tag(header)
                others = common(comparison.usable_ports, complement(region.ports, 1, LOCAL_PORT))
                yield Traffic(
                    kind=kind,
                    change=change,
                    roles=comparison.roles,
                    ports=region.ports if others else (),
                    other_ports=others,
                    sources=region.sources,
                    destinations=region.destinations,
                    partly=region.partly,
                    example=header,
                )

    def _usual_port(self, ports: Ranges) -> int:
        """Return a port that the new policy names, if there is one."""
        return (common(self._named_ports, ports) or ports)[0][0]


def _by_kind_changes(values: Collection[object]) -> list[VerdictChange]:
    """Return those of the changes that are reported kind by kind."""
    return [change for change in _BY_KIND if change in values]
