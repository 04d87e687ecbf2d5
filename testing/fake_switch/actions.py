"""Actions of the fake switch (OpenFlow 1.3.5, 7.2.5; 1.5.1, 7.2.6)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from testing.fake_switch import refusals
from testing.fake_switch.match import BASIC, BY_NAME, BY_NUMBER, VLAN_PRESENT, prerequisites_met
from testing.fake_switch.wire import OPENFLOW_15, Cursor, Refusal, RefusedError

OUTPUT, COPY_TTL_OUT, COPY_TTL_IN, PUSH_VLAN, POP_VLAN, SET_QUEUE, GROUP = 0, 11, 12, 17, 18, 21, 22
SET_TTL, DECREMENT_TTL, SET_FIELD = 23, 24, 25
KINDS = (OUTPUT, COPY_TTL_OUT, COPY_TTL_IN, PUSH_VLAN, POP_VLAN, SET_QUEUE, GROUP, SET_TTL, DECREMENT_TTL)
"""Those of a fixed length. Queues and TTLs have no effect on anything looked at here."""
IN_PORT, TABLE, NORMAL, FLOOD, ALL, CONTROLLER, LOCAL = range(0xFFFFFFF8, 0xFFFFFFFF)
MAX_PORTS = 0xFF00
"""Open vSwitch's: of its port numbers only the reserved ones have more than 16 bits."""
_HEAD = struct.Struct("!HH")
_OXM = struct.Struct("!HBB")
_UNSETTABLE = ("in_port", "eth_type", "vlan_pcp", "ip_proto", "actset_output", "packet_type")


class Action(NamedTuple):
    """``number`` is what the action is about: the port, the group, the ethertype, the new value.

    ``copied`` is how much of a packet an output to the controller sends there; 0 for other outputs.
    """

    kind: int
    number: int = 0
    field: str = ""
    mask: int = 0
    copied: int = 0


def read_parts(body: bytes, refusal: Refusal) -> Iterator[tuple[int, bytes]]:
    """Kind and content of each instruction or action; ``refusal`` for lengths that are not possible."""
    cursor = Cursor(body, refusal)
    while cursor.rest:
        kind, length = cursor.take(_HEAD)
        if length < 8 or length % 8:
            raise RefusedError(refusal)
        yield kind, cursor.take_bytes(length - _HEAD.size)


def read_actions(body: bytes, version: int, known: dict[str, int]) -> Iterator[Action]:
    """The actions of a list; ``known`` are the fields that the match gives, and is kept up to date."""
    for kind, content in read_parts(body, refusals.BAD_ACTION_LENGTH):
        if kind == 0xFFFF:
            raise RefusedError(refusals.BAD_ACTION_EXPERIMENTER)
        if kind == SET_FIELD:
            yield _read_set_field(content, version, known)
            continue
        if kind not in KINDS:
            raise RefusedError(refusals.BAD_ACTION_TYPE)
        if len(content) != (12 if kind == OUTPUT else 4):
            raise RefusedError(refusals.BAD_ACTION_LENGTH)
        action = Action(kind, int.from_bytes(content[: 2 if kind == PUSH_VLAN else 4], "big"))
        if kind == OUTPUT and action.number == CONTROLLER:
            action = action._replace(copied=int.from_bytes(content[4:6], "big"))
        _check(action, known)
        yield action


def write_output(port: int, copied: int = 0) -> bytes:
    return struct.pack("!HHIHxxxxxx", OUTPUT, 16, port, copied)


def _check(action: Action, known: dict[str, int]) -> None:
    if action.kind == OUTPUT and action.number >= MAX_PORTS and not IN_PORT <= action.number <= LOCAL:
        raise RefusedError(refusals.BAD_OUT_PORT)
    if action.kind == GROUP:
        raise RefusedError(refusals.BAD_OUT_GROUP)
    if action.kind == PUSH_VLAN:
        if action.number not in (0x8100, 0x88A8):
            raise RefusedError(refusals.BAD_ACTION_ARGUMENT)
        known["vlan_vid"] = VLAN_PRESENT
    if action.kind == POP_VLAN:
        if not known.get("vlan_vid", 0) & VLAN_PRESENT:
            raise RefusedError(refusals.MATCH_INCONSISTENT)
        known["vlan_vid"] = 0


def _read_set_field(content: bytes, version: int, known: dict[str, int]) -> Action:
    oxm_class, number, length = _OXM.unpack_from(content)
    field = BY_NUMBER.get(number >> 1) if oxm_class == BASIC else None
    masked = number & 1
    if field is None or length != field.octets << masked or len(content) < 4 + length:
        raise RefusedError(refusals.BAD_SET_LENGTH)
    if masked and version < OPENFLOW_15:
        raise RefusedError(refusals.BAD_SET_TYPE)
    value = int.from_bytes(content[4 : 4 + field.octets], "big")
    mask = int.from_bytes(content[4 + field.octets : 4 + length], "big") if masked else field.full
    if field.name in _UNSETTABLE or value > field.full or value & ~mask:
        raise RefusedError(refusals.BAD_SET_ARGUMENT)
    if not prerequisites_met(BY_NAME[field.name], known):
        raise RefusedError(refusals.MATCH_INCONSISTENT)
    return Action(SET_FIELD, value, field.name, mask)
