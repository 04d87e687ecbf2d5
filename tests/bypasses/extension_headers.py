"""Bends that put something between the IP header and TCP: IPv6 extension headers, IPv4 options."""

from __future__ import annotations

import struct

from tests.bypasses.bends import Bend, of_ipv4, of_ipv6
from tests.bypasses.headers import TCP, Ipv4, Ipv6

HOP_BY_HOP, ROUTING, FRAGMENT, ESP, AUTHENTICATION = 0, 43, 44, 50, 51
NO_NEXT_HEADER, DESTINATION_OPTIONS, MOBILITY, HIP, SHIM6 = 59, 60, 135, 139, 140
EXPERIMENTS = (253, 254)
"""RFC 3692."""
UNASSIGNED = 200
"""A protocol number that stands for nothing."""
_ATOMIC = 4
_ESP_TRAILER = 2


def padding(next_header: int, length: int) -> bytes:
    """An options header of ``length`` bytes that says nothing: PadN only (RFC 8200, section 4.2)."""
    header = struct.pack("!BB", next_header, length // 8 - 1)
    left = length - 2
    while left:
        size = min(left, 257)
        header += struct.pack("!BB", 1, size - 2) + bytes(size - 2) if size > 1 else b"\0"
        left -= size
    return header


def extension_header(kind: int, next_header: int) -> bytes:
    """The shortest header of a kind that a host may skip."""
    if kind in (HOP_BY_HOP, DESTINATION_OPTIONS):
        return padding(next_header, 8)
    if kind == ROUTING:
        return struct.pack("!BBBBI", next_header, 0, 0, 0, 0)
    if kind == FRAGMENT:
        return struct.pack("!BBHI", next_header, 0, 0, 1)
    if kind == AUTHENTICATION:
        return struct.pack("!BBHII12x", next_header, _ATOMIC, 0, 0x100, 1)
    return struct.pack("!BBHI", next_header, 0, 0, 0)


def extension_header_length(kind: int, header: bytes) -> int:
    """How long the header at the beginning of ``header`` is, in bytes."""
    if kind == FRAGMENT:
        return 8
    return (header[1] + 2) * 4 if kind == AUTHENTICATION else (header[1] + 1) * 8


def chain(*kinds: int) -> Bend:
    """These extension headers before TCP."""

    def change(packet: Ipv6) -> list[Ipv6]:
        following = (*kinds[1:], TCP)
        headers = map(extension_header, kinds, following)
        return [packet._replace(next_header=kinds[0], payload=b"".join((*headers, packet.payload)))]

    return of_ipv6(change)


def long_options(kind: int, length: int) -> Bend:
    """One options header of ``length`` bytes before TCP."""

    def change(packet: Ipv6) -> list[Ipv6]:
        return [packet._replace(next_header=kind, payload=padding(TCP, length) + packet.payload)]

    return of_ipv6(change)


def under_protocol_ipv4(protocol: int) -> Bend:
    """TCP, unchanged, but for the number that says so; an accomplice puts it right."""
    return of_ipv4(lambda packet: [packet._replace(protocol=protocol)])


def under_protocol_ipv6(protocol: int) -> Bend:
    return of_ipv6(lambda packet: [packet._replace(next_header=protocol)])


def esp_payload(segment: bytes, next_header: int) -> bytes:
    """ESP with NULL encryption (RFC 4303, RFC 2410); how it is encrypted makes no difference to a switch."""
    fill = -(len(segment) + _ESP_TRAILER) % 4
    return struct.pack("!II", 0x100, 1) + segment + bytes(range(1, fill + 1)) + bytes((fill, next_header))


def esp_content(payload: bytes) -> tuple[int, bytes]:
    """The next header and what ``esp_payload`` was made of."""
    fill, next_header = payload[-2], payload[-1]
    return next_header, payload[8 : len(payload) - _ESP_TRAILER - fill]


def ipv4_options(options: bytes) -> Bend:
    """IPv4 options, filled up to a multiple of four bytes (RFC 791, section 3.1)."""
    padded = options + bytes(-len(options) % 4)

    def change(packet: Ipv4) -> list[Ipv4]:
        return [packet._replace(options=padded)]

    return of_ipv4(change)


def loose_source_route(stop: bytes) -> Bend:
    """To the same destination, but by way of ``stop``, which the packet is addressed to (RFC 791)."""

    def change(packet: Ipv4) -> list[Ipv4]:
        option = bytes((131, 7, 4)) + packet.destination
        return [packet._replace(destination=stop, options=option + bytes(1))]

    return of_ipv4(change)


def segment_route(stop: bytes) -> Bend:
    """The same over IPv6 with a segment routing header (RFC 8754)."""

    def change(packet: Ipv6) -> list[Ipv6]:
        segments = packet.destination + stop
        header = struct.pack("!BBBBBBH", TCP, len(segments) // 8, 4, 1, 1, 0, 0) + segments
        return [packet._replace(destination=stop, next_header=ROUTING, payload=header + packet.payload)]

    return of_ipv6(change)


NO_OPERATIONS = bytes([1]) * 40
RECORD_ROUTE = bytes((7, 39, 4)) + bytes(36)
TIMESTAMP = bytes((68, 12, 5, 0)) + bytes(8)
ROUTER_ALERT = bytes((148, 4, 0, 0))
SOURCE_ROUTE = bytes((131, 7, 8, 192, 0, 2, 1))
"""A loose source route that is at its end."""
