"""What a switch refuses opens nothing: neither what the old rules block nor what the new ones do."""

from __future__ import annotations

import pytest

from op25b_app.rules.flow import NORMAL, Field, FlowRule, Goto
from op25b_app.switch.session import AUDIT_SECONDS, RETRY_SECONDS
from tests.fake_switch import Abilities, FlowMod, Refusal
from tests.world import OURS, RULES, TCP, World, assignment

SMTP = (*TCP, Field("tcp_dst", 25))
SOME_SMTP = (*TCP, Field("ipv4_dst", 0, 0x80000000), Field("tcp_dst", 25))
ELSE = (FlowRule(5, 10, (), NORMAL, OURS | 1), FlowRule(0, 100, (), Goto(5), OURS | 2))
OLD = (FlowRule(5, 100, SMTP, None, OURS | 3), *ELSE)
NEW = (FlowRule(5, 101, SOME_SMTP, None, OURS | 4), *ELSE)
EPERM = Refusal(5, 4)
PACKET = {"in_port": 1, "eth_type": 0x0800, "vlan_vid": 0, "ip_proto": 6, "ipv4_dst": 1, "tcp_dst": 25}


@pytest.mark.parametrize("bundles", [True, False])
def test_a_refused_block_leaves_the_one_before_it(bundles: bool) -> None:
    world = World(abilities=Abilities(bundles=bundles))
    world.connect(assignment(OLD))
    world.switch.conduct.refuse = lambda flow: EPERM if flow.priority == 101 else None
    world.run(world.session.assign(assignment(NEW), world.now))
    assert world.status[0] == "degraded"
    assert "refused 1 rule" in world.status[1]
    assert not world.switch.forward(PACKET).passes, "both policies block it"


def test_on_an_empty_switch_a_refused_block_leaves_it_closed() -> None:
    world = World()
    world.switch.conduct.refuse = lambda flow: EPERM if flow.priority == 101 else None
    world.connect(assignment(NEW))
    assert world.status[0] == "degraded"
    assert not world.switch.forward(PACKET).passes, "nothing passed before, and the policy blocks it"


def moved(rule: FlowRule) -> FlowRule:
    """The same rule one table further on."""
    action = Goto(rule.action.table + 1) if isinstance(rule.action, Goto) else rule.action
    return rule._replace(table=rule.table + (rule.table > 0), action=action)


ELSEWHERE = [moved(rule) for rule in RULES]
"""What needs tags, or a gate."""
SUBMISSION = {**PACKET, "tcp_dst": 587}


@pytest.mark.parametrize("metadata", [True, False])
def test_a_switch_that_was_behind_a_gate_gets_what_it_had(metadata: bool) -> None:
    """Not only port 25 stays as it was: nothing that was open stays closed."""
    world = World(abilities=Abilities(bundles=False, metadata=metadata))
    world.connect(assignment())
    gated: list[bool] = []
    world.switch.on_handled = lambda: gated.append(not world.switch.forward(SUBMISSION).passes)
    world.switch.conduct.refuse = lambda flow: (
        EPERM if flow.table == 2 and flow.priority % 0x4000 == 200 else None
    )
    world.run(world.session.assign(assignment(ELSEWHERE), world.now))
    assert any(gated), "the way there is behind a gate"
    assert world.status[0] == "degraded"
    assert "refused 1 rule" in world.status[1]
    assert set(world.rules) == set(RULES)
    world.wait(3 * RETRY_SECONDS)
    assert set(world.rules) == set(RULES)
    world.switch.conduct.refuse = lambda flow: None
    world.wait(RETRY_SECONDS)
    assert world.status[0] == "protected"


def test_what_only_permits_is_left_out() -> None:
    world = World()
    refused = RULES[3]
    world.switch.conduct.refuse = lambda flow: EPERM if about(flow, refused) else None
    world.connect(assignment())
    assert world.status[1].startswith("refused 1 rule")
    assert "nothing" not in world.status[1]
    assert set(world.rules) == {*RULES} - {refused}


def test_a_permit_that_gets_another_action_and_is_refused_does_not_stay_as_it_was() -> None:
    world = World(abilities=Abilities(bundles=False))
    old = RULES[3]._replace(action=Goto(5))
    world.connect(assignment([*ELSE[:1], *RULES[:3], old, *RULES[4:]]))
    assert world.status[0] == "protected"
    world.switch.conduct.refuse = lambda flow: EPERM if about(flow, old) and flow.instructions else None
    world.run(world.session.assign(assignment(), world.now))
    assert world.status[1].startswith("refused 1 rule")
    assert set(world.rules) == {*RULES} - {RULES[3]}


def test_what_a_switch_does_not_delete_keeps_it_from_permitting_more() -> None:
    world = World(abilities=Abilities(bundles=False))
    world.connect(assignment(OLD))
    world.switch.conduct.refuse = lambda flow: (
        EPERM if not flow.instructions and flow.priority == 100 else None
    )
    world.run(world.session.assign(assignment(ELSE), world.now))
    assert world.status[0] == "degraded"
    assert not world.switch.forward(PACKET).passes


def test_a_full_table_that_gets_room_is_filled_at_an_audit() -> None:
    world = World(abilities=Abilities(bundles=False, table_features=False, room_of={2: 12}))
    world.connect(assignment())
    assert world.status[1].startswith("room for 10 of 21 rules in table 2")
    world.switch.tables.room_of = {}
    world.wait(2 * AUDIT_SECONDS)
    assert world.status[0] == "protected"


def about(flow: FlowMod, rule: FlowRule) -> bool:
    return (flow.table, flow.priority) == (rule.table, rule.priority) and flow.cookie == rule.cookie
