"""The real application as people start it: it starts, reloads and stops, and refuses a broken policy."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from testing.patience import HANG_SECONDS
from testing.process import COMMANDS, UNHURRIED, Controller

pytestmark = pytest.mark.slow

POLICY = """\
isp: {name: Test ISP, mail_destinations: [192.0.2.0/24]}
address_space: {dynamic: [100.64.0.0/10]}
switches:
  access-1: {dpid: 1, subscriber_ports: [1-4], uplink_ports: [5]}
"""
STARTS = ["op25b run --policy", "ryu-manager with OP25B_POLICY", "ryu-manager with --config-file"]


def start(how: str, directory: Path) -> Controller:
    policy = directory / "policy.yaml"
    environment = {"OP25B_CONTROL_SOCKET": str(directory / "control.sock")}
    if how == "op25b run --policy":
        return Controller(directory, [COMMANDS / "op25b", "run", "--policy", policy, UNHURRIED], environment)
    command: list[str | Path] = [COMMANDS / "ryu-manager", "op25b_app.app", UNHURRIED]
    if how == "ryu-manager with OP25B_POLICY":
        return Controller(directory, command, {**environment, "OP25B_POLICY": str(policy)})
    configuration = directory / "ryu.conf"
    configuration.write_text(f"[op25b]\npolicy = {policy}\n")
    return Controller(directory, [*command, "--config-file", configuration], environment)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("how", STARTS)
def test_starts_reloads_and_stops(tmp_path: Path, how: str, number: signal.Signals) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    with start(how, tmp_path) as controller:
        controller.wait_for(" in force for access-1")
        controller.connect(controller.port).close()

        policy.write_text(POLICY.replace("100.64.0.0/10", "100.64.0.0/8"))
        controller.process.send_signal(signal.SIGHUP)
        controller.wait_for("stays in force")
        assert f"{policy}:2:27: error: " in controller.log

        policy.write_text(POLICY)
        controller.process.send_signal(signal.SIGHUP)
        controller.wait_for(" in force for access-1", times=2)

        code, cpu_seconds = controller.stop(number)
        assert (code, cpu_seconds < 1) == (0, True)
        assert not (tmp_path / "control.sock").exists()
        assert "Traceback" not in controller.log


@pytest.mark.parametrize("how", STARTS)
def test_a_broken_policy_is_refused_at_start(tmp_path: Path, how: str) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY.replace("dpid: 1", "dpid: one"))
    with start(how, tmp_path) as controller:
        assert controller.process.wait(timeout=HANG_SECONDS) == 1
        assert f"{tmp_path / 'policy.yaml'}:4:20: error: " in controller.log
        assert "Traceback" not in controller.log
