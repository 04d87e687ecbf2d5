"""What a switch says of itself first (OpenFlow 1.3.5, section 7.3.1; the same in 1.4 and 1.5)."""

from __future__ import annotations

import struct
from typing import NamedTuple

from op25b_app.switch import wire

_FEATURES = struct.Struct("!QxxxxB")
_SIZE = 32


class Features(NamedTuple):
    dpid: int
    tables: int


def decode_features(message: bytes) -> Features | None:
    """None for any other message, and for one that is too short."""
    if message[1] != wire.FEATURES_REPLY or len(message) < _SIZE:
        return None
    return Features(*_FEATURES.unpack_from(message, wire.HEADER_SIZE))
