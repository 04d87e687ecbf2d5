"""Many switches that connect at once wait to be accepted; none is left to try again."""

from __future__ import annotations

import errno
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import ryu.base.app_manager  # noqa: F401  Ryu's controller cannot be imported before it
from ryu.controller import controller as ryu_controller
from ryu.lib import hub

from op25b_app.controller import listening, ryu_patches
from testing.patience import HANG_SECONDS
from testing.process import COMMANDS, Controller
from testing.running import policy_text

KNOCKING = 100


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Ryu's, as it listens from now on, at a free port of this machine."""
    monkeypatch.setattr(ryu_controller, "StreamServer", ryu_controller.StreamServer)
    ryu_patches.listen_for_many()
    made = ryu_controller.StreamServer(("127.0.0.1", 0))
    yield made
    made.server.close()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """That of a controller with a policy of its own."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(policy_text("access-1 0x1"))
    return {"OP25B_POLICY": str(policy), "OP25B_CONTROL_SOCKET": str(tmp_path / "control.sock")}


@pytest.mark.parametrize("command", [["ryu-manager", "op25b_app.app"], ["op25b", "run"]])
def test_there_is_room_for_many(tmp_path: Path, environment: dict[str, str], command: list[str]) -> None:
    with Controller(tmp_path, [COMMANDS / command[0], *command[1:]], environment) as controller:
        controller.connect(controller.port).close()
        most = int(Path("/proc/sys/net/core/somaxconn").read_text())
        give_up = time.monotonic() + HANG_SECONDS
        # It listens as Ryu does first.
        while room_at(controller.port) != min(4096, most):
            assert time.monotonic() < give_up, room_at(controller.port)
            time.sleep(0.02)


def test_as_many_files_are_opened_as_the_system_allows(tmp_path: Path, environment: dict[str, str]) -> None:
    limited = ["prlimit", "--nofile=128:640", str(COMMANDS / "ryu-manager"), "op25b_app.app"]
    with Controller(tmp_path, limited, environment) as controller:
        held = [controller.connect(controller.port) for _ in range(200)]
        assert all(each.recv(8) for each in held), controller.log
        for each in held:
            each.close()


def test_others_have_a_turn_while_many_are_let_in(server: Any) -> None:
    let_in: list[Any] = []
    server.handle = lambda connection, address: let_in.append(connection)
    knocking = [socket.create_connection(server.server.getsockname()) for _ in range(KNOCKING)]
    serving = hub.spawn(server.serve_forever)
    between: list[int] = []
    while len(let_in) < KNOCKING:
        before = len(let_in)
        hub.sleep(0)
        between.append(len(let_in) - before)
    hub.kill(serving)
    for each in (*knocking, *let_in):
        each.close()
    assert max(between) == listening.MAX_IN_A_ROW


def test_who_cannot_be_accepted_at_once_is_accepted_later(
    server: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listening, "AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(server.server, "accept", out_of_files_twice(server.server.accept))
    let_in = hub.Event()
    server.handle = lambda connection, address: let_in.set()
    serving = hub.spawn(server.serve_forever)
    with socket.create_connection(server.server.getsockname()):
        assert let_in.wait(HANG_SECONDS)
    hub.kill(serving)
    assert caplog.messages == [
        "no switch can connect now: [Errno 24] Too many open files: "
        "let this process open more files (ulimit -Hn, or LimitNOFILE in systemd)"
    ]


def out_of_files_twice(accept: Callable[..., Any]) -> Callable[..., Any]:
    """Accepts, after it could not twice, as without a file descriptor."""
    failures = [OSError(errno.EMFILE, "Too many open files")] * 2

    def failing(*arguments: Any) -> Any:
        if failures:
            raise failures.pop()
        return accept(*arguments)

    return failing


def room_at(port: int) -> int:
    """For how many connections whoever listens on this TCP port has room."""
    command = ["ss", "--no-header", "-ltn", f"sport = :{port}"]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[2])
