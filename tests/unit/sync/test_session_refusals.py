"""What a switch refuses opens nothing: neither what the old rules block nor what the new ones do."""

from __future__ import annotations

import itertools

import pytest

from op25b_app.openflow.flow_rule import NORMAL, FieldValue, FlowRule, Goto, RuleRole
from op25b_app.sync.protocol import SwitchFeatures
from op25b_app.sync.ruleset import Ruleset
from op25b_app.sync.session import AUDIT_SECONDS, RETRY_SECONDS
from testing.fake_switch import Abilities, FlowMod, Refusal
from testing.fake_switch.flow_mod import Command
from testing.fake_switch.rules import remove
from testing.fake_switch.wire import Kind
from tests.world import OURS, PORTS, RULES, TCP, World, at, desired

SMTP = (*TCP, FieldValue("tcp_dst", 25))
SOME_SMTP = (*TCP, FieldValue("ipv4_dst", 0, 0x80000000), FieldValue("tcp_dst", 25))
ELSE = (FlowRule(5, 10, (), NORMAL, OURS | 1), FlowRule(0, 100, (), Goto(5), OURS | 2))
OLD = (FlowRule(5, 100, SMTP, None, OURS | 3), *ELSE)
NEW = (FlowRule(5, 101, SOME_SMTP, None, OURS | 4), *ELSE)
EPERM = Refusal(5, 4)
IPV4_TCP = {"in_port": 1, "eth_type": 0x0800, "vlan_vid": 0, "ip_proto": 6}
PACKET = {**IPV4_TCP, "ipv4_src": 5, "ipv4_dst": 1, "tcp_dst": 25}


@pytest.mark.parametrize("bundles", [True, False])
def test_a_refused_block_leaves_the_one_before_it(bundles: bool) -> None:
    world = World(capabilities=Abilities(bundles=bundles))
    world.connect(desired(OLD))
    world.switch.conduct.refuse = lambda flow: EPERM if flow.priority == 101 else None
    world.run(world.session.assign(desired(NEW), world.now))
    assert world.status[0] == "degraded"
    assert "refused 1 rule" in world.status[1]
    assert not world.switch.forward(PACKET).passes, "both policies block it"


def test_a_block_that_is_refused_in_the_place_of_a_permit_leaves_the_policy_before() -> None:
    """As from monitor to enforce."""
    world = World(capabilities=Abilities(bundles=False))
    before = (OLD[0]._replace(action=NORMAL, cookie=0x25B0 << 48 | RuleRole.WOULD_BLOCK << 40 | 3), *ELSE)
    world.connect(desired(before))
    world.switch.conduct.refuse = lambda flow: (
        EPERM if at(flow) == (5, 100) and not flow.instructions else None
    )
    world.run(world.session.assign(desired(OLD)._replace(digest="0dd5" * 16), world.now))
    assert world.status[0] == "degraded"
    assert world.status[1].endswith("it keeps the rules of the policy before")
    assert set(world.rules) == {*before}


def test_on_an_empty_switch_a_refused_block_leaves_it_closed() -> None:
    world = World()
    world.switch.conduct.refuse = lambda flow: EPERM if flow.priority == 101 else None
    world.connect(desired(NEW))
    assert world.status[0] == "degraded"
    assert not world.switch.forward(PACKET).passes, "nothing passed before, and the policy blocks it"


@pytest.mark.parametrize("at_first", [True, False], ids=["while it blocks", "when it opens"])
def test_on_an_empty_switch_a_refused_rule_of_table_0_stays_closed(at_first: bool) -> None:
    """No packet gets to the rule below it instead, which would let it pass."""
    above = FlowRule(0, 200, (FieldValue("in_port", 1),), Goto(5), OURS | 5)
    below = FlowRule(0, 100, (), NORMAL, OURS | 2)
    world = World()
    world.switch.conduct.refuse = lambda flow: (
        EPERM if at(flow) == (0, 200) and bool(flow.instructions) is not at_first else None
    )
    passed: list[bool] = []
    world.switch.on_handled = lambda: passed.append(world.switch.forward(PACKET).passes)
    world.connect(desired([FlowRule(5, 100, SMTP, None, OURS | 3), ELSE[0], above, below]))
    world.wait(3 * RETRY_SECONDS)
    assert world.status[0] == "degraded"
    assert "refused 1 rule" in world.status[1]
    assert "first table 0 priority 200 in_port=1 -> goto_table:5" in world.status[1]
    assert passed
    assert not any(passed)


def test_a_switch_that_comes_back_empty_is_not_opened_beside_a_rule_that_it_refuses() -> None:
    """It had this policy before, and what it took of it only blocks as yet."""
    rules = [
        *(FlowRule(0, 200, (FieldValue("in_port", port),), Goto(5), OURS | 5) for port in (1, 2)),
        FlowRule(0, 100, (), Goto(5), OURS | 6),
        FlowRule(5, 10, (), NORMAL, OURS | 7),
    ]
    world = World()
    world.connect(desired(rules))
    assert world.status[0] == "protected"
    world.run(world.session.disconnected(world.now))
    world.switch.restart()
    world.switch.conduct.refuse = lambda flow: (
        EPERM if at(flow) == (0, 200) and flow.match[0][1] == 1 else None
    )
    world.channel = world.switch.connect(4)
    world.run(world.session.connected(SwitchFeatures(4, 254, PORTS), world.now))
    assert world.status[0] == "degraded"
    assert not any(world.switch.forward({**PACKET, "in_port": port}).passes for port in (1, 2, 3))


def moved(rule: FlowRule) -> FlowRule:
    """The same rule one table further on."""
    action = Goto(rule.action.table + 1) if isinstance(rule.action, Goto) else rule.action
    return rule._replace(table=rule.table + (rule.table > 0), action=action)


ELSEWHERE = [moved(rule) for rule in RULES]
"""What needs tags, or a gate."""
EXCEPTION = FlowRule(
    1, 500, (*TCP, FieldValue("ipv4_src", 5)), NORMAL, 0x25B0 << 48 | RuleRole.EXCEPTION << 40 | 9
)
BLOCK, SELECT = (0x25B0 << 48 | role << 40 | 7 for role in (RuleRole.BLOCK, RuleRole.SELECT))
SUBMISSION = {**PACKET, "tcp_dst": 587}


@pytest.mark.parametrize("metadata", [True, False])
def test_a_switch_that_was_behind_a_gate_gets_what_it_had(metadata: bool) -> None:
    """Not only port 25 stays as it was: nothing that was open stays closed."""
    world = World(capabilities=Abilities(bundles=False, metadata=metadata))
    world.connect(desired())
    gated: list[bool] = []
    world.switch.on_handled = lambda: gated.append(not world.switch.forward(SUBMISSION).passes)
    world.switch.conduct.refuse = lambda flow: (
        EPERM if flow.table == 2 and flow.priority % 0x4000 == 200 else None
    )
    world.run(world.session.assign(desired(ELSEWHERE), world.now))
    assert any(gated), "the way there is behind a gate"
    assert world.status[0] == "degraded"
    assert "refused 1 rule" in world.status[1]
    assert set(world.rules) == set(RULES)
    assert world.status[1].endswith("it keeps the rules of the policy before")
    gated.clear()
    world.wait(3 * RETRY_SECONDS)
    assert not any(gated), "the gate is not closed again before the next audit"
    world.switch.conduct.refuse = lambda flow: None
    world.wait(2 * AUDIT_SECONDS)
    assert world.status[0] == "protected"


def test_what_only_permits_is_left_out() -> None:
    world = World()
    refused = RULES[3]
    world.switch.conduct.refuse = lambda flow: EPERM if about(flow, refused) else None
    world.connect(desired())
    assert world.status[1].startswith("refused 1 rule")
    assert "nothing" not in world.status[1]
    assert set(world.rules) == {*RULES} - {refused}


def test_a_permit_that_gets_another_action_and_is_refused_does_not_stay_as_it_was() -> None:
    world = World(capabilities=Abilities(bundles=False))
    old = RULES[3]._replace(action=Goto(5))
    world.connect(desired([*ELSE[:1], *RULES[:3], old, *RULES[4:]]))
    assert world.status[0] == "protected"
    world.switch.conduct.refuse = lambda flow: EPERM if about(flow, old) and flow.instructions else None
    world.run(world.session.assign(desired(), world.now))
    assert world.status[1].startswith("refused 1 rule")
    assert set(world.rules) == {*RULES} - {RULES[3]}


def test_what_a_switch_does_not_delete_keeps_it_from_permitting_more() -> None:
    world = World(capabilities=Abilities(bundles=False))
    world.connect(desired(OLD))
    world.switch.conduct.refuse = lambda flow: (
        EPERM if not flow.instructions and flow.priority == 100 else None
    )
    world.run(world.session.assign(desired(ELSE), world.now))
    assert world.status[0] == "degraded"
    assert not world.switch.forward(PACKET).passes


def test_a_full_table_that_gets_room_is_filled_at_an_audit() -> None:
    world = World(capabilities=Abilities(bundles=False, table_features=False, room_of={2: 12}))
    world.connect(desired())
    assert world.status[1].startswith("room for 10 of 21 rules in table 2")
    world.switch.tables.room_of = {}
    world.wait(2 * AUDIT_SECONDS)
    assert world.status[0] == "protected"


@pytest.mark.parametrize("metadata", [True, False])
def test_what_was_there_and_is_refused_now_keeps_the_gate_closed(metadata: bool) -> None:
    """Neither the new rules nor the old ones can be had as a whole."""
    world = World(capabilities=Abilities(bundles=False, metadata=metadata))
    world.connect(desired())
    leaked = leaks_of(world)
    world.switch.conduct.refuse = lambda flow: (
        EPERM if flow.command is Command.ADD and flow.priority % 0x4000 == 200 else None
    )
    world.run(world.session.assign(desired(ELSEWHERE), world.now))
    world.wait(100)
    assert not any(leaked)
    assert "everything is blocked" in world.status[1]
    world.switch.conduct.refuse = lambda flow: None
    world.wait(2 * AUDIT_SECONDS)
    assert world.status[0] == "protected"


@pytest.mark.parametrize("silent_at", range(1, 14))
def test_a_switch_that_is_silent_behind_the_gate_gets_what_it_had(silent_at: int) -> None:
    world = World(capabilities=Abilities(bundles=False, metadata=False))
    world.connect(desired())
    leaked = leaks_of(world)
    barriers = itertools.count(1)
    world.switch.conduct.refuse = lambda flow: EPERM if flow.table == 2 and flow.priority == 200 else None
    world.switch.conduct.silent_about = lambda message: (
        message.kind == Kind.BARRIER_REQUEST and next(barriers) == silent_at
    )
    world.run(world.session.assign(desired(ELSEWHERE), world.now))
    world.wait(3 * RETRY_SECONDS)
    assert not any(leaked)
    assert set(world.rules) == set(RULES)


@pytest.mark.parametrize("bundles", [True, False])
def test_repair_goes_on_while_a_new_policy_is_refused(bundles: bool) -> None:
    world = World(capabilities=Abilities(bundles=bundles))
    world.connect(desired(OLD))
    world.switch.conduct.refuse = lambda flow: EPERM if flow.priority == 101 else None
    world.run(world.session.assign(desired((NEW[0], *OLD)), world.now))
    remove(world.switch, OLD[0])
    world.run_told()
    world.wait(2 * RETRY_SECONDS)
    assert set(world.rules) == set(OLD)
    assert not world.switch.forward(PACKET).passes


def test_what_blocks_is_repaired_while_another_repair_is_refused() -> None:
    """So it is where the switch was seen to hold the policy: what is there is known to be its."""
    select, blocks = RULES[-2]._replace(cookie=SELECT), RULES[0]._replace(cookie=BLOCK)
    world = World(capabilities=Abilities(bundles=False))
    world.connect(desired([blocks, *RULES[1:-2], select, RULES[-1]]))
    remove(world.switch, select, blocks, RULES[-3])
    world.switch.conduct.refuse = lambda flow: EPERM if at(flow) == (1, 10) else None
    world.wait(2 * AUDIT_SECONDS)
    assert world.status[0] == "degraded"
    assert {select, blocks} <= set(world.rules)
    assert not world.switch.forward(PACKET).passes


def test_exceptions_go_on_where_the_rules_before_come_back() -> None:
    def wanted(now: float, tables: int) -> Ruleset:
        return Ruleset([RULES, (EXCEPTION._replace(hard_timeout=int(11_000 - now)),)])

    world = World(capabilities=Abilities(bundles=False, metadata=False))
    world.connect(desired()._replace(wanted=wanted))
    world.switch.conduct.refuse = lambda flow: EPERM if flow.table == 2 and flow.priority == 200 else None
    world.now += 100
    world.switch.advance(world.now)
    world.run(world.session.assign(desired(ELSEWHERE), world.now))
    assert world.status[1].endswith("it keeps the rules of the policy before")
    (timed,) = (rule for rule in world.rules if rule.hard_timeout)
    assert timed.key == EXCEPTION.key
    assert timed.hard_timeout <= 11_000 - world.now


def leaks_of(world: World) -> list[bool]:
    """Whether port 25 passes, for each message that the switch handles from now on."""
    leaked: list[bool] = []
    world.switch.on_handled = lambda: leaked.append(world.switch.forward(PACKET).passes)
    return leaked


def about(flow: FlowMod, rule: FlowRule) -> bool:
    return (flow.table, flow.priority) == (rule.table, rule.priority) and flow.cookie == rule.cookie
