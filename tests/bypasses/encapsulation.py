"""Bends that put the whole packet into another: tunnels that a switch may know by their protocol number."""

from __future__ import annotations

import struct
from collections.abc import Callable

from tests.bypasses.bends import Bend, carries_tcp
from tests.bypasses.extension_headers import ESP, esp_content, esp_payload
from tests.bypasses.headers import ETH_IPV4, ETH_IPV6, UDP, Ethernet, Ipv4, Ipv6, ports, udp_message

IPV4, IPV6, GRE, MINIMAL, IPIP, ETHERIP, L2TP, MPLS, ETHERNET = 4, 41, 47, 55, 94, 97, 115, 137, 143
VXLAN_PORT, TEREDO_PORT = 4789, 3544
_ETHERIP_HEADER = bytes((0x30, 0))
_SESSION = struct.pack("!I", 25)
_LABEL = struct.pack("!I", 100 << 12 | 1 << 8 | 64)
_VXLAN_HEADER = struct.pack("!II", 0x08000000, 25 << 8)
_NO_ADDRESSES = bytes(12)

Wrap = Callable[[int, bytes], tuple[int, bytes]]
"""From the IP version and bytes of a packet to the outer protocol number and what stands behind it."""
Ends = dict[int, tuple[bytes, bytes]]
"""By IP version the two ends of a tunnel: source and destination address."""


def tunnel(wrap: Wrap, outer: int, ends: Ends) -> Bend:
    """TCP of either IP version in a tunnel of IP version ``outer``."""
    source, destination = ends[outer]

    def bend(frame: bytes) -> list[bytes]:
        if not carries_tcp(frame):
            return [frame]
        ethernet = Ethernet.read(frame)
        protocol, payload = wrap(4 if ethernet.ethertype == ETH_IPV4 else 6, ethernet.payload)
        if outer == 4:
            packet: Ipv4 | Ipv6 = Ipv4(source, destination, protocol, payload)
        else:
            packet = Ipv6(source, destination, protocol, payload)
        ethertype = ETH_IPV4 if outer == 4 else ETH_IPV6
        return [ethernet._replace(ethertype=ethertype, payload=packet.write()).write()]

    return bend


def in_ip(version: int, packet: bytes) -> tuple[int, bytes]:
    """RFC 2003, RFC 4213, RFC 2473."""
    return {4: IPV4, 6: IPV6}[version], packet


def in_gre(version: int, packet: bytes) -> tuple[int, bytes]:
    """RFC 2784."""
    return GRE, struct.pack("!HH", 0, _ethertype(version)) + packet


def in_etherip(version: int, packet: bytes) -> tuple[int, bytes]:
    """RFC 3378."""
    return ETHERIP, _ETHERIP_HEADER + _frame(version, packet)


def in_l2tp(version: int, packet: bytes) -> tuple[int, bytes]:
    """L2TPv3 straight over IP, without a cookie (RFC 3931, section 4.1.1)."""
    return L2TP, _SESSION + _frame(version, packet)


def in_mpls(_: int, packet: bytes) -> tuple[int, bytes]:
    """RFC 4023."""
    return MPLS, _LABEL + packet


def in_minimal(_: int, packet: bytes) -> tuple[int, bytes]:
    """Minimal encapsulation of IPv4 (RFC 2004), its checksum left 0."""
    inner = Ipv4.read(packet)
    return MINIMAL, struct.pack("!BBH", inner.protocol, 0, 0) + inner.destination + inner.payload


def in_ipip(_: int, packet: bytes) -> tuple[int, bytes]:
    """Protocol 94 of IANA's registry."""
    return IPIP, packet


def in_ethernet(version: int, packet: bytes) -> tuple[int, bytes]:
    """Protocol 143 (RFC 8986, section 10.1)."""
    return ETHERNET, _frame(version, packet)


def in_esp(version: int, packet: bytes) -> tuple[int, bytes]:
    """ESP in tunnel mode (RFC 4303)."""
    return ESP, esp_payload(packet, in_ip(version, packet)[0])


def in_vxlan(ends: Ends, outer: int) -> Wrap:
    """RFC 7348."""

    def wrap(version: int, packet: bytes) -> tuple[int, bytes]:
        data = _VXLAN_HEADER + _frame(version, packet)
        return UDP, udp_message(*ends[outer], VXLAN_PORT, VXLAN_PORT, data)

    return wrap


def in_teredo(ends: Ends) -> Wrap:
    """IPv6 in UDP over IPv4 (RFC 4380)."""
    return lambda _, packet: (UDP, udp_message(*ends[4], TEREDO_PORT, TEREDO_PORT, packet))


def unwrapped(outer: Ipv4 | Ipv6, protocol: int, payload: bytes) -> bytes | None:
    """The IP packet inside a tunnel's packet; None where it is none of these tunnels."""
    if protocol in (IPV4, IPV6, IPIP):
        return payload
    if protocol in (GRE, MPLS):
        return payload[4:]
    if protocol in (ETHERIP, L2TP, ETHERNET):
        header = {ETHERIP: len(_ETHERIP_HEADER), L2TP: len(_SESSION), ETHERNET: 0}[protocol]
        return payload[header + 14 :]
    if protocol == MINIMAL:
        inner, destination = payload[0], payload[4:8]
        return Ipv4(outer.source, destination, inner, payload[8:]).write()
    if protocol == ESP and esp_content(payload)[0] in (IPV4, IPV6):
        return esp_content(payload)[1]
    if protocol == UDP and ports(payload)[1] == VXLAN_PORT:
        return payload[8 + len(_VXLAN_HEADER) + 14 :]
    if protocol == UDP and ports(payload)[1] == TEREDO_PORT:
        return payload[8:]
    return None


def _ethertype(version: int) -> int:
    return {4: ETH_IPV4, 6: ETH_IPV6}[version]


def _frame(version: int, packet: bytes) -> bytes:
    return _NO_ADDRESSES + struct.pack("!H", _ethertype(version)) + packet
