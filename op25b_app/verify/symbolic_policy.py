"""The policy as one function of the header: the verdict of ``decide`` for every packet at once.

It is written from the policy alone, as ``decide`` is, and tested against ``decide``; it does not use the
compiler.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TypeAlias

from op25b_app.net.nat64 import embed
from op25b_app.net.prefix import WIDTH, Prefix
from op25b_app.net.prefix_cover import held_by
from op25b_app.net.ranges import Ranges
from op25b_app.openflow.fields import VLAN_PRESENT
from op25b_app.policy.model import (
    LocatedPrefix,
    MailException,
    Mode,
    Policy,
    PortRole,
    SourceValidation,
    SubscriberPort,
    Switch,
    Verdict,
)
from op25b_app.policy.packet import ETH_ARP, ETH_IPV4, ETH_IPV6
from op25b_app.verify.diagram import Diagram, Diagrams
from op25b_app.verify.header import LEVELS, vlan_value

_SMTP = 25
_TCP, _UDP, _IGMP, _ICMPV6 = 6, 17, 2, 58
_TUNNELS = (4, 41, 47, 55, 94, 97, 98, 108, 115, 137, 141, 142, 143, 144, 145)
_HIDING = (0, 43, 51, 60, 135, 139, 140, 253, 254)
_LINK_LOCAL = {4: Prefix.parse("169.254.0.0/16"), 6: Prefix.parse("fe80::/10")}
_UNSPECIFIED = {4: Prefix.parse("0.0.0.0/32"), 6: Prefix.parse("::/128")}
_SERVICE_ICMPV6 = (130, 131, 132, 133, 135, 136, 143)
_ROUTER_ADVERTISEMENT, _NEIGHBOUR_ADVERTISEMENT = 134, 136
_DHCP_CLIENT, _DHCP_SERVER = {4: 68, 6: 546}, {4: 67, 6: 547}
_DHCPV6_GROUP, _DHCPV6_GROUP_MAC = Prefix.parse("ff02::1:2"), 0x333300010002
"""The multicast group of all DHCPv6 relay agents and servers, as IPv6 and as Ethernet address."""

_Decisions = Sequence[tuple[Diagram, Verdict]]
"""Conditions with their verdicts; the first condition that holds wins."""


class SymbolicPolicy:
    """Verdicts of one switch under a policy at a moment (seconds since 1970), by the role of the port."""

    def __init__(self, diagrams: Diagrams, policy: Policy, switch: Switch, at: float) -> None:
        self._diagrams = diagrams
        self._policy = policy
        self._switch = switch
        self._hardening = policy.hardening
        self._validation = policy.hardening.source_validation
        self._exceptions = [exception for exception in policy.exceptions if exception.in_force(at)]
        self._stretches: dict[int, tuple[Ranges, Ranges]] = {}

    def longest_matches(self, version: int, *, is_static: bool) -> Ranges:
        """Return the addresses whose longest-prefix match is static, or dynamic; worked out once."""
        if version not in self._stretches:
            self._stretches[version] = _longest_matches(self._policy, version)
        return self._stretches[version][is_static]

    def verdicts(self, role: PortRole) -> Diagram:
        """Return the function from headers to ``Verdict``, valid for packets at ports of ``role``."""
        block = self._diagrams.leaf(self.block)
        return self._diagrams.choose(self.forbidden_tag(role), block, self.under_permitted_tags(role))

    @property
    def block(self) -> Verdict:
        """The verdict for what the policy blocks on the switch."""
        return Verdict.BLOCK if self._switch.mode is Mode.ENFORCE else Verdict.WOULD_BLOCK

    def under_permitted_tags(self, role: PortRole) -> Diagram:
        """Return the function for packets at ports of ``role`` under tags that these may carry."""
        if role is PortRole.TRUSTED:
            return self._diagrams.leaf(Verdict.PERMIT)
        by_ethertype = self._subscriber if role is PortRole.SUBSCRIBER else self._uplink
        result = self._first_of(self._other_ethertypes(role), Verdict.PERMIT)
        for eth_type, version in ((ETH_ARP, None), (ETH_IPV4, 4), (ETH_IPV6, 6)):
            decisions = by_ethertype(self._side(version)) if version else self._arp(role)
            seen = self._first_of(decisions, Verdict.PERMIT)
            result = self._diagrams.choose(self.one_of("eth_type", (eth_type,)), seen, result)
        if self._switch.mode is Mode.MONITOR:
            return self._diagrams.map(_counted, result)
        return result

    def _side(self, version: int) -> _Side:
        return _Side(self, version)

    def one_of(self, name: str, values: Iterable[int]) -> Diagram:
        """Return the condition that a field has one of these values."""
        return self._diagrams.within(LEVELS[name], ((value, value) for value in sorted(set(values))))

    def inside(self, name: str, prefixes: Iterable[Prefix]) -> Diagram:
        """Return the condition that an address field is in one of these prefixes of its version."""
        return self._diagrams.within(LEVELS[name], held_by(prefixes))

    def _first_of(self, decisions: _Decisions, otherwise: Verdict | Diagram) -> Diagram:
        diagrams = self._diagrams
        result = otherwise if isinstance(otherwise, Diagram) else diagrams.leaf(otherwise)
        for condition, verdict in reversed(decisions):
            result = diagrams.choose(condition, diagrams.leaf(verdict), result)
        return result

    def forbidden_tag(self, role: PortRole) -> Diagram:
        """Return the condition of decision 1, which comes first: a tag that the line may not carry."""
        diagrams = self._diagrams
        if role is PortRole.TRUSTED or not self._hardening.block_encapsulation:
            return diagrams.leaf(False)
        ports_of_tag: dict[int, list[int]] = {vlan_value(0): []}
        for port, tags in self._switch.vlans.items():
            for tag in tags:
                place = vlan_value(0 if tag is None else VLAN_PRESENT | tag)
                ports_of_tag.setdefault(place, []).append(port)
        without_tags_of_its_own = diagrams.negation(self.one_of("in_port", self._switch.vlans))
        of_others = diagrams.leaf(False) if role is PortRole.SUBSCRIBER else without_tags_of_its_own
        allowed = []
        for place, ports in sorted(ports_of_tag.items()):
            here = self.one_of("in_port", ports)
            is_usual = place == vlan_value(0) or role is PortRole.UPLINK
            allowed.append(
                (place, place, diagrams.either(here, without_tags_of_its_own) if is_usual else here)
            )
        return diagrams.negation(diagrams.intervals(LEVELS["vlan_vid"], allowed, of_others))

    def from_line(self, port: int, vlan: int | None) -> Diagram:
        """Return the condition that a frame comes from a line; VLAN 0 has no tag, or a priority tag."""
        at_port = self.one_of("in_port", (port,))
        if vlan is None:
            return at_port
        tags = [vlan_value(VLAN_PRESENT | vlan), *([vlan_value(0)] if vlan == 0 else [])]
        return self._diagrams.both(at_port, self.one_of("vlan_vid", tags))

    def _other_ethertypes(self, role: PortRole) -> _Decisions:
        if not self._hardening.block_encapsulation:
            return []
        known = self._hardening.ethertypes if role is PortRole.SUBSCRIBER else frozenset()
        return [(self._diagrams.negation(self.one_of("eth_type", known)), Verdict.BLOCK)]

    def _arp(self, role: PortRole) -> _Decisions:
        """Return decision 0 for ARP; empty at an uplink port, or without validation by binding."""
        if role is PortRole.UPLINK or self._validation is not SourceValidation.BINDING:
            return []
        diagrams = self._diagrams
        claim = diagrams.either(self.inside("arp_spa", [_UNSPECIFIED[4]]), self._claimed_by_arp())
        return [(diagrams.negation(claim), Verdict.BLOCK)]

    def _claimed_by_arp(self) -> Diagram:
        """Return the condition that a line claims, by ARP, an address that is bound to it."""
        diagrams, claims = self._diagrams, []
        for binding in self._switch.bindings:
            sender = [entry.prefix for entry in binding.addresses if entry.prefix.version == 4]
            of_line = [self.from_line(binding.port, binding.vlan), self.inside("arp_spa", sender)]
            if binding.mac is not None:
                of_line += [self.one_of("eth_src", (binding.mac,)), self.one_of("arp_sha", (binding.mac,))]
            claims.append(diagrams.both(*of_line))
        return diagrams.either(*claims)

    def _subscriber(self, side: _Side) -> _Decisions:
        """Return decisions 0 to 6 of a subscriber port, for one IP version."""
        return [
            *self._services(side),
            (self._tunnelled(side), Verdict.BLOCK),
            (self._diagrams.both(side.unreadable, self._diagrams.negation(side.static_here)), Verdict.BLOCK),
            *self._foreign_sources(side),
            (self._diagrams.both(side.to_smtp, side.to_mail), Verdict.PERMIT),
            (self._diagrams.both(side.to_smtp, side.under_exception), Verdict.PERMIT),
            (self._diagrams.both(side.to_smtp, side.static_here), Verdict.PERMIT),
            (self._diagrams.both(side.to_smtp, self._closed(side)), Verdict.BLOCK),
        ]

    def _services(self, side: _Side) -> _Decisions:
        """Return decision 0 for IP."""
        diagrams, version = self._diagrams, side.version
        decisions: list[tuple[Diagram, Verdict]] = []
        if self._validation.of_every_packet:
            decisions.append((side.for_routers_and_servers, Verdict.BLOCK))
        if self._validation is SourceValidation.BINDING and version == 6:
            own = diagrams.either(
                self.inside("ipv6_nd_target", [_LINK_LOCAL[6]]), side.bound_here("ipv6_nd_target")
            )
            claim = side.icmpv6((_NEIGHBOUR_ADVERTISEMENT,))
            decisions.append((diagrams.both(claim, diagrams.negation(own)), Verdict.BLOCK))
        unaddressed = self.inside(side.source, [_LINK_LOCAL[version], _UNSPECIFIED[version]])
        decisions.append((diagrams.both(side.service, unaddressed), Verdict.PERMIT))
        if version == 6:
            decisions.append((self._relayed(side), Verdict.PERMIT))
        return decisions

    def _relayed(self, side: _Side) -> Diagram:
        """Return the condition of a DHCPv6 request that a lightweight relay agent may send."""
        ask, port = self.one_of, _DHCP_SERVER[6]
        return self._diagrams.both(
            ask("ip_proto", (_UDP,)),
            ask("udp_dst", (port,)),
            ask("udp_src", (port,)),
            ask("eth_dst", (_DHCPV6_GROUP_MAC,)),
            self.inside(side.destination, [_DHCPV6_GROUP]),
            self.inside(side.source, [_LINK_LOCAL[6]]),
        )

    def _tunnelled(self, side: _Side) -> Diagram:
        tunnels, diagrams = self._hardening.tunnels, self._diagrams
        elsewhere = diagrams.negation(self.inside(side.destination, side.of_version(tunnels.permit_to)))
        over_ip = self.one_of("ip_proto", _TUNNELS if tunnels.block else ())
        over_udp = diagrams.both(self.one_of("ip_proto", (_UDP,)), self.one_of("udp_dst", tunnels.udp_ports))
        return diagrams.both(diagrams.either(over_ip, over_udp), elsewhere)

    def _foreign_sources(self, side: _Side) -> _Decisions:
        """Return decision 2 of a subscriber port."""
        if not self._validation.of_every_packet:
            return []
        if self._validation is SourceValidation.BINDING:
            return [(self._diagrams.negation(side.bound_here(side.source)), Verdict.BLOCK)]
        valid = side.own_source
        if self._switch.serves is not None:
            served = self.inside(side.source, side.of_version(self._switch.serves))
            valid = self._diagrams.both(valid, served)
        return [(self._diagrams.negation(valid), Verdict.BLOCK)]

    def _closed(self, side: _Side) -> Diagram:
        """Return the sources of decision 6: own addresses without source validation, else all."""
        return side.own_source if self._validation is SourceValidation.OFF else self._diagrams.leaf(True)

    def _uplink(self, side: _Side) -> _Decisions:
        """Return decisions 2 to 4 of an uplink port, for one IP version."""
        diagrams, inbound = self._diagrams, self._policy.inbound
        decisions: list[tuple[Diagram, Verdict]] = []
        if self._validation is not SourceValidation.OFF:
            spoofed = diagrams.both(side.own_source, diagrams.negation(side.from_mail))
            if not self._validation.of_every_packet:
                spoofed = diagrams.both(spoofed, diagrams.either(side.to_smtp, side.from_smtp))
            decisions.append((spoofed, Verdict.BLOCK))
        if inbound.block_spoofed_replies:
            asked = diagrams.either(side.from_mail, side.from_peer_of_exception)
            reply = diagrams.both(side.from_smtp, side.into_dynamic, diagrams.negation(asked))
            decisions.append((reply, Verdict.BLOCK))
        if inbound.block_port_25:
            decisions.append((diagrams.both(side.to_smtp, side.into_dynamic), Verdict.BLOCK))
        return decisions


class _Side:
    """Conditions on a packet of one IP version."""

    def __init__(self, symbolic: SymbolicPolicy, version: int) -> None:
        self._symbolic = symbolic
        self._diagrams = symbolic._diagrams
        self._policy = symbolic._policy
        self._switch = symbolic._switch
        self.version = version
        self.source = f"ipv{version}_src"
        self.destination = f"ipv{version}_dst"

    def of_version(self, listed: Iterable[LocatedPrefix]) -> list[Prefix]:
        return [entry.prefix for entry in listed if entry.prefix.version == self.version]

    def icmpv6(self, kinds: Iterable[int]) -> Diagram:
        one_of = self._symbolic.one_of
        return self._diagrams.both(one_of("ip_proto", (_ICMPV6,)), one_of("icmpv6_type", kinds))

    @cached_property
    def to_smtp(self) -> Diagram:
        return self._transport(_TCP, "tcp_dst", (_SMTP,))

    @cached_property
    def from_smtp(self) -> Diagram:
        return self._transport(_TCP, "tcp_src", (_SMTP,))

    @cached_property
    def unreadable(self) -> Diagram:
        """TCP ports or protocols that a switch cannot read.

        It reads the port of every fragment as 0, and a malformed IPv4 header as protocol 0.
        """
        if not self._policy.hardening.block_unreadable_tcp:
            return self._diagrams.leaf(False)
        unread = self._transport(_TCP, "tcp_dst", (0,))
        hiding = (0,) if self.version == 4 else _HIDING
        return self._diagrams.either(unread, self._symbolic.one_of("ip_proto", hiding))

    @cached_property
    def service(self) -> Diagram:
        ask, version = self._symbolic.one_of, self.version
        request = self._diagrams.both(
            self._transport(_UDP, "udp_src", (_DHCP_CLIENT[version],)),
            ask("udp_dst", (_DHCP_SERVER[version],)),
        )
        other = ask("ip_proto", (_IGMP,)) if version == 4 else self.icmpv6(_SERVICE_ICMPV6)
        return self._diagrams.either(request, other)

    @cached_property
    def for_routers_and_servers(self) -> Diagram:
        answer = self._transport(_UDP, "udp_dst", (_DHCP_CLIENT[self.version],))
        if self.version == 4:
            return answer
        return self._diagrams.either(answer, self.icmpv6((_ROUTER_ADVERTISEMENT,)))

    @cached_property
    def to_mail(self) -> Diagram:
        return self._among(self.destination, (entry.prefix for entry in self._policy.mail_destinations))

    @cached_property
    def from_mail(self) -> Diagram:
        return self._among(self.source, (entry.prefix for entry in self._policy.mail_destinations))

    @cached_property
    def own_source(self) -> Diagram:
        own = self.of_version((*self._policy.dynamic, *self._policy.static))
        return self._symbolic.inside(self.source, own)

    @cached_property
    def into_dynamic(self) -> Diagram:
        return self._longest(self.destination, is_static=False)

    @cached_property
    def static_here(self) -> Diagram:
        """Static addresses; a bound address only on a line that it is bound to."""
        diagrams = self._diagrams
        free = diagrams.negation(self._bound_anywhere())
        here = self._bound(self.source, check_mac=False)
        return diagrams.both(self._longest(self.source, is_static=True), diagrams.either(free, here))

    def _bound_anywhere(self) -> Diagram:
        """Return the condition that the source is bound to a line of any switch."""
        bound = self.of_version(listed for _, listed in self._policy.bound_prefixes())
        return self._symbolic.inside(self.source, bound)

    @cached_property
    def under_exception(self) -> Diagram:
        return self._diagrams.either(*map(self._exception, self._symbolic._exceptions))

    @cached_property
    def from_peer_of_exception(self) -> Diagram:
        return self._diagrams.either(*map(self._answer_to_exception, self._symbolic._exceptions))

    def bound_here(self, name: str) -> Diagram:
        """Return the condition that the address in a field is bound to the line of the packet."""
        return self._bound(name, check_mac=True)

    def _transport(self, protocol: int, name: str, ports: Iterable[int]) -> Diagram:
        ask = self._symbolic.one_of
        return self._diagrams.both(ask("ip_proto", (protocol,)), ask(name, ports))

    def _among(self, name: str, prefixes: Iterable[Prefix]) -> Diagram:
        """Return the condition that an address is in one of the prefixes, IPv4 ones behind NAT64 included."""
        return self._exactly(name, with_nat64(self._policy, prefixes))

    def _longest(self, name: str, is_static: bool) -> Diagram:
        """Return the condition that the longest-prefix match of an address is static (or dynamic)."""
        stretches = self._symbolic.longest_matches(self.version, is_static=is_static)
        return self._diagrams.within(LEVELS[name], stretches)

    def _bound(self, name: str, check_mac: bool) -> Diagram:
        """Return one function for all bindings of the switch: it tests the address first, the port last."""
        lines: dict[tuple[int, int | None, int | None], list[Prefix]] = {}
        for binding in self._switch.bindings:
            line = (binding.port, binding.vlan, binding.mac if check_mac else None)
            lines.setdefault(line, []).extend(self.of_version(binding.addresses))
        conditions = []
        for (port, vlan, mac), prefixes in lines.items():
            of_line = [self._symbolic.from_line(port, vlan), self._symbolic.inside(name, prefixes)]
            if mac is not None:
                of_line.append(self._symbolic.one_of("eth_src", (mac,)))
            conditions.append(self._diagrams.both(*of_line))
        return self._diagrams.either(*conditions)

    def _exception(self, exception: MailException) -> Diagram:
        if isinstance(exception.source, SubscriberPort):
            if exception.source.switch != self._switch.name:
                return self._diagrams.leaf(False)
            sender = self._symbolic.from_line(exception.source.port, exception.source.vlan)
        else:
            sender = self._exactly(self.source, [exception.source])
        return self._diagrams.both(sender, self._peer(self.destination, exception))

    def _answer_to_exception(self, exception: MailException) -> Diagram:
        """Return the condition of an answer to an exception.

        The dynamic address of a line without bindings is unknown, so it may be any.
        """
        receiver = self._diagrams.leaf(True)
        if not isinstance(exception.source, SubscriberPort):
            receiver = self._exactly(self.destination, [exception.source])
        elif bound := self._policy.bound_to(exception.source):
            receiver = self._exactly(self.destination, (entry.prefix for entry in bound))
        return self._diagrams.both(receiver, self._peer(self.source, exception))

    def _peer(self, name: str, exception: MailException) -> Diagram:
        if exception.destination is None:
            return self._diagrams.leaf(True)
        return self._among(name, [exception.destination])

    def _exactly(self, name: str, prefixes: Iterable[Prefix]) -> Diagram:
        return self._symbolic.inside(name, [prefix for prefix in prefixes if prefix.version == self.version])


Side: TypeAlias = _Side
"""Parts of the policy that another reading may understand in another way."""


def _counted(verdict: Verdict) -> Verdict:
    """Return the verdict of monitor mode."""
    return Verdict.WOULD_BLOCK if verdict is Verdict.BLOCK else verdict


def with_nat64(policy: Policy, prefixes: Iterable[Prefix]) -> list[Prefix]:
    """Return the prefixes, and those of IPv4 as they are seen behind each NAT64."""
    written = list(prefixes)
    inner = [prefix for prefix in written if prefix.version == 4]
    return [*written, *(embed(nat64, prefix) for nat64, _ in policy.nat64_prefixes for prefix in inner)]


def longest_match_stretches(policy: Policy, version: int, *, is_static: bool) -> Ranges:
    """Return the addresses whose longest-prefix match is static, or dynamic, as ranges apart or adjacent."""
    return _longest_matches(policy, version)[is_static]


def _longest_matches(policy: Policy, version: int) -> tuple[Ranges, Ranges]:
    """Return the addresses whose longest-prefix match is dynamic, and those where it is static."""
    labelled = [
        (entry.prefix, static)
        for listed, static in ((policy.dynamic, False), (policy.static, True))
        for entry in listed
        if entry.prefix.version == version
    ]
    stretches: list[tuple[int, int, bool]] = []
    open_prefixes: list[tuple[Prefix, bool]] = []
    place = 0

    def close_until(limit: int) -> None:
        nonlocal place
        while open_prefixes and open_prefixes[-1][0].last < limit:
            prefix, label = open_prefixes.pop()
            if place <= prefix.last:
                stretches.append((place, prefix.last, label))
                place = prefix.last + 1
        if open_prefixes and place < limit:
            stretches.append((place, limit - 1, open_prefixes[-1][1]))
        place = max(place, limit)

    for prefix, label in sorted(labelled):
        close_until(prefix.first)
        open_prefixes.append((prefix, label))
    close_until(1 << WIDTH[version])
    dynamic, static = (
        tuple((first, last) for first, last, label in stretches if label is wanted)
        for wanted in (False, True)
    )
    return dynamic, static
