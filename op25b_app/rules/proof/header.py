"""The header of a packet as the proof sees it: which fields there are, in which order, with which values.

The order keeps diagrams small: what is asked of every packet first, then ports, then addresses, and last what
tells one line from another: thousands of lines may each have addresses, a MAC address and a tag of their own.
"""

from __future__ import annotations

from typing import NamedTuple

VLAN_PRESENT = 0x1000
"""OFPVID_PRESENT (OpenFlow 1.3.5, section 7.2.3.7)."""
MOST_INTERVALS = 1 << 12
"""A mask with holes makes that many intervals at most; more cannot be decided."""

WIDTHS = {
    "vlan_pcp": 3,
    "eth_type": 16,
    "ip_proto": 8,
    "ip_dscp": 6,
    "ip_ecn": 2,
    "tcp_dst": 16,
    "tcp_src": 16,
    "tcp_flags": 12,
    "udp_dst": 16,
    "udp_src": 16,
    "sctp_dst": 16,
    "sctp_src": 16,
    "icmpv4_type": 8,
    "icmpv4_code": 8,
    "icmpv6_type": 8,
    "icmpv6_code": 8,
    "ipv6_flabel": 20,
    "ip_ttl": 8,
    "mpls_label": 20,
    "mpls_tc": 3,
    "mpls_bos": 1,
    "mpls_ttl": 8,
    "arp_op": 16,
    "eth_dst": 48,
    "arp_spa": 32,
    "arp_tpa": 32,
    "arp_sha": 48,
    "arp_tha": 48,
    "ipv6_nd_sll": 48,
    "ipv6_nd_tll": 48,
    "ipv6_nd_target": 128,
    "ipv4_dst": 32,
    "ipv4_src": 32,
    "ipv6_dst": 128,
    "ipv6_src": 128,
    "eth_src": 48,
    "vlan_vid": 13,
    "in_port": 32,
}
"""Bits of every field that a packet brings with it, in the order of the diagrams."""

REGISTERS = frozenset({"metadata", *(f"reg{number}" for number in range(16))})
"""What a packet does not bring with it: 0 until a rule writes it. A tunnel's port gives ``tunnel_id``."""

ETHERNET_FIELDS = frozenset({"in_port", "eth_src", "eth_dst", "eth_type", "vlan_vid", "vlan_pcp"})
"""What stands before the payload of a frame, and where that came in."""

FIELDS = tuple(WIDTHS)
LEVELS = {name: level for level, name in enumerate(FIELDS)}
UNTAGGED = 0
"""The value of vlan_vid without a tag here; number N in a tag is N + 1."""
_VLANS = 1 + 4096
SIZES = tuple(_VLANS if name == "vlan_vid" else 1 << width for name, width in WIDTHS.items())


class TooManyIntervalsError(ValueError):
    """A mask has so many holes that its values cannot be listed."""


class Interval(NamedTuple):
    """Values from ``first`` to ``last``, both included."""

    first: int
    last: int


def intervals(name: str, value: int, mask: int | None) -> list[Interval]:
    """The values of a field that a match accepts, ascending.

    Raises TooManyIntervalsError, its text a reason, for a mask with too many holes.
    """
    width = WIDTHS[name]
    full = (1 << width) - 1
    mask = full if mask is None else mask & full
    if value & ~mask:  # more bits than the field has, or than the mask leaves
        return []
    if name == "vlan_vid":
        return _vlan_intervals(value, mask)
    free = ~mask & full
    tail = (free + 1 & ~free).bit_length() - 1 if free & 1 else 0
    holes = [bit for bit in range(tail, width) if free >> bit & 1]
    if 1 << len(holes) > MOST_INTERVALS:
        raise TooManyIntervalsError(f"the mask {mask:#x} of {name} has {len(holes)} holes")
    firsts = [value]
    for bit in holes:
        firsts += [first | 1 << bit for first in firsts]
    return [Interval(first, first | (1 << tail) - 1) for first in sorted(firsts)]


def vlan_value(vlan_vid: int) -> int:
    """The place of an OpenFlow ``vlan_vid`` in the domain of the proof."""
    return (vlan_vid & 0xFFF) + 1 if vlan_vid & VLAN_PRESENT else UNTAGGED


def _vlan_intervals(value: int, mask: int) -> list[Interval]:
    if mask & 0x1FFF == 0x1FFF:
        if not value & VLAN_PRESENT and value:
            return []
        place = vlan_value(value)
        return [Interval(place, place)]
    found: list[Interval] = []
    for place in range(_VLANS):
        vlan_vid = VLAN_PRESENT | place - 1 if place else 0
        if vlan_vid & mask != value & mask:
            continue
        if found and found[-1].last == place - 1:
            found[-1] = Interval(found[-1].first, place)
        else:
            found.append(Interval(place, place))
    return found
