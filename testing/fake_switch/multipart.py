"""Multipart requests to the fake switch and its answers in several parts (OpenFlow 1.3.5, 7.3.5)."""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from testing.fake_switch import refusals, statistics
from testing.fake_switch.match import read_match
from testing.fake_switch.monitor import EXPERIMENTER_MONITOR, Monitors, head_of
from testing.fake_switch.tables import Entry, Selection
from testing.fake_switch.wire import (
    HEADER,
    ONF,
    OPENFLOW_13,
    OPENFLOW_15,
    Cursor,
    Kind,
    Message,
    Refusal,
    RefusedError,
    pack,
)

if TYPE_CHECKING:
    from testing.fake_switch.channel import Channel
    from testing.fake_switch.switch import FakeSwitch

_HEAD = struct.Struct("!HHxxxx")
_FLOWS = struct.Struct("!BxxxIIxxxxQQ")
_EXPERIMENTER = struct.Struct("!II")
_PORT = struct.Struct("!Ixxxx")
_MORE = 1
_SET_FEATURES_REFUSED = Refusal(13, 5)


class Part(enum.IntEnum):
    """Types of multipart messages; FLOW is FLOW_DESC from 1.5 on."""

    DESCRIPTION = 0
    FLOW = 1
    AGGREGATE = 2
    TABLE = 3
    TABLE_FEATURES = 12
    PORT_DESCRIPTION = 13
    FLOW_MONITOR = 16
    FLOW_STATISTICS = 17
    EXPERIMENTER = 0xFFFF


def answer(channel: Channel, message: Message) -> Iterator[bytes]:
    """All parts of the answer to a multipart request."""
    switch, version = channel.switch, channel.version
    cursor = Cursor(message.raw, refusals.BAD_LENGTH, HEADER.size)
    kind, _ = cursor.take(_HEAD)
    if (monitors := _monitors_asked(channel, kind, cursor)) is not None:
        pieces = [*monitors.request(cursor, switch.tables)]
        return _parts(version, message.xid, kind, pieces, switch.capabilities.part_bytes, head_of(version))
    pieces = [*_pieces(switch, version, kind, cursor)]
    return _parts(version, message.xid, kind, pieces, switch.capabilities.part_bytes)


def is_flow_request(message: Message) -> bool:
    """Whether a message asks for entries."""
    return _asks_for(message, Part.FLOW)


def is_port_description_request(message: Message) -> bool:
    return _asks_for(message, Part.PORT_DESCRIPTION)


def _asks_for(message: Message, part: Part) -> bool:
    return message.kind == Kind.MULTIPART_REQUEST and int.from_bytes(message.raw[8:10], "big") == part


def flow_updates(version: int, updates: list[bytes]) -> bytes:
    """A multipart reply that nobody asked for: what a flow monitor tells."""
    kind = Part.EXPERIMENTER if version == OPENFLOW_13 else Part.FLOW_MONITOR
    return pack(version, Kind.MULTIPART_REPLY, 0, _HEAD.pack(kind, 0) + head_of(version) + b"".join(updates))


def _monitors_asked(channel: Channel, kind: int, cursor: Cursor) -> Monitors | None:
    """The connection's monitors, if a request is about them."""
    monitors = channel.monitors if channel.switch.capabilities.flow_monitor else None
    if kind == Part.FLOW_MONITOR and channel.version > OPENFLOW_13:
        return monitors
    if kind != Part.EXPERIMENTER:
        return None
    experimenter, what = cursor.take(_EXPERIMENTER)
    if experimenter != ONF or monitors is None:
        raise RefusedError(refusals.BAD_EXPERIMENTER)
    if what != EXPERIMENTER_MONITOR or channel.version > OPENFLOW_13:
        raise RefusedError(refusals.BAD_EXPERIMENTER_TYPE)
    return monitors


def _parts(
    version: int, xid: int, kind: int, pieces: Iterable[bytes], part_bytes: int, head: bytes = b""
) -> Iterator[bytes]:
    """Multipart replies of about ``part_bytes``; no piece is cut."""
    body = bytearray(head)
    for piece in pieces:
        if len(body) >= part_bytes:
            yield pack(version, Kind.MULTIPART_REPLY, xid, _HEAD.pack(kind, _MORE) + body)
            body.clear()
        body += piece
    yield pack(version, Kind.MULTIPART_REPLY, xid, _HEAD.pack(kind, 0) + body)


def _pieces(switch: FakeSwitch, version: int, kind: int, cursor: Cursor) -> Iterable[bytes]:
    now, tables = switch.now, switch.tables
    if kind == Part.FLOW:
        report = switch.conduct.report
        return (
            statistics.flow(replace(entry, flow=report(entry.flow)), now, version)
            for entry in _selected(switch, cursor)
        )
    if kind == Part.FLOW_STATISTICS and version >= OPENFLOW_15:
        return (statistics.flow_statistics(entry, now) for entry in _selected(switch, cursor))
    if kind == Part.AGGREGATE:
        return [statistics.aggregate(_selected(switch, cursor), version)]
    if kind == Part.DESCRIPTION:
        return [statistics.description()]
    if kind == Part.TABLE:
        return statistics.table_statistics(tables)
    if kind == Part.PORT_DESCRIPTION:
        return _ports(switch, version, cursor)
    if kind == Part.TABLE_FEATURES and switch.capabilities.table_features:
        if cursor.rest:
            raise RefusedError(_SET_FEATURES_REFUSED)
        metadata = switch.capabilities.metadata
        return (
            statistics.table_features(tables, table, version, metadata=metadata)
            for table in range(tables.count)
        )
    raise RefusedError(refusals.BAD_MULTIPART)


def _selected(switch: FakeSwitch, cursor: Cursor) -> Iterator[Entry]:
    table, out_port, out_group, cookie, mask = cursor.take(_FLOWS)
    wide = switch.capabilities.wide_masks
    match, _ = read_match(cursor.body, cursor.position, wide_masks=wide)
    return switch.tables.entries(Selection(table, match, cookie, mask, out_port, out_group))


def _ports(switch: FakeSwitch, version: int, cursor: Cursor) -> Iterator[bytes]:
    wanted = None
    if version >= OPENFLOW_15:
        (number,) = cursor.take(_PORT)
        wanted = None if number == 0xFFFFFFFF else number
    for number in sorted(switch.ports):
        if wanted is None or number == wanted:
            yield statistics.port(number, version)
