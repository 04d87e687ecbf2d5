"""Ports by name on a real switch: a port that comes back under another number keeps its role."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from op25b_app.compiler.compiler import compile_rules
from op25b_app.openflow.flow_rule import FlowRule
from op25b_app.openflow.ofctl_ports import read_ports
from op25b_app.policy.facts import Facts, in_effect
from testing.private_ovs import PrivateOvs
from testing.running import SPACE, Op25bController, rules_on, wait_until

pytestmark = pytest.mark.slow

NAME = "named"
POLICY = f"""{SPACE}
  {NAME}:
    dpid: 0x75
    subscriber_ports: ["{NAME}-[12]"]
    uplink_ports: [{NAME}-4]
    bindings: [{{port: {NAME}-1, addresses: [100.64.8.0/24]}}]
""".replace(f'"{NAME}-[12]"', f"{NAME}-1, {NAME}-2")


@pytest.fixture
def controller(ovs: PrivateOvs, tmp_path: Path) -> Iterator[Op25bController]:
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    with Op25bController(tmp_path, policy, socket=ovs.directory / "named.sock") as controller:
        controller.wait_for("in force")
        ovs.add_bridge(NAME, (1, 2, 4), dpid=0x75, controllers=[controller.target])
        yield controller
    ovs.vsctl("--if-exists", "del-br", NAME)


def wanted(ovs: PrivateOvs, controller: Op25bController) -> set[FlowRule]:
    """The rules for the ports that the bridge has now."""
    shown = read_ports(ovs.ofctl("show", NAME))
    assert shown.dpid == 0x75
    policy = in_effect(controller.policy(), Facts(ports={NAME: shown.ports}))
    return set(compile_rules(policy, policy.switches[NAME], time.time()))


def move(ovs: PrivateOvs, port: int, number: int) -> None:
    """Take a port away, and add it again under another number."""
    device = f"{NAME}-{port}"
    ovs.vsctl("del-port", NAME, device)
    ovs.vsctl("add-port", NAME, device, "--", "set", "Interface", device, f"ofport_request={number}")


def test_a_port_under_another_number_keeps_its_role(ovs: PrivateOvs, controller: Op25bController) -> None:
    controller.wait_for_state(NAME, "protected")
    before = rules_on(ovs, NAME)
    assert before == wanted(ovs, controller)

    move(ovs, 4, 9)
    wait_until(lambda: rules_on(ovs, NAME) == wanted(ovs, controller) != before, lambda: controller.log)
    controller.wait_for_state(NAME, "protected")
    uplinks = {field.value for rule in rules_on(ovs, NAME) for field in rule.match if field.name == "in_port"}
    assert 9 in uplinks
    assert 4 not in uplinks

    move(ovs, 1, 8)
    wait_until(lambda: rules_on(ovs, NAME) == wanted(ovs, controller), lambda: controller.log)
    controller.wait_for_state(NAME, "protected")

    ovs.vsctl("del-port", NAME, f"{NAME}-4")
    found = controller.wait_for_state(NAME, "degraded", f"no port is called '{NAME}-4'")
    assert "correct named in the policy, or add the port" in found["reason"]
    wait_until(lambda: rules_on(ovs, NAME) == wanted(ovs, controller), lambda: controller.log)


def test_a_controller_that_starts_again_sends_nothing_for_ports_it_does_not_know_yet(
    ovs: PrivateOvs, controller: Op25bController, tmp_path: Path
) -> None:
    """The uplink stays an uplink over the restart: no rule comes or goes."""
    controller.wait_for_state(NAME, "protected")
    before = ovs.dump_flows(NAME)
    durations = ovs.ofctl("dump-flows", NAME)
    controller.process.kill()
    controller.process.wait()
    with Op25bController(
        tmp_path, controller.policy_path, socket=ovs.directory / "named.sock", port=controller.port
    ) as again:
        again.wait_for_state(NAME, "protected")
        assert ovs.dump_flows(NAME) == before
        assert len(durations.splitlines()) == len(ovs.ofctl("dump-flows", NAME).splitlines())
        assert "changes" not in again.log


def test_a_reload_compares_by_the_ports_that_are_there(ovs: PrivateOvs, controller: Op25bController) -> None:
    controller.wait_for_state(NAME, "protected")
    numbers = POLICY.replace(f"[{NAME}-1, {NAME}-2]", "[1, 2]").replace(
        f"uplink_ports: [{NAME}-4]", "uplink_ports: [4]"
    )
    controller.policy_path.write_text(numbers.replace(f"port: {NAME}-1", "port: 1"))
    before = rules_on(ovs, NAME)
    done = controller.command("reload")
    assert done.returncode == 0, done.stdout
    assert "becomes" not in done.stdout
    assert rules_on(ovs, NAME) == before

    controller.policy_path.write_text(
        POLICY.replace(f"uplink_ports: [{NAME}-4]", f"trusted_ports: [{NAME}-4]")
    )
    done = controller.command("reload", "--dry-run")
    assert done.returncode == 0, done.stdout
    assert "port 4, uplink before and trusted now" in done.stdout
    assert f"{NAME}: protected" in controller.command("reload").stdout
    assert rules_on(ovs, NAME) == wanted(ovs, controller)
