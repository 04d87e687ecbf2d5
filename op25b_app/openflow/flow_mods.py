"""Encode changes as flow-mods, and find the change that an error refuses."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from op25b_app.openflow import bundle, codec, wire
from op25b_app.openflow.codec import RESET_COUNTS, FlowModCommand
from op25b_app.openflow.flow_rule import FlowRule, GotoWithTag, without_copy

CHUNK_BYTES = 1 << 16
"""Approximate size in bytes of the pieces to which small messages are joined."""
LONG_BYTES = 1 << 12
"""Minimum size in bytes of a message that is not copied into a piece."""

FIRST_XID = 0x2500_0000
_ERROR_SIZE = 12
_ROLE_SHIFT = 40
"""Lowest bit of a cookie that belongs to its owner and role."""
_EXPERIMENTER_ERROR = 0xFFFF


class Change(NamedTuple):
    """One flow-mod; ``before`` is the rule in its place now, None where there is none."""

    command: FlowModCommand
    rule: FlowRule
    before: FlowRule | None = None


def deletions_first(change: Change) -> bool:
    """Return the key that sorts deletions before all other changes."""
    return change.command is FlowModCommand.ADD


class FlowModFormat(NamedTuple):
    """Format of flow-mods.

    With ``any_cookie``, deletions ignore the cookie. Without ``resets``, counters always continue.
    """

    version: int
    flags: int = 0
    any_cookie: bool = False
    resets: bool = True


class EncodedChanges(NamedTuple):
    """Encoded changes, joined to pieces, and the changes that no message can express."""

    chunks: tuple[bytes, ...]
    not_encodable: tuple[Change, ...] = ()


def flags_of(change: Change) -> int:
    """Return the flags that a change needs of its own: RESET_COUNTS or 0.

    A rule that replaces one with another action or role starts to count from 0. A tag put on or taken
    off is not another action.
    """
    before, rule = change.before, change.rule
    if change.command is not FlowModCommand.ADD or before is None:
        return 0
    is_tagging = any(isinstance(without_copy(each.action), GotoWithTag) for each in (before, rule))
    does_same = before.action == rule.action or is_tagging
    return 0 if does_same and before.cookie >> _ROLE_SHIFT == rule.cookie >> _ROLE_SHIFT else RESET_COUNTS


class UpdateStep(tuple[Change, ...]):
    """Changes that a switch may make in any order; encoded once per form for all switches."""

    def encoded(self, form: FlowModFormat) -> EncodedChanges:
        """Return the messages; their xids number the changes."""
        known: dict[FlowModFormat, EncodedChanges] = self.__dict__.setdefault("_encoded", {})
        if form not in known:
            known[form] = _encoded(enumerate(self), form)
        return known[form]


class SwitchError(NamedTuple):
    """Error message of a switch; ``message`` is the beginning of the refused message."""

    xid: int
    type: int
    code: int
    message: bytes


def read_error(message: bytes) -> SwitchError:
    """Decode an error message, header included (7.4.4); missing bytes are read as 0."""
    kind, code = struct.unpack_from("!HH", message.ljust(_ERROR_SIZE, b"\0"), wire.HEADER_SIZE)
    size = _ERROR_SIZE + 4 * (kind == _EXPERIMENTER_ERROR)
    return SwitchError(int.from_bytes(message[4:8], "big"), kind, code, message[size:])


class Batch(NamedTuple):
    """Changes that are sent together, ``first`` before the step; as a bundle where ``bundle`` is its id."""

    step: UpdateStep
    first: tuple[Change, ...]
    form: FlowModFormat
    bundle: int | None = None

    def __len__(self) -> int:
        return len(self.step) + len(self.first)

    def encoded(self) -> EncodedChanges:
        """Return the messages. Xids number the changes of the step, then those of ``first``."""
        first = _encoded(enumerate(self.first, len(self.step)), self.form, self.bundle)
        if self.bundle is None:
            step = self.step.encoded(self.form)
        else:
            step = _encoded(enumerate(self.step), self.form, self.bundle)
        return EncodedChanges((*first.chunks, *step.chunks), (*first.not_encodable, *step.not_encodable))

    def deletions(self, table: int) -> int:
        """Return the number of rules that are deleted from ``table``."""
        gone = (
            each.rule.table
            for each in chain(self.step, self.first)
            if each.command is FlowModCommand.DELETE_STRICT
        )
        return sum(each == table for each in gone)

    def refused(self, error: SwitchError) -> Change | None:
        """Return the change that an error is about; None where it is about something else."""
        number = error.xid - FIRST_XID
        if not 0 <= number < len(self):
            return None
        try:
            message = encode_change(self._change(number), error.xid, self.form)
        except ValueError:
            return None
        # Open vSwitch sends back a message that failed in a bundle as it was wrapped.
        wrapped = message if self.bundle is None else bundle.encode_add(message, bundle=self.bundle)
        is_it = message.startswith(error.message) or wrapped.startswith(error.message)
        return self._change(number) if is_it else None

    def _change(self, number: int) -> Change:
        beyond = number - len(self.step)
        return self.step[number] if beyond < 0 else self.first[beyond]


def joined(messages: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in few pieces; a long message stays one object for all who send it."""
    piece = bytearray()
    for message in messages:
        is_long = len(message) >= LONG_BYTES
        if piece and (is_long or len(piece) >= CHUNK_BYTES):
            yield bytes(piece)
            piece.clear()
        if is_long:
            yield message
        else:
            piece += message
    if piece:
        yield bytes(piece)


def _encoded(
    changes: Iterable[tuple[int, Change]], form: FlowModFormat, number: int | None = None
) -> EncodedChanges:
    """Encode numbered changes, in a bundle where ``number`` is its id.

    A change that cannot be encoded does not stop the rest.
    """
    not_encodable: list[Change] = []

    def messages() -> Iterator[bytes]:
        for place, change in changes:
            try:
                message = encode_change(change, FIRST_XID + place, form)
            except ValueError:
                not_encodable.append(change)
                continue
            yield message if number is None else bundle.encode_add(message, bundle=number)

    return EncodedChanges(tuple(joined(messages())), tuple(not_encodable))


def encode_change(change: Change, xid: int, form: FlowModFormat) -> bytes:
    """Return a change as one message.

    Raises ValueError for a rule that OpenFlow cannot express.
    """
    return codec.encode_flow_mod(
        change.rule,
        command=change.command,
        version=form.version,
        xid=xid,
        flags=form.flags | (flags_of(change) if form.resets else 0),
        any_cookie=form.any_cookie,
    )
