"""A controller in a process of its own, watched from outside."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

HERE = Path(__file__).parent
COMMANDS = Path(sys.executable).parent
START_SECONDS = 30.0
"""Generous: a loaded machine takes seconds to import Ryu."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Controller:
    """A context manager around one controller process; ``log`` is what it has written to stderr so far."""

    def __init__(
        self,
        directory: Path,
        command: Sequence[str | Path],
        environment: Mapping[str, str] | None = None,
        port: int | None = None,
    ) -> None:
        self.path = directory / "controller.log"
        self.port = port or free_port()
        self.web_port = free_port()
        port_option = "--ofp-ssl-listen-port" if "--ctl-cert" in command else "--ofp-tcp-listen-port"
        ports = [port_option, str(self.port), "--wsapi-port", str(self.web_port)]
        own = {"PYTHONPATH": str(HERE), "OP25B_STATE_DIRECTORY": str(directory / "state")}
        with self.path.open("wb") as stderr:
            self.process = subprocess.Popen(
                [*command, *ports],
                stdin=subprocess.DEVNULL,
                stderr=stderr,
                env={**os.environ, **own, **(environment or {})},
            )

    def __enter__(self) -> Controller:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def log(self) -> str:
        return self.path.read_text()

    def wait_for(self, text: str, *, times: int = 1, seconds: float = START_SECONDS) -> None:
        """Return as soon as ``text`` stands ``times`` times in the log; AssertionError when it never does."""
        end = time.monotonic() + seconds
        while self.log.count(text) < times:
            assert time.monotonic() < end, f"no {text!r} within {seconds} s in:\n{self.log}"
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.log}"
            time.sleep(0.01)

    def connect(self, port: int) -> socket.socket:
        """A connection to ``port``, as soon as the controller listens there."""
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                return socket.create_connection(("127.0.0.1", port), timeout=5)
            except ConnectionRefusedError:
                assert time.monotonic() < end, f"nothing listens on {port}:\n{self.log}"
                assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.log}"
                time.sleep(0.02)

    def stop(self, number: signal.Signals) -> tuple[int, float]:
        """Send a signal that ends the process; the exit code and how many seconds it took."""
        started = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(timeout=10)
        return code, time.monotonic() - started
