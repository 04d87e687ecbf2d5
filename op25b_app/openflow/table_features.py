"""Capacity of the tables of a switch (OpenFlow 1.3.5, section 7.3.5.5; alike in 1.4 and 1.5)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from op25b_app.openflow.wire import (
    MULTIPART_HEADER_SIZE,
    decode_entries,
    encode_multipart_request,
    multipart_kind,
)

_OFPMP_TABLE_FEATURES = 12
_FIXED_PART = struct.Struct("!xxBxxxxx32s20xI")
"""Fixed part of ``struct ofp_table_features``; the properties behind it are not read."""


class TableFeatures(NamedTuple):
    """Table of a switch; ``max_entries`` is the number of rules that it claims to hold, maybe a guess."""

    table: int
    name: str
    max_entries: int


def encode_table_features_request(*, version: int, xid: int) -> bytes:
    """Return a request for the features of every table; it has no body and so changes none."""
    return encode_multipart_request(version, _OFPMP_TABLE_FEATURES, xid, b"")


def is_table_features_reply(message: bytes) -> bool:
    """Return whether ``message`` is a part of a table features reply."""
    return multipart_kind(message) == _OFPMP_TABLE_FEATURES


def decode_table_features(message: bytes) -> Iterator[TableFeatures]:
    """Yield the tables in one part of the reply, which may have several parts.

    Raises ValueError, with the byte position, for a message that breaks the format.
    """
    return decode_entries(message, MULTIPART_HEADER_SIZE, _decode_table, "table features")


def _decode_table(entry: bytes) -> TableFeatures:
    table, name, max_entries = _FIXED_PART.unpack_from(entry)
    return TableFeatures(table, name.partition(b"\0")[0].decode("ascii", "replace"), max_entries)
