"""What others do to our rules is seen, told and put right, on real switches of every OpenFlow version."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.convergence.interference import Kind
from benchmarks.convergence.repair import delete, repairs
from op25b_app.compiler.pipeline import Table
from op25b_app.openflow.flow_rule import FlowRule, RuleRole
from op25b_app.openflow.ofctl import format_rule
from testing.patience import HANG_SECONDS
from testing.private_ovs import PrivateOvs
from testing.running import Op25bController, policy_text, rules_on, wait_until

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[2] / "example.yaml"
SWITCHES = {"mended-13": 4, "mended-14": 5, "mended-15": 6}
PROTOCOLS = {4: "OpenFlow13", 5: "OpenFlow14", 6: "OpenFlow15"}
TO_UPLINK = {"type": "OUTPUT", "port": 4}
FOREIGN = "cookie=0x7,table=2,priority=999,tcp,tp_dst=25,actions=NORMAL"


@pytest.fixture(scope="module")
def controller(ovs: PrivateOvs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Op25bController]:
    directory = tmp_path_factory.mktemp("repair")
    policy = directory / "policy.yaml"
    policy.write_text(policy_text(*(f"{name} {0x90 + version:#x}" for name, version in SWITCHES.items())))
    with Op25bController(directory, policy, socket=ovs.directory / "repair.sock") as controller:
        controller.wait_for("in force")
        for name, version in SWITCHES.items():
            ovs.add_bridge(
                name,
                range(1, 5),
                dpid=0x90 + version,
                protocols=PROTOCOLS[version],
                controllers=[controller.target],
            )
        for name in SWITCHES:
            controller.wait_for_state(name, "protected")
        yield controller
    for name in SWITCHES:
        ovs.vsctl("--if-exists", "del-br", name)


def events(controller: Op25bController, switch: str) -> list[dict[str, Any]]:
    lines = controller.command("events", "--json").stdout.splitlines()
    return [event for event in map(json.loads, lines) if event["switch"] == switch]


def await_event(controller: Op25bController, switch: str, kind: str, text: str) -> None:
    def reported() -> bool:
        return any(event["kind"] == kind and text in event["text"] for event in events(controller, switch))

    wait_until(reported, lambda: f"no {kind} with {text!r} in {events(controller, switch)[-5:]}")


def await_rules(ovs: PrivateOvs, controller: Op25bController, switch: str) -> None:
    wanted, version = controller.wanted(switch), SWITCHES[switch]
    wait_until(lambda: rules_on(ovs, switch, version) == wanted, lambda: controller.log[-3000:])
    controller.wait_for_state(switch, "protected")


def drop_rule(controller: Op25bController, switch: str) -> FlowRule:
    """The one that blocks mail of subscribers that nothing permits."""
    [rule] = (
        rule
        for rule in controller.wanted(switch)
        if rule.role is RuleRole.BLOCK and rule.table == Table.EGRESS_SMTP and not rule.match
    )
    return rule


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_deleted_rule_is_back(ovs: PrivateOvs, controller: Op25bController, switch: str) -> None:
    delete(ovs, switch, drop_rule(controller, switch), PROTOCOLS[SWITCHES[switch]])
    await_event(controller, switch, "repair", "put right: missing: table 2 priority")
    await_rules(ovs, controller, switch)


@pytest.mark.parametrize("switch", SWITCHES)
def test_an_overwritten_rule_is_ours_again(ovs: PrivateOvs, controller: Op25bController, switch: str) -> None:
    theirs = drop_rule(controller, switch)._replace(cookie=0x8)
    line = format_rule(theirs).replace("actions=drop", "actions=NORMAL")
    ovs.add_flows(switch, line, protocols=PROTOCOLS[SWITCHES[switch]])
    await_event(controller, switch, "repair", "put right: overwritten by a rule with cookie 0x8: table 2")
    await_rules(ovs, controller, switch)


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_modified_rule_is_as_it_was(ovs: PrivateOvs, controller: Op25bController, switch: str) -> None:
    rule = drop_rule(controller, switch)
    match = format_rule(rule).partition(",")[2].replace("actions=drop", "actions=NORMAL")
    ovs.ofctl("--strict", "mod-flows", switch, match, protocols=PROTOCOLS[SWITCHES[switch]])
    await_event(controller, switch, "repair", "put right: has another action than wanted: table 2")
    await_rules(ovs, controller, switch)


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_rule_of_others_that_opens_port_25_is_named_and_left(
    ovs: PrivateOvs, controller: Op25bController, switch: str
) -> None:
    protocols = PROTOCOLS[SWITCHES[switch]]
    ovs.add_flows(switch, FOREIGN, protocols=protocols)
    reported = "not proven: a rule of another application, table 2 priority 999"
    controller.wait_for_state(switch, "degraded", reported)
    await_event(controller, switch, "state", reported)
    assert len(ovs.dump_flows(switch, "cookie=0x7/-1", protocols=protocols)) == 1
    ovs.ofctl("del-flows", switch, "cookie=0x7/-1", protocols=protocols)
    controller.wait_for_state(switch, "protected")


def test_every_repair_is_reported_once(tmp_path: Path) -> None:
    counts = dict.fromkeys(Kind, 3)
    for found in repairs("example", EXAMPLE, "access-1", tmp_path, counts, 25, range(1, 27), HANG_SECONDS):
        assert found.events == len(found.repairs) == 3, found.kind


def ask(web_port: int, method: str, path: str, body: dict[str, Any] | None = None) -> None:
    """Have Ryu's REST application do something."""
    url = f"http://127.0.0.1:{web_port}/stats/flowentry/{path}"
    request = urllib.request.Request(url, json.dumps(body or {}).encode(), method=method)
    urllib.request.urlopen(request, timeout=HANG_SECONDS).close()


@pytest.mark.parametrize("version", PROTOCOLS)
def test_what_another_application_of_the_controller_changes_is_put_right(
    ovs: PrivateOvs, tmp_path: Path, version: int
) -> None:
    """As README has it beside op25b; no audit is waited for."""
    policy, dpid, name = tmp_path / "policy.yaml", 0xA0 + version, f"beside-{version}"
    policy.write_text(policy_text(f"{name} {dpid:#x}"))
    opening = {"dpid": dpid, "priority": 65535, "match": {"in_port": 1}, "actions": [TO_UPLINK]}
    socket = ovs.directory / f"{name}.sock"
    with Op25bController(tmp_path, policy, socket=socket, applications=["ryu.app.ofctl_rest"]) as controller:
        controller.wait_for("in force")
        ovs.add_bridge(
            name, range(1, 5), dpid=dpid, protocols=PROTOCOLS[version], controllers=[controller.target]
        )
        try:
            controller.wait_for_state(name, "protected")
            wanted = controller.wanted(name)
            ask(controller.web_port, "DELETE", f"clear/{dpid}")
            ask(controller.web_port, "POST", "add", opening)
            controller.wait_for_state(name, "degraded", "a rule of another application")
            ask(controller.web_port, "POST", "delete_strict", opening)
            wait_until(lambda: rules_on(ovs, name, version) == wanted, lambda: controller.log[-3000:])
            controller.wait_for_state(name, "protected")
        finally:
            ovs.vsctl("--if-exists", "del-br", name)
