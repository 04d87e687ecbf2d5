"""Instructions of the fake switch (OpenFlow 1.3.5, 7.2.4; 1.5.1, 7.2.5)."""

from __future__ import annotations

import struct
from typing import NamedTuple

from testing.fake_switch import refusals
from testing.fake_switch.actions import GROUP, OUTPUT, Action, read_actions, read_parts, write_output
from testing.fake_switch.match import Match, known_fields
from testing.fake_switch.wire import OPENFLOW_15, RefusedError

_GOTO, _METADATA, _WRITE, _APPLY, _CLEAR, _METER = range(1, 7)


class Program(NamedTuple):
    """What a flow entry does, in the order in which a switch does it (5.9)."""

    apply: tuple[Action, ...] = ()
    clear: bool = False
    write: tuple[Action, ...] = ()
    metadata: tuple[int, int] = (0, 0)
    goto: int | None = None

    def sends_to(self, port: int) -> bool:
        return any(action.kind == OUTPUT and action.number == port for action in self.apply + self.write)

    def sends_to_group(self, group: int) -> bool:
        return any(action.kind == GROUP and action.number == group for action in self.apply + self.write)


def read_instructions(
    body: bytes, *, version: int, match: Match, table: int, tables: int, metadata: bool
) -> Program:
    """The instructions that ``body`` is, for an entry of ``table`` on a switch with so many tables.

    Raises RefusedError for what a switch refuses; ``metadata`` False: it has no metadata to write.
    """
    found = _read(body, version)
    known = known_fields(match)
    program = Program(clear=_CLEAR in found)
    if _APPLY in found:
        program = program._replace(apply=tuple(read_actions(found[_APPLY][4:], version, known)))
    if _WRITE in found:
        program = program._replace(write=tuple(read_actions(found[_WRITE][4:], version, known)))
    if _METADATA in found:
        if len(found[_METADATA]) != 20:
            raise RefusedError(refusals.BAD_INSTRUCTION_LENGTH)
        if not metadata:
            raise RefusedError(refusals.UNSUPPORTED_INSTRUCTION)
        value, mask = struct.unpack_from("!QQ", found[_METADATA], 4)
        program = program._replace(metadata=(value & mask, mask))
    if _GOTO in found:
        if len(found[_GOTO]) != 4:
            raise RefusedError(refusals.BAD_INSTRUCTION_LENGTH)
        target = found[_GOTO][0]
        if not table < target < tables:
            raise RefusedError(refusals.BAD_INSTRUCTION_TABLE_ID)
        program = program._replace(goto=target)
    return program


def write_instructions(program: Program) -> bytes:
    """The bytes of a program: outputs, a jump and metadata, in the order in which op25b sends them."""
    body = b""
    for kind, actions in ((_WRITE, program.write), (_APPLY, program.apply)):
        if actions:
            body += struct.pack("!HHxxxx", kind, 8 + 16 * len(actions))
        for action in actions:
            assert action.kind == OUTPUT, action
            body += write_output(action.number, action.copied)
    if program.goto is not None:
        body += struct.pack("!HHBxxx", _GOTO, 8, program.goto)
    if program.metadata[1]:
        body += struct.pack("!HHxxxxQQ", _METADATA, 24, *program.metadata)
    return body


def _read(body: bytes, version: int) -> dict[int, bytes]:
    """The content of each instruction, by kind."""
    if len(body) % 8:
        raise RefusedError(refusals.BAD_LENGTH)
    found: dict[int, bytes] = {}
    for kind, content in read_parts(body, refusals.BAD_INSTRUCTION_LENGTH):
        if kind == 0xFFFF:
            raise RefusedError(refusals.BAD_INSTRUCTION_EXPERIMENTER)
        if not _GOTO <= kind <= (_METER if version < OPENFLOW_15 else _CLEAR):
            raise RefusedError(refusals.UNKNOWN_INSTRUCTION)
        if kind in found:
            raise RefusedError(refusals.DUPLICATE_INSTRUCTION)
        found[kind] = content
    if _METER in found:
        raise RefusedError(refusals.UNKNOWN_METER)
    return found
