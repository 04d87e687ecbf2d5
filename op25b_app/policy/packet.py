"""A frame as a switch reads it: the header fields a decision may rest on."""

from __future__ import annotations

import struct
from dataclasses import dataclass

ETH_IPV4, ETH_IPV6 = 0x0800, 0x86DD
TPIDS = frozenset({0x8100, 0x88A8})
"""Ethertypes of a tag (IEEE 802.1Q); a switch looks behind one."""
TCP, UDP = 6, 17

_HOP_BY_HOP, _ROUTING, _FRAGMENT, _AUTHENTICATION, _DESTINATION_OPTIONS = 0, 43, 44, 51, 60
_EXTENSIONS = frozenset({_HOP_BY_HOP, _ROUTING, _FRAGMENT, _AUTHENTICATION, _DESTINATION_OPTIONS})
"""IPv6 extension headers that Open vSwitch walks (RFC 8200, section 4; RFC 4302)."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One frame at a port.

    ``tags`` are VLAN numbers from the outside in; ``eth_type`` is what follows the one tag a switch looks
    behind. ``version`` is 4 or 6, or None where no IP is seen; addresses are integers of that version.
    Ports are None where the frame has none or a switch cannot read them, as in every fragment.
    """

    in_port: int
    eth_type: int
    version: int | None = None
    source: int = 0
    destination: int = 0
    protocol: int | None = None
    source_port: int | None = None
    destination_port: int | None = None
    fragment: bool = False
    eth_source: int = 0x02_00_00_00_00_01
    eth_destination: int = 0x02_00_00_00_00_02
    tags: tuple[int, ...] = ()

    @property
    def is_tcp(self) -> bool:
        return self.version is not None and self.protocol == TCP


def read_frame(in_port: int, frame: bytes) -> Packet:
    """The packet that ``frame`` (from the Ethernet destination on) is to a switch.

    What is cut off or malformed is not read, as Open vSwitch does not; ValueError for less than an
    Ethernet header.
    """
    if len(frame) < 14:
        raise ValueError(f"{len(frame)} bytes are no Ethernet frame; its header alone has 14")
    (eth_type,) = struct.unpack_from("!H", frame, 12)
    offset = 14
    tags: tuple[int, ...] = ()
    if eth_type in TPIDS and len(frame) >= 18:
        tci, eth_type = struct.unpack_from("!HH", frame, 14)
        offset, tags = 18, (tci & 0xFFF,)
    packet = Packet(
        in_port=in_port,
        eth_type=eth_type,
        eth_source=int.from_bytes(frame[6:12], "big"),
        eth_destination=int.from_bytes(frame[:6], "big"),
        tags=tags,
    )
    if eth_type == ETH_IPV4:
        return _read_ipv4(packet, frame[offset:])
    if eth_type == ETH_IPV6:
        return _read_ipv6(packet, frame[offset:])
    return packet


def _read_ipv4(packet: Packet, data: bytes) -> Packet:
    """RFC 791, section 3.1."""
    header_length = (data[0] & 0xF) * 4 if data else 0
    if len(data) < 20 or header_length < 20 or len(data) < header_length:
        return packet
    (total_length,) = struct.unpack_from("!H", data, 2)
    if not header_length <= total_length <= len(data):
        return packet
    (offset_and_flags,) = struct.unpack_from("!H", data, 6)
    source, destination = struct.unpack_from("!II", data, 12)
    fragment = offset_and_flags & 0x3FFF != 0
    payload = data[header_length:total_length]
    return _with_transport(packet, 4, source, destination, data[9], fragment, payload)


def _read_ipv6(packet: Packet, data: bytes) -> Packet:
    """RFC 8200, sections 3 and 4; a chain that is cut short has no upper-layer protocol."""
    if len(data) < 40:
        return packet
    payload_length, protocol = struct.unpack_from("!HB", data, 4)
    if payload_length > len(data) - 40:
        return packet
    source, destination = (int.from_bytes(data[start : start + 16], "big") for start in (8, 24))
    payload = data[40 : 40 + payload_length]
    fragment = False
    while protocol in _EXTENSIONS and not fragment:
        if len(payload) < 8:
            return packet
        following = payload[0]
        length = (payload[1] + 1) * 8
        if protocol == _FRAGMENT:
            length = 8
            fragment = struct.unpack_from("!H", payload, 2)[0] & 0xFFF9 != 0
        elif protocol == _AUTHENTICATION:
            length = (payload[1] + 2) * 4
        if len(payload) < length:
            return packet
        protocol, payload = following, payload[length:]
    return _with_transport(packet, 6, source, destination, protocol, fragment, payload)


def _with_transport(
    packet: Packet,
    version: int,
    source: int,
    destination: int,
    protocol: int,
    fragment: bool,
    payload: bytes,
) -> Packet:
    ports: tuple[int | None, int | None] = (None, None)
    readable = len(payload) >= {TCP: 20, UDP: 8}.get(protocol, 1 << 16)
    if readable and not fragment:
        ports = struct.unpack_from("!HH", payload)
    return Packet(
        in_port=packet.in_port,
        eth_type=packet.eth_type,
        version=version,
        source=source,
        destination=destination,
        protocol=protocol,
        source_port=ports[0],
        destination_port=ports[1],
        fragment=fragment,
        eth_source=packet.eth_source,
        eth_destination=packet.eth_destination,
        tags=packet.tags,
    )
