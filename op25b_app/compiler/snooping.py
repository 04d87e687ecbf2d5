"""Rules of table 0 that copy DHCP to the controller, where the policy learns lines from it.

The frames go on as without these rules, so no verdict depends on them, nor on what reads the copies.
"""

from __future__ import annotations

from collections.abc import Iterator

from op25b_app.compiler.matches import Fields, in_port, line, tagged, udp_from, udp_to
from op25b_app.compiler.pipeline import DHCP_CLIENT, DHCP_SERVER, Admit, Table
from op25b_app.compiler.rule_factory import rule_of
from op25b_app.compiler.switch_context import SwitchContext
from op25b_app.openflow.flow_rule import CopyToController, FlowRule, Goto, Output, RuleRole

_RELAYED: Fields = (*udp_to(6, DHCP_SERVER[6]), *udp_from(DHCP_SERVER[6]))
"""Messages between relay agents and servers of DHCPv6 (RFC 8415, 7.2)."""
_REQUESTS: tuple[Fields, ...] = (
    *((*udp_to(version, DHCP_SERVER[version]), *udp_from(DHCP_CLIENT[version])) for version in (4, 6)),
    _RELAYED,
)
_ANSWERS: tuple[Fields, ...] = (*(udp_to(version, DHCP_CLIENT[version]) for version in (4, 6)), _RELAYED)


def snooping_rules(context: SwitchContext) -> Iterator[FlowRule]:
    """Yield the rules that copy requests from lines, and answers from uplink and trusted ports."""
    if not context.policy.snoops_dhcp:
        return
    switch, closed = context.switch, context.hardening.block_encapsulation
    forward = context.forward
    assert isinstance(forward, (Goto, Output))
    for port in sorted(switch.trusted_ports):
        yield from _copies(Admit.SNOOPED_PORT, forward, _ANSWERS, in_port(port))
    named = switch.vlans if closed else {}
    for port in sorted(switch.uplink_ports - named.keys()):
        yield from _copies(Admit.SNOOPED_PORT, Goto(Table.INGRESS), _ANSWERS, in_port(port))
    yield from _copies(Admit.SNOOPED_ANY_PORT, Goto(Table.EGRESS), _REQUESTS, tagged(None) if closed else ())
    for port, vlans in sorted(named.items()):
        if port in switch.trusted_ports:
            continue
        is_uplink = port in switch.uplink_ports
        onward = Goto(Table.INGRESS if is_uplink else Table.EGRESS)
        for vlan in vlans:
            what = _ANSWERS if is_uplink else _REQUESTS
            yield from _copies(Admit.SNOOPED_PORT, onward, what, (*in_port(port), *tagged(vlan)))
    for place in _places(context):
        for message in _REQUESTS:
            fields = (*place, *message)
            yield rule_of(Table.ADMIT, Admit.MUTED_LINE, RuleRole.PORT, Goto(Table.EGRESS), *fields)


def _places(context: SwitchContext) -> Iterator[Fields]:
    """Yield the matches of the muted lines, under the tags that they may carry."""
    switch, closed = context.switch, context.hardening.block_encapsulation
    for port, vlan in sorted(switch.muted_lines, key=str):
        if not closed:
            yield from line(port, vlan)
            continue
        for tag in switch.vlans.get(port, frozenset({None})):
            if vlan is None or (tag or 0) == vlan:
                yield (*in_port(port), *tagged(tag))


def _copies(
    priority: int, onward: Goto | Output, messages: tuple[Fields, ...], place: Fields
) -> Iterator[FlowRule]:
    for message in messages:
        fields = (*place, *message)
        yield rule_of(Table.ADMIT, priority, RuleRole.SNOOP, CopyToController(onward), *fields)
