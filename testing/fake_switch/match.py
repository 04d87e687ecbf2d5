"""Matches of the fake switch: its own reading and writing of OXM (OpenFlow 1.3.5, 7.2.3; 1.5.1, 7.2.3.8).

A match is a tuple of (name, value, mask) in the order of the field numbers; the mask of an exact field is all
ones, and a field that is wholly masked is not there. So equal matches are equal tuples.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from testing.fake_switch import refusals
from testing.fake_switch.wire import Cursor, RefusedError

Match = tuple[tuple[str, int, int], ...]
Fields = Mapping[str, int]
"""The header fields of one frame."""

BASIC = 0x8000
VLAN_PRESENT = 0x1000
_HEAD = struct.Struct("!HH")
_OXM = struct.Struct("!HBB")

_IP = ("eth_type", frozenset({0x0800, 0x86DD}))
_IPV4 = ("eth_type", frozenset({0x0800}))
_IPV6 = ("eth_type", frozenset({0x86DD}))
_ARP = ("eth_type", frozenset({0x0806}))
_MPLS = ("eth_type", frozenset({0x8847, 0x8848}))
_PBB = ("eth_type", frozenset({0x88E7}))
_TCP, _UDP, _SCTP = (("ip_proto", frozenset({protocol})) for protocol in (6, 17, 132))
_NEIGHBOUR = ("icmpv6_type", frozenset({135, 136}))
_SOLICITATION = ("icmpv6_type", frozenset({135}))
_ADVERTISEMENT = ("icmpv6_type", frozenset({136}))
_ICMP, _ICMPV6 = (("ip_proto", frozenset({protocol})) for protocol in (1, 58))

_Need = tuple[str, frozenset[int]]
_NO, _YES, _OVS = "no", "yes", "Open vSwitch"


class OxmField(NamedTuple):
    """``masks``: whether masks are permitted, or only by Open vSwitch; ``needs``: what must be given too."""

    number: int
    name: str
    bits: int
    octets: int
    masks: str
    needs: tuple[_Need, ...] = ()

    @property
    def full(self) -> int:
        return (1 << self.bits) - 1


FIELDS = (
    OxmField(0, "in_port", 32, 4, _NO),
    OxmField(2, "metadata", 64, 8, _YES),
    OxmField(3, "eth_dst", 48, 6, _YES),
    OxmField(4, "eth_src", 48, 6, _YES),
    OxmField(5, "eth_type", 16, 2, _NO),
    OxmField(6, "vlan_vid", 13, 2, _YES),
    OxmField(7, "vlan_pcp", 3, 1, _NO),
    OxmField(8, "ip_dscp", 6, 1, _NO, (_IP,)),
    OxmField(9, "ip_ecn", 2, 1, _NO, (_IP,)),
    OxmField(10, "ip_proto", 8, 1, _NO, (_IP,)),
    OxmField(11, "ipv4_src", 32, 4, _YES, (_IPV4,)),
    OxmField(12, "ipv4_dst", 32, 4, _YES, (_IPV4,)),
    OxmField(13, "tcp_src", 16, 2, _OVS, (_IP, _TCP)),
    OxmField(14, "tcp_dst", 16, 2, _OVS, (_IP, _TCP)),
    OxmField(15, "udp_src", 16, 2, _OVS, (_IP, _UDP)),
    OxmField(16, "udp_dst", 16, 2, _OVS, (_IP, _UDP)),
    OxmField(17, "sctp_src", 16, 2, _OVS, (_IP, _SCTP)),
    OxmField(18, "sctp_dst", 16, 2, _OVS, (_IP, _SCTP)),
    OxmField(19, "icmpv4_type", 8, 1, _NO, (_IPV4, _ICMP)),
    OxmField(20, "icmpv4_code", 8, 1, _NO, (_IPV4, _ICMP)),
    OxmField(21, "arp_op", 16, 2, _NO, (_ARP,)),
    OxmField(22, "arp_spa", 32, 4, _YES, (_ARP,)),
    OxmField(23, "arp_tpa", 32, 4, _YES, (_ARP,)),
    OxmField(24, "arp_sha", 48, 6, _YES, (_ARP,)),
    OxmField(25, "arp_tha", 48, 6, _YES, (_ARP,)),
    OxmField(26, "ipv6_src", 128, 16, _YES, (_IPV6,)),
    OxmField(27, "ipv6_dst", 128, 16, _YES, (_IPV6,)),
    OxmField(28, "ipv6_flabel", 20, 4, _YES, (_IPV6,)),
    OxmField(29, "icmpv6_type", 8, 1, _NO, (_IPV6, _ICMPV6)),
    OxmField(30, "icmpv6_code", 8, 1, _NO, (_IPV6, _ICMPV6)),
    OxmField(31, "ipv6_nd_target", 128, 16, _OVS, (_IPV6, _ICMPV6, _NEIGHBOUR)),
    OxmField(32, "ipv6_nd_sll", 48, 6, _OVS, (_IPV6, _ICMPV6, _SOLICITATION)),
    OxmField(33, "ipv6_nd_tll", 48, 6, _OVS, (_IPV6, _ICMPV6, _ADVERTISEMENT)),
    OxmField(34, "mpls_label", 20, 4, _NO, (_MPLS,)),
    OxmField(35, "mpls_tc", 3, 1, _NO, (_MPLS,)),
    OxmField(36, "mpls_bos", 1, 1, _NO, (_MPLS,)),
    OxmField(38, "tunnel_id", 64, 8, _YES),
    OxmField(42, "tcp_flags", 12, 2, _YES, (_IP, _TCP)),
    OxmField(43, "actset_output", 32, 4, _NO),
    OxmField(44, "packet_type", 32, 4, _NO),
)
BY_NUMBER = {field.number: field for field in FIELDS}
BY_NAME = {field.name: field for field in FIELDS}


def read_match(body: bytes, position: int, *, wide_masks: bool = True) -> tuple[Match, int]:
    """The match at ``position`` and the position behind its padding.

    Raises RefusedError for whatever a switch has to refuse. ``wide_masks`` permits the masks that only Open
    vSwitch takes.
    """
    cursor = Cursor(body, refusals.BAD_MATCH_LENGTH, position)
    kind, length = cursor.take(_HEAD)
    if kind != 1:
        raise RefusedError(refusals.BAD_MATCH_TYPE)
    if length < 4:
        raise RefusedError(refusals.BAD_MATCH_LENGTH)
    fields = Cursor(cursor.take_bytes(length - 4), refusals.BAD_MATCH_LENGTH)
    cursor.take_bytes(-length % 8)
    read: dict[int, tuple[str, int, int]] = {}
    exact: dict[str, int] = {}
    while fields.rest:
        field, value, mask = _read_field(fields, wide_masks)
        if field.number in read:
            raise RefusedError(refusals.DUPLICATE_FIELD)
        if not prerequisites_met(field, exact):
            raise RefusedError(refusals.BAD_PREREQUISITE)
        if mask == field.full or field.name == "vlan_vid":
            exact[field.name] = value
        if mask:
            read[field.number] = field.name, value, mask
    return tuple(read[number] for number in sorted(read)), cursor.position


def _read_field(fields: Cursor, wide_masks: bool) -> tuple[OxmField, int, int]:
    oxm_class, number, length = fields.take(_OXM)
    payload = fields.take_bytes(length)
    masked = number & 1
    field = BY_NUMBER.get(number >> 1) if oxm_class == BASIC else None
    if field is None or length != field.octets << masked:
        raise RefusedError(refusals.BAD_FIELD)
    value = int.from_bytes(payload[: field.octets], "big")
    if not masked:
        if value > field.full:
            raise RefusedError(refusals.BAD_VALUE)
        return field, value, field.full
    mask = int.from_bytes(payload[field.octets :], "big")
    if value & ~mask:
        raise RefusedError(refusals.BAD_WILDCARDS)
    mask &= field.full
    if value > field.full:
        raise RefusedError(refusals.BAD_VALUE)
    permitted = field.masks == _YES or (field.masks == _OVS and wide_masks)
    if not permitted and mask not in (0, field.full):
        raise RefusedError(refusals.BAD_MASK)
    return field, value, mask


def prerequisites_met(field: OxmField, fields: Fields) -> bool:
    """Whether what ``field`` needs is among ``fields``, exactly."""
    if field.name == "vlan_pcp":
        return bool(fields.get("vlan_vid", 0) & VLAN_PRESENT)
    if field.name.startswith("ipv6_nd_") and fields.get("icmpv6_code", 0):
        return False
    return all(fields.get(name) in values for name, values in field.needs)


def known_fields(match: Match) -> dict[str, int]:
    """What a match says for certain of a frame: exact fields, and of the tag also whether there is one."""
    return {name: value for name, value, mask in match if mask == BY_NAME[name].full or name == "vlan_vid"}


def write_match(match: Iterable[tuple[str, int, int]]) -> bytes:
    """``struct ofp_match`` with its padding."""
    body = b"".join(write_field(*field) for field in match)
    length = _HEAD.size + len(body)
    return _HEAD.pack(1, length) + body + bytes(-length % 8)


def write_field(name: str, value: int, mask: int) -> bytes:
    field = BY_NAME[name]
    payload = value.to_bytes(field.octets, "big")
    if mask == field.full:
        return _OXM.pack(BASIC, field.number << 1, field.octets) + payload
    mask_payload = mask.to_bytes(field.octets, "big")
    return _OXM.pack(BASIC, field.number << 1 | 1, 2 * field.octets) + payload + mask_payload


def visible(fields: Fields) -> dict[str, int]:
    """The fields of a frame that a switch looks at: those whose prerequisites the frame meets."""
    return {name: value for name, value in fields.items() if prerequisites_met(BY_NAME[name], fields)}


def overlap(one: Match, other: Match) -> bool:
    """Whether some frame may match both."""
    others = {name: (value, mask) for name, value, mask in other}
    for name, value, mask in one:
        value_there, mask_there = others.get(name, (0, 0))
        if (value ^ value_there) & mask & mask_there:
            return False
    return True


def within(match: Match, wider: Match) -> bool:
    """Whether all that matches ``match`` matches ``wider``, field by field (6.4: non-strict commands)."""
    mine = {name: (value, mask) for name, value, mask in match}
    for name, value, mask in wider:
        value_here, mask_here = mine.get(name, (0, 0))
        if mask & ~mask_here or (value ^ value_here) & mask:
            return False
    return True
