"""Changes as the messages that make them, and what the errors that come back are about."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from op25b_app.switch import bundle, codec, wire
from op25b_app.switch.reconcile import Change

CHUNK_BYTES = 1 << 16
"""Small messages are joined to pieces of about this size."""

_FIRST_XID = 0x2500_0000
_ERROR_SIZE = 12
_EXPERIMENTER_ERROR = 0xFFFF


class SwitchError(NamedTuple):
    """An error message of a switch; ``message`` is the beginning of what it refused."""

    xid: int
    type: int
    code: int
    message: bytes


def read_error(message: bytes) -> SwitchError:
    """An error message, header included (7.4.4); what is missing of it counts as 0."""
    kind, code = struct.unpack_from("!HH", message.ljust(_ERROR_SIZE, b"\0"), wire.HEADER_SIZE)
    size = _ERROR_SIZE + 4 * (kind == _EXPERIMENTER_ERROR)
    return SwitchError(int.from_bytes(message[4:8], "big"), kind, code, message[size:])


class Batch(NamedTuple):
    """Changes that are sent together, in a bundle if that has a number, with these flags."""

    changes: tuple[Change, ...]
    version: int
    flags: int
    bundle: int | None = None

    def messages(self) -> Iterator[bytes]:
        return (self._message(number) for number in range(len(self.changes)))

    def refused(self, error: SwitchError) -> Change | None:
        """The change that an error is about; None where it is about something else."""
        number = error.xid - _FIRST_XID
        if not 0 <= number < len(self.changes):
            return None
        # Open vSwitch sends back a message that failed in a bundle as it was wrapped.
        message = self._flow_mod(number)
        wrapped = b"" if self.bundle is None else bundle.encode_add(message, bundle=self.bundle)
        is_it = message.startswith(error.message) or wrapped.startswith(error.message)
        return self.changes[number] if is_it else None

    def _message(self, number: int) -> bytes:
        message = self._flow_mod(number)
        return message if self.bundle is None else bundle.encode_add(message, bundle=self.bundle)

    def _flow_mod(self, number: int) -> bytes:
        command, rule, _ = self.changes[number]
        return codec.encode_flow_mod(
            rule, command=command, version=self.version, xid=_FIRST_XID + number, flags=self.flags
        )


def joined(messages: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in few pieces."""
    piece = bytearray()
    for message in messages:
        piece += message
        if len(piece) >= CHUNK_BYTES:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)
