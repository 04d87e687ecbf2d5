"""Ryu runs on this Python with this eventlet, by itself and under our launcher."""

from __future__ import annotations

import base64
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from testing.patience import HANG_SECONDS
from testing.process import COMMANDS, PROBES, Controller, free_port
from tests.controller.test_signals import OTHER, RUNNERS

pytestmark = pytest.mark.slow

MANAGER = COMMANDS / "ryu-manager"
LAUNCHER = RUNNERS["launcher"]
IDLE = {"PROBE_LOAD": "idle", "PROBE_STOP_SECONDS": str(HANG_SECONDS)}
HELLO = b"\x04\x00"
"""OpenFlow 1.3 (wire version 4), message type 0: section 7.1 of its specification."""


def exchange(connection: socket.socket, request: str) -> bytes:
    connection.sendall(request.replace("\n", "\r\n").encode())
    return connection.recv(4096)


def test_the_start_up_file_imports_nothing() -> None:
    code = "import sys; print(sys.modules['eventlet.wsgi.ALREADY_HANDLED'], 'eventlet' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown == "() False\n"


def test_applications_of_others_run_in_plain_ryu_manager(tmp_path: Path) -> None:
    with Controller(tmp_path, [MANAGER, "ryu.app.simple_switch_13", "ryu.app.ofctl_rest"]) as controller:
        with controller.connect(controller.port) as switch:
            assert switch.recv(8).startswith(HELLO)
        with controller.connect(controller.web_port) as client:
            answer = exchange(client, "GET /stats/switches HTTP/1.1\nHost: localhost\nConnection: close\n\n")
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert answer.endswith(b"[]")
        assert "Traceback" not in controller.log


def test_a_websocket_closes_without_complaint(tmp_path: Path) -> None:
    """Ryu answers a websocket's end with eventlet's ALREADY_HANDLED, which our start-up file provides."""
    key = base64.b64encode(bytes(16)).decode()
    upgrade = (
        "GET /v1.0/topology/ws HTTP/1.1\nHost: localhost\nUpgrade: websocket\nConnection: Upgrade\n"
        f"Sec-WebSocket-Version: 13\nSec-WebSocket-Key: {key}\n\n"
    )
    with Controller(tmp_path, [MANAGER, "ryu.app.ws_topology"]) as controller:
        with controller.connect(controller.web_port) as client:
            assert exchange(client, upgrade).startswith(b"HTTP/1.1 101")
        controller.wait_for("GET /v1.0/topology/ws")  # logged when the request has ended
        assert "Traceback" not in controller.log
        assert "Error" not in controller.log


def test_our_launcher_runs_other_applications_and_says_so_without_noise(tmp_path: Path) -> None:
    command = [*LAUNCHER, "ryu.app.simple_switch_13", "ryu.app.ofctl_rest"]
    with Controller(tmp_path, command, IDLE) as controller:
        with controller.connect(controller.port) as switch:
            assert switch.recv(8).startswith(HELLO)
        controller.wait_for(f"wsgi starting up on http://127.0.0.1:{controller.web_port}")
        assert controller.stop(signal.SIGTERM)[0] == 0
        events = [line for line in controller.log.splitlines() if not line.startswith("probe: ")]
        assert events
        assert all(" INFO " in line for line in events), controller.log
        assert all(f"instantiating app {name} of" in controller.log for name in ("probe_app", *command[-2:]))


@pytest.mark.parametrize(
    ("listener", "host", "flags"),
    [
        ("--ofp-tcp-listen-port", "0.0.0.0", "--ofp-listen-host and --ofp-tcp-listen-port"),
        ("--wsapi-port", "127.0.0.1", "--wsapi-host and --wsapi-port"),
    ],
)
def test_our_launcher_reports_an_address_in_use(tmp_path: Path, listener: str, host: str, flags: str) -> None:
    with socket.create_server((host, 0)) as other:
        port = other.getsockname()[1]
        command = [*LAUNCHER, "ryu.app.ofctl_rest", "--ofp-tcp-listen-port", str(free_port())]
        done = subprocess.run(
            [*command, listener, str(port)],
            env={**os.environ, **IDLE, "PYTHONPATH": str(PROBES)},
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
        )
    assert done.returncode == 1
    problem = f"op25b: cannot listen on {host} port {port}: Address already in use"
    assert f"{problem}; choose another address with {flags}" in done.stderr.splitlines()
    assert "Traceback" not in done.stderr


def test_our_launcher_names_applications_that_are_not_there(tmp_path: Path) -> None:
    with Controller(
        tmp_path, [*LAUNCHER, "ryu.app.simple_switch_13,no.such.app", "missing.py"], IDLE
    ) as controller:
        assert controller.process.wait(timeout=HANG_SECONDS) == 1
        remedy = "give the name of a Python module or the path of a file"
        assert controller.log.splitlines() == [
            f"op25b: no Ryu application no.such.app: {remedy}",
            f"op25b: no Ryu application missing.py: {remedy}",
        ]


def test_a_controller_that_ends_by_itself_has_failed(tmp_path: Path) -> None:
    command = [part for part in LAUNCHER if part != OTHER]  # nothing left that waits for switches
    with Controller(tmp_path, command, IDLE) as controller:
        assert controller.process.wait(timeout=HANG_SECONDS) == 1
        assert "op25b: the controller ended by itself" in controller.log
