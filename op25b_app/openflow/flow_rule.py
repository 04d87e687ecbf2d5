"""Flow rules as values: what OpenFlow 1.3 calls a flow entry, without bytes."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

COOKIE_OWNER = 0x25B0
"""The top 16 bits of every cookie of ours; a rule of others is touched only in the place of one."""


def cut_cookies(cookie: int) -> frozenset[int]:
    """Return what switches with short cookies, or none, make of a cookie: its lowest bits, or 0."""
    return frozenset(cookie & (1 << bits) - 1 for bits in (0, 16, 32, 48))


class Role(enum.IntEnum):
    """What a rule is for; bits 40 to 47 of its cookie."""

    MARKER = 0
    PORT = 1
    """Table 0: a port's role decides which direction's tables see its frames."""
    FORWARD = 2
    """What no rule above concerns goes its way."""
    SELECT = 3
    """A port number of interest hands over to the table that looks at addresses."""
    SUBMISSION = 4
    """465 and 587: counted, to see how far subscribers have moved."""
    MAIL_DESTINATION = 5
    EXCEPTION = 6
    STATIC = 7
    """A prefix of static space, and what its more specific prefixes take back."""
    BLOCK = 8
    WOULD_BLOCK = 9
    """Monitor mode's block: counted and let through."""
    SERVICE = 10
    """What a line needs before it has an address: ARP, neighbour discovery, DHCP."""
    SOURCE = 11
    """A source that the line may have."""
    TUNNEL = 12
    """Tunnels to where they are permitted."""


class Field(NamedTuple):
    """One match field by its OXM name (OpenFlow 1.3.5, section 7.2.3.7); ``mask`` None is exact."""

    name: str
    value: int
    mask: int | None = None


Match = tuple[Field, ...]
"""Fields in OXM order, prerequisites included."""

OXM_ORDER = {
    name: position
    for position, name in enumerate(
        (
            "in_port",
            "metadata",
            "eth_dst",
            "eth_src",
            "eth_type",
            "vlan_vid",
            "vlan_pcp",
            "ip_proto",
            "ipv4_src",
            "ipv4_dst",
            "tcp_src",
            "tcp_dst",
            "udp_src",
            "udp_dst",
            "icmpv4_type",
            "arp_op",
            "arp_spa",
            "arp_sha",
            "ipv6_src",
            "ipv6_dst",
            "icmpv6_type",
            "ipv6_nd_target",
        )
    )
}
"""The order of match fields (by OXM field number, OpenFlow 1.3.5, section 7.2.3.7)."""


def match_of(fields: Iterable[Field]) -> Match:
    """A match of ``fields`` in any order, each given at least once."""
    return tuple(sorted(set(fields), key=lambda field: OXM_ORDER[field.name]))


@dataclass(frozen=True)
class Goto:
    """Go on in a later table."""

    table: int


TAG_MASK = 0xFF
"""The bits of the metadata that carry a tag."""


@dataclass(frozen=True)
class Tagged:
    """Go on in a later table with a tag, 0 to 255; its rules can match it as metadata under ``TAG_MASK``."""

    table: int
    tag: int


@dataclass(frozen=True)
class Output:
    """Apply the action OUTPUT to a port, reserved ones such as NORMAL among them."""

    port: int


@dataclass(frozen=True)
class Opaque:
    """Instructions of somebody else's rule, as the bytes of the wire."""

    instructions: bytes


NORMAL = Output(0xFFFFFFFA)
"""OFPP_NORMAL: forward as a switch without OpenFlow would."""

Action = Goto | Tagged | Output | Opaque | None
"""What happens to a frame that matches; None drops it (an empty instruction set).

No tuples, of which one that goes to table 5 would equal one that goes out of port 5.
"""


class FlowRule(NamedTuple):
    """One flow rule.

    ``hard_timeout`` is in seconds (16 bits, 0 for none) from the moment the rule is added.
    """

    table: int
    priority: int
    match: Match
    action: Action
    cookie: int
    hard_timeout: int = 0

    @property
    def key(self) -> tuple[int, int, Match]:
        """What makes two rules the same one to a switch (OpenFlow 1.3.5, section 6.4)."""
        return self.table, self.priority, self.match

    @property
    def ours(self) -> bool:
        return self.cookie >> 48 == COOKIE_OWNER

    @property
    def role(self) -> Role:
        """The role of a rule of ours; ValueError for a cookie that none of ours can have."""
        if not self.ours:
            raise ValueError(f"cookie {self.cookie:#x} is not one of ours")
        return Role(self.cookie >> 40 & 0xFF)
