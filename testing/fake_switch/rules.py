"""Flow rules as op25b knows them, to and from the entries of a fake switch, with nothing of op25b's codec."""

from __future__ import annotations

from op25b_app.openflow.flow_rule import (
    CONTROLLER_PORT,
    TAG_MASK,
    Action,
    CopyToController,
    FieldValue,
    FlowRule,
    Goto,
    GotoWithTag,
    OpaqueInstructions,
    Output,
)
from testing.fake_switch.actions import OUTPUT
from testing.fake_switch.actions import Action as SwitchAction
from testing.fake_switch.flow_mod import Command, FlowMod
from testing.fake_switch.instructions import Program, write_instructions
from testing.fake_switch.match import BY_NAME
from testing.fake_switch.switch import FakeSwitch
from testing.fake_switch.tables import Entry


def put(switch: FakeSwitch, *rules: FlowRule, idle_timeout: int = 0) -> None:
    """Add rules as somebody else does it."""
    switch.tamper(*(flow_of(rule)._replace(idle_timeout=idle_timeout) for rule in rules))


def remove(switch: FakeSwitch, *rules: FlowRule) -> None:
    """Delete rules as somebody else does it."""
    switch.tamper(*(flow_of(rule, Command.DELETE_STRICT) for rule in rules))


def rules_on(switch: FakeSwitch) -> list[FlowRule]:
    """What a switch holds now, table by table."""
    switch.advance(switch.now)
    return [rule_of(entry) for entry in switch.entries()]


def flow_of(rule: FlowRule, command: Command = Command.ADD) -> FlowMod:
    fields = sorted(rule.match, key=lambda field: BY_NAME[field.name].number)
    match = tuple((name, value, BY_NAME[name].full if mask is None else mask) for name, value, mask in fields)
    program = _program(rule.action)
    instructions = (
        rule.action.instructions
        if isinstance(rule.action, OpaqueInstructions)
        else write_instructions(program)
    )
    return FlowMod(
        command,
        rule.table,
        rule.priority,
        match,
        instructions,
        program,
        rule.cookie,
        hard_timeout=rule.hard_timeout,
    )


def rule_of(entry: Entry) -> FlowRule:
    flow = entry.flow
    match = tuple(
        FieldValue(name, value, None if mask == BY_NAME[name].full else mask)
        for name, value, mask in flow.match
    )
    return FlowRule(
        flow.table, flow.priority, match, _action(flow), flow.cookie, hard_timeout=flow.hard_timeout
    )


def _program(action: Action) -> Program:
    match action:
        case Goto(table):
            return Program(goto=table)
        case GotoWithTag(table, tag):
            return Program(goto=table, metadata=(tag, TAG_MASK))
        case Output(port):
            return Program(apply=(SwitchAction(OUTPUT, port),))
        case CopyToController(onward):
            copy = SwitchAction(OUTPUT, CONTROLLER_PORT, copied=0xFFFF)
            program = _program(onward)
            return program._replace(apply=(copy, *program.apply))
        case OpaqueInstructions():
            raise ValueError("what opaque instructions do is for the switch to read: send it a message")
    return Program()


def _action(flow: FlowMod) -> Action:
    """The action of op25b that does what an entry does."""
    program = flow.program
    candidates: list[Action] = [None]
    if program.goto is not None:
        candidates += [Goto(program.goto), GotoWithTag(program.goto, program.metadata[0])]
    candidates += [Output(action.number) for action in program.apply]
    copies = (each for each in candidates if isinstance(each, (Goto, GotoWithTag, Output)))
    candidates += [CopyToController(each) for each in copies]
    fitting = [action for action in candidates if _program(action) == program]
    return fitting[0] if fitting else OpaqueInstructions(flow.instructions)
