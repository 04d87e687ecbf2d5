"""Match fields by their OpenFlow names (OpenFlow 1.3.5, section 7.2.3.7): widths and kinds."""

from __future__ import annotations

VLAN_PRESENT = 0x1000
"""OFPVID_PRESENT (OpenFlow 1.3.5, section 7.2.3.7)."""

WIDTHS = {
    "in_port": 32,
    "eth_dst": 48,
    "eth_src": 48,
    "eth_type": 16,
    "vlan_vid": 13,
    "vlan_pcp": 3,
    "ip_dscp": 6,
    "ip_ecn": 2,
    "ip_proto": 8,
    "ip_ttl": 8,
    "ipv4_src": 32,
    "ipv4_dst": 32,
    "tcp_src": 16,
    "tcp_dst": 16,
    "tcp_flags": 12,
    "udp_src": 16,
    "udp_dst": 16,
    "sctp_src": 16,
    "sctp_dst": 16,
    "icmpv4_type": 8,
    "icmpv4_code": 8,
    "arp_op": 16,
    "arp_spa": 32,
    "arp_tpa": 32,
    "arp_sha": 48,
    "arp_tha": 48,
    "ipv6_src": 128,
    "ipv6_dst": 128,
    "ipv6_flabel": 20,
    "icmpv6_type": 8,
    "icmpv6_code": 8,
    "ipv6_nd_target": 128,
    "ipv6_nd_sll": 48,
    "ipv6_nd_tll": 48,
    "mpls_label": 20,
    "mpls_tc": 3,
    "mpls_bos": 1,
    "mpls_ttl": 8,
}
"""Width in bits of each field that a packet carries."""

REGISTERS = frozenset({"metadata", *(f"reg{number}" for number in range(16))})
"""Fields that no packet carries: 0 until a rule writes them. A tunnel port sets ``tunnel_id``."""

ETHERNET_FIELDS = frozenset({"in_port", "eth_src", "eth_dst", "eth_type", "vlan_vid", "vlan_pcp"})
"""Fields of a frame before its payload, and its ingress port."""
