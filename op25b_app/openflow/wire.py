"""Header of OpenFlow messages, and the envelope of multipart messages.

OpenFlow 1.3.5, sections 7.1 and 7.3.5; the same in 1.4 and 1.5.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import TypeVar

Entry = TypeVar("Entry")

OPENFLOW_13, OPENFLOW_14, OPENFLOW_15 = 4, 5, 6
"""Version numbers, the first byte of a message."""

TCP_PORT, TCP_PORT_OLD = 6653, 6633
"""Ports of a controller: the registered one (OpenFlow 1.3.5, section 6.3.3), and that of earlier versions."""

ERROR, EXPERIMENTER = 1, 4
FEATURES_REPLY = 6
FLOW_REMOVED = 11
BARRIER_REPLY = 21
MULTIPART_REQUEST, MULTIPART_REPLY = 18, 19

MULTIPART_EXPERIMENTER = 0xFFFF
ONF_EXPERIMENTER = 0x4F4E4600
"""Id of the Open Networking Foundation, whose extensions give OpenFlow 1.3 what 1.4 has built in."""

HEADER_SIZE = 8
MULTIPART_HEADER_SIZE = 16

_HEADER = struct.Struct("!BBHI")
_MULTIPART = struct.Struct("!HHxxxx")


def encode_message(version: int, kind: int, xid: int, body: bytes) -> bytes:
    """Return a message: a header with its length in bytes, and ``body``."""
    return _HEADER.pack(version, kind, HEADER_SIZE + len(body), xid) + body


def encode_multipart_request(version: int, kind: int, xid: int, body: bytes) -> bytes:
    """Return a multipart request of one part; ``kind`` is its OFPMP."""
    return encode_message(version, MULTIPART_REQUEST, xid, _MULTIPART.pack(kind, 0) + body)


def multipart_kind(message: bytes) -> int | None:
    """Return the kind (OFPMP) of a multipart reply; None for any other message."""
    if message[1] != MULTIPART_REPLY or len(message) < MULTIPART_HEADER_SIZE:
        return None
    return int.from_bytes(message[8:10], "big")


def experimenter_kind(message: bytes) -> tuple[int, int] | None:
    """Return experimenter id and type of an experimenter message or multipart reply, else None."""
    if message[1] == EXPERIMENTER:
        position = HEADER_SIZE
    elif multipart_kind(message) == MULTIPART_EXPERIMENTER:
        position = MULTIPART_HEADER_SIZE
    else:
        return None
    if len(message) < position + 8:
        return None
    organisation, kind = struct.unpack_from("!II", message, position)
    return organisation, kind


def decode_entries(
    message: bytes, position: int, decode: Callable[[bytes], Entry], what: str
) -> Iterator[Entry]:
    """Yield the decoded entries from byte ``position`` on; each begins with its length in two bytes.

    Raises ValueError, with ``what`` and the byte position, where a length is wrong or ``decode`` fails.
    """
    while position < len(message):
        length = int.from_bytes(message[position : position + 2], "big")
        entry = message[position : position + length]
        try:
            if not 2 <= length == len(entry):
                raise ValueError(f"{length} bytes announced, {len(message) - position} there")
            yield decode(entry)
        except (ValueError, struct.error) as error:
            raise ValueError(f"unreadable {what} at byte {position}: {error}") from None
        position += length
