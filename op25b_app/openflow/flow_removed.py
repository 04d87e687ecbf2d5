"""Decode flow-removed messages, sent for rules with OFPFF_SEND_FLOW_REM (OpenFlow 1.3.5, section 7.4.2)."""

from __future__ import annotations

import enum
import struct
from typing import NamedTuple

from op25b_app.openflow.flow_rule import FlowRule
from op25b_app.openflow.flow_stats import match_only
from op25b_app.openflow.oxm import match_size
from op25b_app.openflow.oxs import decode_statistics
from op25b_app.openflow.wire import FLOW_REMOVED, HEADER_SIZE, OPENFLOW_15

_REMOVED = struct.Struct("!QHBBxxxxxxxxxxHQQ")
_REMOVED_15 = struct.Struct("!BBHxxHQ")


class RemovedReason(enum.IntEnum):
    """Reasons of a removal (OFPRR); the last three since OpenFlow 1.4."""

    IDLE_TIMEOUT = 0
    HARD_TIMEOUT = 1
    DELETE = 2
    GROUP_DELETE = 3
    METER_DELETE = 4
    EVICTION = 5


class FlowRemoved(NamedTuple):
    """Removed rule, its action not reported (None); ``reason`` as in :class:`RemovedReason`, or unknown."""

    rule: FlowRule
    reason: int
    packets: int
    bytes: int


def is_flow_removed(message: bytes) -> bool:
    """Return whether ``message`` is a flow-removed message."""
    return message[1] == FLOW_REMOVED


def decode_flow_removed(message: bytes) -> FlowRemoved:
    """Return the removed rule and its counters.

    Raises ValueError for a message that breaks the format outside its match.
    """
    try:
        if message[0] >= OPENFLOW_15:
            return _decode_15(message)
        cookie, priority, reason, table, hard_timeout, packets, octets = _REMOVED.unpack_from(
            message, HEADER_SIZE
        )
        match = match_only(message[HEADER_SIZE + _REMOVED.size :])
    except (ValueError, struct.error) as error:
        raise ValueError(f"unreadable flow-removed message: {error}") from None
    return FlowRemoved(FlowRule(table, priority, match, None, cookie, hard_timeout), reason, packets, octets)


def _decode_15(message: bytes) -> FlowRemoved:
    table, reason, priority, hard_timeout, cookie = _REMOVED_15.unpack_from(message, HEADER_SIZE)
    position = HEADER_SIZE + _REMOVED_15.size
    rule = FlowRule(table, priority, match_only(message[position:]), None, cookie, hard_timeout)
    statistics, _ = decode_statistics(message, position + match_size(message, position))
    return FlowRemoved(rule, reason, statistics.packets, statistics.bytes)
