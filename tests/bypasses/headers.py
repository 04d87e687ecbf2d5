"""Ethernet, IPv4, IPv6, TCP and UDP headers as values: read, changed with ``_replace``, written again."""

from __future__ import annotations

import struct
from typing import NamedTuple

ETH_IPV4, ETH_ARP, ETH_IPV6 = 0x0800, 0x0806, 0x86DD
ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
BROADCAST = b"\xff" * 6


class Ethernet(NamedTuple):
    """A frame; addresses as six bytes."""

    destination: bytes
    source: bytes
    ethertype: int
    payload: bytes

    @classmethod
    def read(cls, frame: bytes) -> Ethernet:
        return cls(frame[:6], frame[6:12], int.from_bytes(frame[12:14], "big"), frame[14:])

    def write(self) -> bytes:
        return self.destination + self.source + self.ethertype.to_bytes(2, "big") + self.payload


class Ipv4(NamedTuple):
    """RFC 791, section 3.1; addresses as four bytes, ``fragment`` is the field of flags and offset."""

    source: bytes
    destination: bytes
    protocol: int
    payload: bytes
    fragment: int = 0
    identification: int = 0
    ttl: int = 64
    tos: int = 0
    options: bytes = b""

    @classmethod
    def read(cls, data: bytes) -> Ipv4:
        """ValueError for what is no whole IPv4 packet."""
        if len(data) < 20 or data[0] >> 4 != 4:
            raise ValueError(f"no IPv4 header in {data[:20].hex()}")
        tos, length, identification, fragment, ttl, protocol = struct.unpack_from("!xBHHHBB", data)
        header = (data[0] & 15) * 4
        if not 20 <= header <= length <= len(data):
            raise ValueError(f"an IPv4 packet of {length} bytes in {len(data)}")
        return cls(
            source=data[12:16],
            destination=data[16:20],
            protocol=protocol,
            payload=data[header:length],
            fragment=fragment,
            identification=identification,
            ttl=ttl,
            tos=tos,
            options=data[20:header],
        )

    def write(self) -> bytes:
        words = 5 + len(self.options) // 4
        length = words * 4 + len(self.payload)
        fields = (0x40 | words, self.tos, length, self.identification, self.fragment, self.ttl, self.protocol)
        addresses = self.source + self.destination + self.options
        header = struct.pack("!BBHHHBBH", *fields, 0) + addresses
        return struct.pack("!BBHHHBBH", *fields, checksum(header)) + addresses + self.payload


class Ipv6(NamedTuple):
    """RFC 8200, section 3; ``payload`` begins with the extension headers, if any."""

    source: bytes
    destination: bytes
    next_header: int
    payload: bytes
    hop_limit: int = 64
    traffic: int = 0
    """Traffic class and flow label."""

    @classmethod
    def read(cls, data: bytes) -> Ipv6:
        """ValueError for what is no whole IPv6 packet."""
        if len(data) < 40 or data[0] >> 4 != 6:
            raise ValueError(f"no IPv6 header in {data[:40].hex()}")
        first, length, next_header, hop_limit = struct.unpack_from("!IHBB", data)
        if length > len(data) - 40:
            raise ValueError(f"an IPv6 payload of {length} bytes in {len(data) - 40}")
        payload = data[40 : 40 + length]
        return cls(data[8:24], data[24:40], next_header, payload, hop_limit, first & 0xFFFFFFF)

    def write(self) -> bytes:
        first = 6 << 28 | self.traffic
        header = struct.pack("!IHBB", first, len(self.payload), self.next_header, self.hop_limit)
        return header + self.source + self.destination + self.payload


class Outline(NamedTuple):
    """What an untagged frame says of its packet, be that well-formed or not."""

    ethertype: int
    source: bytes
    destination: bytes
    protocol: int


def outline(frame: bytes) -> Outline | None:
    """Read the outline of a frame; None for what is no IP, or ends before its addresses do."""
    ethertype = int.from_bytes(frame[12:14], "big")
    if ethertype not in (ETH_IPV4, ETH_IPV6):
        return None
    protocol, source, width = (23, 26, 4) if ethertype == ETH_IPV4 else (20, 22, 16)
    destination = source + width
    if len(frame) < destination + width:
        return None
    addresses = frame[source:destination], frame[destination : destination + width]
    return Outline(ethertype, *addresses, frame[protocol])


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def with_checksum(source: bytes, destination: bytes, protocol: int, segment: bytes) -> bytes:
    """A TCP, UDP or ICMPv6 message with its checksum set for these addresses (RFC 9293, RFC 8200)."""
    place = {TCP: 16, UDP: 6, ICMPV6: 2}[protocol]
    blank = segment[:place] + b"\0\0" + segment[place + 2 :]
    pseudo = source + destination + struct.pack("!II", len(blank), protocol)
    return blank[:place] + checksum(pseudo + blank).to_bytes(2, "big") + blank[place + 2 :]


def with_addresses(packet: Ipv4, source: bytes, destination: bytes) -> Ipv4:
    """Return a whole TCP packet as a NAT leaves it: other addresses, and the checksum that goes with them."""
    payload = with_checksum(source, destination, packet.protocol, packet.payload)
    return packet._replace(source=source, destination=destination, payload=payload)


def udp_message(
    source: bytes, destination: bytes, source_port: int, destination_port: int, data: bytes
) -> bytes:
    """RFC 768."""
    header = struct.pack("!HHHH", source_port, destination_port, 8 + len(data), 0)
    return with_checksum(source, destination, UDP, header + data)


def ports(segment: bytes) -> tuple[int, int]:
    """Source and destination port of a TCP or UDP message."""
    return int.from_bytes(segment[:2], "big"), int.from_bytes(segment[2:4], "big")
