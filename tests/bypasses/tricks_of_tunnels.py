"""Tricks with a packet inside another, those out of a switch's reach among them."""

from __future__ import annotations

from tests.bypasses import arrangements as by
from tests.bypasses import encapsulation as tunnels
from tests.bypasses import extension_headers as headers
from tests.bypasses.trick import TUNNELS, Group, passes


def _tunnel(wrap: tunnels.Wrap, outer: int, inner: int = 4) -> by.Arrangement:
    return by.through_tunnel(inner, lambda ends: tunnels.tunnel(wrap, outer, ends))


def _vxlan(outer: int) -> by.Arrangement:
    return by.through_tunnel(4, lambda ends: tunnels.tunnel(tunnels.in_vxlan(ends, outer), outer, ends))


def _teredo() -> by.Arrangement:
    return by.through_tunnel(6, lambda ends: tunnels.tunnel(tunnels.in_teredo(ends), 4, ends))


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
            ("IPv4 in IPv6 (DS-Lite, MAP-E)", "Next header 4.", _tunnel(tunnels.in_ip, 6), "RFC 2473"),
            ("IPv6 in IPv6", "Next header 41.", _tunnel(tunnels.in_ip, 6, 6), "RFC 2473"),
            ("GRE", "Protocol 47.", _tunnel(tunnels.in_gre, 4), "RFC 2784"),
            ("GRE over IPv6", "Next header 47.", _tunnel(tunnels.in_gre, 6), "RFC 7676"),
            ("EtherIP", "Protocol 97.", _tunnel(tunnels.in_etherip, 4), "RFC 3378"),
            ("L2TPv3", "Protocol 115.", _tunnel(tunnels.in_l2tp, 4), "RFC 3931"),
            ("MPLS in IP", "Protocol 137.", _tunnel(tunnels.in_mpls, 4), "RFC 4023"),
            ("Minimal encapsulation", "Protocol 55.", _tunnel(tunnels.in_minimal, 4), "RFC 2004"),
            ("IPIP", "Protocol 94, which nobody remembers.", _tunnel(tunnels.in_ipip, 4), ""),
            ("Ethernet in IP", "Protocol 143.", _tunnel(tunnels.in_ethernet, 4), "RFC 8986"),
        )
    ),
)
OUT_OF_REACH = Group(
    "Out of reach",
    (
        passes(
            "A VPN over UDP",
            "VXLAN here; WireGuard, OpenVPN or TLS look no different.",
            _vxlan(4),
            rfc="RFC 7348",
        ),
        passes("A VPN over UDP and IPv6", "The same over IPv6.", _vxlan(6), rfc="RFC 7348"),
        passes("Teredo", "IPv6 in UDP.", _teredo(), rfc="RFC 4380"),
        passes("IPsec", "ESP hides what it carries.", _tunnel(tunnels.in_esp, 4), rfc="RFC 4303"),
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
