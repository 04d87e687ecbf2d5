"""Format flow rules as lines of text for ``ovs-ofctl -O OpenFlow13 add-flows``."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping

from op25b_app.net.port_number import port_name
from op25b_app.openflow.fields import BY_NAME, Notation
from op25b_app.openflow.flow_rule import (
    NORMAL,
    TAG_MASK,
    Action,
    CopyToController,
    FieldValue,
    FlowRule,
    Goto,
    GotoWithTag,
    Match,
    OpaqueInstructions,
)


def format_rule(rule: FlowRule) -> str:
    """Return a rule as one line for ``ovs-ofctl``.

    Raises ValueError for opaque instructions.
    """
    parts = [f"cookie={rule.cookie:#x}", f"table={int(rule.table)}", f"priority={int(rule.priority)}"]
    if rule.hard_timeout:
        parts.append(f"hard_timeout={rule.hard_timeout}")
    parts += [f"{ofctl_name(field.name)}={_value(field)}" for field in rule.match]
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
    if isinstance(action, GotoWithTag):
        return f"write_metadata:{action.tag:#x}/{TAG_MASK:#x},goto_table:{int(action.table)}"
    if isinstance(action, CopyToController):
        return f"CONTROLLER:65535,{format_action(action.onward)}"
    if isinstance(action, OpaqueInstructions):
        raise ValueError("a rule of another application cannot be written as text")
    return "NORMAL" if action == NORMAL else f"output:{action.port}"


def ofctl_name(name: str) -> str:
    """Return the name by which Open vSwitch reads a match field."""
    known = BY_NAME.get(name)
    return known.ofctl if known and known.ofctl else name


def format_value(name: str, value: int) -> str:
    """Return a value of the match field ``name`` as text; a number for an unknown field."""
    return _FORMATS[_notation(name)](value)


def _notation(name: str) -> Notation:
    return BY_NAME[name].notation if name in BY_NAME else Notation.NUMBER


def _value(field: FieldValue) -> str:
    name, value, mask = field
    if mask is None:
        return format_value(name, value)
    notation = _notation(name)
    if notation in (Notation.IPV4, Notation.IPV6):
        return f"{_FORMATS[notation](value)}/{_length(mask) or _FORMATS[notation](mask)}"
    if notation is Notation.MAC:
        return f"{_mac(value)}/{_mac(mask)}"
    return f"{value:#x}/{mask:#x}" if notation is Notation.HEX else f"{value}/{mask:#x}"


def _length(mask: int) -> int | None:
    """Return the length of a prefix mask; None for a mask with holes."""
    width = 32 if mask < 1 << 32 else 128
    host = ~mask & ((1 << width) - 1)
    return None if host & (host + 1) else width - host.bit_length()


def _mac(value: int) -> str:
    return ":".join(f"{octet:02x}" for octet in value.to_bytes(6, "big"))


_FORMATS: Mapping[Notation, Callable[[int], str]] = {
    Notation.NUMBER: str,
    Notation.HEX: hex,
    Notation.PORT: port_name,
    Notation.MAC: _mac,
    Notation.IPV4: lambda value: str(ipaddress.IPv4Address(value)),
    Notation.IPV6: lambda value: str(ipaddress.IPv6Address(value)),
}
