"""Rules of the ingress tables, for frames from uplinks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from op25b_app.compiler.address_labels import VERSIONS, prefixes_of
from op25b_app.compiler.matches import ARP, IP, Fields, destination, source, tcp_from, tcp_to
from op25b_app.compiler.pipeline import SMTP, Ingress, IngressAddresses, Table
from op25b_app.compiler.rule_factory import RuleBatch, batch, longest_match_batches, rule_of
from op25b_app.compiler.switch_context import SwitchContext, same_version
from op25b_app.net.prefix import Prefix
from op25b_app.openflow.flow_rule import Action, FlowRule, Goto, Match, RuleRole
from op25b_app.policy.model import SourceValidation, SubscriberPort


def ingress_rules(context: SwitchContext) -> Iterator[FlowRule]:
    """Yield the rules that do not grow with the addresses: ports, and each table's last rule."""
    table = Table.INGRESS
    if context.hardening.block_encapsulation:
        yield rule_of(table, Ingress.OTHERWISE, *context.block)
        for ethertype in (IP[4], IP[6], ARP):
            yield rule_of(table, Ingress.ETHERTYPE, RuleRole.FORWARD, context.forward, *ethertype)
    else:
        yield rule_of(table, Ingress.OTHERWISE, RuleRole.FORWARD, context.forward)
    if _asks_replies(context):
        yield from _to_table(Table.INGRESS_REPLIES, Ingress.FROM_SMTP, tcp_from)
        yield rule_of(
            Table.INGRESS_REPLIES, IngressAddresses.OTHERWISE, RuleRole.FORWARD, _after_replies(context)
        )
    if _asks_smtp(context):
        yield from _to_table(Table.INGRESS_SMTP, Ingress.TO_SMTP, tcp_to)
        yield rule_of(Table.INGRESS_SMTP, IngressAddresses.OTHERWISE, RuleRole.FORWARD, context.forward)


def ingress_batches(context: SwitchContext) -> Iterator[RuleBatch]:
    """Yield the batches for addresses: own space, dynamic space and mail destinations."""
    for version in VERSIONS:
        if context.hardening.source_validation.of_every_packet:
            what = context.block, (RuleRole.SOURCE, context.forward)
            table = context.addresses.is_own_but_not_mail(version)
            yield from longest_match_batches(Table.INGRESS, Ingress.SOURCE, what, version, "src", table)
        if _asks_replies(context):
            yield from _replies(context, version)
        if _asks_smtp(context):
            yield from _smtp(context, version)


def ingress_exceptions(context: SwitchContext) -> Iterator[FlowRule]:
    """Yield the rules for replies under exceptions.

    A line stands for the addresses bound to it; without bindings, for any address.
    """
    if not context.policy.inbound.block_spoofed_replies:
        return
    table, at, permit = Table.INGRESS_REPLIES, IngressAddresses.EXCEPTION, _after_replies(context)
    for exception in context.exceptions:
        sources: list[Prefix | None]
        if isinstance(exception.source, SubscriberPort):
            bound = prefixes_of(context.policy.bound_to(exception.source))
            sources = [*sorted(set(bound))] or [None]
        else:
            sources = [exception.source]
        for line in sources:
            for peer in context.destinations(exception):
                if same_version(line, peer):
                    fields = (*source(peer), *destination(line))
                    yield context.exception_rule(table, at, permit, exception, fields)


def _replies(context: SwitchContext, version: int) -> Iterator[RuleBatch]:
    """Yield the batches for frames from port 25: the return leg of the triangle is blocked."""
    table, at, addresses = Table.INGRESS_REPLIES, IngressAddresses, context.addresses
    permit = _after_replies(context)
    mail = RuleRole.MAIL_DESTINATION, permit
    yield batch(table, at.MAIL_SOURCE, mail, version, "src", addresses.mail[version])
    if _validates_own(context):
        yield batch(table, at.OWN_SOURCE, context.block, version, "src", addresses.own_cover[version])
    if context.policy.inbound.block_spoofed_replies:
        yield from _into_dynamic(context, table, version, permit, ())


def _smtp(context: SwitchContext, version: int) -> Iterator[RuleBatch]:
    """Yield the batches for frames to port 25: no own source, and into dynamic space as the policy says."""
    table, at, addresses = Table.INGRESS_SMTP, IngressAddresses, context.addresses
    closed, own = context.policy.inbound.block_port_25, addresses.own_cover
    if closed:
        own = addresses.own_cover_without_mail
        yield from _into_dynamic(context, table, version, context.forward, tcp_to(version, SMTP))
    else:
        mail = RuleRole.MAIL_DESTINATION, context.forward
        yield batch(table, at.MAIL_SOURCE, mail, version, "src", addresses.mail[version])
    if _validates_own(context):
        yield batch(table, at.OWN_SOURCE, context.block, version, "src", own[version])


def _into_dynamic(
    context: SwitchContext, table: Table, version: int, permit: Action, match: Match
) -> Iterator[RuleBatch]:
    """Yield the batches that block frames to dynamic space by longest prefix; they match ``match`` too."""
    what, dynamic = (context.block, (RuleRole.FORWARD, permit)), context.addresses.is_dynamic(version)
    at = IngressAddresses.DESTINATION
    yield from longest_match_batches(table, at, what, version, "dst", dynamic, match)


def _validates_own(context: SwitchContext) -> bool:
    """Return whether no uplink may send mail from own space."""
    return context.hardening.source_validation is not SourceValidation.OFF and context.addresses.has_own


def _asks_replies(context: SwitchContext) -> bool:
    return _validates_own(context) or context.policy.inbound.block_spoofed_replies


def _asks_smtp(context: SwitchContext) -> bool:
    """Return whether port 25 needs its table; not for sources if those of all packets are validated."""
    asked_before = context.hardening.source_validation.of_every_packet
    return context.policy.inbound.block_port_25 or (_validates_own(context) and not asked_before)


def _after_replies(context: SwitchContext) -> Action:
    """Return the action for a permitted reply, which may be to port 25 as well."""
    return Goto(Table.INGRESS_SMTP) if context.policy.inbound.block_port_25 else context.forward


def _to_table(table: Table, priority: int, tcp: Callable[[int, int], Fields]) -> Iterator[FlowRule]:
    for version in VERSIONS:
        yield rule_of(Table.INGRESS, priority, RuleRole.SELECT, Goto(table), *tcp(version, SMTP))
