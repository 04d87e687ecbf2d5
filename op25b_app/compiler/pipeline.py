"""Tables of the pipeline, and the priorities of the rules in each.

The TCP port is tested before any address, and the directions are apart, so a switch's flow cache stays the
same size however many prefixes there are.
"""

from __future__ import annotations

import enum

from op25b_app.net.prefix import Prefix
from op25b_app.policy.model import FIRST_FOREIGN_TABLE

SMTP = 25
SUBMISSION_PORTS = (465, 587)
"""TCP ports of SMTP over TLS (RFC 8314) and submission (RFC 6409)."""

ETH_IPV4 = 0x0800
ETH_ARP = 0x0806
ETH_IPV6 = 0x86DD

IP_IGMP = 2
IP_TCP = 6
IP_UDP = 17
IP_ICMPV6 = 58
TUNNEL_PROTOCOLS = (4, 41, 47, 55, 94, 97, 98, 108, 115, 137, 141, 142, 143, 144, 145)
"""IP protocols of tunnels.

IPv4 and IPv6 in IP, GRE, minimal encapsulation, IPIP, EtherIP, the encapsulation header, IPComp, L2TPv3, MPLS
in IP, WESP, ROHC, Ethernet in IP, AGGFRAG and NSH.
"""
UNREAD_PORT = 0
"""TCP port that a switch reads from a fragment."""
UNREAD_PROTOCOLS = {4: (0,), 6: (0, 43, 51, 60, 135, 139, 140, 253, 254)}
"""IP protocols that may hide a TCP header, by IP version.

A switch reads 0, which no IPv4 packet carries, from a malformed header. It stops reading at these IPv6
extension headers (IANA).
"""

DHCP_CLIENT, DHCP_SERVER = {4: 68, 6: 546}, {4: 67, 6: 547}
"""UDP ports by IP version; relay agents of DHCPv6 use that of the server at both ends."""
DHCPV6_AGENTS, DHCPV6_AGENTS_MAC = Prefix.parse("ff02::1:2"), 0x333300010002
"""Destination of requests, relayed or not; answers go to one host (RFC 8415, RFC 6221)."""
ROUTER_ADVERTISEMENT, NEIGHBOUR_ADVERTISEMENT = 134, 136
SERVICE_ICMPV6 = (130, 131, 132, 133, 135, 136, 143)
"""ICMPv6 types of multicast listener discovery, router solicitation and neighbour discovery."""


class Table(enum.IntEnum):
    """Tables of the pipeline; a frame only ever goes on to a later one."""

    ADMIT = 0
    """Role of the port, which decides the direction."""
    EGRESS = 1
    """Frames from a subscriber, by protocol and port."""
    EGRESS_SMTP = 2
    """Mail, or possible mail, from a subscriber, by source and destination."""
    INGRESS = 3
    """Frames from an uplink, by port."""
    INGRESS_REPLIES = 4
    """Frames from an uplink and port 25, by address: the return leg of the triangle."""
    INGRESS_SMTP = 5
    """Frames from an uplink to port 25, by address."""
    EGRESS_SOURCE = 6
    """Frames from a subscriber, by source; only where every packet's source is validated."""


LAST_TABLE = Table.INGRESS_SMTP
"""Last table that op25b uses in every policy."""
assert LAST_TABLE + 1 == FIRST_FOREIGN_TABLE == Table.EGRESS_SOURCE


MARKER_PRIORITY = 2
"""Priority of the marker, which no packet matches; below every other op25b rule."""


class Admit(enum.IntEnum):
    """Priorities of table 0, above 0 and 1, which other applications use."""

    OTHER_TAG = 50
    ANY_PORT = 100
    OTHER_TAG_OF_PORT = 150
    PORT = 200


class Egress(enum.IntEnum):
    """Priorities of the table of ports, subscriber side."""

    OTHERWISE = 10
    ETHERTYPE = 20
    SUBMISSION = 100
    SMTP = 200
    UNREADABLE = 210
    TUNNEL = 300
    PERMITTED_TUNNEL = 310
    SERVICE = 400
    CLAIM = 500
    PERMITTED_CLAIM = 510
    SERVICE_ANSWER = 600


class EgressSmtp(enum.IntEnum):
    """Priorities of the table of addresses, subscriber side.

    Twice the prefix length is added to ``SOURCE``, and one more for a rule that matches the port too.
    """

    OTHERWISE = 10
    SOURCE = 100
    BOUND_SOURCE = 400
    EXCEPTION = 500
    MAIL_DESTINATION = 600


class EgressSource(enum.IntEnum):
    """Priorities of the table of sources; prefix lengths are added to ``SOURCE``."""

    OTHERWISE = 10
    SOURCE = 100


class Ingress(enum.IntEnum):
    """Priorities of the table of ports, uplink side; prefix lengths are added to ``SOURCE``."""

    OTHERWISE = 10
    ETHERTYPE = 20
    SOURCE = 100
    TO_SMTP = 300
    FROM_SMTP = 400


class IngressAddresses(enum.IntEnum):
    """Priorities of both tables of addresses, uplink side; prefix lengths are added to ``DESTINATION``."""

    OTHERWISE = 10
    DESTINATION = 100
    EXCEPTION = 300
    OWN_SOURCE = 400
    MAIL_SOURCE = 500
