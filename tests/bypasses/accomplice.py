"""The box in front of a mail server that undoes what a switch was shown instead of TCP."""

from __future__ import annotations

from tests.bypasses.bends import syn_from_ack
from tests.bypasses.encapsulation import unwrapped
from tests.bypasses.extension_headers import (
    AUTHENTICATION,
    DESTINATION_OPTIONS,
    ESP,
    EXPERIMENTS,
    FRAGMENT,
    HIP,
    HOP_BY_HOP,
    MOBILITY,
    NO_NEXT_HEADER,
    ROUTING,
    SHIM6,
    UNASSIGNED,
    esp_content,
    extension_header_length,
)
from tests.bypasses.fragments import MORE_FRAGMENTS
from tests.bypasses.headers import ETH_IPV4, ETH_IPV6, TCP, Ethernet, Ipv4, Ipv6

_SKIPPED = {HOP_BY_HOP, ROUTING, AUTHENTICATION, DESTINATION_OPTIONS, MOBILITY, HIP, SHIM6, *EXPERIMENTS}
_ANOTHER_NUMBER = (NO_NEXT_HEADER, UNASSIGNED)
"""Protocol numbers under which plain TCP stands."""
_LARGEST_OFFSET_BITS = 0x1FFF


class Reassembly:
    """Puts fragments together as RFC 791 describes it: where two overlap, what came last counts.

    No kernel of today does so (RFC 5722 forbids it for IPv6); an accomplice does as it likes.
    """

    def __init__(self) -> None:
        self._buffers: dict[tuple[object, ...], dict[int, bytes]] = {}
        self._lengths: dict[tuple[object, ...], int] = {}

    def add(self, key: tuple[object, ...], offset: int, data: bytes, more: bool) -> bytes | None:
        """The whole payload once nothing is missing; ``offset`` in bytes."""
        if not more:
            self._lengths[key] = offset + len(data)
        parts = self._buffers.setdefault(key, {})
        parts.pop(offset, None)
        parts[offset] = data
        return self._whole(key)

    def _whole(self, key: tuple[object, ...]) -> bytes | None:
        length = self._lengths.get(key)
        if length is None:
            return None
        buffer, missing = bytearray(length), set(range(0, length, 8))
        for offset, data in self._buffers[key].items():
            buffer[offset : offset + len(data)] = data
            missing -= set(range(offset, offset + len(data), 8))
        if missing:
            return None
        del self._buffers[key], self._lengths[key]
        return bytes(buffer)


class Accomplice:
    """Hands on plain TCP, whatever it came in; keeps only fragments that wait for others."""

    def __init__(self) -> None:
        self._reassembly = Reassembly()

    def __call__(self, frame: bytes) -> list[bytes]:
        ethernet = Ethernet.read(frame)
        if ethernet.ethertype not in (ETH_IPV4, ETH_IPV6):
            return [frame]
        packet = self._undone(ethernet.payload)
        if packet is None:
            return []
        ethertype = ETH_IPV4 if packet[0] >> 4 == 4 else ETH_IPV6
        return [ethernet._replace(ethertype=ethertype, payload=packet).write()]

    def _undone(self, data: bytes) -> bytes | None:
        return self._undone_ipv4(Ipv4.read(data)) if data[0] >> 4 == 4 else self._undone_ipv6(Ipv6.read(data))

    def _undone_ipv4(self, packet: Ipv4) -> bytes | None:
        offset, more = packet.fragment & _LARGEST_OFFSET_BITS, packet.fragment & MORE_FRAGMENTS
        if offset or more:
            key = (packet.source, packet.destination, packet.identification, packet.protocol)
            payload = self._reassembly.add(key, offset * 8, packet.payload, bool(more))
            if payload is None:
                return None
            packet = packet._replace(payload=payload, fragment=0)
        inner = unwrapped(packet, packet.protocol, packet.payload)
        if inner is not None:
            return self._undone(inner)
        if packet.protocol == ESP:
            packet = packet._replace(protocol=TCP, payload=esp_content(packet.payload)[1])
        if packet.protocol in _ANOTHER_NUMBER:
            packet = packet._replace(protocol=TCP)
        return syn_from_ack(packet._replace(options=b"")).write()

    def _undone_ipv6(self, packet: Ipv6) -> bytes | None:
        kind, payload = packet.next_header, packet.payload
        while kind in _SKIPPED or kind == FRAGMENT:
            header = payload[: extension_header_length(kind, payload)]
            following, payload = payload[0], payload[len(header) :]
            if kind == FRAGMENT:
                field = int.from_bytes(header[2:4], "big")
                if field & 0xFFF9:
                    key = (packet.source, packet.destination, header[4:8])
                    whole = self._reassembly.add(key, field & 0xFFF8, payload, bool(field & 1))
                    if whole is None:
                        return None
                    payload = whole
            kind = following
        inner = unwrapped(packet, kind, payload)
        if inner is not None:
            return self._undone(inner)
        if kind == ESP:
            kind, payload = esp_content(payload)
        if kind in _ANOTHER_NUMBER:
            kind = TCP
        return packet._replace(next_header=kind, payload=payload).write()
