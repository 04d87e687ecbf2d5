"""Tricks with a packet inside another, those out of a switch's reach among them."""

from __future__ import annotations

from tests.bypasses import arrangements as by
from tests.bypasses import encapsulation as tunnels
from tests.bypasses import extension_headers as headers
from tests.bypasses.trick import TUNNELS, UDP_PORTS, Group, passes


def _tunnel(wrap: tunnels.Wrap, outer: int, inner: int = 4) -> by.Arrangement:
    return by.through_tunnel(inner, lambda ends: tunnels.tunnel(wrap, outer, ends))


def _over_udp(port: int, outer: int = 4, inner: int = 4) -> by.Arrangement:
    return by.through_tunnel(
        inner, lambda ends: tunnels.tunnel(tunnels.over_udp(ends, outer, port), outer, ends)
    )


def _in_fragments(port: int) -> by.Arrangement:
    return by.through_tunnel(
        4, lambda ends: tunnels.fragmented_tunnel(tunnels.over_udp(ends, 4, port), ends, 24)
    )


IN_TUNNELS = Group(
    "Tunnels",
    tuple(
        passes(name, how, arrange, TUNNELS, rfc=rfc)
        for name, how, arrange, rfc in (
            ("IPv4 in IPv4", "Protocol 4.", _tunnel(tunnels.in_ip, 4), "RFC 2003"),
            (
                "IPv6 in IPv4 (6in4, 6to4, 6rd, ISATAP)",
                "Protocol 41.",
                _tunnel(tunnels.in_ip, 4, 6),
                "RFC 4213",
            ),
            ("IPv4 in IPv6 (MAP-E)", "Next header 4.", _tunnel(tunnels.in_ip, 6), "RFC 2473"),
            (
                "DS-Lite",
                "The same to the AFTR of the ISP, which translates what is inside.",
                by.through_aftr(),
                "RFC 6333",
            ),
            ("IPv6 in IPv6", "Next header 41.", _tunnel(tunnels.in_ip, 6, 6), "RFC 2473"),
            ("GRE", "Protocol 47.", _tunnel(tunnels.in_gre, 4), "RFC 2784"),
            ("GRE over IPv6", "Next header 47.", _tunnel(tunnels.in_gre, 6), "RFC 7676"),
            ("EtherIP", "Protocol 97.", _tunnel(tunnels.in_etherip, 4), "RFC 3378"),
            ("L2TPv3", "Protocol 115.", _tunnel(tunnels.in_l2tp, 4), "RFC 3931"),
            ("MPLS in IP", "Protocol 137.", _tunnel(tunnels.in_mpls, 4), "RFC 4023"),
            ("Minimal encapsulation", "Protocol 55.", _tunnel(tunnels.in_minimal, 4), "RFC 2004"),
            ("IPIP", "Protocol 94, long out of use.", _tunnel(tunnels.in_ipip, 4), ""),
            ("Ethernet in IP", "Protocol 143.", _tunnel(tunnels.in_ethernet, 4), "RFC 8986"),
            (
                "Encapsulation header",
                "Protocol 98, historic.",
                _tunnel(tunnels.in_encapsulation_header, 4),
                "RFC 1241",
            ),
            ("IPComp", "Protocol 108, the packet compressed.", _tunnel(tunnels.in_ipcomp, 4), "RFC 3173"),
            ("Wrapped ESP", "Protocol 141, nothing encrypted.", _tunnel(tunnels.in_wesp, 4), "RFC 5840"),
            ("ROHC", "Protocol 142, no header compressed.", _tunnel(tunnels.in_rohc, 4), "RFC 5858"),
            ("AGGFRAG", "Protocol 144, without ESP around it.", _tunnel(tunnels.in_aggfrag, 4), "RFC 9347"),
            ("NSH in IP", "Protocol 145.", _tunnel(tunnels.in_nsh, 4), "RFC 9491"),
        )
    ),
)
OVER_UDP = Group(
    "Tunnels over UDP, by their ports",
    (
        *(
            passes(name, f"Port {port}.", _over_udp(port, inner=inner), UDP_PORTS, rfc=rfc)
            for name, port, inner, rfc in (
                ("VXLAN", tunnels.VXLAN_PORT, 4, "RFC 7348"),
                ("GENEVE", tunnels.GENEVE_PORT, 4, "RFC 8926"),
                ("L2TP", tunnels.L2TP_PORT, 4, "RFC 2661"),
                ("GTP-U", tunnels.GTP_PORT, 4, "3GPP TS 29.281"),
                ("Teredo", tunnels.TEREDO_PORT, 6, "RFC 4380"),
                ("MPLS in UDP", tunnels.MPLS_PORT, 4, "RFC 7510"),
                ("GUE", tunnels.GUE_PORT, 4, "draft-ietf-intarea-gue"),
            )
        ),
        passes(
            "VXLAN over IPv6",
            "The same over IPv6.",
            _over_udp(tunnels.VXLAN_PORT, 6),
            UDP_PORTS,
            rfc="RFC 7348",
        ),
        passes(
            "VXLAN in fragments",
            "A switch reads the port of a fragment as 0: port 0 has to be named, too.",
            _in_fragments(tunnels.VXLAN_PORT),
            UDP_PORTS,
            rfc="RFC 791",
        ),
    ),
)
OUT_OF_REACH = Group(
    "Out of reach",
    (
        passes(
            "A VPN over UDP",
            "VXLAN on port 443 here; WireGuard, OpenVPN or TLS look no different.",
            _over_udp(tunnels.UNNAMED_PORT),
            rfc="RFC 7348",
        ),
        passes(
            "A VPN over UDP and IPv6",
            "The same over IPv6.",
            _over_udp(tunnels.UNNAMED_PORT, 6),
            rfc="RFC 7348",
        ),
        passes("IPsec", "ESP hides the packet inside.", _tunnel(tunnels.in_esp, 4), rfc="RFC 4303"),
        passes("IPsec over IPv6", "The same over IPv6.", _tunnel(tunnels.in_esp, 6, 6), rfc="RFC 4303"),
        passes(
            "TCP under another protocol number, IPv4",
            "Number 200, put right by an accomplice.",
            by.to_accomplice(4, headers.under_protocol_ipv4(headers.UNASSIGNED)),
        ),
        passes(
            "TCP under another protocol number, IPv6",
            "The same over IPv6.",
            by.to_accomplice(6, headers.under_protocol_ipv6(headers.UNASSIGNED)),
        ),
        passes(
            "TCP under 'no next header'",
            "Next header 59, after which hosts look no further.",
            by.to_accomplice(6, headers.under_protocol_ipv6(headers.NO_NEXT_HEADER)),
            rfc="RFC 8200",
        ),
    ),
)
