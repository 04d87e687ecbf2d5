"""What the fake switch tells of itself: bodies of multipart replies, of flow-removed and of port messages.

OpenFlow 1.3.5, 7.3.5 and 7.4; 1.4.1, 7.2.1 for ports; 1.5.1, 7.2.4 for statistics as lists of fields.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from testing.fake_switch.actions import LOCAL
from testing.fake_switch.match import FIELDS, write_match
from testing.fake_switch.tables import Change, Entry, Tables
from testing.fake_switch.wire import OPENFLOW_13, OPENFLOW_15, pad8

_FLOW_STATS = struct.Struct("!HBxIIHHHHHxxQQQ")
_FLOW_DESCRIPTION = struct.Struct("!HxxBxHHHHHQ")
_FLOW_REMOVED = struct.Struct("!QHBBIIHHQQ")
_FLOW_REMOVED_15 = struct.Struct("!BBHHHQ")
_OXS_CLASS = 0x8002
_DURATION, _FLOWS, _PACKETS, _BYTES = 0, 3, 4, 5


def flow(entry: Entry, now: float, version: int) -> bytes:
    """``struct ofp_flow_stats``, of 1.5 ``struct ofp_flow_desc``."""
    mod = entry.flow
    match = write_match(mod.match)
    if version >= OPENFLOW_15:
        stats = _entry_oxs(entry, now)
        length = _FLOW_DESCRIPTION.size + len(match) + len(stats) + len(mod.instructions)
        timeouts = mod.idle_timeout, mod.hard_timeout
        head = _FLOW_DESCRIPTION.pack(
            length, mod.table, mod.priority, *timeouts, mod.flags, mod.importance, mod.cookie
        )
        return head + match + stats + mod.instructions
    length = _FLOW_STATS.size + len(match) + len(mod.instructions)
    head = _FLOW_STATS.pack(
        length,
        mod.table,
        *_duration(entry, now),
        mod.priority,
        mod.idle_timeout,
        mod.hard_timeout,
        mod.flags,
        mod.importance,
        mod.cookie,
        entry.packets,
        entry.octets,
    )
    return head + match + mod.instructions


def flow_statistics(entry: Entry, now: float) -> bytes:
    """``struct ofp_flow_stats`` of 1.5: no instructions, the reason that it was asked for."""
    rest = write_match(entry.flow.match) + _entry_oxs(entry, now)
    return struct.pack("!HxxBBH", 8 + len(rest), entry.flow.table, 0, entry.flow.priority) + rest


def aggregate(entries: Iterable[Entry], version: int) -> bytes:
    found = [*entries]
    packets, octets = (sum(getattr(entry, name) for entry in found) for name in ("packets", "octets"))
    if version >= OPENFLOW_15:
        fields = [(_PACKETS, 8, packets), (_BYTES, 8, octets), (_FLOWS, 4, len(found))]
        return _oxs(fields)
    return struct.pack("!QQIxxxx", packets, octets, len(found))


def table_statistics(tables: Tables) -> Iterator[bytes]:
    for table in range(tables.count):
        yield struct.pack("!BxxxIQQ", table, tables.count_in(table), 0, 0)


def flow_removed(change: Change, now: float, version: int) -> bytes:
    entry, mod = change.entry, change.entry.flow
    assert change.reason is not None
    match = write_match(mod.match)
    if version >= OPENFLOW_15:
        timeouts = mod.idle_timeout, mod.hard_timeout
        head = _FLOW_REMOVED_15.pack(mod.table, change.reason, mod.priority, *timeouts, mod.cookie)
        return head + match + _entry_oxs(entry, now)
    head = _FLOW_REMOVED.pack(
        mod.cookie,
        mod.priority,
        change.reason,
        mod.table,
        *_duration(entry, now),
        mod.idle_timeout,
        mod.hard_timeout,
        entry.packets,
        entry.octets,
    )
    return head + match


def port(number: int, version: int) -> bytes:
    """``struct ofp_port``: a port that is up; LOCAL is down, as Open vSwitch has it at first."""
    config, state = (1, 1) if number == LOCAL else (0, 4)
    hardware = bytes([2, 0, *number.to_bytes(4, "big")])
    name = f"port-{number}".encode()
    if version == OPENFLOW_13:
        return struct.pack("!I4x6s2x16sIIIIIIII", number, hardware, name, config, state, 0, 0, 0, 0, 0, 0)
    ethernet = struct.pack("!HH4xIIIIII", 0, 32, 0, 0, 0, 0, 0, 0)
    head = struct.pack("!IH2x6s2x16sII", number, 40 + len(ethernet), hardware, name, config, state)
    return head + ethernet


def description() -> bytes:
    """``struct ofp_desc``."""
    return struct.pack("!256s256s256s32s256s", b"nobody", b"memory", b"fake switch", b"", b"")


def table_features(tables: Tables, table: int, version: int, *, metadata: bool) -> bytes:
    """``struct ofp_table_features``: all fields with masks, all instructions, all later tables."""
    number = (1 << 64) - 1 if metadata else 0
    capacity = min(tables.capacity, tables.room_of.get(table, tables.capacity))
    properties = b"".join(_table_properties(tables.count, table, metadata=metadata))
    name = f"table-{table}".encode()
    fixed = (name, number, number, 0, capacity)
    if version >= OPENFLOW_15:
        head = struct.pack("!HBBI32sQQII", 64 + len(properties), table, 0, 0, *fixed)
    else:
        head = struct.pack("!HB5x32sQQII", 64 + len(properties), table, *fixed)
    return head + properties


def _table_properties(count: int, table: int, *, metadata: bool) -> Iterator[bytes]:
    instructions = [kind for kind in (1, 2, 3, 4, 5) if kind != 2 or metadata]
    actions = (0, 17, 18, 21, 22, 25)
    matches = [field for field in FIELDS if field.name != "metadata" or metadata]
    headers = b"".join(struct.pack("!HBB", 0x8000, each.number << 1, each.octets) for each in matches)
    masked = b"".join(
        struct.pack("!HBB", 0x8000, each.number << 1 | (each.masks != "no"), each.octets) for each in matches
    )
    for miss in (0, 1):
        yield _property(miss, b"".join(struct.pack("!HH", kind, 4) for kind in instructions))
        yield _property(2 + miss, bytes(range(table + 1, count)))
        for kind in (4, 6):
            yield _property(kind + miss, b"".join(struct.pack("!HH", action, 4) for action in actions))
        for kind in (12, 14):
            yield _property(kind + miss, headers)
    yield _property(8, masked)
    yield _property(10, headers)


def _property(kind: int, content: bytes) -> bytes:
    return pad8(struct.pack("!HH", kind, 4 + len(content)) + content)


def _duration(entry: Entry, now: float) -> tuple[int, int]:
    return divmod(max(0, round((now - entry.added) * 1e9)), 10**9)


def _entry_oxs(entry: Entry, now: float) -> bytes:
    seconds, nanoseconds = _duration(entry, now)
    duration = seconds << 32 | nanoseconds
    return _oxs([(_DURATION, 8, duration), (_PACKETS, 8, entry.packets), (_BYTES, 8, entry.octets)])


def _oxs(fields: Iterable[tuple[int, int, int]]) -> bytes:
    """``struct ofp_stats`` of (number, bytes, value)."""
    body = b"".join(
        struct.pack("!HBB", _OXS_CLASS, number << 1, octets) + value.to_bytes(octets, "big")
        for number, octets, value in fields
    )
    return pad8(struct.pack("!HH", 0, 4 + len(body)) + body)
