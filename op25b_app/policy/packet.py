"""Read a frame as a switch reads it: the header fields that a decision may need."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

ETH_IPV4, ETH_ARP, ETH_IPV6 = 0x0800, 0x0806, 0x86DD
ETH_LENGTH = 0x05FF
"""``eth_type`` of a frame with a length in its place (OpenFlow 1.3.5, section 7.2.3.8)."""
TPIDS = frozenset({0x8100, 0x88A8})
"""Ethertypes of a VLAN tag (IEEE 802.1Q); a switch reads behind one tag."""
IGMP, TCP, UDP, FRAGMENT, ICMPV6 = 2, 6, 17, 44, 58
NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT = 135, 136

_SMALLEST_ETHERTYPE = 0x600
_LLC_SNAP = bytes.fromhex("aaaa03000000")
_HOP_BY_HOP, _ROUTING, _AUTHENTICATION, _DESTINATION_OPTIONS = 0, 43, 51, 60
_EXTENSIONS = frozenset({_HOP_BY_HOP, _ROUTING, FRAGMENT, _AUTHENTICATION, _DESTINATION_OPTIONS})
"""IPv6 extension headers that Open vSwitch walks (RFC 8200, section 4; RFC 4302)."""
_HIDING = frozenset({_HOP_BY_HOP, _ROUTING, _AUTHENTICATION, _DESTINATION_OPTIONS, 135, 139, 140, 253, 254})
"""IPv6 extension headers behind which a TCP header may follow unseen.

A switch does not walk them, or may not reach their end (IANA registry "IPv6 Extension Header Types").
"""


@dataclass(frozen=True, slots=True)
class Packet:
    """One frame at a port.

    ``tags`` are VLAN ids from the outside in; ``eth_type`` follows the one tag that a switch reads behind.
    ``version`` is 4 or 6, or None where no IP is seen; addresses are integers of that version. Ports,
    ``icmp_type`` and ``nd_target`` are None where the frame has none or a switch cannot read them, as in
    every fragment. ``protocol`` is FRAGMENT in all but the first fragment of IPv6, and 0 where a header is
    cut short. ``arp_sender`` and ``arp_sender_mac`` are those of an ARP frame.
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
    icmp_type: int | None = None
    nd_target: int | None = None
    arp_sender: int = 0
    arp_sender_mac: int = 0

    @property
    def tag(self) -> int | None:
        """The number of the outermost tag; None without a tag."""
        return self.tags[0] if self.tags else None

    @property
    def is_tcp(self) -> bool:
        """True where a switch sees TCP."""
        return self.version is not None and self.protocol == TCP

    @property
    def is_unreadable_tcp(self) -> bool:
        """True where this may be TCP to a port that a switch cannot read.

        A switch reads the ports of a fragment as 0, so port 0 is unreadable, too. It reads a malformed IPv4
        header, which a neighbour may repair, as protocol 0.
        """
        if self.is_tcp:
            return not self.destination_port
        if self.version == 4:
            return self.protocol == 0
        return self.version == 6 and self.protocol in _HIDING


def read_frame(in_port: int, frame: bytes) -> Packet:
    """Return the packet that a switch reads from ``frame`` (from the Ethernet destination on).

    Parts that are cut off or malformed are not read, as in Open vSwitch. Raises ValueError for less than an
    Ethernet header (14 bytes).
    """
    if len(frame) < 14:
        raise ValueError(f"{len(frame)} bytes are no Ethernet frame; its header alone has 14")
    (eth_type,) = struct.unpack_from("!H", frame, 12)
    offset = 14
    tags: tuple[int, ...] = ()
    if eth_type in TPIDS and len(frame) >= 18:
        tci, eth_type = struct.unpack_from("!HH", frame, 14)
        offset, tags = 18, (tci & 0xFFF,)
    if eth_type < _SMALLEST_ETHERTYPE:
        eth_type, offset = _read_length(frame, offset)
    packet = Packet(
        in_port=in_port,
        eth_type=eth_type,
        eth_source=int.from_bytes(frame[6:12], "big"),
        eth_destination=int.from_bytes(frame[:6], "big"),
        tags=tags,
    )
    payload = frame[offset:]
    if eth_type == ETH_IPV4:
        return _read_ipv4(replace(packet, version=4, protocol=0), payload)
    if eth_type == ETH_IPV6:
        return _read_ipv6(replace(packet, version=6, protocol=0), payload)
    return _read_arp(packet, payload) if eth_type == ETH_ARP else packet


def _read_length(frame: bytes, offset: int) -> tuple[int, int]:
    """Read IEEE 802.3 with LLC: an ethertype follows a SNAP header (RFC 1042)."""
    if frame[offset : offset + 6] == _LLC_SNAP and len(frame) >= offset + 8:
        (eth_type,) = struct.unpack_from("!H", frame, offset + 6)
        if eth_type >= _SMALLEST_ETHERTYPE:
            return eth_type, offset + 8
    return ETH_LENGTH, offset


def _read_arp(packet: Packet, data: bytes) -> Packet:
    """Read ARP for IPv4 over Ethernet (RFC 826)."""
    if len(data) < 28 or data[:6] != bytes.fromhex("000108000604"):
        return packet
    return replace(
        packet,
        arp_sender_mac=int.from_bytes(data[8:14], "big"),
        arp_sender=int.from_bytes(data[14:18], "big"),
    )


def _read_ipv4(packet: Packet, data: bytes) -> Packet:
    """Read IPv4 (RFC 791, section 3.1)."""
    header_length = (data[0] & 0xF) * 4 if data else 0
    if len(data) < 20 or data[0] >> 4 != 4 or header_length < 20 or len(data) < header_length:
        return packet
    (total_length,) = struct.unpack_from("!H", data, 2)
    if not header_length <= total_length <= len(data):
        return packet
    (offset_and_flags,) = struct.unpack_from("!H", data, 6)
    source, destination = struct.unpack_from("!II", data, 12)
    packet = replace(
        packet,
        source=source,
        destination=destination,
        protocol=data[9],
        fragment=offset_and_flags & 0x3FFF != 0,
    )
    return _read_transport(packet, data[header_length:total_length])


def _read_ipv6(packet: Packet, data: bytes) -> Packet:
    """Read IPv6 (RFC 8200, sections 3 and 4); a chain that is cut short has no upper-layer protocol."""
    if len(data) < 40 or data[0] >> 4 != 6:
        return packet
    payload_length, protocol = struct.unpack_from("!HB", data, 4)
    if payload_length > len(data) - 40:
        return packet
    source, destination = (int.from_bytes(data[start : start + 16], "big") for start in (8, 24))
    packet = replace(packet, source=source, destination=destination)
    payload = data[40 : 40 + payload_length]
    fragment = False
    while protocol in _EXTENSIONS:
        if len(payload) < 8:
            return packet
        following = payload[0]
        length = (payload[1] + 1) * 8
        if protocol == FRAGMENT:
            length = 8
            (offset_and_flags,) = struct.unpack_from("!H", payload, 2)
            fragment = fragment or offset_and_flags != 0
            if offset_and_flags & 0xFFF8:
                return replace(packet, protocol=FRAGMENT, fragment=True)
        elif protocol == _AUTHENTICATION:
            length = (payload[1] + 2) * 4
        if len(payload) < length:
            return packet
        protocol, payload = following, payload[length:]
    return _read_transport(replace(packet, protocol=protocol, fragment=fragment), payload)


def _read_transport(packet: Packet, data: bytes) -> Packet:
    if packet.fragment:
        return packet
    if packet.protocol in (TCP, UDP):
        if len(data) < (20 if packet.protocol == TCP else 8):
            return packet
        source_port, destination_port = struct.unpack_from("!HH", data)
        return replace(packet, source_port=source_port, destination_port=destination_port)
    if packet.version == 6 and packet.protocol == ICMPV6 and len(data) >= 8:
        target = None
        if data[0] in (NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT) and len(data) >= 24:
            target = int.from_bytes(data[8:24], "big")
        return replace(packet, icmp_type=data[0], nd_target=target)
    return packet
