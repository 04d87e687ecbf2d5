"""Many switches that connect at once wait to be accepted; none is left to try again."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from tests.openvswitch.running import policy_text
from tests.ryu.process import COMMANDS, Controller

PATIENCE = 5.0


@pytest.mark.parametrize("command", [["ryu-manager", "op25b_app.app"], ["op25b", "run"]])
def test_there_is_room_for_many(tmp_path: Path, command: list[str]) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(policy_text("access-1 0x1"))
    environment = {"OP25B_POLICY": str(policy), "OP25B_CONTROL_SOCKET": str(tmp_path / "control.sock")}
    with Controller(tmp_path, [COMMANDS / command[0], *command[1:]], environment) as controller:
        controller.connect(controller.port).close()
        most = int(Path("/proc/sys/net/core/somaxconn").read_text())
        give_up = time.monotonic() + PATIENCE
        # It listens as Ryu does first.
        while room_at(controller.port) != min(4096, most):
            assert time.monotonic() < give_up, room_at(controller.port)
            time.sleep(0.02)


def room_at(port: int) -> int:
    """For how many connections whoever listens on this TCP port has room."""
    command = ["ss", "--no-header", "-ltn", f"sport = :{port}"]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[2])
