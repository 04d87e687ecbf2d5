"""Rules of table 0: direction by the role of the port, and the tags that it may carry."""

from __future__ import annotations

from collections.abc import Iterator

from op25b_app.compiler.matches import in_port, tagged
from op25b_app.compiler.pipeline import Admit, Table
from op25b_app.compiler.rule_factory import rule_of
from op25b_app.compiler.switch_context import SwitchContext
from op25b_app.openflow.flow_rule import Action, FlowRule, Goto, Match, RuleRole


def admit_rules(context: SwitchContext) -> Iterator[FlowRule]:
    """Yield the rules of table 0; a port without a rule of its own is a subscriber port."""
    switch, closed = context.switch, context.hardening.block_encapsulation
    for port in sorted(switch.trusted_ports):
        yield _admit(Admit.PORT, context.forward, in_port(port))
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
        yield rule_of(Table.ADMIT, Admit.OTHER_TAG_OF_PORT, *context.block, *in_port(port))
    yield _admit(Admit.ANY_PORT, Goto(Table.EGRESS), tagged(None))
    yield rule_of(Table.ADMIT, Admit.OTHER_TAG, *context.block)


def _admit(priority: int, action: Action, fields: Match = ()) -> FlowRule:
    return rule_of(Table.ADMIT, priority, RuleRole.PORT, action, *fields)
