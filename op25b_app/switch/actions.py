"""What rules of ours do, as instructions on the wire (OpenFlow 1.3.5, sections 7.2.4 and 7.2.5)."""

from __future__ import annotations

import struct
from functools import lru_cache

from op25b_app.rules.flow import TAG_MASK, Action, Goto, Opaque, Output, Tagged

_GOTO = struct.Struct("!HHBxxx")
_APPLY_OUTPUT = struct.Struct("!HHxxxxHHIHxxxxxx")
_WRITE_METADATA = struct.Struct("!HHxxxxQQ")

_GOTO_TABLE = 1
_WRITE_METADATA_KIND = 2
_APPLY_ACTIONS = 4
_OUTPUT = 0

_GOTO_HEADER = struct.pack("!HH", _GOTO_TABLE, _GOTO.size)
_WRITE_METADATA_HEADER = struct.pack("!HH", _WRITE_METADATA_KIND, _WRITE_METADATA.size)
_APPLY_OUTPUT_HEADER = struct.pack("!HHxxxxHH", _APPLY_ACTIONS, _APPLY_OUTPUT.size, _OUTPUT, 16)


@lru_cache(1024)
def encode_action(action: Action) -> bytes:
    """The instructions of a rule. Raises ValueError for a tag that is too large."""
    match action:
        case None:
            return b""
        case Goto(table):
            return _GOTO.pack(_GOTO_TABLE, _GOTO.size, table)
        case Tagged(table, tag):
            if not 0 <= tag <= TAG_MASK:
                raise ValueError(f"tag {tag} does not fit {TAG_MASK.bit_length()} bits")
            tagging = _WRITE_METADATA.pack(_WRITE_METADATA_KIND, _WRITE_METADATA.size, tag, TAG_MASK)
            return tagging + _GOTO.pack(_GOTO_TABLE, _GOTO.size, table)
        case Output(port):
            size = _APPLY_OUTPUT.size
            return _APPLY_OUTPUT.pack(_APPLY_ACTIONS, size, _OUTPUT, size - 8, port, 0)
        case Opaque(instructions):
            return instructions


@lru_cache(1024)
def decode_action(instructions: bytes) -> Action:
    """What instructions do, as one of our actions where they do nothing else; opaque otherwise.

    A switch carries instructions out in an order of its own (section 5.9), and may tell them in any.
    """
    if not instructions:
        return None
    header, length = instructions[:4], len(instructions)
    if length == _GOTO.size and header == _GOTO_HEADER:
        return Goto(instructions[4])
    if length == _APPLY_OUTPUT.size and instructions[:12] == _APPLY_OUTPUT_HEADER:
        return Output(int.from_bytes(instructions[12:16], "big"))
    return _decode_tagged(instructions) or Opaque(instructions)


def _decode_tagged(instructions: bytes) -> Tagged | None:
    if instructions[:4] == _GOTO_HEADER:
        instructions = instructions[_GOTO.size :] + instructions[: _GOTO.size]
    if len(instructions) != _WRITE_METADATA.size + _GOTO.size:
        return None
    if instructions[:4] != _WRITE_METADATA_HEADER or instructions[-_GOTO.size :][:4] != _GOTO_HEADER:
        return None
    _, _, value, mask = _WRITE_METADATA.unpack_from(instructions)
    return Tagged(instructions[-4], value) if mask == TAG_MASK and value <= TAG_MASK else None
