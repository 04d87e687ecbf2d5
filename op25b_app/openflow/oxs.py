"""Decode statistics of a rule from a list of fields (OpenFlow 1.5.1, section 7.2.4)."""

from __future__ import annotations

import struct
from typing import NamedTuple

_BASIC = 0x8002
"""OFPXSC_OPENFLOW_BASIC."""
_DURATION, _PACKETS, _BYTES = 0, 4, 5


class Statistics(NamedTuple):
    """Counters of a rule, 0 where the switch has none; ``duration`` in seconds."""

    duration: float
    packets: int
    bytes: int


def decode_statistics(message: bytes, offset: int) -> tuple[Statistics, int]:
    """Return the statistics at byte ``offset`` of a message, and the offset behind their padding.

    Raises ValueError or struct.error for a ``struct ofp_stats`` that is cut short.
    """
    _, length = struct.unpack_from("!HH", message, offset)
    end = offset + length
    if length < 4 or end > len(message):
        raise ValueError(f"statistics of {length} bytes at byte {offset} of {len(message)}")
    fields: dict[int, int] = {}
    position = offset + 4
    while position < end:
        oxs_class, number, size = struct.unpack_from("!HBB", message, position)
        position += 4
        if oxs_class == _BASIC:
            fields[number >> 1] = int.from_bytes(message[position : position + size], "big")
        position += size
    seconds, nanoseconds = divmod(fields.get(_DURATION, 0), 1 << 32)
    counted = Statistics(seconds + nanoseconds / 1e9, fields.get(_PACKETS, 0), fields.get(_BYTES, 0))
    return counted, end + (-length % 8)
