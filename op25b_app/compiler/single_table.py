"""Compile a policy to the rules of a single table, for switches that have no more.

The rules are those of the pipeline, composed: the match of a rule is joined to the matches that lead to its
table. Joining multiplies the rules. To keep their number a sum, three things differ from several tables.

- A source that is exempt from all that leads to the table of addresses (mail, unreadable TCP) has one rule
  that permits it.
- Under ``source_validation: prefix``, foreign sources are blocked before that, as the gaps between the
  prefixes behind the switch.
- A frame with a tag that its line may not carry is blocked first, as the gaps between tags.

Ports still multiply: each uplink, and each line that may carry tags, has a copy of its rules.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from op25b_app.compiler.address_labels import VERSIONS, prefixes_of
from op25b_app.compiler.egress import egress_batches, egress_exceptions, egress_rules
from op25b_app.compiler.ingress import ingress_batches, ingress_exceptions, ingress_rules
from op25b_app.compiler.matches import IP, in_port, source, tagged
from op25b_app.compiler.pipeline import SMTP, Egress, EgressSmtp, Table
from op25b_app.compiler.rule_factory import rule_of, rules_of
from op25b_app.compiler.subscriber import line_rules
from op25b_app.compiler.switch_context import SwitchContext
from op25b_app.net.prefix import Prefix
from op25b_app.net.prefix_cover import minimal_cover, minimal_table
from op25b_app.net.prefix_set import prefix_of
from op25b_app.openflow.fields import VLAN_PRESENT
from op25b_app.openflow.flow_rule import NORMAL, FieldValue, FlowRule, Goto, Match, RuleRole
from op25b_app.policy.address_space import Space
from op25b_app.policy.diagnostic import Diagnostic, error
from op25b_app.policy.model import Policy, SourceValidation, Switch

MAX_EXTRA_RULES = 1 << 14
"""Maximum number of rules that one part of a policy may need beyond those of several tables."""

_TABLE = 0
_BLOCKS = (RuleRole.BLOCK, RuleRole.WOULD_BLOCK)

# Added to the priorities of the pipeline's tables, all below 1000, so that in one table they lie above each
# other. The lowest sum is 10: other applications use 0 and 1.
_ADDRESSES = 1000
_BEFORE_ADDRESSES = 2000
_FOREIGN_SOURCE = _BEFORE_ADDRESSES + (Egress.PERMITTED_TUNNEL + Egress.SERVICE) // 2
_TAG = 4000
_PORT = 10000
"""Uplinks, trusted ports and lines with tags: above the rules that all other ports share."""

_Tags = Mapping[int, frozenset[int | None]]
"""Tags that a port may carry, by port; None for no tag."""


class CannotExpressError(Exception):
    """Error for a policy that one table cannot express; ``problems`` say what to write instead."""

    def __init__(self, problems: Iterable[Diagnostic]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def compile_single_table(policy: Policy, switch: Switch, at: float) -> tuple[FlowRule, ...]:
    """Return the rules, all in table 0, that make ``switch`` do what ``decide`` says at a moment.

    ``at`` is in seconds since 1970. The order is safe to load front to back: all blocks come before the first
    permit, the general before the special. Raises CannotExpressError, with all problems, where one table
    cannot express the policy, or only with too many rules.
    """
    context = SwitchContext(policy, switch, at)
    tags = _tags_by_port(context)
    foreign = [*_foreign_sources(context)]
    subscriber = [*foreign, *_subscriber_rules(context)]
    uplink = [*_uplink_rules(context)] if switch.uplink_ports else []
    problems = [
        *_beyond_one_table(context),
        *_too_many_rules(context, len(foreign), len(subscriber), len(uplink), _lines_with_tags(switch, tags)),
    ]
    if problems:
        raise CannotExpressError(problems)
    rules = [
        *_at_other_ports(context, tags, subscriber),
        *(
            rule_of(_TABLE, _PORT, RuleRole.PORT, NORMAL, *in_port(port))
            for port in sorted(switch.trusted_ports)
        ),
        *(rule for port in sorted(switch.uplink_ports) for rule in _at_port(port, uplink)),
        *(rule for port in sorted(tags) for rule in _at_port(port, _other_tags(context, tags[port]))),
        *(rule for port in _lines_with_tags(switch, tags) for rule in _at_port(port, subscriber)),
    ]
    by_key = {rule.key: rule for rule in sorted(rules, key=lambda rule: rule.hard_timeout or math.inf)}
    return tuple(sorted(by_key.values(), key=lambda rule: (rule.role not in _BLOCKS, rule.priority)))


def _beyond_one_table(context: SwitchContext) -> Iterator[Diagnostic]:
    switch, hardening = context.switch, context.hardening
    if switch.forwarding_table is not None:
        yield error(
            switch.place,
            f"forwarding of {switch.name} hands over to table {switch.forwarding_table}, and a switch with "
            "one table has none to hand over to; write forwarding: normal",
        )
    if hardening.source_validation is SourceValidation.BINDING:
        yield error(
            hardening.source_validation_place,
            "source_validation: binding asks everything once more for each line, which is too much for the "
            f"one table of {switch.name}; write prefix or port-25",
        )


def _too_many_rules(
    context: SwitchContext, foreign: int, subscriber: int, uplink: int, lines_with_tags: Sequence[int]
) -> Iterator[Diagnostic]:
    switch, uplinks, lines = context.switch, len(context.switch.uplink_ports), len(lines_with_tags)
    costs = (
        (
            uplink * (uplinks - 1),
            switch.place,
            f"each of the {uplinks} uplink_ports of {switch.name} needs {uplink} rules of its own",
            "join them to one port (link aggregation)",
        ),
        (
            subscriber * lines,
            switch.place,
            f"each of the {lines} lines that may carry tags by the vlans of {switch.name} needs {subscriber} "
            "rules of its own",
            "take the tags off before they come to this switch",
        ),
        (
            foreign,
            context.hardening.source_validation_place,
            f"source_validation: prefix needs {foreign} rules on {switch.name} for the gaps between prefixes",
            "write port-25",
        ),
    )
    for extra, place, what, instead in costs:
        if extra > MAX_EXTRA_RULES:
            yield error(
                place,
                f"in one table {what}, {extra} more than in several, where {MAX_EXTRA_RULES} are the limit; "
                f"{instead}, or use a switch with several tables",
            )


def _tags_by_port(context: SwitchContext) -> _Tags:
    """Return the ports whose tags the policy names and that differ from all other lines."""
    if not context.hardening.block_encapsulation:
        return {}
    switch = context.switch
    return {
        port: tags
        for port, tags in switch.vlans.items()
        if port not in switch.trusted_ports and (port in switch.uplink_ports or tags != {None})
    }


def _lines_with_tags(switch: Switch, tags: _Tags) -> list[int]:
    """Return the lines of ``tags`` that may carry any frame, ascending; others need only a block."""
    return sorted(port for port, carried in tags.items() if carried and port not in switch.uplink_ports)


def _at_other_ports(
    context: SwitchContext, tags: _Tags, subscriber: Iterable[FlowRule]
) -> Iterator[FlowRule]:
    """Yield the rules of the ports that share them: subscriber ports, known or not, without a tag."""
    apart = {*context.switch.uplink_ports, *context.switch.trusted_ports, *tags}
    if context.hardening.block_encapsulation:
        yield from _other_tags(context, frozenset({None}))
    for rule in subscriber:
        if not any(field.name == "in_port" and field.value in apart for field in rule.match):
            yield rule


def _at_port(port: int, rules: Iterable[FlowRule]) -> Iterator[FlowRule]:
    for rule in rules:
        for match in _joined([in_port(port)], rule.match):
            yield _placed(rule, _PORT + rule.priority, match)


def _other_tags(context: SwitchContext, carried: frozenset[int | None]) -> Iterator[FlowRule]:
    """Yield blocks for all tags but ``carried``; numbers are covered like the ends of IPv4 addresses."""
    if None not in carried:
        yield rule_of(_TABLE, _TAG, *context.block, *tagged(None))
    numbers = [Prefix(4, number, 32) for number in carried if number is not None]
    for others in minimal_cover(4, [Prefix(4, 0, 20)], numbers):
        mask = None if others.length == 32 else VLAN_PRESENT | others.mask & 0xFFF
        field = FieldValue("vlan_vid", VLAN_PRESENT | others.network, mask)
        yield rule_of(_TABLE, _TAG, *context.block, field)


def _uplink_rules(context: SwitchContext) -> Iterator[FlowRule]:
    """Yield the rules of the uplink tables, stacked by priority.

    A packet both from and to port 25 must pass every check of several tables. Where mail from outside is
    blocked, the rules to port 25 check more than those from it and stand above them; otherwise below.
    """
    above = {
        Table.INGRESS: 0,
        Table.INGRESS_REPLIES: 2000,
        Table.INGRESS_SMTP: 3000 if context.policy.inbound.block_port_25 else 1000,
    }
    rules = [*ingress_rules(context), *rules_of(ingress_batches(context)), *ingress_exceptions(context)]
    entering = {Table.INGRESS: [()], **_entry_matches(rules)}
    for rule in rules:
        if rule.role is not RuleRole.SELECT:
            for match in _joined(entering[rule.table], rule.match):
                yield _placed(rule, above[Table(rule.table)] + rule.priority, match)


def _subscriber_rules(context: SwitchContext) -> Iterator[FlowRule]:
    """Yield the rules of subscribers: protocols and ports above addresses, the rest below them."""
    rules = [
        *egress_rules(context),
        *rules_of(egress_batches(context)),
        *egress_exceptions(context),
        *line_rules(context),
    ]
    entering = _entry_matches(rules)[Table.EGRESS_SMTP]
    for rule in rules:
        if rule.table == Table.EGRESS and rule.role is not RuleRole.SELECT:
            above = _BEFORE_ADDRESSES if rule.priority >= Egress.SUBMISSION else 0
            yield _placed(rule, above + rule.priority, rule.match)
        elif rule.table == Table.EGRESS_SMTP and rule.priority >= EgressSmtp.BOUND_SOURCE:
            exempt = rule.priority < EgressSmtp.EXCEPTION
            for match in [rule.match] if exempt else _joined(entering, rule.match):
                yield _placed(rule, _ADDRESSES + rule.priority, match)
    yield from _sources(context, entering)


class _Permits(NamedTuple):
    """Permissions of a source by itself: for mail, and for TCP whose port cannot be read."""

    mail: bool
    unreadable: bool


_EXEMPT = _Permits(True, True)


def _sources(context: SwitchContext, entering: Iterable[Match]) -> Iterator[FlowRule]:
    """Yield rules for sources by longest prefix, only where they differ from the next shorter prefix."""
    for version in VERSIONS:
        of_version = [entry for entry in entering if IP[version][0] in entry]
        mail = [entry for entry in of_version if FieldValue("tcp_dst", SMTP) in entry]
        unreadable = [entry for entry in of_version if entry not in mail]
        for prefix, permits, around in _with_surroundings(_permits_by_source(context, version)):
            priority, match = _ADDRESSES + EgressSmtp.SOURCE + prefix.length, source(prefix)
            if permits == _EXEMPT != around:
                yield rule_of(_TABLE, priority, RuleRole.STATIC, NORMAL, *match)
                continue
            for asked, permit, as_around in zip((mail, unreadable), permits, around, strict=True):
                what = (RuleRole.FORWARD, NORMAL) if permit else context.block
                for entry in asked if permit != as_around else ():
                    yield rule_of(_TABLE, priority, *what, *entry, *match)


def _permits_by_source(context: SwitchContext, version: int) -> Mapping[Prefix, _Permits]:
    closed = _Permits(mail=False, unreadable=not context.hardening.block_unreadable_tcp)
    unlisted = closed._replace(mail=context.hardening.source_validation is SourceValidation.OFF)
    says = {Space.STATIC: _EXEMPT, Space.UNLISTED: unlisted}
    spaces = context.addresses.space_by_line[version].labels
    permits = {prefix_of(version, key): says.get(space, closed) for key, space in spaces.items()}
    return minimal_table(version, permits, unlisted)


def _with_surroundings(table: Mapping[Prefix, _Permits]) -> Iterator[tuple[Prefix, _Permits, _Permits]]:
    """Yield each prefix, its label, and that of the longest prefix around it; outside, all is permitted."""
    around: list[Prefix] = []
    for prefix in sorted(table):
        while around and not around[-1].covers(prefix):
            around.pop()
        yield prefix, table[prefix], table[around[-1]] if around else _EXEMPT
        around.append(prefix)


def _foreign_sources(context: SwitchContext) -> Iterator[FlowRule]:
    """Yield blocks for every source outside own space, or not behind the switch."""
    if context.hardening.source_validation is not SourceValidation.PREFIX:
        return
    for version in VERSIONS:
        everything, served = [Prefix(version, 0, 0)], context.switch.serves
        foreign = minimal_cover(version, everything, context.addresses.own)
        if served is not None:
            foreign += minimal_cover(version, everything, prefixes_of(served))
        for prefix in minimal_cover(version, foreign):
            yield rule_of(_TABLE, _FOREIGN_SOURCE, *context.block, *source(prefix))


def _entry_matches(rules: Iterable[FlowRule]) -> Mapping[int, Sequence[Match]]:
    """Return the matches that lead to each table, by table."""
    entering: defaultdict[int, list[Match]] = defaultdict(list)
    for rule in rules:
        if rule.role is RuleRole.SELECT and isinstance(rule.action, Goto):
            entering[rule.action.table].append(rule.match)
    return entering


def _joined(entering: Iterable[Match], match: Match) -> Iterator[Match]:
    """Yield ``match`` joined to each of ``entering`` that has no other value for a common field."""
    asked = {field.name: field for field in match}
    for entry in entering:
        if all(asked.get(field.name, field) == field for field in entry):
            yield (*entry, *match)


def _placed(rule: FlowRule, priority: int, match: Match) -> FlowRule:
    """Return the rule for the single table, where NORMAL replaces a goto."""
    action = NORMAL if isinstance(rule.action, Goto) else rule.action
    placed = rule_of(_TABLE, priority, rule.role, action, *match)
    return placed._replace(hard_timeout=rule.hard_timeout)
