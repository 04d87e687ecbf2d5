"""Bundles: changes that a switch applies all at once, or not at all.

OpenFlow 1.4.1 section 7.3.9, the same in 1.5; OpenFlow 1.3 has them as an extension of the ONF (EXT-230).
Every bundle here is atomic and ordered.

A switch may refuse a message when it is added, before the commit: Open vSwitch then commits *the rest*. All
or nothing therefore takes two steps. First open, add and close. Then commit if the switch answered CLOSED and
no error came before that, else discard.

A rule that does not fit fails at the commit. Open vSwitch then sends two errors: that of the rule, with the
xid of the rule and the whole message as wrapped by :func:`encode_add`, and BUNDLE_FAILED/MSG_FAILED with the
xid of the commit. No reply follows, and no rule has changed.
"""

from __future__ import annotations

import enum
import struct
from typing import NamedTuple

from op25b_app.openflow.wire import (
    EXPERIMENTER,
    HEADER_SIZE,
    ONF_EXPERIMENTER,
    OPENFLOW_13,
    encode_message,
    experimenter_kind,
)

_ATOMIC_AND_ORDERED = 0b11

_BUNDLE_CONTROL, _BUNDLE_ADD_MESSAGE = 33, 34
_ONF_BUNDLE_CONTROL, _ONF_BUNDLE_ADD_MESSAGE = 2300, 2301

_CONTROL = struct.Struct("!IHH")
_ONF = struct.Struct("!II")
_ADD = struct.Struct("!BBHIIxxH")
_ONF_ADD = struct.Struct("!BBHIIIIxxH")


class BundleControlType(enum.IntEnum):
    """Types of bundle control messages (OFPBCT)."""

    OPEN = 0
    OPENED = 1
    CLOSE = 2
    CLOSED = 3
    COMMIT = 4
    COMMITTED = 5
    DISCARD = 6
    DISCARDED = 7


class BundleControlReply(NamedTuple):
    """Reply of a switch to a bundle control message."""

    bundle: int
    kind: BundleControlType
    xid: int


def encode_open(*, version: int, bundle: int, xid: int) -> bytes:
    """Return a message that opens a bundle."""
    return _encode_control(BundleControlType.OPEN, version, bundle, xid)


def encode_close(*, version: int, bundle: int, xid: int) -> bytes:
    """Return a message that closes a bundle; the reply follows the errors of all that was added."""
    return _encode_control(BundleControlType.CLOSE, version, bundle, xid)


def encode_commit(*, version: int, bundle: int, xid: int) -> bytes:
    """Return a message that commits a bundle."""
    return _encode_control(BundleControlType.COMMIT, version, bundle, xid)


def encode_discard(*, version: int, bundle: int, xid: int) -> bytes:
    """Return a message that discards a bundle."""
    return _encode_control(BundleControlType.DISCARD, version, bundle, xid)


def encode_add(message: bytes, *, bundle: int) -> bytes:
    """Return a whole message, header included, as a part of a bundle; both have the same version and xid."""
    version = message[0]
    xid = int.from_bytes(message[4:8], "big")
    if version == OPENFLOW_13:
        size = _ONF_ADD.size + len(message)
        organisation, kind = ONF_EXPERIMENTER, _ONF_BUNDLE_ADD_MESSAGE
        return (
            _ONF_ADD.pack(version, EXPERIMENTER, size, xid, organisation, kind, bundle, _ATOMIC_AND_ORDERED)
            + message
        )
    size = _ADD.size + len(message)
    return _ADD.pack(version, _BUNDLE_ADD_MESSAGE, size, xid, bundle, _ATOMIC_AND_ORDERED) + message


def decode_control_reply(message: bytes) -> BundleControlReply | None:
    """Return the reply to a bundle control message; None for any other message, or one cut short."""
    position = HEADER_SIZE
    if message[0] == OPENFLOW_13:
        if message[1] != EXPERIMENTER or experimenter_kind(message) != (
            ONF_EXPERIMENTER,
            _ONF_BUNDLE_CONTROL,
        ):
            return None
        position += _ONF.size
    elif message[1] != _BUNDLE_CONTROL:
        return None
    if len(message) < position + _CONTROL.size:
        return None
    bundle, kind, _ = _CONTROL.unpack_from(message, position)
    if kind not in (
        BundleControlType.OPENED,
        BundleControlType.CLOSED,
        BundleControlType.COMMITTED,
        BundleControlType.DISCARDED,
    ):
        return None
    return BundleControlReply(bundle, BundleControlType(kind), int.from_bytes(message[4:8], "big"))


def _encode_control(control: BundleControlType, version: int, bundle: int, xid: int) -> bytes:
    body = _CONTROL.pack(bundle, control, _ATOMIC_AND_ORDERED)
    if version == OPENFLOW_13:
        return encode_message(
            version, EXPERIMENTER, xid, _ONF.pack(ONF_EXPERIMENTER, _ONF_BUNDLE_CONTROL) + body
        )
    return encode_message(version, _BUNDLE_CONTROL, xid, body)
