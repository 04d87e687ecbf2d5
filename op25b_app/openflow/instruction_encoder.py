"""Encode and decode the instructions of op25b's rules (OpenFlow 1.3.5, sections 7.2.4 and 7.2.5)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import lru_cache

from op25b_app.openflow.flow_rule import (
    CONTROLLER_PORT,
    TAG_MASK,
    Action,
    CopyToController,
    Goto,
    GotoWithTag,
    OpaqueInstructions,
    Output,
)

_HEADER = struct.Struct("!HH")
_GOTO = struct.Struct("!HHBxxx")
_APPLY_OUTPUT = struct.Struct("!HHxxxxHHIHxxxxxx")
_WRITE_METADATA = struct.Struct("!HHxxxxQQ")
_ACTION_OUTPUT = struct.Struct("!HHIHxxxxxx")

_GOTO_TABLE = 1
_WRITE_METADATA_KIND = 2
_WRITE_ACTIONS = 3
_APPLY_ACTIONS = 4
_CLEAR_ACTIONS = 5
_LISTS, _EMPTY_LIST = (_WRITE_ACTIONS, _APPLY_ACTIONS), 8
"""Types of instructions with lists of actions, and their length in bytes with an empty list."""
_OUTPUT = 0
_WHOLE_FRAME = 0xFFFF
"""OFPCML_NO_BUFFER: the controller gets all of the frame, and the switch keeps none of it (7.2.5)."""

_GOTO_HEADER = struct.pack("!HH", _GOTO_TABLE, _GOTO.size)
_WRITE_METADATA_HEADER = struct.pack("!HH", _WRITE_METADATA_KIND, _WRITE_METADATA.size)
_APPLY_OUTPUT_HEADER = struct.pack("!HHxxxxHH", _APPLY_ACTIONS, _APPLY_OUTPUT.size, _OUTPUT, 16)
_COPY = _ACTION_OUTPUT.pack(_OUTPUT, _ACTION_OUTPUT.size, CONTROLLER_PORT, _WHOLE_FRAME)
_COPY_AND_GO = struct.pack("!HHxxxx", _APPLY_ACTIONS, 8 + len(_COPY)) + _COPY
_COPY_AND_SEND = struct.pack("!HHxxxx", _APPLY_ACTIONS, 8 + len(_COPY) + _ACTION_OUTPUT.size) + _COPY


@lru_cache(1024)
def encode_action(action: Action) -> bytes:
    """Return the instructions of a rule.

    Raises ValueError for a tag outside 0 to 255.
    """
    match action:
        case None:
            return b""
        case Goto(table):
            return _GOTO.pack(_GOTO_TABLE, _GOTO.size, table)
        case GotoWithTag(table, tag):
            if not 0 <= tag <= TAG_MASK:
                raise ValueError(f"tag {tag} does not fit {TAG_MASK.bit_length()} bits")
            tagging = _WRITE_METADATA.pack(_WRITE_METADATA_KIND, _WRITE_METADATA.size, tag, TAG_MASK)
            return tagging + _GOTO.pack(_GOTO_TABLE, _GOTO.size, table)
        case Output(port):
            size = _APPLY_OUTPUT.size
            return _APPLY_OUTPUT.pack(_APPLY_ACTIONS, size, _OUTPUT, size - 8, port, 0)
        case CopyToController(Output(port)):
            return _COPY_AND_SEND + _ACTION_OUTPUT.pack(_OUTPUT, _ACTION_OUTPUT.size, port, 0)
        case CopyToController(onward):
            return _COPY_AND_GO + encode_action(onward)
        case OpaqueInstructions(instructions):
            return instructions


@lru_cache(1024)
def decode_action(instructions: bytes) -> Action:
    """Return one of op25b's actions where instructions do exactly that; opaque otherwise.

    A switch carries instructions out in an order of its own (section 5.9), and may report them in any order.
    """
    if not instructions:
        return None
    header, length = instructions[:4], len(instructions)
    if length == _GOTO.size and header == _GOTO_HEADER:
        return Goto(instructions[4])
    if length == _APPLY_OUTPUT.size and instructions[:12] == _APPLY_OUTPUT_HEADER:
        return Output(int.from_bytes(instructions[12:16], "big"))
    return _decode_tagged(instructions) or _decode_copy(instructions) or OpaqueInstructions(instructions)


@lru_cache(1024)
def meaning(action: Action) -> Action:
    """Return the op25b action to which instructions of an op25b rule are equivalent, if any.

    Lists without actions do nothing. Where no table follows, clearing the action set does nothing, because no
    op25b rule writes to it; and writing an output to that set, alone, is applying it (section 5.10).
    """
    if not isinstance(action, OpaqueInstructions):
        return action
    found = [*parts(action.instructions)]
    kept = [(kind, whole) for kind, whole in found if not (kind in _LISTS and len(whole) == _EMPTY_LIST)]
    kinds = [kind for kind, _ in kept]
    if _GOTO_TABLE not in kinds:
        kept = [(kind, whole) for kind, whole in kept if kind != _CLEAR_ACTIONS]
        if [kind for kind, _ in kept] == [_WRITE_ACTIONS]:
            kept = [(_APPLY_ACTIONS, struct.pack("!H", _APPLY_ACTIONS) + kept[0][1][2:])]
    return decode_action(b"".join(whole for _, whole in kept))


def parts(instructions: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield each instruction or action with its type; behind a broken length, all is one unknown (-1)."""
    position = 0
    while position < len(instructions):
        kind, length = _HEADER.unpack_from(instructions.ljust(position + _HEADER.size, b"\0"), position)
        if length < _HEADER.size or position + length > len(instructions):
            yield -1, instructions[position:]
            return
        yield kind, instructions[position : position + length]
        position += length


def _decode_copy(instructions: bytes) -> CopyToController | None:
    found = dict(parts(instructions))
    applied, rest = found.pop(_APPLY_ACTIONS, b"")[8:], b"".join(found.values())
    if applied[: len(_COPY)] != _COPY:
        return None
    if not rest:
        output = applied[len(_COPY) :]
        is_output = len(output) == _ACTION_OUTPUT.size and output[:4] == _COPY[:4]
        return CopyToController(Output(int.from_bytes(output[4:8], "big"))) if is_output else None
    onward = decode_action(rest)
    is_whole = applied == _COPY and len(rest) + 8 + len(_COPY) == len(instructions)
    return CopyToController(onward) if is_whole and isinstance(onward, (Goto, GotoWithTag)) else None


def _decode_tagged(instructions: bytes) -> GotoWithTag | None:
    if instructions[:4] == _GOTO_HEADER:
        instructions = instructions[_GOTO.size :] + instructions[: _GOTO.size]
    if len(instructions) != _WRITE_METADATA.size + _GOTO.size:
        return None
    if instructions[:4] != _WRITE_METADATA_HEADER or instructions[-_GOTO.size :][:4] != _GOTO_HEADER:
        return None
    _, _, value, mask = _WRITE_METADATA.unpack_from(instructions)
    return GotoWithTag(instructions[-4], value) if mask == TAG_MASK and value <= TAG_MASK else None
