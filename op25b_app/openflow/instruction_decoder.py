"""Decode instructions of any application's rules to steps that a proof can follow.

OpenFlow 1.3.5, sections 7.2.4 (instructions) and 7.2.5 (actions); unknown ones stay unmodelled.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from op25b_app.openflow.flow_rule import (
    CONTROLLER_PORT,
    TAG_MASK,
    Action,
    CopyToController,
    FlowRule,
    Goto,
    GotoWithTag,
    OpaqueInstructions,
    Output,
)
from op25b_app.openflow.instruction_encoder import parts
from op25b_app.openflow.oxm import decode_field
from op25b_app.openflow.stored_rule import (
    ClearActions,
    GotoTable,
    MayDrop,
    MaySend,
    OutputAction,
    PopVlan,
    PushVlan,
    SetField,
    Step,
    StoredRule,
    Unsupported,
    WriteActions,
    WriteMetadata,
)

_GOTO_TABLE, _WRITE_METADATA, _WRITE_ACTIONS, _APPLY_ACTIONS, _CLEAR_ACTIONS, _METER = range(1, 7)
_ORDER = (_METER, _APPLY_ACTIONS, _CLEAR_ACTIONS, _WRITE_ACTIONS, _WRITE_METADATA, _GOTO_TABLE)
"""The order in which a switch follows them, whatever it reports (OpenFlow 1.3.5, section 5.9)."""
_PLACES = {kind: place for place, kind in enumerate(_ORDER)}
_OUTPUT, _PUSH_VLAN, _POP_VLAN, _GROUP, _SET_FIELD = 0, 17, 18, 22, 25
_WITHOUT_EFFECT = frozenset({11, 12, 21, 23, 24})
"""Types of actions that change no verdict: copying, setting and decrementing TTLs, choosing a queue."""
_ACTION_METER = 29
"""Type of the meter action, which OpenFlow 1.5 has among the actions."""


def stored_rule(rule: FlowRule, text: str) -> StoredRule:
    """Return a rule as a proof takes it; ``text`` names it in messages."""
    steps = tuple(_steps_of(rule.action))
    return StoredRule(rule.table, rule.priority, rule.match, steps, rule.cookie, text, text)


def _steps_of(action: Action) -> Iterator[Step]:
    match action:
        case Goto(table):
            yield GotoTable(table)
        case GotoWithTag(table, tag):
            yield from (WriteMetadata(tag, TAG_MASK), GotoTable(table))
        case Output(port):
            yield OutputAction(port)
        case CopyToController(onward):
            yield OutputAction(CONTROLLER_PORT)
            yield from _steps_of(onward)
        case OpaqueInstructions(instructions):
            yield from _steps(instructions)


def _steps(instructions: bytes) -> Iterator[Step]:
    """Yield the steps of instructions in the order in which a switch follows them (section 5.9)."""
    for kind, whole in sorted(parts(instructions), key=lambda part: _PLACES.get(part[0], 0)):
        body = whole[4:]
        if kind == _GOTO_TABLE and len(body) == 4:
            yield GotoTable(body[0])
        elif kind == _WRITE_METADATA and len(body) == 20:
            yield WriteMetadata(*struct.unpack_from("!QQ", body, 4))
        elif kind == _APPLY_ACTIONS and len(body) >= 4:
            yield from _actions(body[4:])
        elif kind == _WRITE_ACTIONS and len(body) >= 4:
            yield WriteActions(tuple(_actions(body[4:])))
        elif kind == _CLEAR_ACTIONS:
            yield ClearActions()
        elif kind == _METER:
            yield MayDrop()
        else:
            yield Unsupported(f"instruction {kind}")


def _actions(data: bytes) -> Iterator[Step]:
    return (_action(kind, whole[4:]) for kind, whole in parts(data) if kind not in _WITHOUT_EFFECT)


def _action(kind: int, body: bytes) -> Step:
    if kind == _OUTPUT and len(body) == 12:
        return OutputAction(int.from_bytes(body[:4], "big"))
    if kind == _PUSH_VLAN and len(body) == 4:
        return PushVlan(int.from_bytes(body[:2], "big"))
    if kind == _POP_VLAN:
        return PopVlan()
    if kind == _SET_FIELD and (field := decode_field(body)) is not None:
        return SetField(*field)
    if kind == _GROUP:
        return MaySend("what a group does is not asked of the switch")
    if kind == _ACTION_METER:
        return MayDrop()
    return Unsupported(f"action {kind}")
