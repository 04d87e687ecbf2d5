"""Flow-mods as the fake switch reads them, and as others may write them to it (OpenFlow 1.3.5, 7.3.4.1)."""

from __future__ import annotations

import enum
import struct
from typing import NamedTuple

from testing.fake_switch import refusals
from testing.fake_switch.instructions import Program, read_instructions
from testing.fake_switch.match import Match, read_match, write_match
from testing.fake_switch.wire import HEADER, OPENFLOW_14, Cursor, Kind, RefusedError, pack

ALL_TABLES, ANY = 0xFF, 0xFFFFFFFF
SEND_FLOW_REMOVED, CHECK_OVERLAP, RESET_COUNTS, NO_PACKET_COUNTS, NO_BYTE_COUNTS = 1, 2, 4, 8, 16
_KNOWN_FLAGS = 31
_FIXED = struct.Struct("!QQBBHHHIIIHH")


class Command(enum.IntEnum):
    ADD = 0
    MODIFY = 1
    MODIFY_STRICT = 2
    DELETE = 3
    DELETE_STRICT = 4


DELETIONS = (Command.DELETE, Command.DELETE_STRICT)
STRICT = (Command.MODIFY_STRICT, Command.DELETE_STRICT)


class FlowMod(NamedTuple):
    """One flow-mod; times in seconds. ``program`` is what ``instructions``, bytes of the wire, mean."""

    command: Command
    table: int
    priority: int = 0x8000
    match: Match = ()
    instructions: bytes = b""
    program: Program = Program()
    cookie: int = 0
    cookie_mask: int = 0
    idle_timeout: int = 0
    hard_timeout: int = 0
    flags: int = 0
    importance: int = 0
    out_port: int = ANY
    out_group: int = ANY

    @property
    def key(self) -> tuple[int, Match]:
        """What makes two entries of a table the same one (6.4)."""
        return self.priority, self.match


def read_flow_mod(raw: bytes, *, tables: int, metadata: bool, wide_masks: bool) -> FlowMod:
    """A flow-mod from a whole message; RefusedError for one that a switch of these abilities refuses."""
    version = raw[0]
    cursor = Cursor(raw, refusals.BAD_LENGTH, HEADER.size)
    (cookie, cookie_mask, table, command, idle, hard, priority, _, out_port, out_group, flags, last) = (
        cursor.take(_FIXED)
    )
    match, position = read_match(raw, cursor.position, wide_masks=wide_masks)
    instructions = raw[position:]
    program = read_instructions(
        instructions,
        version=version,
        match=match,
        table=0 if table == ALL_TABLES else table,
        tables=tables,
        metadata=metadata,
    )
    if (table >= tables and table != ALL_TABLES) or (table == ALL_TABLES and command not in DELETIONS):
        raise RefusedError(refusals.BAD_TABLE_ID)
    if command > Command.DELETE_STRICT:
        raise RefusedError(refusals.BAD_COMMAND)
    if flags & ~_KNOWN_FLAGS:
        raise RefusedError(refusals.BAD_FLAGS)
    if not metadata and any(name == "metadata" for name, _, _ in match):
        raise RefusedError(refusals.BAD_FIELD)
    deleting = command in DELETIONS
    return FlowMod(
        Command(command),
        table,
        priority,
        match,
        instructions,
        program,
        cookie,
        cookie_mask,
        idle,
        hard,
        flags,
        last if version >= OPENFLOW_14 else 0,
        out_port if deleting else ANY,
        out_group if deleting else ANY,
    )


def write_flow_mod(flow: FlowMod, *, version: int, xid: int) -> bytes:
    """The message that ``flow`` is; its ``program`` is what its ``instructions`` say."""
    fixed = _FIXED.pack(
        flow.cookie,
        flow.cookie_mask,
        flow.table,
        flow.command,
        flow.idle_timeout,
        flow.hard_timeout,
        flow.priority,
        ANY,
        flow.out_port,
        flow.out_group,
        flow.flags,
        flow.importance,
    )
    return pack(version, Kind.FLOW_MOD, xid, fixed + write_match(flow.match) + flow.instructions)
