"""The rules that tricks are tried against: none, what everybody writes, and ours under each setting."""

from __future__ import annotations

import enum
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from isp import SERVERS

from op25b_app.compiler.compiler import compile_rules
from op25b_app.openflow.flow_rule import FlowRule
from op25b_app.policy.loader import load
from op25b_app.policy.model import Policy

SWITCH = "access-1"
_MAIL = (SERVERS.ipv4, "2001:db8:25::/48")
MAIL_SERVER_NUMBER = 25
_MAIL_HOSTS = tuple(address.split("/")[0] for address in SERVERS.addresses(MAIL_SERVER_NUMBER))
UDP_TUNNEL_PORTS = (0, 1701, 2152, 3544, 4789, 6080, 6081, 6635)
"""Fragments, L2TP, GTP-U, Teredo, VXLAN, GUE, GENEVE and MPLS in UDP."""
_DYNAMIC = ("100.64.0.0/10", "2001:db8:1000::/36")
_STATIC = ("100.64.8.0/24", "2001:db8:1008::/48")


class Setting(enum.Enum):
    """What closes something; each is tried alone, all else in ``hardening`` and ``inbound`` being off."""

    BASE = "port 25 itself"
    ENCAPSULATION = "encapsulation"
    UNREADABLE_TCP = "unreadable_tcp"
    SPOOFED_REPLIES = "spoofed_replies"
    PORT_25 = "source_validation: port-25"
    BINDINGS = "bindings of static lines"
    PREFIX = "source_validation: prefix"
    BINDING = "source_validation: binding"
    TUNNELS = "tunnels"
    UDP_PORTS = "tunnels: block_udp_ports"
    MAIL_HOSTS = "mail_destinations of single hosts"


DEFAULTS = frozenset(
    {Setting.ENCAPSULATION, Setting.UNREADABLE_TCP, Setting.SPOOFED_REPLIES, Setting.PORT_25}
)
STRICT = frozenset(
    {
        Setting.ENCAPSULATION,
        Setting.UNREADABLE_TCP,
        Setting.SPOOFED_REPLIES,
        Setting.BINDING,
        Setting.TUNNELS,
        Setting.UDP_PORTS,
        Setting.MAIL_HOSTS,
    }
)
"""``binding`` validates sources as ``port-25`` and ``prefix`` do, and binds static lines too."""


class Binding(NamedTuple):
    """What rightly belongs to a line; ``mac`` may be empty."""

    port: int
    mac: str
    addresses: tuple[str, ...]
    static: bool


class Lines(NamedTuple):
    """The lines of the switch, and the dynamic addresses with an exception."""

    bindings: Sequence[Binding]
    excepted: Sequence[str]
    subscriber_ports: str
    uplink_port: int
    trusted_ports: Sequence[int]


def plain_rules(excepted: Iterable[str], *, of_ipv6: bool) -> str:
    """What everybody writes: mail servers, static lines and exceptions may, dynamic lines may not.

    With ``of_ipv6``, for IPv6 too.
    """
    lines = ["priority=0,actions=NORMAL"]
    versions = (("tcp,nw_", 0), ("tcp6,ipv6_", 1))[: 2 if of_ipv6 else 1]
    for match, index in versions:
        lines.append(f"priority=50,{match}src={_DYNAMIC[index]},tp_dst=25,actions=drop")
        lines.append(f"priority=100,{match}src={_STATIC[index]},tp_dst=25,actions=NORMAL")
        lines.append(f"priority=100,{match}dst={_MAIL[index]},tp_dst=25,actions=NORMAL")
        for address in excepted:
            if (":" in address) == bool(index):
                lines.append(f"priority=100,{match}src={address},tp_dst=25,actions=NORMAL")
    return "\n".join(lines) + "\n"


def our_rules(settings: Iterable[Setting], lines: Lines) -> tuple[FlowRule, ...]:
    """What our compiler makes of the policy with these settings."""
    now = time.time()
    policy = read_policy(policy_text(settings, lines), now)
    return compile_rules(policy, policy.switches[SWITCH], now)


def policy_text(settings: Iterable[Setting], lines: Lines) -> str:
    chosen = set(settings)

    def block_if(setting: Setting) -> str:
        return "block" if setting in chosen else "permit"

    validation = "off"
    for setting in (Setting.PORT_25, Setting.PREFIX, Setting.BINDING):
        if setting in chosen:
            validation = setting.value.rpartition(" ")[2]
    mail = _MAIL_HOSTS if Setting.MAIL_HOSTS in chosen else _MAIL
    text = f"""
isp: {{name: Example ISP, mail_destinations: [{_quoted(mail)}]}}
address_space: {{dynamic: [{_quoted(_DYNAMIC)}], static: [{_quoted(_STATIC)}]}}
inbound: {{spoofed_replies: {block_if(Setting.SPOOFED_REPLIES)}}}
hardening:
  source_validation: {validation}
  encapsulation: {block_if(Setting.ENCAPSULATION)}
  tunnels: {_tunnels(chosen)}
  unreadable_tcp: {block_if(Setting.UNREADABLE_TCP)}
"""
    if lines.excepted:
        text += "exceptions:\n"
    for number, address in enumerate(lines.excepted):
        text += f'  - {{name: ticket-{number}, source: "{address}", reason: until it moves to 587}}\n'
    text += f"""
switches:
  {SWITCH}:
    dpid: 0x1
    subscriber_ports: [{lines.subscriber_ports}]
    uplink_ports: [{lines.uplink_port}]
    trusted_ports: [{", ".join(map(str, lines.trusted_ports))}]
"""
    every = Setting.BINDING in chosen
    bound = [each for each in lines.bindings if every or (each.static and Setting.BINDINGS in chosen)]
    return text + _bindings_text(bound)


def _tunnels(chosen: set[Setting]) -> str:
    if Setting.UDP_PORTS not in chosen:
        return "block" if Setting.TUNNELS in chosen else "permit"
    nowhere = "permit_to: [], " if Setting.TUNNELS in chosen else ""
    return f"{{{nowhere}block_udp_ports: {[*UDP_TUNNEL_PORTS]}}}"


def _bindings_text(bindings: Sequence[Binding]) -> str:
    text = "    bindings:\n" if bindings else ""
    for each in bindings:
        mac = f'mac: "{each.mac}", ' if each.mac else ""
        text += f"      - {{port: {each.port}, {mac}addresses: [{_quoted(each.addresses)}]}}\n"
    return text


def _quoted(words: Iterable[str]) -> str:
    return ", ".join(f'"{word}"' for word in words)


def read_policy(text: str, now: float) -> Policy:
    with TemporaryDirectory() as directory:
        path = Path(directory) / "policy.yaml"
        path.write_text(text)
        loaded = load(path, now)
    assert loaded.policy is not None, "\n".join(map(str, loaded.problems))
    return loaded.policy
