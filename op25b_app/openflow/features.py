"""Decode the features reply (OpenFlow 1.3.5, section 7.3.1; the same in 1.4 and 1.5)."""

from __future__ import annotations

import struct
from typing import NamedTuple

from op25b_app.openflow import wire

_FEATURES = struct.Struct("!QxxxxBB")
_SIZE = 32


class Features(NamedTuple):
    """Datapath id, number of tables, and id of an auxiliary connection (0 on the main one, 6.3.7)."""

    dpid: int
    tables: int
    auxiliary: int = 0


def decode_features(message: bytes) -> Features | None:
    """Return the features; None for any other message, or one that is too short."""
    if message[1] != wire.FEATURES_REPLY or len(message) < _SIZE:
        return None
    return Features(*_FEATURES.unpack_from(message, wire.HEADER_SIZE))
