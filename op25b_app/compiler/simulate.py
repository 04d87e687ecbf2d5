"""Simulate flow rules on a packet: the lookup of OpenFlow 1.3.5, section 5.3, on rules as values."""

from __future__ import annotations

from collections.abc import Iterable

from op25b_app.openflow.fields import VLAN_PRESENT
from op25b_app.openflow.flow_rule import FlowRule, Goto, RuleRole, matches, without_copy
from op25b_app.policy.model import Verdict
from op25b_app.policy.packet import ETH_ARP, ICMPV6, TCP, UDP, Packet


def headers(packet: Packet) -> dict[str, int]:
    """Return the match fields that a switch reads from ``packet``, by OXM name.

    Open vSwitch reads the ports of every fragment as 0.
    """
    fields = {
        "in_port": packet.in_port,
        "metadata": 0,
        "eth_src": packet.eth_source,
        "eth_dst": packet.eth_destination,
        "eth_type": packet.eth_type,
        "vlan_vid": packet.tags[0] | VLAN_PRESENT if packet.tags else 0,
    }
    if packet.eth_type == ETH_ARP:
        fields["arp_spa"] = packet.arp_sender
        fields["arp_sha"] = packet.arp_sender_mac
    if packet.version is None or packet.protocol is None:
        return fields
    fields["ip_proto"] = packet.protocol
    fields[f"ipv{packet.version}_src"] = packet.source
    fields[f"ipv{packet.version}_dst"] = packet.destination
    transport = {TCP: "tcp", UDP: "udp"}.get(packet.protocol)
    if transport is not None:
        fields[f"{transport}_src"] = packet.source_port or 0
        fields[f"{transport}_dst"] = packet.destination_port or 0
    if packet.version == 6 and packet.protocol == ICMPV6:
        fields["icmpv6_type"] = packet.icmp_type or 0
        fields["ipv6_nd_target"] = packet.nd_target or 0
    return fields


def trace(rules: Iterable[FlowRule], packet: Packet) -> list[FlowRule]:
    """Return the rules that a packet passes, table by table, until one ends it or none matches."""
    fields = headers(packet)
    tables: dict[int, list[FlowRule]] = {}
    for rule in rules:
        tables.setdefault(rule.table, []).append(rule)
    passed: list[FlowRule] = []
    table: int | None = 0
    while table is not None:
        matching = [rule for rule in tables.get(table, ()) if matches(rule.match, fields)]
        if not matching:
            break
        best = max(matching, key=lambda rule: rule.priority)
        passed.append(best)
        onward = without_copy(best.action)
        table = onward.table if isinstance(onward, Goto) else None
    return passed


_TELLING = frozenset({RuleRole.MAIL_DESTINATION, RuleRole.EXCEPTION, RuleRole.STATIC, RuleRole.TUNNEL})
"""Roles of rules that explain a permit, although another table may follow them."""


def deciding(passed: list[FlowRule]) -> FlowRule | None:
    """Return the passed rule that the verdict rests on; None where none matched."""
    if not passed or passed[-1].role in (RuleRole.BLOCK, RuleRole.WOULD_BLOCK):
        return passed[-1] if passed else None
    # Of the rules for services only the last: where a table follows one, that decides by the source.
    return next((rule for rule in reversed(passed) if rule.role in _TELLING), passed[-1])


def verdict(passed: list[FlowRule], handover_table: int | None) -> Verdict:
    """Return the verdict on a packet that passed these op25b rules.

    ``handover_table`` is the table of another application, None where there is none.
    """
    action = without_copy(passed[-1].action) if passed else None
    missed = isinstance(action, Goto) and action.table != handover_table
    if action is None or missed:
        return Verdict.BLOCK
    return Verdict.WOULD_BLOCK if passed[-1].role is RuleRole.WOULD_BLOCK else Verdict.PERMIT
