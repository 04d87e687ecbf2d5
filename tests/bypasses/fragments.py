"""Bends of IPv4 and IPv6 into fragments (RFC 791, section 3.2; RFC 8200, section 4.5)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from tests.bypasses.bends import Bend, of_ipv4, of_ipv6
from tests.bypasses.extension_headers import DESTINATION_OPTIONS, FRAGMENT, HOP_BY_HOP, padding
from tests.bypasses.headers import TCP, Ipv4, Ipv6

MORE_FRAGMENTS = 0x2000
_DECOY_PORTS = struct.pack("!HH", 40000, 587)


class Piece(NamedTuple):
    """Part of a payload; ``offset`` in bytes, a multiple of 8."""

    offset: int
    data: bytes
    more: bool


def pieces(payload: bytes, size: int) -> list[Piece]:
    """A payload cut into pieces of ``size`` bytes, a multiple of 8."""
    starts = range(0, len(payload), size)
    return [Piece(at, payload[at : at + size], at + size < len(payload)) for at in starts]


def ipv4_fragments(size: int, *, backwards: bool = False) -> Bend:
    def change(packet: Ipv4) -> list[Ipv4]:
        return in_fragments(packet, size)[:: -1 if backwards else 1]

    return of_ipv4(change)


def in_fragments(packet: Ipv4, size: int) -> list[Ipv4]:
    """Cut a packet into fragments with payloads of ``size`` bytes, a multiple of 8."""
    return _ipv4(packet, pieces(packet.payload, size))


def _ipv4_same_again(packet: Ipv4) -> list[Ipv4]:
    first, *others = pieces(packet.payload, 24)
    return _ipv4(packet, [first, _decoy(first), *others])


def _ipv4_other_first(packet: Ipv4) -> list[Ipv4]:
    first, *others = pieces(packet.payload, 24)
    return _ipv4(packet, [_decoy(first), first, *others])


def _ipv4(packet: Ipv4, parts: list[Piece]) -> list[Ipv4]:
    return [
        packet._replace(
            payload=part.data,
            fragment=part.offset // 8 | (MORE_FRAGMENTS if part.more else 0),
            identification=_identification(packet.payload) & 0xFFFF,
        )
        for part in parts
    ]


def ipv6_fragments(size: int, *, backwards: bool = False) -> Bend:
    def change(packet: Ipv6) -> list[Ipv6]:
        return _ipv6(packet, pieces(packet.payload, size))[:: -1 if backwards else 1]

    return of_ipv6(change)


def _ipv6_same_again(packet: Ipv6) -> list[Ipv6]:
    first, *others = pieces(packet.payload, 24)
    return _ipv6(packet, [first, _decoy(first), *others])


def _ipv6_other_first(packet: Ipv6) -> list[Ipv6]:
    first, *others = pieces(packet.payload, 24)
    return _ipv6(packet, [_decoy(first), first, *others])


def _behind_hop_by_hop(packet: Ipv6) -> list[Ipv6]:
    fragments = _ipv6(packet, pieces(packet.payload, 24))
    return [
        each._replace(next_header=HOP_BY_HOP, payload=padding(FRAGMENT, 8) + each.payload)
        for each in fragments
    ]


def _chain_split(packet: Ipv6) -> list[Ipv6]:
    chain = padding(DESTINATION_OPTIONS, 16) + padding(TCP, 32) + packet.payload
    return _ipv6(packet, pieces(chain, 32), next_header=DESTINATION_OPTIONS)


def _within_atomic(packet: Ipv6) -> list[Ipv6]:
    fragments = _ipv6(packet, pieces(packet.payload, 24))
    outer = fragment_header(FRAGMENT, 0, packet.payload)
    return [each._replace(payload=outer + each.payload) for each in fragments]


def _ipv6(packet: Ipv6, parts: list[Piece], next_header: int = TCP) -> list[Ipv6]:
    whole = b"".join(part.data for part in parts)
    return [
        packet._replace(
            next_header=FRAGMENT,
            payload=fragment_header(next_header, part.offset | part.more, whole) + part.data,
        )
        for part in parts
    ]


def atomic(reserved: int = 0) -> Bend:
    """A packet that is one fragment (RFC 6946), perhaps with the two reserved bits set."""

    def change(packet: Ipv6) -> Iterator[Ipv6]:
        header = fragment_header(TCP, reserved << 1, packet.payload)
        yield packet._replace(next_header=FRAGMENT, payload=header + packet.payload)

    return of_ipv6(change)


def fragment_header(next_header: int, offset_and_flags: int, whole: bytes) -> bytes:
    return struct.pack("!BBHI", next_header, 0, offset_and_flags, _identification(whole))


def _identification(payload: bytes) -> int:
    """The same for all fragments of a packet."""
    return zlib.crc32(payload)


def _decoy(first: Piece) -> Piece:
    """A fragment for the same place that says port 587."""
    return first._replace(data=_DECOY_PORTS + first.data[4:])


ipv4_same_again = of_ipv4(_ipv4_same_again)
"""The first fragment twice, the second time with another port: who keeps what came first ignores it."""
ipv4_other_first = of_ipv4(_ipv4_other_first)
"""A first fragment with another port, then the true one, for a host that keeps what came last (RFC 3128)."""
ipv6_same_again = of_ipv6(_ipv6_same_again)
ipv6_other_first = of_ipv6(_ipv6_other_first)
behind_hop_by_hop = of_ipv6(_behind_hop_by_hop)
chain_split = of_ipv6(_chain_split)
"""The header chain reaches into the second fragment, and TCP stands only there (RFC 7112)."""
within_atomic = of_ipv6(_within_atomic)
"""Each fragment behind a fragment header that says "not a fragment"."""
