"""Rules of the egress tables that all lines of a switch share."""

from __future__ import annotations

from collections.abc import Iterator

from op25b_app.compiler.address_labels import CLOSED, EXEMPT, READABLE, VERSIONS, prefixes_of
from op25b_app.compiler.matches import (
    ARP,
    IP,
    Fields,
    destination,
    eth_destination,
    icmpv6,
    ip_protocol,
    source,
    tcp_to,
    udp_from,
    udp_to,
)
from op25b_app.compiler.pipeline import (
    DHCP_CLIENT,
    DHCP_SERVER,
    DHCPV6_AGENTS,
    DHCPV6_AGENTS_MAC,
    IP_IGMP,
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
from op25b_app.compiler.rule_factory import RuleBatch, batch, longest_match_batches, rule_of
from op25b_app.compiler.switch_context import SwitchContext, same_version
from op25b_app.net.prefix import Prefix
from op25b_app.net.prefix_cover import minimal_cover
from op25b_app.openflow.flow_rule import Action, FieldValue, FlowRule, Goto, RuleRole
from op25b_app.policy.model import MailException, SourceValidation, SubscriberPort

LINK_LOCAL = {4: Prefix.parse("169.254.0.0/16"), 6: Prefix.parse("fe80::/10")}
UNSPECIFIED = {4: Prefix.parse("0.0.0.0/32"), 6: Prefix.parse("::/128")}


def egress_rules(context: SwitchContext) -> Iterator[FlowRule]:
    """Yield the rules that do not grow with the addresses: ports, tunnels, services, each table's last."""
    validation = context.hardening.source_validation
    if validation.of_every_packet:
        yield rule_of(Table.EGRESS_SOURCE, EgressSource.OTHERWISE, *context.block)
        yield from _services(context)
        if validation is SourceValidation.PREFIX:
            yield service(context, Egress.SERVICE, ARP)
    yield from _ports(context)
    yield from _tunnels(context)
    yield rule_of(Table.EGRESS_SMTP, EgressSmtp.OTHERWISE, *context.block)


def egress_batches(context: SwitchContext) -> Iterator[RuleBatch]:
    """Yield the batches for addresses: mail destinations, and static, dynamic and unlisted space."""
    yield from _mail_destinations(context)
    yield from _mail_sources(context)


def source_batches(context: SwitchContext) -> Iterator[RuleBatch]:
    """Yield the batches that permit own space, or its part behind this switch, if validation is by prefix."""
    if context.hardening.source_validation is not SourceValidation.PREFIX:
        return
    what = (RuleRole.SOURCE, context.forward), context.block
    for version in VERSIONS:
        table = context.addresses.is_behind(context.served, version)
        yield from longest_match_batches(
            Table.EGRESS_SOURCE, EgressSource.SOURCE, what, version, "src", table
        )


def egress_exceptions(context: SwitchContext) -> Iterator[FlowRule]:
    """Yield the rules of exceptions for addresses; ``line_rules`` has those for lines."""
    for exception in context.exceptions:
        if not isinstance(exception.source, SubscriberPort):
            yield from exception_rules(context, exception, source(exception.source), exception.source)


def exception_rules(
    context: SwitchContext, exception: MailException, sender: Fields, address: Prefix | None
) -> Iterator[FlowRule]:
    """Yield the rules of an exception; ``sender`` is its match, ``address`` its prefix if known."""
    for peer in context.destinations(exception):
        if not same_version(address, peer):
            continue
        known = {prefix.version for prefix in (address, peer) if prefix is not None}
        for version in known or VERSIONS:
            fields = (*sender, *destination(peer), *_readable(context, version))
            yield context.exception_rule(
                Table.EGRESS_SMTP, EgressSmtp.EXCEPTION, permitted(context), exception, fields
            )


def permitted(context: SwitchContext) -> Action:
    """Return the action of a permit: forward, or the table of sources where every packet is validated."""
    if context.hardening.source_validation.of_every_packet:
        return Goto(Table.EGRESS_SOURCE)
    return context.forward


def _ports(context: SwitchContext) -> Iterator[FlowRule]:
    table, hardening, permit = Table.EGRESS, context.hardening, permitted(context)
    otherwise = context.block if hardening.block_encapsulation else (RuleRole.FORWARD, context.forward)
    yield rule_of(table, Egress.OTHERWISE, *otherwise)
    if hardening.block_encapsulation or hardening.source_validation.of_every_packet:
        for version in VERSIONS:
            yield rule_of(table, Egress.ETHERTYPE, RuleRole.FORWARD, permit, *IP[version])
    if hardening.block_encapsulation:
        others = [(FieldValue("eth_type", ethertype),) for ethertype in sorted(hardening.ethertypes)]
        for ethertype in (ARP, *others):
            yield rule_of(table, Egress.ETHERTYPE, RuleRole.FORWARD, context.forward, *ethertype)
    for version in VERSIONS:
        yield _to_smtp_table(Egress.SMTP, tcp_to(version, SMTP))
        for port in SUBMISSION_PORTS:
            yield rule_of(table, Egress.SUBMISSION, RuleRole.SUBMISSION, permit, *tcp_to(version, port))
        if hardening.block_unreadable_tcp:
            yield _to_smtp_table(Egress.UNREADABLE, tcp_to(version, UNREAD_PORT))
            for protocol in UNREAD_PROTOCOLS[version]:
                yield _to_smtp_table(Egress.UNREADABLE, ip_protocol(version, protocol))


def _to_smtp_table(priority: int, fields: Fields) -> FlowRule:
    """Return a rule that hands on mail, or possible mail: only the next table knows static space."""
    return rule_of(Table.EGRESS, priority, RuleRole.SELECT, Goto(Table.EGRESS_SMTP), *fields)


def _tunnels(context: SwitchContext) -> Iterator[FlowRule]:
    """Yield the rules for tunnels by IP protocol and UDP port, and for their permitted destinations.

    They do not overlap the services of a line: the loader refuses the ports of DHCP.
    """
    tunnels, permit = context.hardening.tunnels, permitted(context)
    for version in VERSIONS:
        ends = minimal_cover(version, prefixes_of(tunnels.permit_to))
        blocked = [ip_protocol(version, protocol) for protocol in TUNNEL_PROTOCOLS if tunnels.block]
        blocked += [udp_to(version, port) for port in sorted(tunnels.udp_ports)]
        for match in blocked:
            yield rule_of(Table.EGRESS, Egress.TUNNEL, *context.block, *match)
            for prefix in ends:
                fields = (*match, *destination(prefix))
                yield rule_of(Table.EGRESS, Egress.PERMITTED_TUNNEL, RuleRole.TUNNEL, permit, *fields)


def _services(context: SwitchContext) -> Iterator[FlowRule]:
    """Yield the rules for services before a line has an address; router and server messages are blocked."""
    table = Table.EGRESS
    yield rule_of(table, Egress.SERVICE_ANSWER, *context.block, *icmpv6(ROUTER_ADVERTISEMENT))
    for version in VERSIONS:
        client, server = DHCP_CLIENT[version], DHCP_SERVER[version]
        yield rule_of(table, Egress.SERVICE_ANSWER, *context.block, *udp_to(version, client))
        requests = [(*udp_to(version, server), *udp_from(client))]
        if version == 4:
            requests.append(ip_protocol(4, IP_IGMP))
        else:
            requests += [icmpv6(kind) for kind in SERVICE_ICMPV6]
        for request in requests:
            for prefix in (LINK_LOCAL[version], UNSPECIFIED[version]):
                yield service(context, Egress.SERVICE, (*request, *source(prefix)))
    yield service(context, Egress.SERVICE, _relayed_request())


def _relayed_request() -> Fields:
    """Return the match of requests that a lightweight DHCPv6 relay agent on a line hands on.

    It includes the Ethernet address, which NORMAL reads in any case. So no other packet is matched on its
    IPv6 destination, which would cost a megaflow for each of them.
    """
    ports = (*udp_to(6, DHCP_SERVER[6]), *udp_from(DHCP_SERVER[6]))
    ends = (*source(LINK_LOCAL[6]), *destination(DHCPV6_AGENTS))
    return *ports, *ends, *eth_destination(DHCPV6_AGENTS_MAC)


def service(context: SwitchContext, priority: int, fields: Fields) -> FlowRule:
    """Return a rule of the egress table that forwards a service of lines."""
    return rule_of(Table.EGRESS, priority, RuleRole.SERVICE, context.forward, *fields)


def _mail_destinations(context: SwitchContext) -> Iterator[RuleBatch]:
    what = RuleRole.MAIL_DESTINATION, permitted(context)
    for version in VERSIONS:
        keys, asked = context.addresses.mail[version], _readable(context, version)
        yield batch(Table.EGRESS_SMTP, EgressSmtp.MAIL_DESTINATION, what, version, "dst", keys, asked)


def _readable(context: SwitchContext, version: int) -> Fields:
    """Return the match of TCP port 25 where unreadable TCP comes to the same table; else no fields."""
    return tcp_to(version, SMTP) if context.hardening.block_unreadable_tcp else ()


def _mail_sources(context: SwitchContext) -> Iterator[RuleBatch]:
    """Yield the batches for static, dynamic and unlisted space by longest prefix.

    Unreadable TCP from unlisted space is blocked by the rule around that space. It needs a rule of its own
    only within static space.
    """
    table, at, permit = Table.EGRESS_SMTP, EgressSmtp.SOURCE, permitted(context)
    for version in VERSIONS:
        smallest = context.addresses.may_send_mail(version)
        entries = smallest.entries
        exempt, readable = entries.get(EXEMPT, []), entries.get(READABLE, [])
        exposed = smallest.directly_within(READABLE, EXEMPT) if readable else ()
        blocked = [key for key in (*entries.get(CLOSED, ()), *exposed) if key]
        read = tcp_to(version, SMTP)
        yield batch(table, at, context.block, version, "src", blocked, step=2)
        yield batch(table, at, (RuleRole.STATIC, permit), version, "src", exempt, step=2)
        yield batch(table, at + 1, (RuleRole.FORWARD, permit), version, "src", readable, read, step=2)
