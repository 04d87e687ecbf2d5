"""The tables of what comes from uplinks."""

from __future__ import annotations

from collections.abc import Iterator

from op25b_app.policy.model import Line, SourceValidation
from op25b_app.policy.prefix import Prefix
from op25b_app.rules.flow import Action, FlowRule, Goto, Match, Role
from op25b_app.rules.matches import ARP, IP, destination, source, tcp_from, tcp_to
from op25b_app.rules.pipeline import SMTP, Ingress, IngressAddresses, Table
from op25b_app.rules.prefixes import minimal_cover, of_version, overlay
from op25b_app.rules.scope import VERSIONS, Scope, Space, longest_match_rules, rule_of, same_version


def ingress_rules(scope: Scope) -> Iterator[FlowRule]:
    """The port, then for port 25 the addresses."""
    yield from _ports(scope)
    yield from _replies(scope)
    yield from _smtp(scope)


def _ports(scope: Scope) -> Iterator[FlowRule]:
    table = Table.INGRESS
    if scope.hardening.block_encapsulation:
        yield rule_of(table, Ingress.OTHERWISE, *scope.block)
        for ethertype in (IP[4], IP[6], ARP):
            yield rule_of(table, Ingress.ETHERTYPE, Role.FORWARD, scope.forward, *ethertype)
    else:
        yield rule_of(table, Ingress.OTHERWISE, Role.FORWARD, scope.forward)
    if scope.hardening.source_validation.of_every_packet:
        yield from _own_sources_of_any_packet(scope)


def _own_sources_of_any_packet(scope: Scope) -> Iterator[FlowRule]:
    for version in VERSIONS:
        own = dict.fromkeys(of_version(scope.own, version), True)
        without_mail = overlay(own, of_version(scope.mail, version), lambda _: False, False)
        what = scope.block, (Role.SOURCE, scope.forward)
        yield from longest_match_rules(Table.INGRESS, Ingress.SOURCE, version, without_mail, what, source)


def _replies(scope: Scope) -> Iterator[FlowRule]:
    """From port 25: the return leg of the triangle is blocked."""
    inbound, table, at = scope.policy.inbound, Table.INGRESS_REPLIES, IngressAddresses
    own = _own_sources(scope)
    if not (own or inbound.block_spoofed_replies):
        return
    permit: Action = Goto(Table.INGRESS_SMTP) if inbound.block_port_25 else scope.forward
    for version in VERSIONS:
        match = tcp_from(version, SMTP)
        yield rule_of(Table.INGRESS, Ingress.FROM_SMTP, Role.SELECT, Goto(table), *match)
        for prefix in minimal_cover(version, scope.mail):
            yield rule_of(table, at.MAIL_SOURCE, Role.MAIL_DESTINATION, permit, *source(prefix))
        for prefix in minimal_cover(version, own):
            yield rule_of(table, at.OWN_SOURCE, *scope.block, *source(prefix))
    if inbound.block_spoofed_replies:
        yield from _replies_to_exceptions(scope, permit)
        for version in VERSIONS:
            yield from _into_dynamic(scope, table, version, permit, ())
    yield rule_of(table, at.OTHERWISE, Role.FORWARD, permit)


def _replies_to_exceptions(scope: Scope, permit: Action) -> Iterator[FlowRule]:
    """The way back. A line is known by what is bound to it; without bindings it may be anybody."""
    table, priority = Table.INGRESS_REPLIES, IngressAddresses.EXCEPTION
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
                    yield scope.exception_rule(table, priority, permit, exception, fields)


def _smtp(scope: Scope) -> Iterator[FlowRule]:
    """To port 25: no source of our own, and into dynamic space only if the policy says so."""
    table, at, closed = Table.INGRESS_SMTP, IngressAddresses, scope.policy.inbound.block_port_25
    own = _own_sources(scope)
    checked_before = not own or scope.hardening.source_validation.of_every_packet
    if checked_before and not closed:
        return
    for version in VERSIONS:
        match = tcp_to(version, SMTP)
        yield rule_of(Table.INGRESS, Ingress.TO_SMTP, Role.SELECT, Goto(table), *match)
        if not closed:
            for prefix in minimal_cover(version, scope.mail):
                yield rule_of(table, at.MAIL_SOURCE, Role.MAIL_DESTINATION, scope.forward, *source(prefix))
        for prefix in minimal_cover(version, own, scope.mail if closed else ()):
            yield rule_of(table, at.OWN_SOURCE, *scope.block, *source(prefix))
        if closed:
            yield from _into_dynamic(scope, table, version, scope.forward, match)
    yield rule_of(table, at.OTHERWISE, Role.FORWARD, scope.forward)


def _into_dynamic(
    scope: Scope, table: Table, version: int, permit: Action, match: Match
) -> Iterator[FlowRule]:
    """Blocks what goes to dynamic space by longest prefix; ``match`` comes on top."""
    dynamic = {prefix: label is Space.DYNAMIC for prefix, label in scope.space[version].items()}
    what = scope.block, (Role.FORWARD, permit)

    def fields_of(prefix: Prefix) -> Match:
        return *match, *destination(prefix)

    yield from longest_match_rules(table, IngressAddresses.DESTINATION, version, dynamic, what, fields_of)


def _own_sources(scope: Scope) -> list[Prefix]:
    """Own space, from which no uplink may send mail; empty where sources are not validated."""
    return [] if scope.hardening.source_validation is SourceValidation.OFF else scope.own
