"""The flow monitor: a switch tells of every rule that somebody adds, removes or changes, as it happens.

OpenFlow 1.4.1 section 7.3.5.18, the same in 1.5; OpenFlow 1.3 has it as an extension of the ONF (EXT-187)
with other bytes. Open vSwitch 3.1 takes the extension on 1.3, the standard one on 1.4 and 1.5, and no
other; it tells of changes in multipart replies with xid 0 that nobody asked for.

A switch that knows no flow monitor answers the request with an error of its xid: BAD_REQUEST with
BAD_MULTIPART, BAD_EXPERIMENTER or BAD_EXP_TYPE, or FLOW_MONITOR_FAILED. Whatever the error, it
means no monitor. What Open vSwitch understands and refuses (a second monitor on one connection, say) it
answers with an error in the format of OpenFlow 1.0 and without our xid; so it is the first reply, empty,
that says that there is a monitor.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator
from typing import NamedTuple

from op25b_app.openflow.flow_rule import Action, FlowRule, Match
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
"""Additions, deletions, modifications and actions; not the initial contents (1)."""
_IN_FULL = 0b100000
"""Changes over this connection, too, which other applications in this process make as well.

Open vSwitch knows this flag for OpenFlow 1.3 only; for 1.4 and 1.5 it refuses the request (BAD_FLAGS).
"""
_MONITOR = 1
_DELETE = 2
_ALL_TABLES = 0xFF
_ANY = 0xFFFFFFFF

_REQUEST = struct.Struct("!IIIHBB")
_ONF_REQUEST = struct.Struct("!IIIHHIBxxx")
_ONF_CANCEL = struct.Struct("!III")
_ONF_MATCH_SIZE = 4
"""Of an empty match without its padding."""
_XID = struct.Struct("!xxxxI")
_UPDATE = struct.Struct("!xxxxBBxxHHxxxxQ")
_ONF_UPDATE = struct.Struct("!xxxxHHxxHxxBxQ")
assert _UPDATE.size == _ONF_UPDATE.size
_SHORTEST = 4
"""Bytes of an update: its length and its event."""


class Event(enum.Enum):
    """What happened to a rule, or to the monitor."""

    ADDED = "added"
    """Also one that replaces an equal match and priority."""
    REMOVED = "removed"
    MODIFIED = "modified"
    OWN = "own"
    """A flow-mod of this connection, where only its xid is told; of a bundle, that of its first."""
    PAUSED = "paused"
    """The switch stops telling, because it is not read fast enough; or what it tells cannot be read."""
    RESUMED = "resumed"
    """It tells again. What became of each rule in between was told before this, our own changes in full."""


class Update(NamedTuple):
    """One thing that a flow monitor tells.

    The fields of a rule stand for what was ADDED, REMOVED or MODIFIED; the action of what was removed may not
    be told (None), and ``reason`` is its :class:`~op25b_app.openflow.flow_removed.Reason`. ``xid`` is that of
    an OWN flow-mod.
    """

    event: Event
    table: int = 0
    priority: int = 0
    match: Match = ()
    cookie: int = 0
    action: Action = None
    hard_timeout: int = 0
    reason: int = 0
    xid: int = 0

    @property
    def rule(self) -> FlowRule:
        return FlowRule(self.table, self.priority, self.match, self.action, self.cookie, self.hard_timeout)


# INITIAL is not asked for, but is an addition to who reads it.
_EVENTS = (Event.ADDED, Event.ADDED, Event.REMOVED, Event.MODIFIED, Event.OWN, Event.PAUSED, Event.RESUMED)
_ONF_EVENTS = (Event.ADDED, Event.REMOVED, Event.MODIFIED, Event.OWN)


def encode_monitor_request(*, version: int, xid: int) -> bytes:
    """Watch every table for what is added, deleted and modified, by whomever, this connection included."""
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
    """Stop watching. Open vSwitch would answer each of many flow-mods of our own with a message."""
    if version == OPENFLOW_13:
        body = _ONF_CANCEL.pack(ONF_EXPERIMENTER, _ONF_FLOW_MONITOR, _MONITOR)
        return encode_message(version, EXPERIMENTER, xid, body)
    wanted = _EVERY_CHANGE
    body = _REQUEST.pack(_MONITOR, _ANY, _ANY, wanted, _ALL_TABLES, _DELETE) + encode_match(())
    return encode_multipart_request(version, _OFPMP_FLOW_MONITOR, xid, body)


def is_flow_update(message: bytes) -> bool:
    """Whether a message is one of a flow monitor, the empty reply to the request among them."""
    if message[0] != OPENFLOW_13:
        return multipart_kind(message) == _OFPMP_FLOW_MONITOR
    organisation, kind = experimenter_kind(message) or (0, 0)
    if organisation != ONF_EXPERIMENTER:
        return False
    return kind in ((_ONF_PAUSED, _ONF_RESUMED) if message[1] == EXPERIMENTER else (_ONF_FLOW_MONITOR,))


def decode_updates(message: bytes) -> Iterator[Update]:
    """What a message of a flow monitor tells, in the order in which it happened.

    What breaks the format counts as PAUSED, since something may have happened that is not known: alone where
    the switch says how long it is, else with all that follows.
    """
    if message[0] == OPENFLOW_13 and message[1] == EXPERIMENTER:
        paused = experimenter_kind(message) == (ONF_EXPERIMENTER, _ONF_PAUSED)
        yield Update(Event.PAUSED if paused else Event.RESUMED)
        return
    is_onf = message[0] == OPENFLOW_13
    position = MULTIPART_HEADER_SIZE + (8 if is_onf else 0)
    while position < len(message):
        length = int.from_bytes(message[position : position + 2], "big")
        entry = message[position : position + length]
        if not _SHORTEST <= length == len(entry):
            yield Update(Event.PAUSED)
            return
        try:
            yield _decode_update(entry, is_onf=is_onf)
        except (ValueError, struct.error):
            yield Update(Event.PAUSED)
        position += length


def _decode_update(entry: bytes, *, is_onf: bool) -> Update:
    """``struct ofp_flow_update_full`` or one of its short forms, of OpenFlow 1.4 and 1.5, or of the ONF."""
    event = _event(entry, _ONF_EVENTS if is_onf else _EVENTS)
    if event is Event.OWN:
        return Update(event, xid=_XID.unpack_from(entry)[0])
    if event in (Event.PAUSED, Event.RESUMED):
        return Update(event)
    if is_onf:
        reason, priority, hard_timeout, table, cookie = _ONF_UPDATE.unpack_from(entry)
    else:
        table, reason, hard_timeout, priority, cookie = _UPDATE.unpack_from(entry)
    match, action = match_and_action(entry[_UPDATE.size :])
    return Update(event, table, priority, match, cookie, action, hard_timeout, reason)


def _event(entry: bytes, events: tuple[Event, ...]) -> Event:
    number = int.from_bytes(entry[2:4], "big")
    if number >= len(events):
        raise ValueError(f"event {number} is none of a flow monitor")
    return events[number]
