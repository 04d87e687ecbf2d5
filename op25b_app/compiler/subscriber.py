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
        yield from rules_of(_bound_sources(context))
        yield from _claims(context)
    yield from rules_of(_bound_static_sources(context))
    for exception in context.exceptions:
        line = exception.source
        if isinstance(line, SubscriberPort) and line.switch == context.switch.name:
            for match in line_match(line.port, line.vlan):
                yield from exception_rules(context, exception, match, None)


def _bound_sources(context: SwitchContext) -> Iterator[RuleBatch]:
    table, at, what = Table.EGRESS_SOURCE, EgressSource.SOURCE, (RuleRole.SOURCE, context.forward)
    for binding in known_bindings(context.switch):
        for version in VERSIONS:
            keys = cover(version, keys_of(version, prefixes_of(binding.addresses)))
            for match in _matches(binding):
                yield batch(table, at, what, version, "src", keys, match)


def _claims(context: SwitchContext) -> Iterator[FlowRule]:
    """Yield the rules that let a line claim, by ARP or neighbour advertisement, only what is bound to it.

    An advertisement from an address of its own still has its source validated.
    """
    block, claim = Egress.CLAIM, Egress.PERMITTED_CLAIM
    advertisement = icmpv6(NEIGHBOUR_ADVERTISEMENT)
    yield rule_of(Table.EGRESS, block, *context.block, *ARP)
    yield service(context, claim, arp_sender(UNSPECIFIED[4]))
    yield rule_of(Table.EGRESS, block, *context.block, *advertisement)
    targets: list[Fields] = [claimed(LINK_LOCAL[6])]
    for binding in known_bindings(context.switch):
        bound, matches = prefixes_of(binding.addresses), _matches(binding)
        for match, prefix in itertools.product(matches, minimal_cover(4, bound)):
            sender = (*arp_sender_mac(binding.mac), *arp_sender(prefix))
            yield service(context, claim, (*match, *sender))
        covered = minimal_cover(6, bound)
        targets += [(*match, *claimed(prefix)) for match, prefix in itertools.product(matches, covered)]
    for target in targets:
        match = (*advertisement, *target)
        yield rule_of(Table.EGRESS, claim, RuleRole.SERVICE, permitted(context), *match)
        for prefix in (LINK_LOCAL[6], UNSPECIFIED[6]):
            yield service(context, claim + 1, (*match, *source(prefix)))


def _matches(binding: Binding) -> list[Fields]:
    return [(*match, *eth_source(binding.mac)) for match in line_match(binding.port, binding.vlan)]


def _bound_static_sources(context: SwitchContext) -> Iterator[RuleBatch]:
    """Yield the batches that exempt static addresses on the line to which they are bound."""
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
