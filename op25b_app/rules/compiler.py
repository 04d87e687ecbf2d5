"""From a policy to the flow rules of one switch at one moment."""

from __future__ import annotations

from collections.abc import Iterator

from op25b_app.policy.model import Policy, Switch
from op25b_app.rules.egress import egress_rules
from op25b_app.rules.flow import Action, FlowRule, Goto, Match, Role
from op25b_app.rules.ingress import ingress_rules
from op25b_app.rules.matches import in_port, tagged
from op25b_app.rules.pipeline import Admit, Table
from op25b_app.rules.scope import Scope, rule_of


def compile_rules(policy: Policy, switch: Switch, at: float) -> tuple[FlowRule, ...]:
    """The rules that make ``switch`` do what ``decide`` says, for exceptions in force ``at`` a moment.

    ``at`` is in seconds since 1970. The order is safe to load front to back: a rule leads only to
    tables that come before it, and in a table blocks come before permits.
    """
    scope = Scope(policy, switch, at)
    rules = [*egress_rules(scope), *_admit_rules(scope)]
    if switch.uplink_ports:
        rules = [*ingress_rules(scope), *rules]
    by_key: dict[tuple[int, int, Match], FlowRule] = {}
    for rule in rules:
        other = by_key.get(rule.key)
        if other is None or _outlives(rule, other):
            by_key[rule.key] = rule
    return tuple(sorted(by_key.values(), key=lambda rule: (-rule.table, rule.role not in _BLOCKS)))


_BLOCKS = (Role.BLOCK, Role.WOULD_BLOCK)


def _outlives(rule: FlowRule, other: FlowRule) -> bool:
    return other.hard_timeout != 0 and (rule.hard_timeout == 0 or rule.hard_timeout > other.hard_timeout)


def _admit_rules(scope: Scope) -> Iterator[FlowRule]:
    """Table 0: the direction, from the role of the port, and whether it may carry the frame's tag.

    A port without a rule of its own is a subscriber port.
    """
    switch, closed = scope.switch, scope.hardening.block_encapsulation
    for port in sorted(switch.trusted_ports):
        yield _admit(Admit.PORT, scope.forward, in_port(port))
    for port in sorted(switch.uplink_ports - (switch.vlans.keys() if closed else set())):
        yield _admit(Admit.PORT, Goto(Table.INGRESS), in_port(port))
    if not closed:
        yield _admit(Admit.ANY_PORT, Goto(Table.EGRESS))
        return
    for port, vlans in sorted(switch.vlans.items()):
        if port in switch.trusted_ports:
            continue
        onward = Goto(Table.INGRESS if port in switch.uplink_ports else Table.EGRESS)
        for vlan in vlans:
            yield _admit(Admit.PORT, onward, (*in_port(port), *tagged(vlan)))
        yield rule_of(Table.ADMIT, Admit.OTHER_TAG_OF_PORT, *scope.block, *in_port(port))
    yield _admit(Admit.ANY_PORT, Goto(Table.EGRESS), tagged(None))
    yield rule_of(Table.ADMIT, Admit.OTHER_TAG, *scope.block)


def _admit(priority: int, action: Action, fields: Match = ()) -> FlowRule:
    return rule_of(Table.ADMIT, priority, Role.PORT, action, *fields)
