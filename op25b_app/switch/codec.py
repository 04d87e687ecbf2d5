"""Flow rules to OpenFlow messages and back, for OpenFlow 1.3, 1.4 and 1.5.

The three versions share the bytes of everything written here but for the version in the header; of what is
read, only the flow statistics of 1.5 have a shape of their own. Sections named are those of OpenFlow 1.3.5.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator
from typing import NamedTuple

from op25b_app.rules.flow import Action, FlowRule, Goto, Opaque, Output
from op25b_app.switch.oxm import decode_match, encode_match

VERSION_NAMES = {1: "1.0", 2: "1.1", 3: "1.2", 4: "1.3", 5: "1.4", 6: "1.5"}
SUPPORTED_VERSIONS = (4, 5, 6)
OPENFLOW_15 = 6

FIRST_RESERVED_PORT = 0xFFFFFF00
"""Ports from here on are LOCAL, NORMAL, CONTROLLER and the like (7.2.1)."""

_HEADER = struct.Struct("!BBHI")
_FLOW_MOD = struct.Struct("!QQBBHHHIIIHH")
_FLOW_STATS_REQUEST = struct.Struct("!HHxxxxBxxxIIxxxxQQ")
_MULTIPART = struct.Struct("!HHxxxx")
_FLOW_STATS = struct.Struct("!xxBxIIHHHHxxxxQQQ")
_FLOW_DESCRIPTION = struct.Struct("!xxxxBxHHHHxxQ")
_INSTRUCTION = struct.Struct("!HH")
_GOTO = struct.Struct("!HHBxxx")
_APPLY_OUTPUT = struct.Struct("!HHxxxxHHIHxxxxxx")

_OFPT_FLOW_MOD = 14
_OFPT_MULTIPART_REQUEST = 18
_OFPT_MULTIPART_REPLY = 19
_OFPT_BARRIER_REQUEST = 20
_OFPMP_FLOW = 1
_OFPMPF_REPLY_MORE = 1
_OFPIT_GOTO_TABLE = 1
_OFPIT_APPLY_ACTIONS = 4
_OFPAT_OUTPUT = 0
_NO_BUFFER = 0xFFFFFFFF
_ANY = 0xFFFFFFFF
_ALL_TABLES = 0xFF
_EXACT_COOKIE = 0xFFFFFFFFFFFFFFFF
_OXS_CLASS = 0x8002


SEND_FLOW_REMOVED = 1
"""OFPFF_SEND_FLOW_REM: the flag of a rule whose end the switch tells (7.3.4.1)."""


class Command(enum.IntEnum):
    """What a flow-mod does (7.3.4.1)."""

    ADD = 0
    DELETE_STRICT = 4


class InstalledRule(NamedTuple):
    """A rule as a switch reports it; times in seconds."""

    rule: FlowRule
    idle_timeout: int
    flags: int
    duration: float
    packets: int
    bytes: int


def encode_flow_mod(rule: FlowRule, *, command: Command = Command.ADD, version: int, xid: int) -> bytes:
    """A flow-mod (7.3.4.1). A strict deletion removes the rule only while its cookie is the one given.

    Raises ValueError for a rule that OpenFlow cannot express.
    """
    adding = command is Command.ADD
    body = _FLOW_MOD.pack(
        rule.cookie,
        0 if adding else _EXACT_COOKIE,
        rule.table,
        command,
        0,
        rule.hard_timeout if adding else 0,
        rule.priority,
        _NO_BUFFER,
        _ANY,
        _ANY,
        0,
        0,
    )
    body += encode_match(rule.match)
    if adding:
        body += _encode_action(rule.action)
    return _message(version, _OFPT_FLOW_MOD, xid, body)


def encode_barrier_request(*, version: int, xid: int) -> bytes:
    """A barrier request (7.3.8)."""
    return _message(version, _OFPT_BARRIER_REQUEST, xid, b"")


def encode_flow_stats_request(*, version: int, xid: int) -> bytes:
    """A request for every rule of every table (7.3.5.2)."""
    body = _FLOW_STATS_REQUEST.pack(_OFPMP_FLOW, 0, _ALL_TABLES, _ANY, _ANY, 0, 0) + encode_match(())
    return _message(version, _OFPT_MULTIPART_REQUEST, xid, body)


def is_flow_stats_reply(message: bytes) -> bool:
    return message[1] == _OFPT_MULTIPART_REPLY and message[8:10] == b"\x00\x01"


def has_more(message: bytes) -> bool:
    """Whether further parts follow this part of a multipart reply (7.3.5)."""
    return bool(message[11] & _OFPMPF_REPLY_MORE)


def decode_flow_stats(message: bytes) -> Iterator[InstalledRule]:
    """The rules in one part of a flow statistics reply, header included (7.3.5.2; 1.5.1 section 7.3.5.3).

    Raises ValueError, naming the byte, for a message that breaks the format.
    """
    decode = _decode_flow_description if message[0] >= OPENFLOW_15 else _decode_flow_stats
    position = _HEADER.size + _MULTIPART.size
    while position < len(message):
        length = int.from_bytes(message[position : position + 2], "big")
        entry = message[position : position + length]
        try:
            if not 2 <= length == len(entry):
                raise ValueError(f"{length} bytes announced, {len(message) - position} there")
            yield decode(entry)
        except (ValueError, struct.error) as error:
            raise ValueError(f"unreadable flow statistics at byte {position}: {error}") from None
        position += length


def _message(version: int, kind: int, xid: int, body: bytes) -> bytes:
    return _HEADER.pack(version, kind, _HEADER.size + len(body), xid) + body


def _encode_action(action: Action) -> bytes:
    match action:
        case None:
            return b""
        case Goto(table):
            return _GOTO.pack(_OFPIT_GOTO_TABLE, _GOTO.size, table)
        case Output(port):
            size = _APPLY_OUTPUT.size
            return _APPLY_OUTPUT.pack(_OFPIT_APPLY_ACTIONS, size, _OFPAT_OUTPUT, size - 8, port, 0)
        case Opaque(instructions):
            return instructions


def _decode_action(instructions: bytes) -> Action:
    if not instructions:
        return None
    kind, length = _INSTRUCTION.unpack_from(instructions)
    if length == len(instructions):
        if kind == _OFPIT_GOTO_TABLE and length == _GOTO.size:
            return Goto(instructions[4])
        if kind == _OFPIT_APPLY_ACTIONS and length == _APPLY_OUTPUT.size:
            _, _, action, _, port, _ = _APPLY_OUTPUT.unpack(instructions)
            if action == _OFPAT_OUTPUT:
                return Output(port)
    return Opaque(instructions)


def _decode_flow_stats(entry: bytes) -> InstalledRule:
    """``struct ofp_flow_stats`` of OpenFlow 1.3 and 1.4."""
    table, seconds, nanoseconds, priority, idle_timeout, hard_timeout, flags, cookie, packets, octets = (
        _FLOW_STATS.unpack_from(entry)
    )
    match, position = decode_match(entry, _FLOW_STATS.size)
    rule = FlowRule(table, priority, match, _decode_action(entry[position:]), cookie, hard_timeout)
    return InstalledRule(rule, idle_timeout, flags, seconds + nanoseconds / 1e9, packets, octets)


def _decode_flow_description(entry: bytes) -> InstalledRule:
    """``struct ofp_flow_desc`` of OpenFlow 1.5: its statistics are a list of fields, as a match is."""
    table, priority, idle_timeout, hard_timeout, flags, cookie = _FLOW_DESCRIPTION.unpack_from(entry)
    match, position = decode_match(entry, _FLOW_DESCRIPTION.size)
    _, length = struct.unpack_from("!HH", entry, position)
    statistics = _decode_oxs(entry[position + 4 : position + length])
    position += length + (-length % 8)
    rule = FlowRule(table, priority, match, _decode_action(entry[position:]), cookie, hard_timeout)
    seconds, nanoseconds = divmod(statistics.get(0, 0), 1 << 32)
    return InstalledRule(
        rule,
        idle_timeout,
        flags,
        seconds + nanoseconds / 1e9,
        statistics.get(4, 0),
        statistics.get(5, 0),
    )


def _decode_oxs(fields: bytes) -> dict[int, int]:
    """The basic statistics by number: 0 duration, 4 packets, 5 bytes (1.5.1 section 7.2.4.4)."""
    statistics = {}
    position = 0
    while position < len(fields):
        oxs_class, number, length = struct.unpack_from("!HBB", fields, position)
        position += 4
        if oxs_class == _OXS_CLASS:
            statistics[number >> 1] = int.from_bytes(fields[position : position + length], "big")
        position += length
    return statistics
