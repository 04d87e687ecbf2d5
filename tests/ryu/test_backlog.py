"""Many switches that connect at once wait to be accepted; none is left to try again."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.openvswitch.running import policy_text
from tests.ryu.process import COMMANDS, Controller


@pytest.mark.parametrize("command", [["ryu-manager", "op25b_app.app"], ["op25b", "run"]])
def test_there_is_room_for_many(tmp_path: Path, command: list[str]) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(policy_text("access-1 0x1"))
    environment = {"OP25B_POLICY": str(policy), "OP25B_CONTROL_SOCKET": str(tmp_path / "control.sock")}
    with Controller(tmp_path, [COMMANDS / command[0], *command[1:]], environment) as controller:
        controller.connect(controller.port).close()
        listening = subprocess.run(
            ["ss", "--no-header", "-ltn", f"sport = :{controller.port}"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    most = int(Path("/proc/sys/net/core/somaxconn").read_text())
    assert int(listening.split()[2]) == min(4096, most)
