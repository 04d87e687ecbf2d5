"""What a switch refuses opens nothing: neither what the old rules block nor what the new ones do."""

from __future__ import annotations

import pytest

from op25b_app.rules.flow import NORMAL, Field, FlowRule, Goto
from tests.fake_switch import Abilities, Refusal
from tests.world import OURS, TCP, World, assignment

SMTP = (*TCP, Field("tcp_dst", 25))
SOME_SMTP = (*TCP, Field("ipv4_dst", 0, 0x80000000), Field("tcp_dst", 25))
ELSE = (FlowRule(5, 10, (), NORMAL, OURS | 1), FlowRule(0, 100, (), Goto(5), OURS | 2))
OLD = (FlowRule(5, 100, SMTP, None, OURS | 3), *ELSE)
NEW = (FlowRule(5, 101, SOME_SMTP, None, OURS | 4), *ELSE)
PACKET = {"in_port": 1, "eth_type": 0x0800, "vlan_vid": 0, "ip_proto": 6, "ipv4_dst": 1, "tcp_dst": 25}
REFUSED = pytest.mark.xfail(
    strict=True, reason="without the refused rule, the others are sent as if it were there"
)


@pytest.mark.parametrize("bundles", [True, False])
@REFUSED
def test_a_refused_block_leaves_the_one_before_it(bundles: bool) -> None:
    world = World(abilities=Abilities(bundles=bundles))
    world.connect(assignment(OLD))
    world.switch.conduct.refuse = lambda flow: Refusal(5, 4) if flow.priority == 101 else None
    world.run(world.session.assign(assignment(NEW), world.now))
    assert world.status[0] == "degraded"
    assert "refused 1 rule" in world.status[1]
    assert not world.switch.forward(PACKET).passes, "both policies block it"


@REFUSED
def test_on_an_empty_switch_a_refused_block_leaves_it_closed() -> None:
    world = World()
    world.switch.conduct.refuse = lambda flow: Refusal(5, 4) if flow.priority == 101 else None
    world.connect(assignment(NEW))
    assert world.status[0] == "degraded"
    assert not world.switch.forward(PACKET).passes, "nothing passed before, and the policy blocks it"
