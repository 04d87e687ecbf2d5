"""The single-table form in a real Open vSwitch, loaded from its lines, packets as bytes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from op25b_app.openflow.ofctl import format_rule
from testing.frames import frame_of
from testing.private_ovs import PrivateOvs
from testing.running import rules_on
from tests.generated import packets
from tests.generated_frames import frames
from tests.openvswitch.test_differential import assert_agree
from tests.property.test_single_table import PORTS, rules_of, sayable_policies

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bridge(ovs: PrivateOvs) -> Iterator[str]:
    name = "single-table"
    ovs.add_bridge(name, PORTS)
    yield name
    ovs.vsctl("del-br", name)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_open_vswitch_decides_as_the_specification_does(
    ovs: PrivateOvs, bridge: str, data: st.DataObject
) -> None:
    policy = data.draw(sayable_policies())
    rules = rules_of(policy)
    ovs.ofctl("del-flows", bridge)
    ovs.add_flows(bridge, "\n".join(map(format_rule, rules)))
    assert rules_on(ovs, bridge) == set(rules)
    ports = st.sampled_from(PORTS)
    hostile = st.tuples(ports, frames(policy))
    plain = st.tuples(ports, packets(policy).map(frame_of))
    for in_port, frame in data.draw(st.lists(st.one_of(hostile, hostile, plain), min_size=20, max_size=20)):
        assert_agree(ovs, bridge, policy, in_port, frame)
