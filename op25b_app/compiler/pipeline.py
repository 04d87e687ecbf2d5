"""Tables of the pipeline: what each matches, where it leads, and the priorities of its rules.

The TCP port is tested before any address, and the directions are apart, so a switch's flow cache stays the
same size however many prefixes there are.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import NamedTuple

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
    """Tables of the pipeline; ``PIPELINE`` describes each."""

    ADMIT = 0
    EGRESS = 1
    EGRESS_SMTP = 2
    INGRESS = 3
    INGRESS_REPLIES = 4
    INGRESS_SMTP = 5
    EGRESS_SOURCE = 6


LAST_TABLE = Table.INGRESS_SMTP
"""Last table that op25b uses in every policy."""
assert LAST_TABLE + 1 == FIRST_FOREIGN_TABLE == Table.EGRESS_SOURCE


class TableExit(NamedTuple):
    """Way out of a table: the packets that take it, and the next table, None for forwarding.

    ``setting`` is what the policy must say for a rule to lead there; empty if nothing.
    """

    packets: str
    to: Table | None
    setting: str = ""


class TableDescription(NamedTuple):
    """Purpose of a table, the match fields that its rules may have, and where they may lead.

    README draws ``question``, if there is one; docs/decisions.md has ``sees`` and ``asks``. Markers and the
    tags of updates are matched beside ``matches``, in any table.
    """

    sees: str
    asks: str
    matches: frozenset[str]
    question: str = ""
    exits: tuple[TableExit, ...] = ()
    tracked: tuple[str, ...] = ()
    """Fields whose prefixes Open vSwitch is to track.

    Three fit, and those of remote addresses matter (docs/cost.md).
    """


_SOURCES = frozenset({"eth_type", "ipv4_src", "ipv6_src"})
_ADDRESSES = _SOURCES | {"ipv4_dst", "ipv6_dst"}
_TO_PORT = frozenset({"eth_type", "ip_proto", "tcp_dst"})
_SERVICES = frozenset(
    {"udp_src", "udp_dst", "icmpv6_type", "ipv6_nd_target", "arp_spa", "arp_sha", "eth_dst"}
)
_LINE = frozenset({"in_port", "vlan_vid", "eth_src"})
_TO_SOURCES = TableExit("permitted", Table.EGRESS_SOURCE, "`source_validation: prefix` or `binding`")

PIPELINE: Mapping[Table, TableDescription] = {
    Table.ADMIT: TableDescription(
        sees="every frame",
        asks="the port's role and the tag; under `dhcp: snooping` whether it is DHCP",
        question="which port, which tag?",
        matches=frozenset({"in_port", "vlan_vid", "eth_type", "ip_proto", "udp_src", "udp_dst"}),
        exits=(
            TableExit("trusted port", None),
            TableExit("subscriber port", Table.EGRESS),
            TableExit("uplink port", Table.INGRESS),
        ),
    ),
    Table.EGRESS: TableDescription(
        sees="frames from subscribers",
        asks="protocol and TCP port; services, tunnels",
        question="which TCP port?",
        matches=_TO_PORT | _ADDRESSES | _SERVICES | _LINE,
        exits=(TableExit("to 25", Table.EGRESS_SMTP), TableExit("any other", None), _TO_SOURCES),
    ),
    Table.EGRESS_SMTP: TableDescription(
        sees="of these, TCP to port 25 and unreadable TCP",
        asks="destination, exception, source",
        question="to a mail destination, under an exception, from a static address? ─▶ forward, else drop",
        matches=_TO_PORT | _ADDRESSES | {"in_port", "vlan_vid"},
        exits=(_TO_SOURCES,),
        tracked=("ipv4_dst", "ipv6_dst", "ipv4_src"),
    ),
    Table.INGRESS: TableDescription(
        sees="frames from uplinks",
        asks="TCP ports; under `prefix` and `binding` the source",
        question="which TCP port?",
        matches=_TO_PORT | _SOURCES | {"tcp_src"},
        exits=(
            TableExit("from 25", Table.INGRESS_REPLIES),
            TableExit("to 25", Table.INGRESS_SMTP),
            TableExit("any other", None),
        ),
        tracked=("ipv4_src", "ipv6_src"),
    ),
    Table.INGRESS_REPLIES: TableDescription(
        sees="of these, TCP from port 25",
        asks="source and destination",
        question="an answer that a dynamic line cannot have asked for? ─▶ drop, else forward",
        matches=_ADDRESSES,
        exits=(TableExit("permitted", Table.INGRESS_SMTP, "`inbound.port_25: block`"),),
        tracked=("ipv4_src", "ipv6_src", "ipv4_dst"),
    ),
    Table.INGRESS_SMTP: TableDescription(
        sees="of these, TCP to port 25",
        asks="source and destination",
        question="a forged source, or closed to mail from outside? ─▶ drop, else forward",
        matches=_TO_PORT | _ADDRESSES,
        tracked=("ipv4_src", "ipv6_src", "ipv4_dst"),
    ),
    Table.EGRESS_SOURCE: TableDescription(
        sees="under `prefix` and `binding`, what 1 and 2 permit",
        asks="the source of every packet",
        matches=_SOURCES | _LINE,
        tracked=("ipv4_src", "ipv6_src"),
    ),
}
"""Every table. A frame only ever goes on to a later one."""


MARKER_PRIORITY = 2
"""Priority of the marker, which no packet matches; below every other op25b rule."""


class Admit(enum.IntEnum):
    """Priorities of table 0, above 0 and 1, which other applications use."""

    OTHER_TAG = 50
    ANY_PORT = 100
    SNOOPED_ANY_PORT = 110
    OTHER_TAG_OF_PORT = 150
    PORT = 200
    SNOOPED_PORT = 210
    MUTED_LINE = 220


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
