"""Switches of every kind at one controller: each in its state, with a reason that a person understands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from op25b_app.openflow.flow_rule import FlowRule, RuleRole
from testing.private_ovs import PrivateOvs
from testing.running import Op25bController, policy_text, rules_on

pytestmark = pytest.mark.slow

SWITCHES = (
    "v13 0x1304",
    "v14 0x1405",
    "v15 0x1506",
    "counting 0x20 mode: monitor",
    "shared 0x21",
    "intruded 0x22",
    "small 0x23",
    "odd-port 0x24 trusted_ports: [70000]",
    "growing 0x25",
    "reachable 0x29",
    "gateway 0x2a trusted_ports: [LOCAL]",
    "absent 0x26",
    "going 0x28",
    "shallow 0x27 forwarding: {table: 254}",
)
THEIRS = "cookie=0x7,table=0,priority=1,in_port=1,actions=output:2"


@pytest.fixture(scope="module")
def controller(ovs: PrivateOvs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Op25bController]:
    directory = tmp_path_factory.mktemp("states")
    policy = directory / "policy.yaml"
    policy.write_text(policy_text(*SWITCHES))
    with Op25bController(directory, policy, socket=ovs.directory / "states.sock") as controller:
        controller.wait_for("in force")
        yield controller


@pytest.mark.parametrize(("name", "version"), [("v13", 4), ("v14", 5), ("v15", 6)])
def test_a_switch_becomes_protected(
    ovs: PrivateOvs, controller: Op25bController, name: str, version: int
) -> None:
    protocols = {4: "OpenFlow13", 5: "OpenFlow14", 6: "OpenFlow10,OpenFlow13,OpenFlow14,OpenFlow15"}[version]
    dpid = controller.policy().switches[name].dpid
    ovs.add_bridge(name, range(1, 5), dpid=dpid, protocols=protocols, controllers=[controller.target])
    status = controller.wait_for_state(name, "protected")
    wanted = controller.wanted(name)
    assert rules_on(ovs, name, version) == wanted
    assert status["reason"] == f"{len(wanted)} rules read back as wanted and proven"
    assert (status["rules"], status["dpid"], status["mode"]) == (len(wanted), f"{dpid:#x}", "enforce")
    assert status["openflow"] == {4: "1.3", 5: "1.4", 6: "1.5"}[version]
    controller.wait_for(f"{name} (dpid {dpid:#x}): protected: {status['reason']}")


def test_monitor_mode_is_monitoring(ovs: PrivateOvs, controller: Op25bController) -> None:
    ovs.add_bridge("counting", range(1, 5), dpid=0x20, controllers=[controller.target])
    controller.wait_for_state("counting", "monitoring", "blocks are counted and let through")
    assert rules_on(ovs, "counting") == controller.wanted("counting")


def test_harmless_rules_of_others_stay(ovs: PrivateOvs, controller: Op25bController) -> None:
    """Before the controller connects, and across a reload."""
    nobody = "tcp:127.0.0.1:9"
    ovs.add_bridge("shared", range(1, 5), dpid=0x21, controllers=[nobody])
    ovs.add_flows("shared", f"{THEIRS}\ncookie=0x7,table=9,priority=9,tcp,tp_dst=25,actions=output:2")
    theirs = rules_on(ovs, "shared")
    assert len(theirs) == 2
    # From no controller to one, Open vSwitch flushes a bridge; from one to two it does not.
    ovs.vsctl("set-controller", "shared", nobody, controller.target)
    controller.wait_for_state("shared", "protected")
    controller.command("reload")
    controller.wait_for_state("shared", "protected")
    assert rules_on(ovs, "shared") == controller.wanted("shared") | theirs


def test_rules_of_others_that_decide_degrade_and_stay(ovs: PrivateOvs, controller: Op25bController) -> None:
    ovs.add_bridge("intruded", range(1, 5), dpid=0x22, controllers=[controller.target])
    controller.wait_for_state("intruded", "protected")
    ovs.add_flows("intruded", "cookie=0x7,table=2,priority=999,tcp,tp_dst=25,actions=NORMAL")
    controller.command("reload")
    reported = "not proven: a rule of another application, table 2 priority 999"
    controller.wait_for_state("intruded", "degraded", reported)
    assert len(ovs.dump_flows("intruded", "cookie=0x7/-1")) == 1
    ovs.ofctl("del-flows", "intruded", "cookie=0x7/-1")
    ovs.add_flows("intruded", "cookie=0x8,table=0,priority=50000,tcp,tp_dst=25,actions=NORMAL")
    controller.command("reload")
    reported = "not proven: a rule of another application, table 0 priority 50000"
    controller.wait_for_state("intruded", "degraded", reported)
    ovs.ofctl("del-flows", "intruded", "cookie=0x8/-1")
    rewritten = "mod_dl_src:02:00:00:00:00:09,NORMAL"
    ovs.add_flows(
        "intruded", f"cookie=0x9,table=0,priority=50000,in_port=1,arp,vlan_tci=0,actions={rewritten}"
    )
    controller.command("reload")
    controller.wait_for_state("intruded", "protected")
    ovs.add_flows("intruded", "cookie=0x9,table=2,priority=999,tcp,tp_dst=25,actions=dec_ttl,CONTROLLER:128")
    controller.command("reload")
    controller.wait_for_state("intruded", "degraded", "gives block where the policy says permit")


def test_a_full_table_is_never_called_protected(ovs: PrivateOvs, controller: Op25bController) -> None:
    ovs.add_bridge("small", range(1, 5), dpid=0x23)
    small_table = "id=@small create Flow_Table flow_limit=3 overflow_policy=refuse"
    ovs.vsctl("--", *f"--{small_table}".split(), "--", "set", "Bridge", "small", "flow_tables:2=@small")
    ovs.vsctl("set-controller", "small", controller.target)
    wanted = controller.wanted("small")
    needed = [rule for rule in wanted if rule.table == 2]
    reported = f"room for 3 of {len(needed)} rules in table 2: what the others would permit is blocked"
    controller.wait_for_state("small", "degraded", reported)
    assert rules_on(ovs, "small") < wanted
    assert len(rules_on(ovs, "small")) == len(wanted) - len(needed) + 3
    assert {rule for rule in needed if rule.role is RuleRole.BLOCK} < rules_on(ovs, "small")


def opening(rules: Iterable[FlowRule]) -> set[int]:
    """Priorities of what does not block in table 0."""
    return {rule.priority for rule in rules if rule.table == 0 and rule.action is not None}


def test_a_refused_rule_is_named(ovs: PrivateOvs, controller: Op25bController) -> None:
    """Open vSwitch has no port 70000 in OpenFlow 1.3, and says so. Without its rule nothing opens."""
    ovs.add_bridge("odd-port", range(1, 5), dpid=0x24, controllers=[controller.target])
    status = controller.wait_for_state("odd-port", "degraded", "refused 1 rule")
    assert "table 0 priority 200 in_port=70000" in status["reason"]
    assert not opening(rules_on(ovs, "odd-port"))
    assert opening(controller.wanted("odd-port"))


def test_a_port_without_a_role_is_named(ovs: PrivateOvs, controller: Op25bController) -> None:
    ovs.add_bridge("growing", range(1, 5), dpid=0x25, controllers=[controller.target])
    controller.wait_for_state("growing", "protected")
    ovs.add_port("growing", 9)
    controller.wait_for_state("growing", "degraded", "no role in the policy for port 9")
    ovs.vsctl("del-port", "growing-9")
    controller.wait_for_state("growing", "protected")


def test_a_switch_without_the_tables_gets_nothing(ovs: PrivateOvs, controller: Op25bController) -> None:
    ovs.add_bridge("shallow", range(1, 5), dpid=0x27, controllers=[controller.target])
    controller.wait_for_state(
        "shallow", "degraded", "has 254 tables and its rules need 255, or one with other settings: "
    )
    assert rules_on(ovs, "shallow") == set()


def test_a_switch_that_never_came_is_lost(controller: Op25bController) -> None:
    status = controller.wait_for_state("absent", "lost")
    assert status["reason"] == "never connected"
    result = controller.command("status")
    assert result.returncode == 1
    assert "never connected" in result.stdout


def test_a_switch_that_goes_is_lost(ovs: PrivateOvs, controller: Op25bController) -> None:
    ovs.add_bridge("going", range(1, 5), dpid=0x28, controllers=[controller.target])
    controller.wait_for_state("going", "protected")
    ovs.vsctl("del-br", "going")
    controller.wait_for_state("going", "lost", "connection closed")
    controller.wait_for("going (dpid 0x28): lost: connection closed")


def test_a_switch_of_nobody_is_left_alone_and_told(ovs: PrivateOvs, controller: Op25bController) -> None:
    ovs.add_bridge("stranger", range(1, 5), dpid=0x999)
    ovs.vsctl("set-controller", "stranger", controller.target)
    ovs.add_flows("stranger", THEIRS)
    controller.wait_for(
        "dpid 0x999: unknown: not in the policy, left alone: to protect it, add a switch with dpid 0x999"
    )
    assert controller.status()["switches"]["0x999"]["state"] == "unknown"
    assert len(rules_on(ovs, "stranger")) == 1
    ovs.vsctl("del-br", "stranger")
    controller.wait_for("dpid 0x999: lost")
    assert "0x999" not in controller.status()["switches"]


def test_a_switch_that_speaks_only_openflow_10_is_reported_once(
    ovs: PrivateOvs, controller: Op25bController
) -> None:
    ovs.add_bridge("old", range(1, 5), dpid=0x10, protocols="OpenFlow10", controllers=[controller.target])
    controller.wait_for("a switch at 127.0.0.1 speaks only OpenFlow 1.0 and stays unprotected")
    controller.wait_for("ovs-vsctl set bridge BRIDGE protocols=OpenFlow13")
    ovs.vsctl("set", "bridge", "old", "protocols=OpenFlow13")
    controller.wait_for("dpid 0x10: unknown")
    ovs.vsctl("del-br", "old")
    assert controller.log.count("speaks only OpenFlow 1.0") == 1


def test_two_switches_with_one_datapath_id_are_reported(ovs: PrivateOvs, controller: Op25bController) -> None:
    for bridge in ("twin-a", "twin-b"):
        ovs.add_bridge(bridge, range(1, 5), dpid=0x26, controllers=[controller.target])
    controller.wait_for_state("absent", "degraded", "two connections claim this datapath id")
    ovs.vsctl("del-br", "twin-a")
    controller.wait_for_state("absent", "protected")
    ovs.vsctl("del-br", "twin-b")


def test_nothing_went_wrong_in_the_controller(controller: Op25bController) -> None:
    assert "Traceback" not in controller.log
    assert "internal error" not in controller.log


def test_a_local_port_that_is_up_has_a_role_or_is_noticed(
    ovs: PrivateOvs, controller: Op25bController
) -> None:
    for name, dpid in (("reachable", 0x29), ("gateway", 0x2A)):
        ovs.add_bridge(name, range(1, 5), dpid=dpid, controllers=[controller.target])
        controller.wait_for_state(name, "protected")
        ovs.set_local(name, "up")
    controller.wait_for_state("reachable", "protected", "LOCAL is up without a role")
    ovs.set_local("reachable", "down")
    controller.wait_for_state("reachable", "protected", "as wanted and proven")
    controller.wait_for_state("gateway", "protected")
    assert [line for line in ovs.dump_flows("gateway") if "in_port=LOCAL" in line]
