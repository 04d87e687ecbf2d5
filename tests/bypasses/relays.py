"""How answers of mail servers travel unseen: packed into UDP, from whoever gets them to whoever asked."""

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


def is_answer_to(frame: bytes, address: bytes) -> bool:
    """Is it TCP from port 25 to this address? A switch floods what it cannot place: others' come by."""
    if not _is(frame, TCP):
        return False
    at = _TRANSPORT_AT[_ethertype(frame)]
    return frame[at - len(address) : at] == address and ports(frame[at:])[0] == _SMTP


def packed(frame: bytes, source: bytes, destination: bytes) -> bytes:
    """The IP packet of a frame in UDP between two hosts; the frame's own addresses stay."""
    ethernet = Ethernet.read(frame)
    message = udp_message(source, destination, RELAY_PORT, RELAY_PORT, ethernet.payload)
    header = Ipv4 if len(source) == 4 else Ipv6
    return ethernet._replace(payload=header(source, destination, UDP, message).write()).write()


def unpacked(frame: bytes) -> bytes | None:
    """The packet inside ``packed``, in a frame again; None for any other frame."""
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
