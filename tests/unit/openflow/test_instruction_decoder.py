"""Instructions as Ryu encodes them are read as the steps that they are."""

from __future__ import annotations

from typing import Any

import pytest
from ryu.ofproto import ofproto_v1_3 as ofp
from ryu.ofproto import ofproto_v1_3_parser as parser

from op25b_app.openflow.flow_rule import NORMAL, FlowRule, GotoWithTag, OpaqueInstructions
from op25b_app.openflow.instruction_decoder import stored_rule
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
    Unsupported,
    WriteActions,
    WriteMetadata,
)


def encoded(*instructions: Any) -> bytes:
    data = bytearray()
    for instruction in instructions:
        instruction.serialize(data, len(data))
    return bytes(data)


def apply(*actions: Any) -> Any:
    return parser.OFPInstructionActions(ofp.OFPIT_APPLY_ACTIONS, list(actions))


def write(*actions: Any) -> Any:
    return parser.OFPInstructionActions(ofp.OFPIT_WRITE_ACTIONS, list(actions))


@pytest.mark.parametrize(
    ("instructions", "steps"),
    [
        (
            [parser.OFPInstructionGotoTable(5), apply(parser.OFPActionOutput(3), parser.OFPActionPopVlan())],
            (OutputAction(3), PopVlan(), GotoTable(5)),
        ),
        (
            [
                apply(parser.OFPActionPushVlan(0x8100), parser.OFPActionSetField(vlan_vid=0x1064)),
                parser.OFPInstructionGotoTable(5),
            ],
            (PushVlan(0x8100), SetField("vlan_vid", 0x1064), GotoTable(5)),
        ),
        ([apply(parser.OFPActionSetField(tcp_dst=587))], (SetField("tcp_dst", 587),)),
        ([apply(parser.OFPActionDecNwTtl(), parser.OFPActionSetQueue(1))], ()),
        ([write(parser.OFPActionOutput(4))], (WriteActions((OutputAction(4),)),)),
        ([parser.OFPInstructionActions(ofp.OFPIT_CLEAR_ACTIONS, [])], (ClearActions(),)),
        ([parser.OFPInstructionWriteMetadata(5, 7)], (WriteMetadata(5, 7),)),
        (
            [
                parser.OFPInstructionGotoTable(5),
                parser.OFPInstructionWriteMetadata(5, 7),
                write(parser.OFPActionOutput(4)),
                parser.OFPInstructionActions(ofp.OFPIT_CLEAR_ACTIONS, []),
                apply(parser.OFPActionOutput(3)),
                parser.OFPInstructionMeter(1),
            ],
            (
                MayDrop("it drops what exceeds a meter"),
                *(
                    OutputAction(3),
                    ClearActions(),
                    WriteActions((OutputAction(4),)),
                    WriteMetadata(5, 7),
                    GotoTable(5),
                ),
            ),
        ),
        (
            [parser.OFPInstructionMeter(1), apply(parser.OFPActionOutput(3))],
            (MayDrop("it drops what exceeds a meter"), OutputAction(3)),
        ),
        (
            [apply(parser.OFPActionGroup(1))],
            (MaySend("what a group does is not asked of the switch"),),
        ),
    ],
)
def test_instructions_are_read(instructions: list[Any], steps: tuple[Step, ...]) -> None:
    rule = FlowRule(0, 1, (), OpaqueInstructions(encoded(*instructions)), 7)
    assert stored_rule(rule, "theirs").steps == steps


@pytest.mark.parametrize("length", range(1, 40))
def test_what_is_cut_short_is_never_taken_for_a_drop(length: int) -> None:
    whole = encoded(apply(parser.OFPActionOutput(3), parser.OFPActionOutput(4)))
    steps = stored_rule(FlowRule(0, 1, (), OpaqueInstructions(whole[:length]), 7), "theirs").steps
    assert any(isinstance(step, (Unsupported, OutputAction)) for step in steps)


def test_rules_like_ours_need_no_reading() -> None:
    assert stored_rule(FlowRule(0, 1, (), NORMAL, 7), "theirs").steps == (OutputAction(NORMAL.port),)
    assert stored_rule(FlowRule(0, 1, (), None, 7), "theirs").steps == ()
    tagged = FlowRule(0, 1, (), GotoWithTag(5, 3), 7)
    assert stored_rule(tagged, "theirs").steps == (WriteMetadata(3, 0xFF), GotoTable(5))
