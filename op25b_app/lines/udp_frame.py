"""Read the UDP datagram in a frame, as far as a switch that matches its ports sees one."""

from __future__ import annotations

import struct
from typing import NamedTuple

from op25b_app.policy.packet import ETH_IPV4, ETH_IPV6, TPIDS, UDP

_FRAGMENTED = 0x3FFF
"""More-fragments flag and offset (RFC 791, section 3.1)."""


class UdpFrame(NamedTuple):
    """A UDP datagram with the Ethernet source and the tag of its frame; ``tag`` is None without one."""

    eth_source: int
    tag: int | None
    version: int
    source_port: int
    destination_port: int
    payload: bytes


def read_udp_frame(frame: bytes) -> UdpFrame | None:
    """Return the datagram of a frame under at most one tag; None where there is no whole one.

    Datagrams in fragments and behind IPv6 extension headers are left out: DHCP uses neither.
    """
    if len(frame) < 18:
        return None
    (eth_type,) = struct.unpack_from("!H", frame, 12)
    tag, at = None, 14
    if eth_type in TPIDS:
        tci, eth_type = struct.unpack_from("!HH", frame, 14)
        tag, at = tci & 0xFFF, 18
    version = {ETH_IPV4: 4, ETH_IPV6: 6}.get(eth_type)
    datagram = (_ipv4_payload if version == 4 else _ipv6_payload)(frame[at:]) if version else b""
    if version is None or len(datagram) < 8:
        return None
    source_port, destination_port, length = struct.unpack_from("!HHH", datagram)
    if not 8 <= length <= len(datagram):
        return None
    eth_source = int.from_bytes(frame[6:12], "big")
    return UdpFrame(eth_source, tag, version, source_port, destination_port, datagram[8:length])


def _ipv4_payload(packet: bytes) -> bytes:
    """Return what an unfragmented IPv4 packet carries for UDP (RFC 791, section 3.1); empty for others."""
    if len(packet) < 20 or packet[0] >> 4 != 4 or packet[9] != UDP:
        return b""
    header, total, fragment = (packet[0] & 0xF) * 4, *struct.unpack_from("!HxxH", packet, 2)
    if fragment & _FRAGMENTED or not 20 <= header <= total <= len(packet):
        return b""
    return packet[header:total]


def _ipv6_payload(packet: bytes) -> bytes:
    """Return what an IPv6 packet carries for UDP (RFC 8200, section 3); empty for others."""
    if len(packet) < 40 or packet[0] >> 4 != 6 or packet[6] != UDP:
        return b""
    (length,) = struct.unpack_from("!H", packet, 4)
    return packet[40 : 40 + length] if length <= len(packet) - 40 else b""
