"""The flow tables of the fake switch (OpenFlow 1.3.5, sections 5 and 6.4)."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from testing.fake_switch import refusals
from testing.fake_switch.flow_mod import (
    ALL_TABLES,
    ANY,
    CHECK_OVERLAP,
    DELETIONS,
    RESET_COUNTS,
    STRICT,
    Command,
    FlowMod,
)
from testing.fake_switch.match import Fields, Match, overlap, within
from testing.fake_switch.wire import RefusedError

Key = tuple[int, Match]


class Reason(enum.IntEnum):
    """Why an entry went (7.4.2)."""

    IDLE_TIMEOUT = 0
    HARD_TIMEOUT = 1
    DELETE = 2


@dataclass(slots=True)
class Entry:
    """A flow entry; ``added``, ``modified`` and ``used`` are moments, in seconds."""

    flow: FlowMod
    added: float
    modified: float
    used: float
    packets: int = 0
    octets: int = 0

    def end(self) -> tuple[float, Reason] | None:
        """When its time-outs end it, and which of them; None where it has none."""
        ends = []
        if self.flow.hard_timeout:
            ends.append((self.added + self.flow.hard_timeout, Reason.HARD_TIMEOUT))
        if self.flow.idle_timeout:
            ends.append((self.used + self.flow.idle_timeout, Reason.IDLE_TIMEOUT))
        return min(ends, default=None)


class Happened(enum.Enum):
    ADDED = "added"
    MODIFIED = "modified"
    REMOVED = "removed"


class Change(NamedTuple):
    """What happened to an entry; ``reason`` for a removal."""

    what: Happened
    entry: Entry
    reason: Reason | None = None


class Selection(NamedTuple):
    """Which entries a command or a request is about (6.4); ``strict`` with this very priority and match."""

    table: int = ALL_TABLES
    match: Match = ()
    cookie: int = 0
    cookie_mask: int = 0
    out_port: int = ANY
    out_group: int = ANY
    priority: int = 0
    strict: bool = False

    def holds(self, entry: Entry) -> bool:
        flow = entry.flow
        if (flow.cookie ^ self.cookie) & self.cookie_mask:
            return False
        if self.out_port != ANY and not flow.program.sends_to(self.out_port):
            return False
        if self.out_group != ANY and not flow.program.sends_to_group(self.out_group):
            return False
        return self.strict or within(flow.match, self.match)


class Tables:
    """All tables of a switch. ``capacity`` is for all tables together, ``room_of`` for some of them."""

    def __init__(self, count: int, capacity: int, room_of: Mapping[int, int]) -> None:
        self.count = count
        self.capacity = capacity
        self.room_of = room_of
        self._tables: dict[int, dict[Key, Entry]] = {}
        self._timed: dict[tuple[int, Key], Entry] = {}
        self._classifiers: dict[int, _Classifier] = {}

    def __len__(self) -> int:
        return sum(map(len, self._tables.values()))

    def entries(self, selection: Selection | None = None) -> Iterator[Entry]:
        """The entries, table by table, in the order in which they were added."""
        for table in sorted(self._tables):
            if selection is None or selection.table in (table, ALL_TABLES):
                for entry in self._in_table(table, selection):
                    if selection is None or selection.holds(entry):
                        yield entry

    def count_in(self, table: int) -> int:
        return len(self._tables.get(table, ()))

    def lookup(self, table: int, fields: Fields) -> Entry | None:
        """The entry of highest priority that matches a frame's fields (5.3)."""
        if table not in self._classifiers:
            self._classifiers[table] = _Classifier(self._tables.get(table, {}).values())
        return self._classifiers[table].lookup(fields)

    def apply(self, flow: FlowMod, now: float) -> list[Change]:
        """Do what a flow-mod asks for; raises RefusedError where there is no room or an overlap."""
        if flow.command is Command.ADD:
            return [self._add(flow, now)]
        selection = Selection(
            flow.table,
            flow.match,
            flow.cookie,
            flow.cookie_mask,
            flow.out_port,
            flow.out_group,
            flow.priority,
            strict=flow.command in STRICT,
        )
        found = [*self.entries(selection)]
        if flow.command in DELETIONS:
            return [self._remove(entry, Reason.DELETE) for entry in found]
        return [*itertools.chain.from_iterable(self._modify(entry, flow, now) for entry in found)]

    def expire(self, now: float) -> list[Change]:
        """Remove what has come to its end."""
        if not self._timed:
            return []
        ends = [(entry.end(), entry) for entry in self._timed.values()]
        return [self._remove(entry, end[1]) for end, entry in ends if end is not None and now >= end[0]]

    def next_end(self) -> float | None:
        """The earliest moment at which a time-out ends an entry."""
        ends = (entry.end() for entry in self._timed.values())
        return min((end[0] for end in ends if end is not None), default=None)

    def clear(self) -> None:
        self.restore({})

    def snapshot(self) -> dict[int, dict[Key, Entry]]:
        return {table: dict(entries) for table, entries in self._tables.items()}

    def restore(self, snapshot: Mapping[int, Mapping[Key, Entry]]) -> None:
        """Hold what a snapshot held."""
        self._tables = {table: dict(entries) for table, entries in snapshot.items()}
        self._timed = {
            (table, key): entry
            for table, entries in self._tables.items()
            for key, entry in entries.items()
            if entry.end() is not None
        }
        self._classifiers.clear()

    def _in_table(self, table: int, selection: Selection | None) -> Iterable[Entry]:
        entries = self._tables[table]
        if selection is None or not selection.strict:
            return [*entries.values()]
        entry = entries.get((selection.priority, selection.match))
        return () if entry is None else (entry,)

    def _add(self, flow: FlowMod, now: float) -> Change:
        entries = self._tables.setdefault(flow.table, {})
        replaced = entries.pop(flow.key, None)
        if replaced is None:
            if flow.flags & CHECK_OVERLAP and self._overlaps(flow):
                raise RefusedError(refusals.OVERLAP)
            if len(entries) >= self.room_of.get(flow.table, self.capacity) or len(self) >= self.capacity:
                raise RefusedError(refusals.TABLE_FULL)
        entry = Entry(flow, now, now, now)
        if replaced is not None and not flow.flags & RESET_COUNTS:
            entry.packets, entry.octets = replaced.packets, replaced.octets
        self._put(replaced, entry)
        return Change(Happened.ADDED, entry)

    def _overlaps(self, flow: FlowMod) -> bool:
        return any(
            entry.flow.priority == flow.priority and overlap(entry.flow.match, flow.match)
            for entry in self._tables[flow.table].values()
        )

    def _modify(self, entry: Entry, flow: FlowMod, now: float) -> Iterator[Change]:
        """Cookie, time-outs, flags, counters and duration stay as they are (6.4).

        Nothing has happened to an entry that did the same before.
        """
        changed = entry.flow._replace(instructions=flow.instructions, program=flow.program)
        counts = (0, 0) if flow.flags & RESET_COUNTS else (entry.packets, entry.octets)
        new = Entry(changed, entry.added, now, entry.used, *counts)
        self._put(entry, new)
        if entry.flow.instructions != flow.instructions:
            yield Change(Happened.MODIFIED, new)

    def _remove(self, entry: Entry, reason: Reason) -> Change:
        table, key = entry.flow.table, entry.flow.key
        del self._tables[table][key]
        self._timed.pop((table, key), None)
        if table in self._classifiers:
            self._classifiers[table].remove(entry)
        return Change(Happened.REMOVED, entry, reason)

    def _put(self, replaced: Entry | None, entry: Entry) -> None:
        table, key = entry.flow.table, entry.flow.key
        self._tables[table][key] = entry
        if entry.flow.hard_timeout or entry.flow.idle_timeout:
            self._timed[table, key] = entry
        elif self._timed:
            self._timed.pop((table, key), None)
        if table in self._classifiers:
            if replaced is not None:
                self._classifiers[table].remove(replaced)
            self._classifiers[table].add(entry)


class _Classifier:
    """Tuple-space search: one hash table for each combination of fields and masks that the entries use."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._spaces: dict[tuple[tuple[str, int], ...], dict[tuple[int, ...], list[Entry]]] = {}
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        space, values = _place(entry)
        alike = self._spaces.setdefault(space, {}).setdefault(values, [])
        alike.append(entry)
        alike.sort(key=lambda each: -each.flow.priority)

    def remove(self, entry: Entry) -> None:
        space, values = _place(entry)
        alike = self._spaces[space][values]
        alike[:] = [each for each in alike if each is not entry]
        if not alike:
            del self._spaces[space][values]
            if not self._spaces[space]:
                del self._spaces[space]

    def lookup(self, fields: Fields) -> Entry | None:
        best: Entry | None = None
        for space, by_values in self._spaces.items():
            values = []
            for name, mask in space:
                have = fields.get(name)
                if have is None:
                    break
                values.append(have & mask)
            else:
                alike = by_values.get(tuple(values))
                if alike and (best is None or alike[0].flow.priority > best.flow.priority):
                    best = alike[0]
        return best


def _place(entry: Entry) -> tuple[tuple[tuple[str, int], ...], tuple[int, ...]]:
    match = entry.flow.match
    return tuple((name, mask) for name, _, mask in match), tuple(value for _, value, _ in match)
