"""The compiled rules in a real Open vSwitch, packets as bytes: its verdicts equal the specification's."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from op25b_app.compiler.compiler import compile_rules
from op25b_app.openflow.flow_rule import COOKIE_OWNER, RuleRole
from op25b_app.policy.decide import decide
from op25b_app.policy.model import Policy, Verdict
from op25b_app.policy.packet import read_frame
from testing.frames import frame_of
from testing.private_ovs import PrivateOvs
from tests.generated import IN_PORTS, NOW, SWITCH, packets, policies
from tests.generated_frames import frames

pytestmark = pytest.mark.slow

HANDOVER_TABLE = 7
_NORMAL = re.compile(r"^ +NORMAL$", re.MULTILINE)
_COOKIE = re.compile(r"cookie 0x([0-9a-f]+)")


@pytest.fixture(scope="module")
def bridge(ovs: PrivateOvs) -> Iterator[str]:
    name = "differential"
    ovs.add_bridge(name, IN_PORTS)
    yield name
    ovs.vsctl("del-br", name)


def traced_verdict(output: str) -> Verdict:
    """Whether a trace comes to NORMAL, and whether by a rule of ours that only counts.

    What NORMAL does with a frame (it drops malformed tags, say) is not ours to decide.
    """
    if not _NORMAL.search(output):
        return Verdict.BLOCK
    ours = [int(cookie, 16) for cookie in _COOKIE.findall(output) if int(cookie, 16) >> 48 == COOKIE_OWNER]
    return Verdict.WOULD_BLOCK if ours[-1] >> 40 & 0xFF == RuleRole.WOULD_BLOCK else Verdict.PERMIT


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_open_vswitch_decides_as_the_specification_does(
    ovs: PrivateOvs, bridge: str, data: st.DataObject
) -> None:
    policy = data.draw(policies())
    rules = compile_rules(policy, policy.switches[SWITCH], NOW)
    ovs.ofctl("del-flows", bridge)
    ovs.add_flows(bridge, f"table={HANDOVER_TABLE},actions=NORMAL")
    with ovs.openflow(bridge) as switch:
        assert switch.load(rules) == []
        ours = [each.rule for each in switch.read() if each.rule.is_managed]
    assert {rule.key for rule in ours} == {rule.key for rule in rules}
    hostile = st.tuples(st.sampled_from(IN_PORTS), frames(policy))
    plain = packets(policy).map(lambda packet: (packet.in_port, frame_of(packet)))
    for in_port, frame in data.draw(st.lists(st.one_of(hostile, hostile, plain), min_size=20, max_size=20)):
        assert_agree(ovs, bridge, policy, in_port, frame)


def assert_agree(ovs: PrivateOvs, bridge: str, policy: Policy, in_port: int, frame: bytes) -> None:
    packet = read_frame(in_port, frame)
    decision = decide(policy, policy.switches[SWITCH], packet, NOW)
    output = ovs.trace(bridge, in_port, frame)
    assert traced_verdict(output) is decision.verdict, f"{frame.hex()}\n{packet}\n{decision}\n{output}"
