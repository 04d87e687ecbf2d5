"""The tables of what comes from subscribers."""

from __future__ import annotations

import enum
from collections.abc import Iterator

from op25b_app.policy.model import Binding, Line, SourceValidation
from op25b_app.policy.prefix import Prefix
from op25b_app.rules.flow import Action, Field, FlowRule, Goto, Role
from op25b_app.rules.matches import (
    ARP,
    IP,
    Fields,
    arp_sender,
    arp_sender_mac,
    claimed,
    destination,
    eth_source,
    icmpv6,
    in_port,
    ip_protocol,
    source,
    tcp_to,
    udp_from,
    udp_to,
)
from op25b_app.rules.pipeline import (
    DHCP_CLIENT,
    DHCP_SERVER,
    IP_IGMP,
    NEIGHBOUR_ADVERTISEMENT,
    ROUTER_ADVERTISEMENT,
    SERVICE_ICMPV6,
    SMTP,
    SUBMISSION_PORTS,
    TUNNEL_PROTOCOLS,
    UNREAD_PORT,
    UNREAD_PROTOCOLS,
    Egress,
    EgressSmtp,
    EgressSource,
    Table,
)
from op25b_app.rules.prefixes import (
    cover_of_label,
    entries_inside,
    longest_matches,
    minimal_cover,
    minimal_table,
    of_version,
    overlay,
)
from op25b_app.rules.scope import (
    VERSIONS,
    Scope,
    Space,
    bound_by_port,
    longest_match_rules,
    prefixes_of,
    rule_of,
    same_version,
)

LINK_LOCAL = {4: Prefix.parse("169.254.0.0/16"), 6: Prefix.parse("fe80::/10")}
UNSPECIFIED = {4: Prefix.parse("0.0.0.0/32"), 6: Prefix.parse("::/128")}


def egress_rules(scope: Scope) -> Iterator[FlowRule]:
    """The port, for port 25 the addresses, and where it is validated the source of every packet."""
    validation = scope.hardening.source_validation
    permit = scope.forward
    if validation.of_every_packet:
        permit = Goto(Table.EGRESS_SOURCE)
        yield from _bound_sources_only(scope) if _is_bound(scope) else _own_sources_only(scope)
        yield from _services(scope)
        yield from _claims(scope, permit) if _is_bound(scope) else _any_arp(scope)
    yield from _ports(scope, permit)
    yield from _tunnels(scope, permit)
    yield from _mail_destinations(scope, permit)
    yield from _exceptions(scope, permit)
    yield from _bound_static_sources(scope, permit)
    yield from _sources(scope, permit)


def _is_bound(scope: Scope) -> bool:
    return scope.hardening.source_validation is SourceValidation.BINDING


def _ports(scope: Scope, permit: Action) -> Iterator[FlowRule]:
    table, hardening = Table.EGRESS, scope.hardening
    otherwise = scope.block if hardening.block_encapsulation else (Role.FORWARD, scope.forward)
    yield rule_of(table, Egress.OTHERWISE, *otherwise)
    if hardening.block_encapsulation or hardening.source_validation.of_every_packet:
        for version in VERSIONS:
            yield rule_of(table, Egress.ETHERTYPE, Role.FORWARD, permit, *IP[version])
    if hardening.block_encapsulation:
        others = [(Field("eth_type", ethertype),) for ethertype in sorted(hardening.ethertypes)]
        for ethertype in (ARP, *others):
            yield rule_of(table, Egress.ETHERTYPE, Role.FORWARD, scope.forward, *ethertype)
    for version in VERSIONS:
        yield _to_smtp_table(Egress.SMTP, tcp_to(version, SMTP))
        for port in SUBMISSION_PORTS:
            yield rule_of(table, Egress.SUBMISSION, Role.SUBMISSION, permit, *tcp_to(version, port))
        if hardening.block_unreadable_tcp:
            yield _to_smtp_table(Egress.UNREADABLE, tcp_to(version, UNREAD_PORT))
            for protocol in UNREAD_PROTOCOLS[version]:
                yield _to_smtp_table(Egress.UNREADABLE, ip_protocol(version, protocol))


def _to_smtp_table(priority: int, fields: Fields) -> FlowRule:
    """What is, or may be, mail: static space is exempt from both, and only that table knows it."""
    return rule_of(Table.EGRESS, priority, Role.SELECT, Goto(Table.EGRESS_SMTP), *fields)


def _tunnels(scope: Scope, permit: Action) -> Iterator[FlowRule]:
    tunnels = scope.hardening.tunnels
    if not tunnels.block:
        return
    for version in VERSIONS:
        ends = minimal_cover(version, prefixes_of(tunnels.permit_to))
        for protocol in TUNNEL_PROTOCOLS:
            match = ip_protocol(version, protocol)
            yield rule_of(Table.EGRESS, Egress.TUNNEL, *scope.block, *match)
            for prefix in ends:
                fields = (*match, *destination(prefix))
                yield rule_of(Table.EGRESS, Egress.PERMITTED_TUNNEL, Role.TUNNEL, permit, *fields)


def _services(scope: Scope) -> Iterator[FlowRule]:
    """What a line needs before it has an address; what only routers and servers send is blocked."""
    table = Table.EGRESS
    yield rule_of(table, Egress.SERVICE_ANSWER, *scope.block, *icmpv6(ROUTER_ADVERTISEMENT))
    for version in VERSIONS:
        client, server = DHCP_CLIENT[version], DHCP_SERVER[version]
        yield rule_of(table, Egress.SERVICE_ANSWER, *scope.block, *udp_to(version, client))
        requests = [(*udp_to(version, server), *udp_from(client))]
        if version == 4:
            requests.append(ip_protocol(4, IP_IGMP))
        else:
            requests += [icmpv6(kind) for kind in SERVICE_ICMPV6]
        for request in requests:
            for prefix in (LINK_LOCAL[version], UNSPECIFIED[version]):
                yield _service(scope, Egress.SERVICE, (*request, *source(prefix)))


def _any_arp(scope: Scope) -> Iterator[FlowRule]:
    yield _service(scope, Egress.SERVICE, ARP)


def _claims(scope: Scope, permit: Action) -> Iterator[FlowRule]:
    """A line may say by ARP or neighbour advertisement only that it has what is bound to it.

    An advertisement from an address of its own still has its source validated.
    """
    block, claim = Egress.CLAIM, Egress.PERMITTED_CLAIM
    advertisement = icmpv6(NEIGHBOUR_ADVERTISEMENT)
    yield rule_of(Table.EGRESS, block, *scope.block, *ARP)
    yield _service(scope, claim, arp_sender(UNSPECIFIED[4]))
    yield rule_of(Table.EGRESS, block, *scope.block, *advertisement)
    targets: list[Fields] = [claimed(LINK_LOCAL[6])]
    for binding, prefix in _bound(scope):
        if prefix.version == 4:
            sender = (*arp_sender_mac(binding.mac), *arp_sender(prefix))
            yield _service(scope, claim, (*_line(binding), *sender))
        else:
            targets.append((*_line(binding), *claimed(prefix)))
    for target in targets:
        match = (*advertisement, *target)
        yield rule_of(Table.EGRESS, claim, Role.SERVICE, permit, *match)
        for prefix in (LINK_LOCAL[6], UNSPECIFIED[6]):
            yield _service(scope, claim + 1, (*match, *source(prefix)))


def _service(scope: Scope, priority: int, fields: Fields) -> FlowRule:
    return rule_of(Table.EGRESS, priority, Role.SERVICE, scope.forward, *fields)


def _bound(scope: Scope) -> Iterator[tuple[Binding, Prefix]]:
    """What is bound to each line of this switch."""
    for binding in scope.switch.bindings:
        for version in VERSIONS:
            for prefix in minimal_cover(version, prefixes_of(binding.addresses)):
                yield binding, prefix


def _line(binding: Binding) -> Fields:
    return *in_port(binding.port), *eth_source(binding.mac)


def _bound_sources_only(scope: Scope) -> Iterator[FlowRule]:
    table, at = Table.EGRESS_SOURCE, EgressSource
    for binding, prefix in _bound(scope):
        yield rule_of(table, at.SOURCE, Role.SOURCE, scope.forward, *_line(binding), *source(prefix))
    yield rule_of(table, at.OTHERWISE, *scope.block)


def _own_sources_only(scope: Scope) -> Iterator[FlowRule]:
    """Own space, and of it only what lives behind this switch."""
    table, at, served = Table.EGRESS_SOURCE, EgressSource, scope.switch.serves
    for version in VERSIONS:
        own = dict.fromkeys(of_version(scope.own, version), True)
        if served is not None:
            here = dict.fromkeys(of_version(prefixes_of(served), version), True)
            places = sorted({*own, *here})
            both = zip(longest_matches(own, places, False), longest_matches(here, places, False), strict=True)
            own = dict(zip(places, (is_own and is_here for is_own, is_here in both), strict=True))
        what = (Role.SOURCE, scope.forward), scope.block
        yield from longest_match_rules(table, at.SOURCE, version, own, what, source)
    yield rule_of(table, at.OTHERWISE, *scope.block)


def _mail_destinations(scope: Scope, permit: Action) -> Iterator[FlowRule]:
    for version in VERSIONS:
        for prefix in minimal_cover(version, scope.mail):
            yield rule_of(
                Table.EGRESS_SMTP,
                EgressSmtp.MAIL_DESTINATION,
                Role.MAIL_DESTINATION,
                permit,
                *_readable(scope, version),
                *destination(prefix),
            )


def _exceptions(scope: Scope, permit: Action) -> Iterator[FlowRule]:
    """A line is known by its port here, an address by itself anywhere."""
    for exception in scope.exceptions:
        if isinstance(exception.source, Line):
            if exception.source.switch != scope.switch.name:
                continue
            sender, address = in_port(exception.source.port), None
        else:
            sender, address = source(exception.source), exception.source
        for peer in scope.destinations(exception):
            if not same_version(address, peer):
                continue
            known = {prefix.version for prefix in (address, peer) if prefix is not None}
            for version in known or VERSIONS:
                fields = (*sender, *destination(peer), *_readable(scope, version))
                yield scope.exception_rule(Table.EGRESS_SMTP, EgressSmtp.EXCEPTION, permit, exception, fields)


def _readable(scope: Scope, version: int) -> Fields:
    """Where what cannot be read comes to the same table, port 25 is asked for once more."""
    return tcp_to(version, SMTP) if scope.hardening.block_unreadable_tcp else ()


def _bound_static_sources(scope: Scope, permit: Action) -> Iterator[FlowRule]:
    """Static addresses that are bound here: exempt on their own line."""
    for version in VERSIONS:
        space = scope.space[version]
        ascending = sorted(space)
        for port, bound in bound_by_port(scope.switch, version).items():
            labels = longest_matches(space, bound, Space.UNLISTED)
            local = dict(zip(bound, labels, strict=True))
            for prefix in bound:
                local.update((inner, space[inner]) for inner in entries_inside(ascending, prefix))
            for prefix in cover_of_label(version, local, Space.STATIC):
                fields = (*in_port(port), *source(prefix))
                yield rule_of(Table.EGRESS_SMTP, EgressSmtp.BOUND_SOURCE, Role.STATIC, permit, *fields)


class _Mail(enum.Enum):
    """What the source alone says of mail."""

    CLOSED = "blocked"
    READABLE = "permitted if its port is read"
    EXEMPT = "permitted, read or not"


def _sources(scope: Scope, permit: Action) -> Iterator[FlowRule]:
    """Static, dynamic and unlisted space by longest prefix."""
    unlisted = _Mail.CLOSED
    if scope.hardening.source_validation is SourceValidation.OFF:
        unlisted = _Mail.READABLE if scope.hardening.block_unreadable_tcp else _Mail.EXEMPT
    for version in VERSIONS:
        bound = scope.bound_anywhere(version)
        space = overlay(scope.space[version], bound, _only_on_its_line, Space.UNLISTED)
        mail = {
            prefix: {Space.STATIC: _Mail.EXEMPT, Space.UNLISTED: unlisted}.get(label, _Mail.CLOSED)
            for prefix, label in space.items()
        }
        for prefix, label in minimal_table(version, mail, unlisted).items():
            yield from _sources_of(scope, permit, prefix, label)
    yield rule_of(Table.EGRESS_SMTP, EgressSmtp.OTHERWISE, *scope.block)


def _sources_of(scope: Scope, permit: Action, prefix: Prefix, label: _Mail) -> Iterator[FlowRule]:
    table, priority, match = Table.EGRESS_SMTP, EgressSmtp.SOURCE + 2 * prefix.length, source(prefix)
    if label is _Mail.EXEMPT:
        yield rule_of(table, priority, Role.STATIC, permit, *match)
        return
    if prefix.length > 0:
        yield rule_of(table, priority, *scope.block, *match)
    if label is _Mail.READABLE:
        read = (*match, *tcp_to(prefix.version, SMTP))
        yield rule_of(table, priority + 1, Role.FORWARD, permit, *read)


def _only_on_its_line(label: Space) -> Space:
    return Space.BOUND if label is Space.STATIC else label
