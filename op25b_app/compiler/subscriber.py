"""Rules of single lines: bound addresses, and exceptions for a line."""

from __future__ import annotations

from collections.abc import Iterator

from op25b_app.compiler.address_labels import VERSIONS, prefixes_of
from op25b_app.compiler.egress import LINK_LOCAL, UNSPECIFIED, exception_rules, permitted, service
from op25b_app.compiler.matches import (
    ARP,
    Fields,
    arp_sender,
    arp_sender_mac,
    claimed,
    eth_source,
    icmpv6,
    in_port,
    source,
)
from op25b_app.compiler.pipeline import NEIGHBOUR_ADVERTISEMENT, Egress, EgressSmtp, EgressSource, Table
from op25b_app.compiler.rule_factory import RuleBatch, batch, rule_of, rules_of
from op25b_app.compiler.switch_context import Scope, bound_by_port
from op25b_app.net.prefix_cover import minimal_cover
from op25b_app.net.prefix_set import Key, PrefixTable, cover, keys_of
from op25b_app.openflow.flow_rule import FlowRule, Role
from op25b_app.policy.address_space import Space
from op25b_app.policy.model import Binding, Line, SourceValidation


def line_rules(scope: Scope) -> Iterator[FlowRule]:
    """Yield the rules of single lines of the switch."""
    if scope.hardening.source_validation is SourceValidation.BINDING:
        yield from rules_of(_bound_sources(scope))
        yield from _claims(scope)
    yield from rules_of(_bound_static_sources(scope))
    for exception in scope.exceptions:
        line = exception.source
        if isinstance(line, Line) and line.switch == scope.switch.name:
            yield from exception_rules(scope, exception, in_port(line.port), None)


def _bound_sources(scope: Scope) -> Iterator[RuleBatch]:
    table, at, what = Table.EGRESS_SOURCE, EgressSource.SOURCE, (Role.SOURCE, scope.forward)
    for binding in scope.switch.bindings:
        for version in VERSIONS:
            keys = cover(version, keys_of(version, prefixes_of(binding.addresses)))
            yield batch(table, at, what, version, "src", keys, _line(binding))


def _claims(scope: Scope) -> Iterator[FlowRule]:
    """Yield the rules that let a line claim, by ARP or neighbour advertisement, only what is bound to it.

    An advertisement from an address of its own still has its source validated.
    """
    block, claim = Egress.CLAIM, Egress.PERMITTED_CLAIM
    advertisement = icmpv6(NEIGHBOUR_ADVERTISEMENT)
    yield rule_of(Table.EGRESS, block, *scope.block, *ARP)
    yield service(scope, claim, arp_sender(UNSPECIFIED[4]))
    yield rule_of(Table.EGRESS, block, *scope.block, *advertisement)
    targets: list[Fields] = [claimed(LINK_LOCAL[6])]
    for binding in scope.switch.bindings:
        bound = prefixes_of(binding.addresses)
        for prefix in minimal_cover(4, bound):
            sender = (*arp_sender_mac(binding.mac), *arp_sender(prefix))
            yield service(scope, claim, (*_line(binding), *sender))
        targets += [(*_line(binding), *claimed(prefix)) for prefix in minimal_cover(6, bound)]
    for target in targets:
        match = (*advertisement, *target)
        yield rule_of(Table.EGRESS, claim, Role.SERVICE, permitted(scope), *match)
        for prefix in (LINK_LOCAL[6], UNSPECIFIED[6]):
            yield service(scope, claim + 1, (*match, *source(prefix)))


def _line(binding: Binding) -> Fields:
    return *in_port(binding.port), *eth_source(binding.mac)


def _bound_static_sources(scope: Scope) -> Iterator[RuleBatch]:
    """Yield the batches that exempt static addresses on the line to which they are bound."""
    table, at, what = Table.EGRESS_SMTP, EgressSmtp.BOUND_SOURCE, (Role.STATIC, permitted(scope))
    for version in VERSIONS:
        space = scope.addresses.space[version]
        for port, bound in bound_by_port(scope.switch, version).items():
            here: dict[Key, Space] = {}
            for key in keys_of(version, bound):
                here[key] = space.label(key)
                here.update((inner, space.labels[inner]) for inner in space.inside(key))
            static = PrefixTable(version, here, Space.UNLISTED).cover_of(Space.STATIC)
            yield batch(table, at, what, version, "src", static, in_port(port))
