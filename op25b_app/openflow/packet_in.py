"""Decode packet-ins that op25b's own rules cause (OpenFlow 1.3.5, section 7.4.1; the same in 1.4 and 1.5)."""

from __future__ import annotations

import struct
from typing import NamedTuple

from op25b_app.openflow.flow_rule import COOKIE_OWNER
from op25b_app.openflow.oxm import decode_match

_OFPT_PACKET_IN = 10
_FIXED = struct.Struct("!8xIHBBQ")
_OWNER = struct.pack("!H", COOKIE_OWNER)
_COOKIE_AT, _MATCH_AT, _PADDING = 16, 24, 2


class PacketIn(NamedTuple):
    """A frame of which a rule has sent a copy, and the port that the frame came in at."""

    cookie: int
    in_port: int
    frame: bytes


def is_own_packet_in(message: bytes) -> bool:
    """Return whether a message is a packet-in of one of op25b's rules, by the cookie."""
    return message[1] == _OFPT_PACKET_IN and message[_COOKIE_AT : _COOKIE_AT + 2] == _OWNER


def decode_packet_in(message: bytes) -> PacketIn | None:
    """Return a packet-in; None where it is malformed or holds only a part of the frame."""
    try:
        _, length, _, _, cookie = _FIXED.unpack_from(message)
        match, end = decode_match(message, _MATCH_AT)
    except (ValueError, struct.error):
        return None
    ports = [field.value for field in match if field.name == "in_port"]
    frame = message[end + _PADDING :]
    return PacketIn(cookie, ports[0], frame) if ports and len(frame) == length else None
