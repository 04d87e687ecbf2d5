"""Frames as bytes, from the fields of a packet."""

from __future__ import annotations

import struct

from op25b_app.policy.packet import TCP, UDP, Packet

HOP_LIMIT = 64


def frame_of(packet: Packet) -> bytes:
    """The shortest unfragmented frame that reads as ``packet``; checksums are left 0."""
    transport = _transport(packet)
    if packet.version == 4:
        payload = ipv4(packet.source, packet.destination, packet.protocol or 0, transport)
    elif packet.version == 6:
        payload = ipv6(packet.source, packet.destination, packet.protocol or 0, transport)
    else:
        payload = bytes(46)
    return ethernet(packet, payload)


def ethernet(packet: Packet, payload: bytes) -> bytes:
    addresses = packet.eth_destination.to_bytes(6, "big") + packet.eth_source.to_bytes(6, "big")
    tags = b"".join(struct.pack("!HH", 0x8100, tag) for tag in packet.tags)
    return addresses + tags + struct.pack("!H", packet.eth_type) + payload


def ipv4(source: int, destination: int, protocol: int, payload: bytes, fragment: int = 0) -> bytes:
    """``fragment`` is the field of flags and offset (RFC 791, section 3.1)."""
    header = struct.pack(
        "!BBHHHBBHII",
        0x45, 0, 20 + len(payload), 0, fragment, HOP_LIMIT, protocol, 0, source, destination,
    )  # fmt: skip
    return header + payload


def ipv6(source: int, destination: int, next_header: int, payload: bytes) -> bytes:
    header = struct.pack("!IHBB", 6 << 28, len(payload), next_header, HOP_LIMIT)
    return header + source.to_bytes(16, "big") + destination.to_bytes(16, "big") + payload


def tcp(source_port: int, destination_port: int, flags: int = 0x02) -> bytes:
    """A TCP header without options; ``flags`` 0x02 is SYN."""
    return struct.pack("!HHIIBBHHH", source_port, destination_port, 1, 0, 5 << 4, flags, 8192, 0, 0)


def udp(source_port: int, destination_port: int) -> bytes:
    return struct.pack("!HHHH", source_port, destination_port, 8, 0)


def arp(sender: int, sender_mac: int, target: int = 0, operation: int = 1) -> bytes:
    """RFC 826, for IPv4 over Ethernet."""
    head = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation)
    return head + sender_mac.to_bytes(6, "big") + struct.pack("!I6xI", sender, target)


def icmpv6(kind: int, target: int = 0) -> bytes:
    """An ICMPv6 message with room for the target of neighbour discovery (RFC 4861, section 4.3)."""
    return struct.pack("!BBHI", kind, 0, 0, 0) + target.to_bytes(16, "big")


def _transport(packet: Packet) -> bytes:
    if packet.protocol == TCP:
        return tcp(packet.source_port or 0, packet.destination_port or 0)
    if packet.protocol == UDP:
        return udp(packet.source_port or 0, packet.destination_port or 0)
    return bytes(20)
