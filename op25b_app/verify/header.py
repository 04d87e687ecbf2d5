"""Header fields of the proof: their order in the diagrams and their values.

The order keeps diagrams small. Fields of every packet are first, then ports, then addresses. Fields that
identify a line are last: thousands of lines may each have their own addresses, MAC address and tag.
"""

from __future__ import annotations

from typing import NamedTuple

from op25b_app.openflow.fields import VLAN_PRESENT, WIDTHS

MOST_INTERVALS = 1 << 12
"""Maximum number of intervals for a mask with holes; above it, the mask is not modelled."""

FIELDS = (
    "vlan_pcp",
    "eth_type",
    "ip_proto",
    "ip_dscp",
    "ip_ecn",
    "tcp_dst",
    "tcp_src",
    "tcp_flags",
    "udp_dst",
    "udp_src",
    "sctp_dst",
    "sctp_src",
    "icmpv4_type",
    "icmpv4_code",
    "icmpv6_type",
    "icmpv6_code",
    "ipv6_flabel",
    "ip_ttl",
    "mpls_label",
    "mpls_tc",
    "mpls_bos",
    "mpls_ttl",
    "arp_op",
    "eth_dst",
    "arp_spa",
    "arp_tpa",
    "arp_sha",
    "arp_tha",
    "ipv6_nd_sll",
    "ipv6_nd_tll",
    "ipv6_nd_target",
    "ipv4_dst",
    "ipv4_src",
    "ipv6_dst",
    "ipv6_src",
    "eth_src",
    "vlan_vid",
    "in_port",
)
"""Every header field of a packet, in the order of the diagrams."""
if set(FIELDS) != set(WIDTHS):
    raise AssertionError("every field has its place in the order of the diagrams")

LEVELS = {name: level for level, name in enumerate(FIELDS)}
UNTAGGED = 0
"""Value of vlan_vid for a packet without a tag; VLAN id N has the value N + 1."""
_VLANS = 1 + 4096
SIZES = tuple(_VLANS if name == "vlan_vid" else 1 << WIDTHS[name] for name in FIELDS)


class TooManyIntervalsError(ValueError):
    """A mask has so many holes that its intervals are not listed."""


class Interval(NamedTuple):
    """Values from ``first`` to ``last``, both included."""

    first: int
    last: int


def intervals(name: str, value: int, mask: int | None) -> list[Interval]:
    """Return the intervals of a field's values that a match accepts, ascending.

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
    """Return the value in the proof's domain for an OpenFlow ``vlan_vid``."""
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
