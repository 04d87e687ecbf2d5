"""Encode flow-mods and requests, and decode flow statistics, for OpenFlow 1.3, 1.4 and 1.5.

The encoded messages differ only in the version of the header. Of the decoded ones, only the flow statistics
of 1.5 have a format of their own. Sections named are those of OpenFlow 1.3.5.
"""

from __future__ import annotations

import enum
import struct
from functools import lru_cache
from typing import NamedTuple

from op25b_app.openflow.flow_rule import COOKIE_OWNER, FlowRule, OpaqueInstructions
from op25b_app.openflow.flow_stats import match_and_action, match_statistics_and_rest
from op25b_app.openflow.instruction_encoder import encode_action, meaning
from op25b_app.openflow.oxm import encode_match
from op25b_app.openflow.wire import (
    MULTIPART_HEADER_SIZE,
    OPENFLOW_13,
    OPENFLOW_14,
    OPENFLOW_15,
    decode_entries,
    encode_message,
    encode_multipart_request,
    multipart_kind,
)

VERSION_NAMES = {1: "1.0", 2: "1.1", 3: "1.2", OPENFLOW_13: "1.3", OPENFLOW_14: "1.4", OPENFLOW_15: "1.5"}
SUPPORTED_VERSIONS = (OPENFLOW_13, OPENFLOW_14, OPENFLOW_15)

FIRST_RESERVED_PORT = 0xFFFFFF00
"""First port number treated as reserved: LOCAL, NORMAL, CONTROLLER and the like (7.2.1)."""

SEND_FLOW_REMOVED = 1
"""OFPFF_SEND_FLOW_REM: flag of a flow-mod; the switch reports when the rule is removed."""
RESET_COUNTS = 4
"""OFPFF_RESET_COUNTS: flag of a flow-mod; the counters of the replaced rule do not continue."""
NO_COUNTS = 8 | 16
"""OFPFF_NO_PKT_COUNTS and OFPFF_NO_BYT_COUNTS: flags of a rule whose packets or bytes are not counted."""

REMEMBERED_RULES = 1 << 17
"""Maximum number of decoded rules in the cache, about 600 bytes of memory each."""
REMEMBERED_BYTES = 1 << 8
"""Maximum size in bytes of a cached rule's entry in a message."""
SMALLEST_RULE = 40
"""Fewest bytes of a rule in flow statistics: OpenFlow 1.5.1, with an empty match and no statistics."""

_FLOW_STATISTICS = "flow statistics"
_FLOW_MOD = struct.Struct("!BBHIQQBBHHHIIIHH")
_FLOW_STATS_REQUEST = struct.Struct("!BxxxIIxxxxQQ")
_FLOW_STATS = struct.Struct("!HBxxxxxxxxx20s16x")
"""Length, table and attributes, without the duration before the attributes and the counters behind."""
_DURATION = struct.Struct("!xxxxII")
_ATTRIBUTES = struct.Struct("!HHHHxxxxQ")
_FLOW_DESCRIPTION = struct.Struct("!xxxxBx8sxx8s")
"""Table, attributes and cookie; the cookie stands two bytes earlier than in ``struct ofp_flow_stats``."""

_OFPT_FLOW_MOD = 14
_OFPT_BARRIER_REQUEST = 20
_OFPMP_FLOW = 1
_OFPMPF_REPLY_MORE = 1
_NO_BUFFER = 0xFFFFFFFF
_ANY = 0xFFFFFFFF
_ALL_TABLES = 0xFF
_EXACT_COOKIE = 0xFFFFFFFFFFFFFFFF


class FlowModCommand(enum.IntEnum):
    """Commands of a flow-mod (7.3.4.1)."""

    ADD = 0
    DELETE_STRICT = 4


class FlowStats(NamedTuple):
    """Flow rule as a switch reports it; times in seconds.

    Opaque instructions under op25b's cookie become the equivalent op25b action, if any. ``duration`` is set
    only for a rule with a hard time-out, so that any other can be a cached object.
    """

    rule: FlowRule
    idle_timeout: int
    flags: int
    duration: float = 0.0


def encode_flow_mod(
    rule: FlowRule,
    *,
    command: FlowModCommand = FlowModCommand.ADD,
    version: int,
    xid: int,
    flags: int = 0,
    any_cookie: bool = False,
) -> bytes:
    """Return a flow-mod (7.3.4.1).

    A strict deletion removes the rule only while it has the cookie of ``rule``; with ``any_cookie``, whatever
    its cookie is. Raises ValueError for a rule that OpenFlow cannot express.
    """
    adding = command is FlowModCommand.ADD
    variable = encode_match(rule.match)
    if adding:
        variable += encode_action(rule.action)
    fixed = _FLOW_MOD.pack(
        version,
        _OFPT_FLOW_MOD,
        _FLOW_MOD.size + len(variable),
        xid,
        rule.cookie,
        0 if adding or any_cookie else _EXACT_COOKIE,
        rule.table,
        command,
        0,
        rule.hard_timeout if adding else 0,
        rule.priority,
        _NO_BUFFER,
        _ANY,
        _ANY,
        flags,
        0,
    )
    return fixed + variable


def encode_barrier_request(*, version: int, xid: int) -> bytes:
    """Return a barrier request (7.3.8)."""
    return encode_message(version, _OFPT_BARRIER_REQUEST, xid, b"")


def encode_flow_stats_request(*, version: int, xid: int, only_managed: bool = False) -> bytes:
    """Return a request for all rules of all tables, or only for those with op25b's cookies (7.3.5.2)."""
    cookie, mask = (COOKIE_OWNER << 48, 0xFFFF << 48) if only_managed else (0, 0)
    body = _FLOW_STATS_REQUEST.pack(_ALL_TABLES, _ANY, _ANY, cookie, mask) + encode_match(())
    return encode_multipart_request(version, _OFPMP_FLOW, xid, body)


def is_flow_stats_reply(message: bytes) -> bool:
    """Return whether ``message`` is a part of a flow statistics reply."""
    return multipart_kind(message) == _OFPMP_FLOW


def has_more(message: bytes) -> bool:
    """Return whether further parts follow this part of a multipart reply (7.3.5)."""
    return bool(message[11] & _OFPMPF_REPLY_MORE)


def count_rules(message: bytes) -> int:
    """Return the number of rules in one part of a flow statistics reply, by their lengths alone."""
    position, number = MULTIPART_HEADER_SIZE, 0
    while position + 2 <= len(message):
        number += 1
        position += int.from_bytes(message[position : position + 2], "big") or len(message)
    return number


def decode_flow_stats(message: bytes) -> list[FlowStats]:
    """Return the rules in one part of a flow statistics reply (7.3.5.2; 1.5.1 section 7.3.5.3).

    A rule that breaks the format is included, see :mod:`op25b_app.openflow.flow_stats`. Raises ValueError,
    with the byte position, where one rule cannot be separated from the next.
    """
    if message[0] < OPENFLOW_15:
        return _decode_flow_stats(message)
    return [*decode_entries(message, MULTIPART_HEADER_SIZE, _decode_flow_description, _FLOW_STATISTICS)]


def _decoded(table: int, attributes: bytes, reported: bytes) -> FlowStats:
    priority, idle_timeout, hard_timeout, flags, cookie = _ATTRIBUTES.unpack(attributes)
    match, action = match_and_action(reported)
    rule = FlowRule(table, priority, match, action, cookie, hard_timeout)
    if isinstance(action, OpaqueInstructions) and rule.is_managed:
        rule = rule._replace(action=meaning(action))
    return FlowStats(rule, idle_timeout, flags)


_installed = lru_cache(REMEMBERED_RULES)(_decoded)
"""Cached decoding: most rules are read many times, from one switch or from many with the same policy."""


def _decode_flow_stats(message: bytes) -> list[FlowStats]:
    """Decode ``struct ofp_flow_stats`` of OpenFlow 1.3 and 1.4; a message may hold more than a thousand."""
    position, size, unpack = MULTIPART_HEADER_SIZE, _FLOW_STATS.size, _FLOW_STATS.unpack_from
    rules: list[FlowStats] = []
    try:
        while position < len(message):
            length, table, attributes = unpack(message, position)
            end = position + length
            if length < size or end > len(message):
                raise ValueError(f"{length} bytes announced, {len(message) - position} there")
            read = _installed if length <= REMEMBERED_BYTES else _decoded
            installed = read(table, attributes, message[position + size : end])
            if installed.rule.hard_timeout:
                seconds, nanoseconds = _DURATION.unpack_from(message, position)
                installed = installed._replace(duration=seconds + nanoseconds / 1e9)
            rules.append(installed)
            position = end
        return rules
    except (ValueError, struct.error) as error:
        raise ValueError(f"unreadable {_FLOW_STATISTICS} at byte {position}: {error}") from None


def _decode_flow_description(entry: bytes) -> FlowStats:
    """Decode ``struct ofp_flow_desc`` of OpenFlow 1.5; its statistics are a list of fields, like a match."""
    table, attributes, cookie = _FLOW_DESCRIPTION.unpack_from(entry)
    reported, statistics = match_statistics_and_rest(entry[_FLOW_DESCRIPTION.size :])
    read = _installed if len(entry) <= REMEMBERED_BYTES else _decoded
    installed = read(table, attributes + bytes(4) + cookie, reported)
    if installed.rule.hard_timeout:
        return installed._replace(duration=statistics.duration)
    return installed
