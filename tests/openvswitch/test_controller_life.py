"""A controller's life: start, reload, death and what a switch does meanwhile."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from testing.patience import HANG_SECONDS
from testing.private_ovs import PrivateOvs
from testing.process import COMMANDS, Controller, free_port
from testing.running import (
    Op25bController,
    policy_text,
    rules_on,
    wait_until,
)
from tests.openvswitch.hosts import Host

pytestmark = pytest.mark.slow

SUBSCRIBER = Host(1, "100.64.0.1")
OUTSIDE = Host(4, "203.0.113.9")
Start = Callable[..., Op25bController]


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(policy_text("access-1 0x41"))
    return path


@pytest.fixture
def start(ovs: PrivateOvs, policy: Path, tmp_path: Path) -> Iterator[Start]:
    """Start a controller of ``policy``; later ones may be given the port of an earlier one."""
    started: list[Op25bController] = []

    def start(port: int | None = None) -> Op25bController:
        directory = tmp_path / f"controller-{len(started)}"
        directory.mkdir()
        started.append(Op25bController(directory, policy, socket=ovs.directory / "life.sock", port=port))
        return started[-1]

    yield start
    for controller in started:
        controller.__exit__(None, None, None)


@pytest.fixture
def bridge(ovs: PrivateOvs) -> Iterator[str]:
    yield "life"
    ovs.vsctl("--if-exists", "del-br", "life")


def test_rules_survive_a_controller_that_is_killed(ovs: PrivateOvs, start: Start, bridge: str) -> None:
    """At no sample is one missing, and no frame passes that should not, or stops that should pass."""
    controller = start()
    controller.wait_for("in force")
    ovs.add_bridge(bridge, range(1, 5), dpid=0x41, controllers=[controller.target])
    controller.wait_for_state("access-1", "protected")
    wanted = controller.wanted("access-1")
    before = ovs.sent(bridge)[4]
    samples: list[int] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            samples.append(len(rules_on(ovs, bridge)))
            ovs.receive(bridge, 1, SUBSCRIBER.to(OUTSIDE, dport=25), SUBSCRIBER.to(OUTSIDE, dport=587))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        controller.process.kill()
        controller.process.wait()
        time.sleep(1)
        successor = start(controller.port)
        successor.wait_for("access-1 (dpid 0x41): protected")
    finally:
        over.set()
        watcher.join()
    assert successor.wait_for_state("access-1", "protected")
    assert "installing" not in successor.log, "rules that were there were sent again"
    assert len(samples) > 50
    assert set(samples) == {len(wanted)}
    assert ovs.sent(bridge)[4] - before == len(samples), "of each pair of frames, the one to 587 and no other"
    assert rules_on(ovs, bridge) == wanted


def test_a_reload_by_signal_takes_a_good_policy_and_refuses_a_broken_one(
    ovs: PrivateOvs, start: Start, policy: Path, bridge: str
) -> None:
    controller = start()
    controller.wait_for("in force")
    ovs.add_bridge(bridge, range(1, 5), dpid=0x41, controllers=[controller.target])
    controller.wait_for_state("access-1", "protected")
    old = rules_on(ovs, bridge)

    good = policy.read_text()
    policy.write_text(good.replace("dynamic: [100.64.0.0/10,", "dynamic: [100.64.0.0/10, 198.51.100.0/24,"))
    controller.process.send_signal(signal.SIGHUP)
    controller.wait_for("access-1 (dpid 0x41): protected", times=2)
    new = rules_on(ovs, bridge)
    assert new == controller.wanted("access-1") != old

    policy.write_text(
        good.replace("mail_destinations: [192.0.2.0/24,", "mail_destinations: [192.0.2.1/24,") + "modus: x\n"
    )
    controller.process.send_signal(signal.SIGHUP)
    controller.wait_for("refused: the one in force stays in force")
    assert "policy.yaml:4:" in controller.log
    assert "modus" in controller.log
    assert rules_on(ovs, bridge) == new
    assert controller.wait_for_state("access-1", "protected")

    refused = controller.command("reload")
    assert refused.returncode == 1
    assert refused.stdout.count("error:") == 2
    assert "the policy in force stays in force" in refused.stdout
    answer = json.loads(controller.command("reload", "--json").stdout)
    assert answer["applied"] is False

    policy.write_text(good)
    accepted = controller.command("reload")
    assert accepted.returncode == 0
    assert "the policy is in force" in accepted.stdout
    wait_until(lambda: rules_on(ovs, bridge) == old, lambda: controller.log)
    assert "Traceback" not in controller.log


def test_a_switch_that_leaves_the_policy_keeps_its_rules(
    ovs: PrivateOvs, start: Start, policy: Path, bridge: str
) -> None:
    controller = start()
    controller.wait_for("in force")
    ovs.add_bridge(bridge, range(1, 5), dpid=0x41, controllers=[controller.target])
    controller.wait_for_state("access-1", "protected")
    rules = rules_on(ovs, bridge)
    policy.write_text(policy_text("access-2 0x42"))
    assert controller.command("reload").returncode == 0
    controller.wait_for_state("0x41", "unknown", "no longer in the policy")
    controller.wait_for_state("access-2", "lost", "never connected")
    assert rules_on(ovs, bridge) == rules
    policy.write_text(policy_text("renamed 0x41"))
    assert controller.command("reload").returncode == 0
    controller.wait_for_state("renamed", "protected")
    assert set(controller.status()["switches"]) == {"renamed"}


def test_an_exception_ends_on_the_switch_by_itself(
    ovs: PrivateOvs, start: Start, policy: Path, bridge: str
) -> None:
    controller = start()
    controller.wait_for("in force")
    ovs.add_bridge(bridge, range(1, 5), dpid=0x41, controllers=[controller.target])
    controller.wait_for_state("access-1", "protected")
    began = time.monotonic()
    assert controller.command("reload").returncode == 0
    seconds = 3 + round(10 * (time.monotonic() - began))
    """Enough on this machine for a reload and for a look at the rules."""
    expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
    exception = f"exceptions: [{{name: appliance, source: 100.64.3.7, expires: {expires}, reason: test}}]\n"
    policy.write_text(policy.read_text() + exception)
    assert controller.command("reload").returncode == 0
    timed = [rule for rule in rules_on(ovs, bridge) if rule.hard_timeout]
    assert len(timed) == 2, "one of each direction"
    assert all(0 < rule.hard_timeout <= seconds for rule in timed)
    controller.process.kill()
    wait_until(lambda: not any(rule.hard_timeout for rule in rules_on(ovs, bridge)), lambda: "still there")
    assert len(rules_on(ovs, bridge)) == len(controller.wanted("access-1"))


def test_an_exception_starts_on_the_switch_in_time(
    ovs: PrivateOvs, start: Start, policy: Path, bridge: str
) -> None:
    controller = start()
    controller.wait_for("in force")
    ovs.add_bridge(bridge, range(1, 5), dpid=0x41, controllers=[controller.target])
    controller.wait_for_state("access-1", "protected")
    before = rules_on(ovs, bridge)
    began = time.monotonic()
    assert controller.command("reload").returncode == 0
    begins = time.time() + 3 + round(10 * (time.monotonic() - began))
    written = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begins))
    exception = f"exceptions: [{{name: appliance, source: 100.64.3.7, starts: {written}}}]\n"
    policy.write_text(policy.read_text() + exception)
    assert controller.command("reload").returncode == 0
    controller.wait_for_state("access-1", "protected")
    assert len(rules_on(ovs, bridge)) == len(before)
    controller.wait_for("exception 'appliance' has started")
    assert time.time() >= int(begins)
    wait_until(lambda: len(rules_on(ovs, bridge)) == len(before) + 2, lambda: "no rule of the exception")
    controller.wait_for_state("access-1", "protected")


BROKEN = """
isp: {name: Example ISP, mail_destinations: [192.0.2.1/24]}
address_space: {dynamic: [100.64.0.0/10], static: []}
mode: enforced
switches:
  access-1: {dpid: 0x1, subscriber_ports: [1-3], uplink_ports: [3]}
"""


@pytest.mark.parametrize("command", [["ryu-manager", "op25b_app.app"], ["op25b", "run"]], ids=lambda c: c[0])
def test_a_broken_policy_at_start_ends_the_controller_with_all_problems(
    tmp_path: Path, command: list[str]
) -> None:
    policy = tmp_path / "broken.yaml"
    policy.write_text(BROKEN)
    result = run_to_end(command, {"OP25B_POLICY": str(policy)})
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert result.stderr.count("error:") == 3
    for place in ("broken.yaml:2:", "broken.yaml:4:", "broken.yaml:6:"):
        assert place in result.stderr
    assert "refused: nothing is started" in result.stderr


def test_without_a_policy_the_controller_says_how_to_name_one() -> None:
    result = run_to_end(["ryu-manager", "op25b_app.app"], {})
    assert result.returncode == 1
    assert "no policy: name its file with 'op25b run --policy FILE'" in result.stderr
    assert "Traceback" not in result.stderr


def run_to_end(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    ports = ["--ofp-tcp-listen-port", str(free_port()), "--wsapi-port", str(free_port())]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OP25B_")}
    return subprocess.run(
        [COMMANDS / command[0], *command[1:], *ports],
        env={**clean, "OP25B_STATE_DIRECTORY": "/nonexistent", **environment},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )


def test_the_policy_and_the_socket_may_come_from_a_configuration_file(
    ovs: PrivateOvs, policy: Path, tmp_path: Path
) -> None:
    socket = ovs.directory / "configured.sock"
    configuration = tmp_path / "ryu.conf"
    configuration.write_text(f"[op25b]\npolicy = {policy}\ncontrol_socket = {socket}\n")
    command: list[str | Path] = [COMMANDS / "ryu-manager", "--config-file", configuration, "op25b_app.app"]
    with Controller(tmp_path, command) as controller:
        controller.wait_for("in force")
        result = subprocess.run(
            [COMMANDS / "op25b", "status", "--socket", socket],
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
        )
        assert result.returncode == 1
        assert "never connected" in result.stdout


def test_the_control_socket_is_private_and_goes_with_its_controller(
    ovs: PrivateOvs, start: Start, tmp_path: Path
) -> None:
    socket = ovs.directory / "life.sock"
    controller = start()
    controller.wait_for("in force")
    assert controller.command("status").returncode == 1
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600

    second = Op25bController(tmp_path, controller.policy_path, socket=socket)
    with second:
        second.wait_for(f"another controller listens on {socket}: going on without")
    assert controller.command("status").returncode == 1, "still the first one's"
    assert "never connected" in controller.command("status").stdout

    controller.process.kill()
    controller.process.wait()
    assert socket.exists()
    result = controller.command("status")
    assert result.returncode == 1
    assert f"no controller answers on {socket}" in result.stderr
    assert json.loads(controller.command("status", "--json").stdout)["error"]

    successor = start()
    successor.wait_for("in force")
    assert "never connected" in successor.command("status").stdout
    assert successor.stop(signal.SIGTERM)[0] == 0
    assert not socket.exists()
