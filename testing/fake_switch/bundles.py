"""Bundles: messages that take effect together or not at all.

OpenFlow 1.4.1, 7.3.9, and for 1.3 the ONF extension 230, whose messages have the same body behind an
experimenter's header.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Callable
from typing import NamedTuple

from testing.fake_switch import refusals
from testing.fake_switch.wire import HEADER, Cursor, Kind, Message, RefusedError

EXPERIMENTER_CONTROL, EXPERIMENTER_ADD = 2300, 2301
ATOMIC, ORDERED = 1, 2
_CONTROL = struct.Struct("!IHH")
_ADD = struct.Struct("!IxxH")
_FLAGS = ATOMIC | ORDERED
_SUPPORTED = (Kind.FLOW_MOD, Kind.PACKET_OUT)


class Control(enum.IntEnum):
    """What a control message asks for; the answer is the next number."""

    OPEN = 0
    CLOSE = 2
    COMMIT = 4
    DISCARD = 6


class Request(NamedTuple):
    """A bundle control message; ``control`` may be a number that no control has."""

    bundle: int
    control: int
    flags: int

    def reply_body(self) -> bytes:
        return _CONTROL.pack(self.bundle, self.control + 1, 0)


class Bundled(NamedTuple):
    """A message of a bundle; ``wrapped`` is the one that brought it."""

    message: Message
    wrapped: bytes


class Bundles:
    """The bundles of one connection."""

    def __init__(self) -> None:
        self._flags: dict[int, int] = {}
        self._messages: dict[int, list[Bundled]] = {}
        self._closed: set[int] = set()

    def control(self, body: bytes) -> tuple[Request, list[Bundled] | None]:
        """Do what a control message asks for; the messages to carry out now where it is a commit."""
        request = Request(*Cursor(body, refusals.BAD_LENGTH).take(_CONTROL))
        bundle, control, flags = request
        if flags & ~_FLAGS:
            raise RefusedError(refusals.BUNDLE_BAD_FLAGS)
        if control not in Control._value2member_map_:
            raise RefusedError(refusals.BUNDLE_BAD_TYPE)
        if control == Control.OPEN:
            self._open(bundle, flags)
            return request, None
        if control == Control.DISCARD:
            self._known(bundle)
            self._forget(bundle)
            return request, None
        self._same_flags(bundle, flags)
        if control == Control.CLOSE:
            if bundle in self._closed:
                self._forget(bundle)
                raise RefusedError(refusals.BUNDLE_CLOSED)
            self._closed.add(bundle)
            return request, None
        return request, self._forget(bundle)

    def add(self, body: bytes, outer: Message, check: Callable[[Message], None]) -> None:
        """Keep the message within an add message, unless ``check`` refuses it; the bundle stays as it was."""
        cursor = Cursor(body, refusals.BAD_LENGTH)
        bundle, flags = cursor.take(_ADD)
        inner = cursor.rest
        if len(inner) < HEADER.size:
            raise RefusedError(refusals.BUNDLE_MESSAGE_BAD_LENGTH)
        version, kind, length, xid = HEADER.unpack_from(inner)
        if not HEADER.size <= length <= len(inner):
            raise RefusedError(refusals.BUNDLE_MESSAGE_BAD_LENGTH)
        if version != outer.version:
            raise RefusedError(refusals.BAD_VERSION)
        if xid != outer.xid:
            raise RefusedError(refusals.BUNDLE_MESSAGE_BAD_XID)
        if kind not in _SUPPORTED:
            raise RefusedError(refusals.BUNDLE_MESSAGE_UNSUPPORTED)
        if bundle not in self._flags:
            self._open(bundle, flags)
        elif bundle in self._closed:
            self._forget(bundle)
            raise RefusedError(refusals.BUNDLE_CLOSED)
        self._same_flags(bundle, flags)
        message = Message(version, kind, xid, inner[:length])
        check(message)
        self._messages[bundle].append(Bundled(message, outer.raw))

    def _open(self, bundle: int, flags: int) -> None:
        if bundle in self._flags:
            self._forget(bundle)
            raise RefusedError(refusals.BUNDLE_BAD_ID)
        self._flags[bundle] = flags
        self._messages[bundle] = []

    def _known(self, bundle: int) -> None:
        if bundle not in self._flags:
            raise RefusedError(refusals.BUNDLE_BAD_ID)

    def _same_flags(self, bundle: int, flags: int) -> None:
        self._known(bundle)
        if self._flags[bundle] != flags:
            self._forget(bundle)
            raise RefusedError(refusals.BUNDLE_BAD_FLAGS)

    def _forget(self, bundle: int) -> list[Bundled]:
        del self._flags[bundle]
        self._closed.discard(bundle)
        return self._messages.pop(bundle)
