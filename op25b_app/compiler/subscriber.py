"""Rules of single lines: bound addresses, and exceptions for a line."""

from __future__ import annotations

import itertools
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
    source,
)
from op25b_app.compiler.matches import line as line_match
from op25b_app.compiler.pipeline import NEIGHBOUR_ADVERTISEMENT, Egress, EgressSmtp, EgressSource, Table
from op25b_app.compiler.rule_factory import RuleBatch, batch, rule_of, rules_of
from op25b_app.compiler.switch_context import SwitchContext, bound_by_line, known_bindings
from op25b_app.net.prefix_cover import minimal_cover
from op25b_app.net.prefix_set import Key, LpmTable, cover, keys_of
from op25b_app.openflow.flow_rule import FlowRule, RuleRole
from op25b_app.policy.address_space import Space
from op25b_app.policy.model import Binding, SourceValidation, SubscriberPort


def line_rules(context: SwitchContext) -> Iterator[FlowRule]:
    """Yield the rules of single lines of the switch."""
    if context.hardening.source_validation is SourceValidation.BINDING:
        yield from _claims(context)
        for binding in known_bindings(context.switch):
            yield from context.rules_of_binding(binding, _of_binding)
    yield from rules_of(_bound_static_sources(context))
    for exception in context.exceptions:
        line = exception.source
        if isinstance(line, SubscriberPort) and line.switch == context.switch.name:
            for match in line_match(line.port, line.vlan):
                yield from exception_rules(context, exception, match, None)


def _of_binding(context: SwitchContext, binding: Binding) -> Iterator[FlowRule]:
    """Yield the rules that let a line use, and claim, what is bound to it."""
    table, at, what = Table.EGRESS_SOURCE, EgressSource.SOURCE, (RuleRole.SOURCE, context.forward)
    bound, matches = prefixes_of(binding.addresses), _matches(binding)
    for version in VERSIONS:
        keys = cover(version, keys_of(version, bound))
        yield from rules_of(batch(table, at, what, version, "src", keys, match) for match in matches)
    for match, prefix in itertools.product(matches, minimal_cover(4, bound)):
        sender = (*arp_sender_mac(binding.mac), *arp_sender(prefix))
        yield service(context, Egress.PERMITTED_CLAIM, (*match, *sender))
    for match, prefix in itertools.product(matches, minimal_cover(6, bound)):
        yield from _advertised(context, (*match, *claimed(prefix)))


def _claims(context: SwitchContext) -> Iterator[FlowRule]:
    """Yield the rules that let no line claim an address by ARP or neighbour advertisement.

    Rules of bindings let each line claim its own. An advertisement from an address of its own still has its
    source validated.
    """
    yield rule_of(Table.EGRESS, Egress.CLAIM, *context.block, *ARP)
    yield service(context, Egress.PERMITTED_CLAIM, arp_sender(UNSPECIFIED[4]))
    yield rule_of(Table.EGRESS, Egress.CLAIM, *context.block, *icmpv6(NEIGHBOUR_ADVERTISEMENT))
    yield from _advertised(context, claimed(LINK_LOCAL[6]))


def _advertised(context: SwitchContext, target: Fields) -> Iterator[FlowRule]:
    """Yield the rules for neighbour advertisements of a target that a line may claim."""
    match = (*icmpv6(NEIGHBOUR_ADVERTISEMENT), *target)
    yield rule_of(Table.EGRESS, Egress.PERMITTED_CLAIM, RuleRole.SERVICE, permitted(context), *match)
    for prefix in (LINK_LOCAL[6], UNSPECIFIED[6]):
        yield service(context, Egress.PERMITTED_CLAIM + 1, (*match, *source(prefix)))


def _matches(binding: Binding) -> list[Fields]:
    return [(*match, *eth_source(binding.mac)) for match in line_match(binding.port, binding.vlan)]


def _bound_static_sources(context: SwitchContext) -> Iterator[RuleBatch]:
    """Yield the batches that exempt static addresses on the line to which they are bound."""
    if not context.policy.static:
        return
    table, at, what = Table.EGRESS_SMTP, EgressSmtp.BOUND_SOURCE, (RuleRole.STATIC, permitted(context))
    for version in VERSIONS:
        space = context.addresses.space[version]
        for line, bound in bound_by_line(context.switch, version).items():
            here: dict[Key, Space] = {}
            for key in keys_of(version, bound):
                here[key] = space.label(key)
                here.update((inner, space.labels[inner]) for inner in space.inside(key))
            static = LpmTable(version, here, Space.UNLISTED).cover_of(Space.STATIC)
            for match in line_match(*line):
                yield batch(table, at, what, version, "src", static, match)
