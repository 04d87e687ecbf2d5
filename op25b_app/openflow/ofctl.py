"""Format flow rules as lines of text for ``ovs-ofctl -O OpenFlow13 add-flows``."""

from __future__ import annotations

import ipaddress

from op25b_app.net.port_number import port_name
from op25b_app.openflow.flow_rule import (
    NORMAL,
    TAG_MASK,
    Action,
    Field,
    FlowRule,
    Goto,
    Match,
    Opaque,
    Tagged,
)

_ADDRESS = {"ipv4_src", "ipv4_dst", "arp_spa", "ipv6_src", "ipv6_dst", "ipv6_nd_target"}
_MAC = {"eth_src", "eth_dst", "arp_sha"}
_HEX = {"eth_type", "metadata", "vlan_vid"}
_OFCTL_NAMES = {
    "ipv4_src": "ip_src",
    "ipv4_dst": "ip_dst",
    "icmpv4_type": "icmp_type",
    "ipv6_nd_target": "nd_target",
}
"""Names in ``ovs-ofctl`` of fields that it does not know by their OXM names."""


def format_rule(rule: FlowRule) -> str:
    """Return a rule as one line for ``ovs-ofctl``.

    Raises ValueError for opaque instructions.
    """
    parts = [f"cookie={rule.cookie:#x}", f"table={int(rule.table)}", f"priority={int(rule.priority)}"]
    if rule.hard_timeout:
        parts.append(f"hard_timeout={rule.hard_timeout}")
    parts += [f"{_OFCTL_NAMES.get(field.name, field.name)}={_value(field)}" for field in rule.match]
    return f"{','.join(parts)},actions={format_action(rule.action)}"


def format_match(match: Match) -> str:
    """Return a match by OXM names: ``eth_type=0x800,ipv4_src=100.64.0.0/10``; empty for all packets."""
    return ",".join(f"{field.name}={_value(field)}" for field in match)


def format_action(action: Action) -> str:
    """Return an action in the syntax of ``ovs-ofctl``.

    Raises ValueError for opaque instructions.
    """
    if action is None:
        return "drop"
    if isinstance(action, Goto):
        return f"goto_table:{int(action.table)}"
    if isinstance(action, Tagged):
        return f"write_metadata:{action.tag:#x}/{TAG_MASK:#x},goto_table:{int(action.table)}"
    if isinstance(action, Opaque):
        raise ValueError("a rule of another application cannot be written as text")
    return "NORMAL" if action == NORMAL else f"output:{action.port}"


def _value(field: Field) -> str:
    name, value, mask = field
    if name in _ADDRESS:
        address = ipaddress.IPv6Address if name.startswith("ipv6") else ipaddress.IPv4Address
        return str(address(value)) if mask is None else f"{address(value)}/{_length(mask) or address(mask)}"
    if name in _MAC:
        return _mac(value) if mask is None else f"{_mac(value)}/{_mac(mask)}"
    if name == "in_port" and mask is None:
        return port_name(value)
    if name in _HEX:
        return f"{value:#x}" if mask is None else f"{value:#x}/{mask:#x}"
    return f"{value}" if mask is None else f"{value}/{mask:#x}"


def _length(mask: int) -> int | None:
    """Return the length of a prefix mask; None for a mask with holes."""
    width = 32 if mask < 1 << 32 else 128
    host = ~mask & ((1 << width) - 1)
    return None if host & (host + 1) else width - host.bit_length()


def _mac(value: int) -> str:
    return ":".join(f"{octet:02x}" for octet in value.to_bytes(6, "big"))
