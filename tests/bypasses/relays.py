"""The two ends of a triangle: who gets the answers, and who sends in that one's name (Qian et al., 2010)."""

from __future__ import annotations

from tests.bypasses.headers import (
    ETH_IPV4,
    ETH_IPV6,
    TCP,
    UDP,
    Ethernet,
    Ipv4,
    Ipv6,
    ports,
    udp_message,
)

RELAY_PORT = 8000
_SMTP = 25
_TRANSPORT_AT = {ETH_IPV4: 34, ETH_IPV6: 54}
_PROTOCOL_AT = {ETH_IPV4: 23, ETH_IPV6: 20}


def relayed(frame: bytes, own: bytes, helper: bytes) -> bytes | None:
    """An answer from a mail server, packed into UDP for the helper and sent back where it came from.

    None for any other frame, one for another host among them: a switch floods what it cannot place.
    """
    if not _is(frame, TCP) or ports(frame[_TRANSPORT_AT[_ethertype(frame)] :])[0] != _SMTP:
        return None
    if frame[: _TRANSPORT_AT[_ethertype(frame)]][-len(own) :] != own:
        return None
    ethernet = Ethernet.read(frame)
    message = udp_message(own, helper, RELAY_PORT, RELAY_PORT, ethernet.payload)
    header = Ipv4 if len(own) == 4 else Ipv6
    return Ethernet(
        ethernet.source, ethernet.destination, ethernet.ethertype, header(own, helper, UDP, message).write()
    ).write()


def unrelayed(frame: bytes) -> bytes | None:
    """The answer inside a frame of the relay; None for any other frame."""
    if not _is(frame, UDP):
        return None
    at = _TRANSPORT_AT[_ethertype(frame)]
    if ports(frame[at:])[1] != RELAY_PORT:
        return None
    return frame[:14] + frame[at + 8 :]


def _is(frame: bytes, protocol: int) -> bool:
    at = _PROTOCOL_AT.get(_ethertype(frame))
    return at is not None and len(frame) > at and frame[at] == protocol


def _ethertype(frame: bytes) -> int:
    return int.from_bytes(frame[12:14], "big")
