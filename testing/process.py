"""A controller in a process of its own, watched from outside."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from testing.patience import HANG_SECONDS

HERE = Path(__file__).parent
ROOT = HERE.parent
UNHURRIED = str(HERE / "unhurried.py")
PROBES = ROOT / "tests/controller"
"""Applications of the tests, such as probe_app."""
COMMANDS = Path(sys.executable).parent
_reserved: list[socket.socket] = []


def reserve_port() -> socket.socket:
    """Return a socket bound to a port that nobody else is given while the socket is open.

    A controller can listen there, since it binds with SO_REUSEADDR as well and this socket does not listen.
    """
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind(("127.0.0.1", 0))
    return reserved


def free_port() -> int:
    """Return a port to listen on, reserved until this process ends."""
    _reserved.append(reserve_port())
    return port_of(_reserved[-1])


def port_of(bound: socket.socket) -> int:
    """Return the port that a socket is bound to."""
    return int(bound.getsockname()[1])


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
        self._reserved = [reserve_port(), reserve_port()]
        own_port, self.web_port = map(port_of, self._reserved)
        self.port = port or own_port
        port_option = "--ofp-ssl-listen-port" if "--ctl-cert" in command else "--ofp-tcp-listen-port"
        ports = [port_option, str(self.port), "--wsapi-port", str(self.web_port)]
        own = {
            "PYTHONPATH": f"{PROBES}:{ROOT}",
            "OP25B_STATE_DIRECTORY": str(directory / "state"),
        }
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
        for reserved in self._reserved:
            reserved.close()

    @property
    def log(self) -> str:
        return self.path.read_text()

    def wait_for(self, text: str, *, times: int = 1, seconds: float = HANG_SECONDS) -> None:
        """Return as soon as ``text`` stands ``times`` times in the log; AssertionError when it never does."""
        end = time.monotonic() + seconds
        while self.log.count(text) < times:
            assert time.monotonic() < end, f"no {text!r} within {seconds} s in:\n{self.log}"
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.log}"
            time.sleep(0.01)

    def connect(self, port: int) -> socket.socket:
        """A connection to ``port``, as soon as the controller listens there."""
        end = time.monotonic() + HANG_SECONDS
        while True:
            try:
                return socket.create_connection(("127.0.0.1", port), timeout=HANG_SECONDS)
            except ConnectionRefusedError:
                assert time.monotonic() < end, f"nothing listens on {port}:\n{self.log}"
                assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.log}"
                time.sleep(0.02)

    def stop(self, number: signal.Signals) -> tuple[int, float]:
        """Send a signal that ends the process; the exit code and how many seconds of CPU time it took."""
        before = self.cpu_seconds
        ended = os.pidfd_open(self.process.pid)
        self.process.send_signal(number)
        try:
            assert select.select([ended], [], [], HANG_SECONDS)[0], f"does not stop:\n{self.log}"
        finally:
            os.close(ended)
        spent = self.cpu_seconds - before  # a process that nobody has waited for yet still tells
        return self.process.wait(), spent

    @property
    def cpu_seconds(self) -> float:
        """CPU time of the process so far: proc(5), fields 14 and 15 of stat."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
