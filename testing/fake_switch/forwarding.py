"""What becomes of one frame in the tables (OpenFlow 1.3.5, sections 5.1, 5.3, 5.9 to 5.12)."""

from __future__ import annotations

from typing import NamedTuple

from testing.fake_switch.actions import (
    CONTROLLER,
    COPY_TTL_IN,
    COPY_TTL_OUT,
    DECREMENT_TTL,
    GROUP,
    OUTPUT,
    POP_VLAN,
    PUSH_VLAN,
    SET_FIELD,
    SET_QUEUE,
    SET_TTL,
    Action,
)
from testing.fake_switch.match import VLAN_PRESENT, Fields, visible
from testing.fake_switch.tables import Entry, Tables


class Passage(NamedTuple):
    """Where a frame went: ``ports`` in the order in which it was sent there, NORMAL and the like among them,
    and the ``entries`` that it met. Without a port it was dropped."""

    ports: tuple[int, ...]
    entries: tuple[Entry, ...]

    @property
    def passes(self) -> bool:
        return any(port != CONTROLLER for port in self.ports)


def forward(tables: Tables, fields: Fields) -> Passage:
    """Take a frame through the tables.

    ``fields`` are what a switch reads from its headers, by OXM name; those whose prerequisites the frame does
    not meet count for nothing. A table without an entry for it ends its way; what earlier tables wrote to
    the action set is carried out nevertheless, as Open vSwitch does.
    """
    header = {"metadata": 0, **fields}
    seen = visible(header)
    ports: list[int] = []
    entries: list[Entry] = []
    later: dict[tuple[int, str], Action] = {}
    table: int | None = 0
    while table is not None:
        entry = tables.lookup(table, seen)
        if entry is None:
            break
        entries.append(entry)
        program = entry.flow.program
        for action in program.apply:
            if _carry_out(action, header, ports):
                seen = visible(header)
        if program.clear:
            later.clear()
        later.update(((action.kind, action.field), action) for action in program.write)
        value, mask = program.metadata
        if mask:
            header["metadata"] = seen["metadata"] = header["metadata"] & ~mask | value
        table = program.goto
    for action in sorted(later.values(), key=lambda action: _SET_ORDER.index(action.kind)):
        _carry_out(action, header, ports)
    return Passage(tuple(ports), tuple(entries))


_SET_ORDER = (
    *(COPY_TTL_IN, POP_VLAN, PUSH_VLAN, COPY_TTL_OUT, DECREMENT_TTL),
    *(SET_TTL, SET_FIELD, SET_QUEUE, GROUP, OUTPUT),
)
"""In which order an action set is carried out (5.10)."""


def _carry_out(action: Action, header: dict[str, int], ports: list[int]) -> bool:
    """Carry out one action; whether it changed the header."""
    if action.kind == OUTPUT:
        ports.append(action.number)
        return False
    if action.kind == PUSH_VLAN:
        header["vlan_vid"] = header.get("vlan_vid", 0) | VLAN_PRESENT
    elif action.kind == POP_VLAN:
        header["vlan_vid"] = 0
        header.pop("vlan_pcp", None)
    elif action.kind == SET_FIELD:
        header[action.field] = header.get(action.field, 0) & ~action.mask | action.number
    else:
        return False
    return True
