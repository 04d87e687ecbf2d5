"""Rules of the ingress tables, for frames from uplinks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from op25b_app.compiler.address_labels import VERSIONS
from op25b_app.compiler.matches import ARP, IP, Fields, destination, source, tcp_from, tcp_to
from op25b_app.compiler.pipeline import SMTP, Ingress, IngressAddresses, Table
from op25b_app.compiler.rule_factory import RuleBatch, batch, longest_match_batches, rule_of
from op25b_app.compiler.switch_context import Scope, same_version
from op25b_app.net.prefix import Prefix
from op25b_app.openflow.flow_rule import Action, FlowRule, Goto, Match, Role
from op25b_app.policy.model import Line, SourceValidation


def ingress_rules(scope: Scope) -> Iterator[FlowRule]:
    """Yield the rules that do not grow with the addresses: ports, and each table's last rule."""
    table = Table.INGRESS
    if scope.hardening.block_encapsulation:
        yield rule_of(table, Ingress.OTHERWISE, *scope.block)
        for ethertype in (IP[4], IP[6], ARP):
            yield rule_of(table, Ingress.ETHERTYPE, Role.FORWARD, scope.forward, *ethertype)
    else:
        yield rule_of(table, Ingress.OTHERWISE, Role.FORWARD, scope.forward)
    if _asks_replies(scope):
        yield from _to_table(Table.INGRESS_REPLIES, Ingress.FROM_SMTP, tcp_from)
        yield rule_of(Table.INGRESS_REPLIES, IngressAddresses.OTHERWISE, Role.FORWARD, _after_replies(scope))
    if _asks_smtp(scope):
        yield from _to_table(Table.INGRESS_SMTP, Ingress.TO_SMTP, tcp_to)
        yield rule_of(Table.INGRESS_SMTP, IngressAddresses.OTHERWISE, Role.FORWARD, scope.forward)


def ingress_batches(scope: Scope) -> Iterator[RuleBatch]:
    """Yield the batches for addresses: own space, dynamic space and mail destinations."""
    for version in VERSIONS:
        if scope.hardening.source_validation.of_every_packet:
            what = scope.block, (Role.SOURCE, scope.forward)
            table = scope.addresses.is_own_but_not_mail(version)
            yield from longest_match_batches(Table.INGRESS, Ingress.SOURCE, what, version, "src", table)
        if _asks_replies(scope):
            yield from _replies(scope, version)
        if _asks_smtp(scope):
            yield from _smtp(scope, version)


def ingress_exceptions(scope: Scope) -> Iterator[FlowRule]:
    """Yield the rules for replies under exceptions.

    A line stands for the addresses bound to it; without bindings, for any address.
    """
    if not scope.policy.inbound.block_spoofed_replies:
        return
    table, at, permit = Table.INGRESS_REPLIES, IngressAddresses.EXCEPTION, _after_replies(scope)
    for exception in scope.exceptions:
        sources: list[Prefix | None]
        if isinstance(exception.source, Line):
            sources = [*scope.bound_to(exception.source)] or [None]
        else:
            sources = [exception.source]
        for line in sources:
            for peer in scope.destinations(exception):
                if same_version(line, peer):
                    fields = (*source(peer), *destination(line))
                    yield scope.exception_rule(table, at, permit, exception, fields)


def _replies(scope: Scope, version: int) -> Iterator[RuleBatch]:
    """Yield the batches for frames from port 25: the return leg of the triangle is blocked."""
    table, at, addresses = Table.INGRESS_REPLIES, IngressAddresses, scope.addresses
    permit = _after_replies(scope)
    mail = Role.MAIL_DESTINATION, permit
    yield batch(table, at.MAIL_SOURCE, mail, version, "src", addresses.mail[version])
    if _validates_own(scope):
        yield batch(table, at.OWN_SOURCE, scope.block, version, "src", addresses.own_cover[version])
    if scope.policy.inbound.block_spoofed_replies:
        yield from _into_dynamic(scope, table, version, permit, ())


def _smtp(scope: Scope, version: int) -> Iterator[RuleBatch]:
    """Yield the batches for frames to port 25: no own source, and into dynamic space as the policy says."""
    table, at, addresses = Table.INGRESS_SMTP, IngressAddresses, scope.addresses
    closed, own = scope.policy.inbound.block_port_25, addresses.own_cover
    if closed:
        own = addresses.own_cover_without_mail
        yield from _into_dynamic(scope, table, version, scope.forward, tcp_to(version, SMTP))
    else:
        mail = Role.MAIL_DESTINATION, scope.forward
        yield batch(table, at.MAIL_SOURCE, mail, version, "src", addresses.mail[version])
    if _validates_own(scope):
        yield batch(table, at.OWN_SOURCE, scope.block, version, "src", own[version])


def _into_dynamic(
    scope: Scope, table: Table, version: int, permit: Action, match: Match
) -> Iterator[RuleBatch]:
    """Yield the batches that block frames to dynamic space by longest prefix; they match ``match`` too."""
    what, dynamic = (scope.block, (Role.FORWARD, permit)), scope.addresses.is_dynamic(version)
    at = IngressAddresses.DESTINATION
    yield from longest_match_batches(table, at, what, version, "dst", dynamic, match)


def _validates_own(scope: Scope) -> bool:
    """Return whether no uplink may send mail from own space."""
    return scope.hardening.source_validation is not SourceValidation.OFF and scope.addresses.has_own


def _asks_replies(scope: Scope) -> bool:
    return _validates_own(scope) or scope.policy.inbound.block_spoofed_replies


def _asks_smtp(scope: Scope) -> bool:
    """Return whether port 25 needs its table; not for sources if those of all packets are validated."""
    asked_before = scope.hardening.source_validation.of_every_packet
    return scope.policy.inbound.block_port_25 or (_validates_own(scope) and not asked_before)


def _after_replies(scope: Scope) -> Action:
    """Return the action for a permitted reply, which may be to port 25 as well."""
    return Goto(Table.INGRESS_SMTP) if scope.policy.inbound.block_port_25 else scope.forward


def _to_table(table: Table, priority: int, tcp: Callable[[int, int], Fields]) -> Iterator[FlowRule]:
    for version in VERSIONS:
        yield rule_of(Table.INGRESS, priority, Role.SELECT, Goto(table), *tcp(version, SMTP))
