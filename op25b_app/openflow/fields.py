"""Registry of match fields (OpenFlow 1.3.5, section 7.2.3.7; ovs-fields(7)).

A new match field is one entry of ``MATCH_FIELDS``. The encoder, both directions of the text of ``ovs-ofctl``
and the header of the proof derive their tables from it.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import NamedTuple

VLAN_PRESENT = 0x1000
"""OFPVID_PRESENT; without it a frame is untagged (OpenFlow 1.3.5, section 7.2.3.7)."""


class Masking(enum.Enum):
    """Permission for op25b to send a mask in a match."""

    NEVER = enum.auto()
    OPENFLOW = enum.auto()
    OPEN_VSWITCH = enum.auto()
    """OpenFlow 1.3 forbids a mask and Open vSwitch accepts one; other switches refuse the rule."""


class Notation(enum.Enum):
    """Format of a value in text."""

    NUMBER = enum.auto()
    HEX = enum.auto()
    PORT = enum.auto()
    MAC = enum.auto()
    IPV4 = enum.auto()
    IPV6 = enum.auto()


class Prerequisites(NamedTuple):
    """Packets that have a field: one of ``eth_types`` (none: any), and an IP protocol (None: any).

    ``tagged`` is True where only a packet with a VLAN tag has the field.
    """

    eth_types: tuple[int, ...] = ()
    ip_proto: int | None = None
    tagged: bool = False

    def are_met(self, fields: Mapping[str, int]) -> bool:
        """Return whether a packet with these field values by name has the field.

        A ``vlan_vid`` of 0 is a packet without a tag.
        """
        if self.eth_types and fields.get("eth_type") not in self.eth_types:
            return False
        if self.ip_proto is not None and fields.get("ip_proto") != self.ip_proto:
            return False
        return not self.tagged or bool(fields.get("vlan_vid"))


class MatchField(NamedTuple):
    """One match field, by its OpenFlow name; ``bits`` is the width of a value."""

    name: str
    bits: int
    oxm: int | None = None
    """Number in the OXM class OFPXMC_OPENFLOW_BASIC; None for a field that op25b does not encode."""
    rank: int | None = None
    """Place in the order of the proof (``verify/header.py``), ascending; None if no packet has the field."""
    notation: Notation = Notation.NUMBER
    masking: Masking = Masking.NEVER
    needs: Prerequisites = Prerequisites()
    ofctl: str = ""
    """Name that ``ovs-ofctl`` reads, where it does not know ``name``."""
    aliases: tuple[str, ...] = ()
    """Further names that ``ovs-ofctl`` writes."""
    shared: str = ""
    """Name that ``ovs-ofctl`` writes for the fields of several IP protocols."""
    flags: tuple[str, ...] = ()
    """Names of the bits in ``ovs-ofctl``, the lowest bit first."""
    octets: int = 0
    """Bytes on the wire, where they are more than ``bits`` need."""
    is_register: bool = False
    """True if the field is 0 until a rule writes it."""

    @property
    def length(self) -> int:
        """Length of a value on the wire, in bytes."""
        return self.octets or (self.bits + 7) // 8


_NUMBER, _HEX, _PORT = Notation.NUMBER, Notation.HEX, Notation.PORT
_MAC, _IPV4, _IPV6 = Notation.MAC, Notation.IPV4, Notation.IPV6
_MASKED, _MASKED_BY_OVS = Masking.OPENFLOW, Masking.OPEN_VSWITCH

_TAG = Prerequisites(tagged=True)
_OF_IP4, _OF_IP6, _OF_IP = Prerequisites((0x0800,)), Prerequisites((0x86DD,)), Prerequisites((0x0800, 0x86DD))
_OF_ARP, _OF_MPLS = Prerequisites((0x0806,)), Prerequisites((0x8847, 0x8848))
_OF_TCP, _OF_UDP, _OF_SCTP = (_OF_IP._replace(ip_proto=protocol) for protocol in (6, 17, 132))
# OpenFlow gives the fields of neighbour discovery to types 135 and 136 only, the proof to all of ICMPv6.
_OF_ICMP4, _OF_ICMP6 = _OF_IP4._replace(ip_proto=1), _OF_IP6._replace(ip_proto=58)

_TCP_FLAGS = ("fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns")
_CT_STATES = ("new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat")

MATCH_FIELDS = (
    # name, bits, OXM number, rank, notation, masking, prerequisites, name in ovs-ofctl
    MatchField("in_port", 32, 0, 380, _PORT),
    MatchField("in_phy_port", 32, 1),
    MatchField("metadata", 64, 2, None, _HEX, _MASKED, is_register=True),
    MatchField("eth_src", 48, 4, 360, _MAC, _MASKED, aliases=("dl_src",)),
    MatchField("eth_dst", 48, 3, 240, _MAC, _MASKED, aliases=("dl_dst",)),
    MatchField("eth_type", 16, 5, 20, _HEX, aliases=("dl_type",)),
    MatchField("vlan_vid", 13, 6, 370, _HEX, _MASKED),
    MatchField("vlan_pcp", 3, 7, 10, needs=_TAG),
    MatchField("ip_proto", 8, 10, 30, needs=_OF_IP, aliases=("nw_proto",)),
    MatchField("ip_dscp", 6, 8, 40, needs=_OF_IP),
    MatchField("ip_ecn", 2, 9, 50, needs=_OF_IP, aliases=("nw_ecn",)),
    MatchField("ip_ttl", 8, None, 180, needs=_OF_IP, ofctl="nw_ttl"),
    MatchField("ipv4_src", 32, 11, 330, _IPV4, _MASKED, _OF_IP4, "ip_src", aliases=("nw_src",)),
    MatchField("ipv4_dst", 32, 12, 320, _IPV4, _MASKED, _OF_IP4, "ip_dst", aliases=("nw_dst",)),
    MatchField("ipv6_src", 128, 26, 350, _IPV6, _MASKED, _OF_IP6),
    MatchField("ipv6_dst", 128, 27, 340, _IPV6, _MASKED, _OF_IP6),
    MatchField("ipv6_flabel", 20, 28, 170, _HEX, _MASKED, _OF_IP6, "ipv6_label", octets=4),
    MatchField("ipv6_exthdr", 9, 39, None, _NUMBER, _MASKED, _OF_IP6),
    MatchField("tcp_src", 16, 13, 70, needs=_OF_TCP, shared="tp_src"),
    MatchField("tcp_dst", 16, 14, 60, needs=_OF_TCP, shared="tp_dst"),
    MatchField("tcp_flags", 12, 42, 80, _NUMBER, _MASKED, _OF_TCP, flags=_TCP_FLAGS),
    MatchField("udp_src", 16, 15, 100, needs=_OF_UDP, shared="tp_src"),
    MatchField("udp_dst", 16, 16, 90, needs=_OF_UDP, shared="tp_dst"),
    MatchField("sctp_src", 16, 17, 120, needs=_OF_SCTP, shared="tp_src"),
    MatchField("sctp_dst", 16, 18, 110, needs=_OF_SCTP, shared="tp_dst"),
    MatchField("icmpv4_type", 8, 19, 130, needs=_OF_ICMP4, ofctl="icmp_type", shared="icmp_type"),
    MatchField("icmpv4_code", 8, 20, 140, needs=_OF_ICMP4, ofctl="icmp_code", shared="icmp_code"),
    MatchField("icmpv6_type", 8, 29, 150, needs=_OF_ICMP6, shared="icmp_type"),
    MatchField("icmpv6_code", 8, 30, 160, needs=_OF_ICMP6, shared="icmp_code"),
    MatchField("ipv6_nd_target", 128, 31, 310, _IPV6, _MASKED_BY_OVS, _OF_ICMP6, "nd_target"),
    MatchField("ipv6_nd_sll", 48, 32, 290, _MAC, needs=_OF_ICMP6, ofctl="nd_sll"),
    MatchField("ipv6_nd_tll", 48, 33, 300, _MAC, needs=_OF_ICMP6, ofctl="nd_tll"),
    MatchField("arp_op", 16, 21, 230, needs=_OF_ARP),
    MatchField("arp_spa", 32, 22, 250, _IPV4, _MASKED, _OF_ARP),
    MatchField("arp_tpa", 32, 23, 260, _IPV4, _MASKED, _OF_ARP),
    MatchField("arp_sha", 48, 24, 270, _MAC, _MASKED, _OF_ARP),
    MatchField("arp_tha", 48, 25, 280, _MAC, _MASKED, _OF_ARP),
    MatchField("mpls_label", 20, 34, 190, needs=_OF_MPLS, octets=4),
    MatchField("mpls_tc", 3, 35, 200, needs=_OF_MPLS),
    MatchField("mpls_bos", 1, 36, 210, needs=_OF_MPLS),
    MatchField("mpls_ttl", 8, None, 220, needs=_OF_MPLS),
    MatchField("pbb_isid", 24, 37, None, _NUMBER, _MASKED, Prerequisites((0x88E7,))),
    MatchField("tunnel_id", 64, 38, None, _HEX, _MASKED, aliases=("tun_id",)),
    # These came with OpenFlow 1.4 and 1.5, as tcp_flags did.
    MatchField("pbb_uca", 1, 41, needs=Prerequisites((0x88E7,))),
    MatchField("actset_output", 32, 43, None, _PORT),
    MatchField("packet_type", 32, 44),
    MatchField("ct_state", 32, None, None, _HEX, _MASKED, flags=_CT_STATES),
    *(MatchField(f"reg{number}", 32, None, None, _HEX, _MASKED, is_register=True) for number in range(16)),
)
"""Every match field that op25b knows by name, in the order in which text lists the fields of a packet.

The ranks keep diagrams small. Fields of every packet are first, then ports, then addresses. Fields that
identify a line are last: thousands of lines may each have their own addresses, MAC address and tag.
"""

BY_NAME = {field.name: field for field in MATCH_FIELDS}

HEADER_FIELDS = tuple(field for field in MATCH_FIELDS if field.rank is not None)
"""Fields that a packet carries."""

WIDTHS = {field.name: field.bits for field in HEADER_FIELDS}
"""Width in bits of each field that a packet carries."""

REGISTERS = frozenset(field.name for field in MATCH_FIELDS if field.is_register)
"""Fields that no packet carries: 0 until a rule writes them. A tunnel port sets ``tunnel_id``."""

ETHERNET_FIELDS = frozenset(field.name for field in HEADER_FIELDS if not field.needs.eth_types)
"""Fields of a frame before its payload, and its ingress port."""

OXM_ORDER = {field.name: field.oxm for field in MATCH_FIELDS if field.oxm is not None}
"""OXM numbers by name; a match lists its fields in their order."""
