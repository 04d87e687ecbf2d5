"""The same policy, and the same number of rules, in the form that each peer takes."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.policies import (
    AT,
    LINES,
    SWITCH,
    UPLINK,
    VERSIONS,
    Space,
    mail_destinations,
    policy_of,
    scattered_space,
)
from op25b_app.compiler.compiler import compile_rules
from op25b_app.net.prefix import Prefix
from op25b_app.net.prefix_cover import minimal_cover
from op25b_app.openflow import codec
from op25b_app.openflow.flow_rule import FieldValue, FlowRule, Goto, Output
from op25b_app.openflow.ofctl import format_rule

_OPENFLOW_13 = 4
_CLOSE_ENOUGH = 0.01
_TRIES = 8
_ADDRESSES = {"ipv4_src", "ipv4_dst", "arp_spa", "ipv6_src", "ipv6_dst", "ipv6_nd_target"}
_MACS = {"eth_src", "eth_dst", "arp_sha"}
_ACL_RULES = 250
"""In one ACL: the time in which Faucet reads an ACL grows with the square of its rules."""


@dataclass(frozen=True)
class Ruleset:
    """A policy over ``space`` and the rules that it compiles to."""

    space: Space
    rules: tuple[FlowRule, ...]


def ruleset_of(count: int) -> Ruleset:
    """A policy that compiles to ``count`` rules, or at most 1 % more or fewer."""
    size = count
    for _ in range(_TRIES):
        space = scattered_space(size)
        rules = compiled(space)
        if abs(len(rules) - count) <= _CLOSE_ENOUGH * count:
            return Ruleset(space, rules)
        size = max(10, size + round((count - len(rules)) * size / len(rules)))
    raise AssertionError(f"no policy with {count:,} rules")


def compiled(space: Space, hardening: str = "defaults") -> tuple[FlowRule, ...]:
    policy = policy_of(space, hardening)
    return tuple(compile_rules(policy, policy.switches[SWITCH], AT))


def write_messages(path: Path, rules: Iterable[FlowRule]) -> None:
    """Flow-mods and a barrier request, as they go over the wire."""
    with path.open("wb") as file:
        for rule in rules:
            file.write(codec.encode_flow_mod(rule, version=_OPENFLOW_13, xid=1))
        file.write(codec.encode_barrier_request(version=_OPENFLOW_13, xid=2))


def write_ofctl(path: Path, rules: Iterable[FlowRule]) -> None:
    path.write_text("".join(f"{format_rule(rule)}\n" for rule in rules))


def write_plain_ryu(path: Path, rules: Iterable[FlowRule]) -> None:
    path.write_text(json.dumps([_as_ryu(rule) for rule in rules]))


def rest_firewall_rules(count: int) -> list[dict[str, str]]:
    """Bodies of requests, a rule each."""
    found = [
        {
            "dl_type": f"IPv{prefix.version}",
            "nw_src" if prefix.version == 4 else "ipv6_src": str(prefix),
            "nw_proto": "TCP",
            "tp_dst": "25",
            "actions": "ALLOW" if is_static else "DENY",
        }
        for prefix, is_static in _longest_first(count)
    ]
    return found[-count:]


def write_faucet(
    path: Path, count: int, subscriber_ports: Sequence[int], extra: Sequence[Prefix] = ()
) -> None:
    """A configuration with ``count`` ACL rules on subscriber ports, and those of ``extra`` dynamic prefixes.

    The first match wins: mail destinations, the own space by longest prefix, port 25, everything else.
    """
    rules = [_acl_rule(prefix, "dst", permit=True) for prefix in mail_destinations()]
    own = _longest_first(count)[len(rules) + 2 - count :]
    rules += [_acl_rule(prefix, "src", permit=is_static) for prefix, is_static in own]
    rules += [_acl_rule(prefix, "src", permit=False) for prefix in extra]
    rules += ["{dl_type: 0x800, ip_proto: 6, tcp_dst: 25, actions: {allow: 0}}", "{actions: {allow: 1}}"]
    names = []
    lines = ["vlans: {lan: {vid: 100}}", "acls:"]
    for start in range(0, len(rules), _ACL_RULES):
        names.append(f"port25-{start // _ACL_RULES}")
        lines.append(f"  {names[-1]}:")
        lines += [f"  - rule: {rule}" for rule in rules[start : start + _ACL_RULES]]
    lines += ["dps:", f"  {SWITCH}:", "    dp_id: 1", "    hardware: Open vSwitch", "    interfaces:"]
    for port in (*LINES, UPLINK):
        acls = f", acls_in: [{', '.join(names)}]" if port in subscriber_ports else ""
        lines.append(f"      {port}: {{native_vlan: lan{acls}}}")
    path.write_text("\n".join([*lines, ""]))


def write_nftables(path: Path, space: Space, *, port_first: bool = True) -> int:
    """The policy for a bridge; returns the number of elements of its sets.

    Its best form, to which ``port_first`` False is the alternative, tests the port before any set.
    """
    elements = 0
    lines = ["table bridge op25b {"]
    for version in VERSIONS:
        sets = {
            "mail": minimal_cover(version, mail_destinations()),
            "static": minimal_cover(version, space.static, space.dynamic),
            "dynamic": minimal_cover(version, space.dynamic, space.static),
        }
        for name, prefixes in sets.items():
            elements += len(prefixes)
            lines += [f"  set {name}{version} {{", f"    type ipv{version}_addr", "    flags interval"]
            lines += [f"    elements = {{ {', '.join(map(str, prefixes))} }}"] if prefixes else []
            lines += ["  }"]
    lines += ["  chain filter {", "    type filter hook forward priority 0; policy accept;"]
    lines += [f"    {rule}" for rule in _nftables_rules(port_first)]
    path.write_text("\n".join([*lines, "  }", "}", ""]))
    return elements


def _nftables_rules(port_first: bool) -> Iterator[str]:
    """Each with the ports and the addresses it looks at, in the order wanted."""
    if port_first:
        yield "tcp dport != 25 tcp sport != 25 accept"
        yield "meta l4proto != tcp accept"
    for version, address in ((4, "ip"), (6, "ip6")):
        for port, ends, verdict in (
            ('iifname "line*" tcp dport 25', f"{address} daddr @mail{version}", "accept"),
            ('iifname "line*" tcp dport 25', f"{address} saddr @static{version}", "accept"),
            ('iifname "uplink*" tcp sport 25', f"{address} saddr @mail{version}", "accept"),
            ('iifname "uplink*" tcp sport 25', f"{address} daddr @dynamic{version}", "drop"),
            ('iifname "uplink*" tcp dport 25', f"{address} saddr @static{version}", "drop"),
            ('iifname "uplink*" tcp dport 25', f"{address} saddr @dynamic{version}", "drop"),
        ):
            yield f"{port} {ends} {verdict}" if port_first else f"{ends} {port} {verdict}"
    yield 'iifname "line*" tcp dport 25 drop'


def _as_ryu(rule: FlowRule) -> dict[str, Any]:
    action: dict[str, int] = {}
    if isinstance(rule.action, Goto):
        action = {"goto": rule.action.table}
    elif isinstance(rule.action, Output):
        action = {"output": rule.action.port}
    return {
        "cookie": rule.cookie,
        "table": rule.table,
        "priority": rule.priority,
        "match": {field.name: _ryu_value(field) for field in rule.match},
        **action,
    }


def _ryu_value(field: FieldValue) -> Any:
    """As an application writes it: addresses as text, with a mask a pair."""
    if field.name in _ADDRESSES:
        kind = ipaddress.IPv6Address if field.name.startswith("ipv6") else ipaddress.IPv4Address
        values = [str(kind(each)) for each in field[1:] if each is not None]
    elif field.name in _MACS:
        values = [_mac(each) for each in field[1:] if each is not None]
    else:
        return field.value if field.mask is None else [field.value, field.mask]
    return values if len(values) > 1 else values[0]


def _mac(value: int) -> str:
    return value.to_bytes(6, "big").hex(":")


def _acl_rule(prefix: Prefix, side: str, *, permit: bool) -> str:
    kind = "0x800" if prefix.version == 4 else "0x86dd"
    name = f"ipv{prefix.version}_{side}"
    actions = f"{{allow: {int(permit)}}}"
    return f'{{dl_type: {kind}, ip_proto: 6, tcp_dst: 25, {name}: "{prefix}", actions: {actions}}}'


def _longest_first(count: int) -> list[tuple[Prefix, bool]]:
    """``count`` prefixes and whether they are static, so that the first that matches is the longest."""
    space = scattered_space(count)
    both = [*((prefix, False) for prefix in space.dynamic), *((prefix, True) for prefix in space.static)]
    return sorted(both, key=lambda pair: -pair[0].length)
