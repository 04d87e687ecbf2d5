"""Flow monitors: a controller is told of every change of an entry, by whomever.

OpenFlow 1.4.1, 7.3.5.18; for 1.3 the ONF extension 187, with other bytes. As Open vSwitch has it, an entry
that replaces another is an added one, and a controller is told of its own changes once a message (a bundle
counts as one), by the xid of the first. There are no pauses, since a fake switch waits for no reader.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from testing.fake_switch import refusals
from testing.fake_switch.flow_mod import ALL_TABLES, ANY
from testing.fake_switch.match import Match, read_match, write_match
from testing.fake_switch.tables import Change, Entry, Happened, Selection, Tables
from testing.fake_switch.wire import NICIRA, ONF, OPENFLOW_13, Cursor, Refusal, RefusedError

EXPERIMENTER_MONITOR = 1870
_INITIAL, _INSTRUCTIONS, _NO_ABBREVIATION, _ONLY_OWN = 1, 16, 32, 64
_FLAG = {Happened.ADDED: 2, Happened.REMOVED: 4, Happened.MODIFIED: 8}
_EVENT = {Happened.ADDED: 1, Happened.REMOVED: 2, Happened.MODIFIED: 3}
"""In OpenFlow 1.4; the extension counts from 0, having no event for the initial contents."""
_ABBREVIATED = 4
_ADD, _MODIFY, _DELETE = 0, 1, 2
_REQUEST = struct.Struct("!IIIHBB")
_REQUEST_13 = struct.Struct("!IHHIBxxx")
_CANCEL_13 = struct.Struct("!I")
_UPDATE = struct.Struct("!HHBBHHHxxxxQ")
_UPDATE_13 = struct.Struct("!HHHHHHHBxQ")


class Monitor(NamedTuple):
    """What one monitor is to tell of."""

    flags: int
    table: int = ALL_TABLES
    out_port: int = ANY
    out_group: int = ANY
    match: Match = ()

    def selects(self, entry: Entry) -> bool:
        return self.table in (ALL_TABLES, entry.flow.table) and self.selection.holds(entry)

    @property
    def selection(self) -> Selection:
        return Selection(self.table, self.match, out_port=self.out_port, out_group=self.out_group)


class Monitors:
    """The monitors of one connection, which speaks ``version``."""

    def __init__(self, version: int) -> None:
        self._version = version
        self._monitors: dict[int, Monitor] = {}

    def request(self, cursor: Cursor, tables: Tables) -> Iterator[bytes]:
        """Add, change or delete a monitor; the initial contents where they are asked for."""
        number, command, monitor = self._read(cursor)
        if (command == _ADD) == (number in self._monitors):
            raise RefusedError(self._refusal(1 if command == _ADD else 3))
        if command == _DELETE:
            del self._monitors[number]
            return
        self._monitors[number] = monitor
        if monitor.flags & _INITIAL:
            for entry in tables.entries(monitor.selection):
                yield self._update(0 if self._version > OPENFLOW_13 else 1, entry, 0, monitor)

    def cancel(self, cursor: Cursor) -> None:
        """Delete a monitor, as the extension for OpenFlow 1.3 does it."""
        (number,) = cursor.take(_CANCEL_13)
        if number not in self._monitors:
            raise RefusedError(self._refusal(3))
        del self._monitors[number]

    def updates(self, changes: Iterable[Change], *, own: bool, xid: int) -> list[bytes]:
        """What there is to tell of changes; ``own`` are those of the monitoring controller itself."""
        updates: list[bytes] = []
        abbreviated = False
        for change in changes:
            monitor = self._interested_in(change)
            if monitor is None or (monitor.flags & _ONLY_OWN and not own):
                continue
            if own and not monitor.flags & _NO_ABBREVIATION:
                if not abbreviated:
                    updates.append(struct.pack("!HHI", 8, self._event(_ABBREVIATED), xid))
                abbreviated = True
                continue
            reason = 0 if change.reason is None else change.reason
            updates.append(self._update(_EVENT[change.what], change.entry, reason, monitor))
        return updates

    def _interested_in(self, change: Change) -> Monitor | None:
        interested = (
            monitor
            for monitor in self._monitors.values()
            if monitor.flags & _FLAG[change.what] and monitor.selects(change.entry)
        )
        return next(interested, None)

    def _read(self, cursor: Cursor) -> tuple[int, int, Monitor]:
        if self._version == OPENFLOW_13:
            number, flags, _, out_port, table = cursor.take(_REQUEST_13)
            command, out_group = _ADD, ANY
        else:
            number, out_port, out_group, flags, table, command = cursor.take(_REQUEST)
        match, _ = read_match(cursor.body, cursor.position)
        if not flags or flags >= _ONLY_OWN << 1 or command > _DELETE:
            raise RefusedError(refusals.BAD_LENGTH)
        if flags & _NO_ABBREVIATION and self._version > OPENFLOW_13:
            # So does Open vSwitch.
            raise RefusedError(self._refusal(5))
        return number, command, Monitor(flags, table, out_port, out_group, match)

    def _event(self, event: int) -> int:
        return event if self._version > OPENFLOW_13 else event - 1

    def _update(self, event: int, entry: Entry, reason: int, monitor: Monitor) -> bytes:
        flow = entry.flow
        match = write_match(flow.match)
        rest = match + (flow.instructions if monitor.flags & _INSTRUCTIONS else b"")
        times = flow.idle_timeout, flow.hard_timeout
        if self._version > OPENFLOW_13:
            length = _UPDATE.size + len(rest)
            head = _UPDATE.pack(length, event, flow.table, reason, *times, flow.priority, flow.cookie)
            return head + rest
        (match_length,) = struct.unpack_from("!H", match, 2)
        length = _UPDATE_13.size + len(rest)
        where = match_length, flow.table, flow.cookie
        return _UPDATE_13.pack(length, event - 1, reason, flow.priority, *times, *where) + rest

    def _refusal(self, code: int) -> Refusal:
        if self._version == OPENFLOW_13:
            return Refusal(0xFFFF, code, NICIRA)
        return Refusal(refusals.FLOW_MONITOR_FAILED, code)


def head_of(version: int) -> bytes:
    """What stands before updates in a multipart reply."""
    return struct.pack("!II", ONF, EXPERIMENTER_MONITOR) if version == OPENFLOW_13 else b""
