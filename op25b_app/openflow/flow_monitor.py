"""Flow monitor: a switch reports each rule that is added, removed or changed, as it happens.

OpenFlow 1.4.1 section 7.3.5.18, the same in 1.5; OpenFlow 1.3 has it as an extension of the ONF (EXT-187) in
another format. Open vSwitch 3.1 accepts only the extension on 1.3, and only the standard one on 1.4 and 1.5.
It reports changes in unsolicited multipart replies with xid 0.

A switch without a flow monitor answers the request with an error of its xid: BAD_REQUEST with BAD_MULTIPART,
BAD_EXPERIMENTER or BAD_EXP_TYPE, or FLOW_MONITOR_FAILED. Any error means no monitor. Where Open vSwitch
understands and refuses (a second monitor on one connection, for example), its error has the format of
OpenFlow 1.0 and not the xid of the request. Therefore the first reply, which is empty, confirms the
monitor.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator
from typing import NamedTuple

from op25b_app.openflow.flow_rule import FlowRule
from op25b_app.openflow.flow_stats import match_and_action
from op25b_app.openflow.oxm import encode_match
from op25b_app.openflow.wire import (
    EXPERIMENTER,
    MULTIPART_EXPERIMENTER,
    MULTIPART_HEADER_SIZE,
    ONF_EXPERIMENTER,
    OPENFLOW_13,
    encode_message,
    encode_multipart_request,
    experimenter_kind,
    multipart_kind,
)

_OFPMP_FLOW_MONITOR = 16
_ONF_FLOW_MONITOR, _ONF_PAUSED, _ONF_RESUMED = 1870, 1871, 1872

_EVERY_CHANGE = 0b11110
"""Flags for additions, deletions, modifications and actions; not for the initial contents (1)."""
_IN_FULL = 0b100000
"""Flag for full reports of changes over this connection, which other applications may share.

Open vSwitch accepts this flag for OpenFlow 1.3 only; for 1.4 and 1.5 it refuses the request (BAD_FLAGS).
"""
_MONITOR = 1
_DELETE = 2
_ALL_TABLES = 0xFF
_ANY = 0xFFFFFFFF

_REQUEST = struct.Struct("!IIIHBB")
_ONF_REQUEST = struct.Struct("!IIIHHIBxxx")
_ONF_CANCEL = struct.Struct("!III")
_ONF_MATCH_SIZE = 4
"""Size in bytes of an empty match without its padding."""
_XID = struct.Struct("!xxxxI")
_UPDATE = struct.Struct("!xxxxBBxxHHxxxxQ")
_ONF_UPDATE = struct.Struct("!xxxxHHxxHxxBxQ")
assert _UPDATE.size == _ONF_UPDATE.size
_SHORTEST = 4
"""Minimum size in bytes of an update: its length and its event."""


class FlowEvent(enum.Enum):
    """Events of a flow monitor, about a rule or about the monitor itself."""

    ADDED = "added"
    """Addition, also one that replaces a rule with an equal match and priority."""
    REMOVED = "removed"
    MODIFIED = "modified"
    OWN = "own"
    """Flow-mod of this connection, reported by its xid only; a bundle, by the xid of its first flow-mod."""
    PAUSED = "paused"
    """Reports stop because the controller reads too slowly; or a report cannot be read."""
    RESUMED = "resumed"
    """Reports continue. Changes since PAUSED were reported before this event, this connection's in full."""


class FlowUpdate(NamedTuple):
    """One report of a flow monitor.

    ``rule`` is the one that was ADDED, REMOVED or MODIFIED. Of a removed rule, the action may be missing
    (None), and ``reason`` is its :class:`~op25b_app.openflow.flow_removed.RemovedReason`.
    ``xid`` is that of an OWN
    flow-mod.
    """

    event: FlowEvent
    rule: FlowRule = FlowRule(0, 0, (), None, 0)
    reason: int = 0
    xid: int = 0


# INITIAL is not requested, but would be an addition.
_EVENTS = (
    FlowEvent.ADDED,
    FlowEvent.ADDED,
    FlowEvent.REMOVED,
    FlowEvent.MODIFIED,
    FlowEvent.OWN,
    FlowEvent.PAUSED,
    FlowEvent.RESUMED,
)
_ONF_EVENTS = (FlowEvent.ADDED, FlowEvent.REMOVED, FlowEvent.MODIFIED, FlowEvent.OWN)


def encode_monitor_request(*, version: int, xid: int) -> bytes:
    """Return a request to report changes in every table by any connection, this one included."""
    wanted = _EVERY_CHANGE
    match = encode_match(())
    if version == OPENFLOW_13:
        wanted |= _IN_FULL
        head = (ONF_EXPERIMENTER, _ONF_FLOW_MONITOR, _MONITOR, wanted, _ONF_MATCH_SIZE, _ANY, _ALL_TABLES)
        return encode_multipart_request(
            version, MULTIPART_EXPERIMENTER, xid, _ONF_REQUEST.pack(*head) + match
        )
    body = _REQUEST.pack(_MONITOR, _ANY, _ANY, wanted, _ALL_TABLES, 0) + match
    return encode_multipart_request(version, _OFPMP_FLOW_MONITOR, xid, body)


def encode_monitor_cancel(*, version: int, xid: int) -> bytes:
    """Return a request to end the monitor, with which Open vSwitch answers every flow-mod of op25b."""
    if version == OPENFLOW_13:
        body = _ONF_CANCEL.pack(ONF_EXPERIMENTER, _ONF_FLOW_MONITOR, _MONITOR)
        return encode_message(version, EXPERIMENTER, xid, body)
    wanted = _EVERY_CHANGE
    body = _REQUEST.pack(_MONITOR, _ANY, _ANY, wanted, _ALL_TABLES, _DELETE) + encode_match(())
    return encode_multipart_request(version, _OFPMP_FLOW_MONITOR, xid, body)


def is_flow_update(message: bytes) -> bool:
    """Return whether ``message`` is one of a flow monitor, such as the empty reply to the request."""
    if message[0] != OPENFLOW_13:
        return multipart_kind(message) == _OFPMP_FLOW_MONITOR
    organisation, kind = experimenter_kind(message) or (0, 0)
    if organisation != ONF_EXPERIMENTER:
        return False
    return kind in ((_ONF_PAUSED, _ONF_RESUMED) if message[1] == EXPERIMENTER else (_ONF_FLOW_MONITOR,))


def decode_updates(message: bytes) -> Iterator[FlowUpdate]:
    """Yield the updates in a message of a flow monitor, in the order in which they happened.

    An update that breaks the format becomes PAUSED, since an unknown change may have happened. Where its
    length is wrong, the rest of the message is skipped.
    """
    if message[0] == OPENFLOW_13 and message[1] == EXPERIMENTER:
        paused = experimenter_kind(message) == (ONF_EXPERIMENTER, _ONF_PAUSED)
        yield FlowUpdate(FlowEvent.PAUSED if paused else FlowEvent.RESUMED)
        return
    is_onf = message[0] == OPENFLOW_13
    position = MULTIPART_HEADER_SIZE + (8 if is_onf else 0)
    while position < len(message):
        length = int.from_bytes(message[position : position + 2], "big")
        entry = message[position : position + length]
        if not _SHORTEST <= length == len(entry):
            yield FlowUpdate(FlowEvent.PAUSED)
            return
        try:
            yield _decode_update(entry, is_onf=is_onf)
        except (ValueError, struct.error):
            yield FlowUpdate(FlowEvent.PAUSED)
        position += length


def _decode_update(entry: bytes, *, is_onf: bool) -> FlowUpdate:
    """Decode ``struct ofp_flow_update_full`` or a short form, of OpenFlow 1.4 and 1.5 or of the ONF."""
    event = _event(entry, _ONF_EVENTS if is_onf else _EVENTS)
    if event is FlowEvent.OWN:
        return FlowUpdate(event, xid=_XID.unpack_from(entry)[0])
    if event in (FlowEvent.PAUSED, FlowEvent.RESUMED):
        return FlowUpdate(event)
    if is_onf:
        reason, priority, hard_timeout, table, cookie = _ONF_UPDATE.unpack_from(entry)
    else:
        table, reason, hard_timeout, priority, cookie = _UPDATE.unpack_from(entry)
    match, action = match_and_action(entry[_UPDATE.size :])
    return FlowUpdate(event, FlowRule(table, priority, match, action, cookie, hard_timeout), reason)


def _event(entry: bytes, events: tuple[FlowEvent, ...]) -> FlowEvent:
    number = int.from_bytes(entry[2:4], "big")
    if number >= len(events):
        raise ValueError(f"event {number} is none of a flow monitor")
    return events[number]
