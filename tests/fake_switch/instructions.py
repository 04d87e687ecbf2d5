"""Instructions and actions of the fake switch (OpenFlow 1.3.5, 7.2.4, 7.2.5; 1.5.1, 7.2.6)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from tests.fake_switch import refusals
from tests.fake_switch.match import BASIC, BY_NUMBER
from tests.fake_switch.wire import Cursor, Refusal, RefusedError

OUTPUT, PUSH_VLAN, POP_VLAN, SET_QUEUE, GROUP, SET_FIELD = 0, 17, 18, 21, 22, 25
_LENGTHS = {OUTPUT: 16, 11: 8, 12: 8, PUSH_VLAN: 8, POP_VLAN: 8, SET_QUEUE: 8, GROUP: 8, 23: 8, 24: 8}
"""Copying and setting a TTL (11, 12, 23, 24) are taken and have no effect on anything looked at here."""
_GOTO, _METADATA, _WRITE, _APPLY, _CLEAR, _METER = range(1, 7)
_HEAD = struct.Struct("!HH")
_ACTSET_OUTPUT_PORT, _ANY_PORT = 0xFFFFFFF7, 0xFFFFFFFF
FIRST_RESERVED_PORT = 0xFFFFFF00


class Action(NamedTuple):
    """``number`` is what the action is about: the port, the group, the ethertype, the new value."""

    kind: int
    number: int = 0
    field: str = ""


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


def read_instructions(body: bytes, *, table: int, tables: int, metadata: bool) -> Program:
    """The instructions that ``body`` is, for an entry of ``table`` on a switch with so many tables.

    Raises RefusedError for what a switch refuses; ``metadata`` False: it has no metadata to write.
    """
    found: dict[int, bytes] = {}
    for kind, content in _parts(body, refusals.BAD_INSTRUCTION_LENGTH):
        if kind == 0xFFFF:
            raise RefusedError(refusals.BAD_INSTRUCTION_EXPERIMENTER)
        if not _GOTO <= kind <= _METER:
            raise RefusedError(refusals.UNKNOWN_INSTRUCTION)
        if kind in found:
            raise RefusedError(refusals.DUPLICATE_INSTRUCTION)
        found[kind] = content
    program = Program(clear=_CLEAR in found)
    if _METER in found:
        raise RefusedError(refusals.UNKNOWN_METER)
    if _APPLY in found:
        program = program._replace(apply=tuple(_actions(found[_APPLY][4:])))
    if _WRITE in found:
        program = program._replace(write=tuple(_actions(found[_WRITE][4:])))
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


def _parts(body: bytes, refusal: Refusal) -> Iterator[tuple[int, bytes]]:
    cursor = Cursor(body, refusal)
    while cursor.rest:
        kind, length = cursor.take(_HEAD)
        if length < 8 or length % 8:
            raise RefusedError(refusal)
        yield kind, cursor.take_bytes(length - _HEAD.size)


def _actions(body: bytes) -> Iterator[Action]:
    for kind, content in _parts(body, refusals.BAD_ACTION_LENGTH):
        if kind == 0xFFFF:
            raise RefusedError(refusals.BAD_ACTION_EXPERIMENTER)
        if kind == SET_FIELD:
            yield _set_field(content)
            continue
        if kind not in _LENGTHS:
            raise RefusedError(refusals.BAD_ACTION_TYPE)
        if len(content) != _LENGTHS[kind] - _HEAD.size:
            raise RefusedError(refusals.BAD_ACTION_LENGTH)
        yield _checked(Action(kind, int.from_bytes(content[: 2 if kind == PUSH_VLAN else 4], "big")))


def _checked(action: Action) -> Action:
    if action.kind == OUTPUT:
        reserved = FIRST_RESERVED_PORT <= action.number < _ACTSET_OUTPUT_PORT
        if reserved or action.number in (0, _ACTSET_OUTPUT_PORT, _ANY_PORT):
            raise RefusedError(refusals.BAD_OUT_PORT)
    if action.kind == GROUP:
        raise RefusedError(refusals.BAD_OUT_GROUP)
    if action.kind == PUSH_VLAN and action.number not in (0x8100, 0x88A8):
        raise RefusedError(refusals.BAD_ACTION_ARGUMENT)
    return action


def _set_field(content: bytes) -> Action:
    oxm_class, number, length = struct.unpack_from("!HBB", content)
    field = BY_NUMBER.get(number >> 1) if oxm_class == BASIC else None
    if field is None or number & 1:
        raise RefusedError(refusals.BAD_SET_TYPE)
    if length != field.octets or len(content) < 4 + length:
        raise RefusedError(refusals.BAD_SET_LENGTH)
    value = int.from_bytes(content[4 : 4 + length], "big")
    if value > field.full:
        raise RefusedError(refusals.BAD_SET_ARGUMENT)
    return Action(SET_FIELD, value, field.name)


def write_instructions(program: Program) -> bytes:
    """The bytes of a program of outputs, metadata and a jump, in the order of the instructions' numbers."""
    body = b""
    if program.goto is not None:
        body += struct.pack("!HHBxxx", _GOTO, 8, program.goto)
    if program.metadata[1]:
        body += struct.pack("!HHxxxxQQ", _METADATA, 24, *program.metadata)
    for kind, actions in ((_WRITE, program.write), (_APPLY, program.apply)):
        if actions:
            body += struct.pack("!HHxxxx", kind, 8 + 16 * len(actions))
        for action in actions:
            assert action.kind == OUTPUT, action
            body += struct.pack("!HHIHxxxxxx", OUTPUT, 16, action.number, 0xFFFF)
    return body
