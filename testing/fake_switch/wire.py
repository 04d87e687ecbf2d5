"""OpenFlow's framing: headers, errors, messages out of a stream (OpenFlow 1.3.5, 7.1 and 7.4.4)."""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator
from typing import NamedTuple

OPENFLOW_13, OPENFLOW_14, OPENFLOW_15 = 4, 5, 6
MAX_BYTES = 0xFFFF
"""No message is longer: its length has 16 bits."""
NICIRA, ONF = 0x00002320, 0x4F4E4600
"""Who defines experimenter messages: Open vSwitch's forebear, and the Open Networking Foundation."""
HEADER = struct.Struct("!BBHI")


class Kind(enum.IntEnum):
    """Message types (A.1); the same numbers from OpenFlow 1.3 to 1.5."""

    HELLO = 0
    ERROR = 1
    ECHO_REQUEST = 2
    ECHO_REPLY = 3
    EXPERIMENTER = 4
    FEATURES_REQUEST = 5
    FEATURES_REPLY = 6
    GET_CONFIG_REQUEST = 7
    GET_CONFIG_REPLY = 8
    SET_CONFIG = 9
    PACKET_IN = 10
    FLOW_REMOVED = 11
    PORT_STATUS = 12
    PACKET_OUT = 13
    FLOW_MOD = 14
    GROUP_MOD = 15
    PORT_MOD = 16
    TABLE_MOD = 17
    MULTIPART_REQUEST = 18
    MULTIPART_REPLY = 19
    BARRIER_REQUEST = 20
    BARRIER_REPLY = 21
    ROLE_REQUEST = 24
    ROLE_REPLY = 25
    METER_MOD = 29
    ROLE_STATUS = 30
    BUNDLE_CONTROL = 33
    BUNDLE_ADD = 34


class Refusal(NamedTuple):
    """An error message's type and code; of an experimenter's error type, the code is its own type."""

    type: int
    code: int
    experimenter: int = 0


class RefusedError(Exception):
    """What was asked for is refused."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal)
        self.refusal = refusal


class BrokenStreamError(Exception):
    """Bytes that no OpenFlow message begins with: nobody can know where the next one would begin."""


class Message(NamedTuple):
    """One whole message; ``raw`` has the header too."""

    version: int
    kind: int
    xid: int
    raw: bytes

    @property
    def body(self) -> bytes:
        return self.raw[HEADER.size :]


def pack(version: int, kind: int, xid: int, body: bytes = b"") -> bytes:
    return HEADER.pack(version, kind, HEADER.size + len(body), xid) + body


def pack_error(version: int, xid: int, refusal: Refusal, cause: bytes) -> bytes:
    """An error message with what caused it, as much of that as fits (Open vSwitch cuts nothing off)."""
    body = struct.pack("!HH", refusal.type, refusal.code)
    if refusal.experimenter:
        body = struct.pack("!HHI", 0xFFFF, refusal.code, refusal.experimenter)
    return pack(version, Kind.ERROR, xid, body + cause[: MAX_BYTES - HEADER.size - len(body)])


def pad8(body: bytes) -> bytes:
    """``body`` with zeros up to a multiple of eight bytes."""
    return body + bytes(-len(body) % 8)


class Stream:
    """Messages out of bytes that arrive in pieces of any size."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> Iterator[Message]:
        """The messages that are complete now, all to be taken. Raises BrokenStreamError behind the last."""
        held = self._rest + piece
        position = 0
        while len(held) - position >= HEADER.size:
            version, kind, length, xid = HEADER.unpack_from(held, position)
            if length < HEADER.size:
                raise BrokenStreamError(f"a message of {length} bytes")
            if len(held) - position < length:
                break
            yield Message(version, kind, xid, held[position : position + length])
            position += length
        self._rest = held[position:]


class Cursor:
    """Reads structures from a body one after the other; what is cut short is refused."""

    def __init__(self, body: bytes, refusal: Refusal, position: int = 0) -> None:
        self.body = body
        self.position = position
        self._refusal = refusal

    def take(self, layout: struct.Struct) -> tuple[int, ...]:
        if len(self.body) - self.position < layout.size:
            raise RefusedError(self._refusal)
        values: tuple[int, ...] = layout.unpack_from(self.body, self.position)
        self.position += layout.size
        return values

    def take_bytes(self, length: int) -> bytes:
        if not 0 <= length <= len(self.body) - self.position:
            raise RefusedError(self._refusal)
        self.position += length
        return self.body[self.position - length : self.position]

    @property
    def rest(self) -> bytes:
        return self.body[self.position :]
