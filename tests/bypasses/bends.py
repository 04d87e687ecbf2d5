"""What a bend is: it makes of a frame that a host sends the frames that go on the wire instead.

Bends are pure. Only TCP is bent; ARP, neighbour discovery and all the rest go as they are, so that the host
keeps its place in the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tests.bypasses.headers import ETH_IPV4, ETH_IPV6, TCP, Ethernet, Ipv4, Ipv6, with_checksum

Bend = Callable[[bytes], list[bytes]]


def straight(frame: bytes) -> list[bytes]:
    return [frame]


def of_ipv4(change: Callable[[Ipv4], Iterable[Ipv4]]) -> Bend:
    """A bend of the IPv4 packets that carry TCP."""

    def bend(frame: bytes) -> list[bytes]:
        ethernet = Ethernet.read(frame)
        if ethernet.ethertype != ETH_IPV4 or frame[23] != TCP:
            return [frame]
        packets = change(Ipv4.read(ethernet.payload))
        return [ethernet._replace(payload=packet.write()).write() for packet in packets]

    return bend


def of_ipv6(change: Callable[[Ipv6], Iterable[Ipv6]]) -> Bend:
    """A bend of the IPv6 packets that carry TCP."""

    def bend(frame: bytes) -> list[bytes]:
        ethernet = Ethernet.read(frame)
        if ethernet.ethertype != ETH_IPV6 or frame[20] != TCP:
            return [frame]
        packets = change(Ipv6.read(ethernet.payload))
        return [ethernet._replace(payload=packet.write()).write() for packet in packets]

    return bend


def of_frame(change: Callable[[Ethernet], Iterable[Ethernet]]) -> Bend:
    """A bend of the frames that carry TCP over IPv4 or IPv6."""

    def bend(frame: bytes) -> list[bytes]:
        if not carries_tcp(frame):
            return [frame]
        return [ethernet.write() for ethernet in change(Ethernet.read(frame))]

    return bend


def carries_tcp(frame: bytes) -> bool:
    """Is it TCP right behind an untagged IPv4 or IPv6 header?"""
    protocol_at = {ETH_IPV4: 23, ETH_IPV6: 20}.get(int.from_bytes(frame[12:14], "big"))
    return protocol_at is not None and len(frame) > protocol_at and frame[protocol_at] == TCP


_ACK, _SYN = 0x10, 0x02
_NONCE_SUM = 0x01
"""A flag that nobody uses any more (RFC 8311); it marks what was a SYN."""


def _syn_as_ack(packet: Ipv4) -> list[Ipv4]:
    segment = packet.payload
    if segment[13] != _SYN:
        return [packet]
    segment = segment[:12] + bytes((segment[12] | _NONCE_SUM, _ACK)) + segment[14:]
    return [packet._replace(payload=with_checksum(packet.source, packet.destination, TCP, segment))]


def syn_from_ack(packet: Ipv4) -> Ipv4:
    """What an accomplice makes of ``syn_as_ack`` before it goes to a mail server."""
    segment = packet.payload
    if packet.protocol != TCP or not segment[12] & _NONCE_SUM:
        return packet
    segment = segment[:12] + bytes((segment[12] & ~_NONCE_SUM, _SYN)) + segment[14:]
    return packet._replace(payload=with_checksum(packet.source, packet.destination, TCP, segment))


syn_as_ack = of_ipv4(_syn_as_ack)
"""No SYN ever crosses the switch: what rules for "established" connections let through."""
