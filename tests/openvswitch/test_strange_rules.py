"""Rules under our cookie whose fields we do not know: they go, and whatever else is wrong is put right."""

from __future__ import annotations

from pathlib import Path

import pytest

from op25b_app.compiler.pipeline import Table
from op25b_app.openflow.flow_rule import RuleRole
from op25b_app.policy.loader import load
from op25b_app.sync.desired_state import DesiredState, DesiredStates
from testing.private_ovs import PrivateOvs
from testing.running import policy_text, rules_on
from tests.openvswitch.driven import driven

VERSIONS = pytest.mark.parametrize("version", [4, 5, 6], ids=["1.3", "1.4", "1.5"])
PROTOCOLS = "OpenFlow13,OpenFlow14,OpenFlow15"
PORTS = frozenset({1, 2, 3, 4})
STRANGE = {
    "tcp_flags": "tcp,tp_dst=25,tcp_flags=+syn",
    "ip_frag": "tcp,nw_frag=no",
    "nw_ttl": "tcp,tp_dst=25,nw_ttl=64",
    "ct_state": "tcp,ct_state=-trk",
    "reg0": "tcp,tp_dst=25,reg0=0",
    "pkt_mark": "tcp,tp_dst=25,pkt_mark=0",
    "masked port": "tcp,tp_dst=0x10/0xfff0",
    "tun_metadata": "tcp,tun_id=0/0xf",
}
"""Each lets mail to port 25 pass. All but the last two are those of the first report."""


def assigned(directory: Path, switch: str) -> DesiredState:
    path = directory / "policy.yaml"
    path.write_text(policy_text(switch))
    loaded = load(path, 0.0)
    assert loaded.policy is not None, loaded.problems
    (only,) = loaded.policy.switches.values()
    return DesiredStates(loaded.policy, "5eed" * 16).of(only)


@VERSIONS
def test_a_rule_with_fields_of_its_own_goes_and_the_rest_is_put_right(
    ovs: PrivateOvs, tmp_path: Path, version: int
) -> None:
    bridge = f"strange{version}"
    ovs.add_bridge(bridge, sorted(PORTS), dpid=0x40 + version, protocols=PROTOCOLS)
    desired = assigned(tmp_path, f"access {0x40 + version:#x}")
    wanted = set(desired.wanted(0.0, 254).rules)
    block = next(
        rule
        for rule in wanted
        if rule.role is RuleRole.BLOCK and rule.table == Table.EGRESS_SMTP and not rule.match
    )
    with driven(ovs, bridge, version, 0x40 + version) as drives:
        drives.begin(desired, PORTS)
        drives.run_until_state("protected")
        for name, match in STRANGE.items():
            line = f"cookie={block.cookie:#x},table=2,priority=999,{match},actions=NORMAL"
            ovs.add_flows(bridge, line, protocols=PROTOCOLS)
            ovs.ofctl("--strict", "del-flows", bridge, "table=2,priority=10", protocols=PROTOCOLS)
            drives.run_until(lambda: rules_on(ovs, bridge, version) == wanted)
            drives.run_until_state("protected")
            assert not any("refused" in reason or "error" in reason for reason in drives.reported), name
    ovs.vsctl("del-br", bridge)
