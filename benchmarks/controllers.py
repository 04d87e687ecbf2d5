"""Controllers under comparison, each in a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from benchmarks.peers.environments import FAUCET, RYU, PeerError, TooSlowError
from op25b_app.operate.control_client import NoControllerError, ask

PORT = 6653
"""Where controllers listen for switches; the benchmark has a network namespace of its own."""
WEB_PORT = 8080
_HERE = Path(__file__).parent
_COMMANDS = Path(sys.executable).parent
_STOP_SECONDS = 5.0


@dataclass(frozen=True)
class Controller:
    """How to start one; ``loaded`` says when it has read its rules, from its log."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    loaded: Callable[[str], bool] = lambda log: True
    log_files: tuple[Path, ...] = ()


def raw_socket(messages: Path) -> Controller:
    script = str(_HERE / "peers/raw_socket.py")
    return Controller("raw socket", (sys.executable, script, str(PORT), str(messages)))


def plain_ryu(rules: Path) -> Controller:
    return Controller(
        "plain Ryu application",
        _ryu(str(_HERE / "peers/plain_ryu.py")),
        {"RULES_FILE": str(rules)},
        lambda log: "instantiating app" in log,
    )


def rest_firewall() -> Controller:
    return Controller("ryu.app.rest_firewall", _ryu("ryu.app.rest_firewall"))


def faucet(configuration: Path) -> Controller:
    """Faucet as its package installs it; it writes its logs beside its configuration."""
    folder = configuration.parent
    log, exceptions = folder / "faucet.log", folder / "faucet-exceptions.log"
    environment = {
        "FAUCET_CONFIG": str(configuration),
        "FAUCET_LOG": str(log),
        "FAUCET_EXCEPTION_LOG": str(exceptions),
        "FAUCET_EVENT_SOCK": "0",
        "FAUCET_PROMETHEUS_ADDR": "127.0.0.1",
        "PATH": f"{FAUCET.commands}:{os.environ['PATH']}",
    }
    options = (f"--ryu-ofp-tcp-listen-port={PORT}", "--ryu-ofp-listen-host=127.0.0.1")
    return Controller(
        "Faucet",
        (str(FAUCET.commands / "faucet"), "--ryu-config-file=/dev/null", *options),
        environment,
        lambda text: "Add new datapath" in text,
        (log, exceptions),
    )


def op25b(policy: Path) -> Controller:
    environment = {"OP25B_POLICY": str(policy), "OP25B_CONTROL_SOCKET": str(op25b_socket(policy))}
    options = (f"--ofp-tcp-listen-port={PORT}", "--ofp-listen-host=127.0.0.1")
    command = (str(_COMMANDS / "ryu-manager"), *options, "op25b_app.app")
    return Controller("op25b", command, environment)


def op25b_socket(policy: Path) -> Path:
    return policy.parent / "control.sock"


def op25b_state(policy: Path, switch: str) -> str:
    """The state of a switch as ``op25b status`` tells it; empty while nobody answers."""
    try:
        status = ask(op25b_socket(policy), "GET", "/status")
    except NoControllerError:
        return ""
    return str(status["switches"].get(switch, {}).get("state", ""))


def longest_lag(socket: Path) -> float:
    """Seconds by which op25b's event loop was late at most, since it started."""
    return float(ask(socket, "GET", "/status")["event_loop"]["longest_lag"])


class Running:
    """A context manager around a controller that has read its rules and listens."""

    def __init__(self, controller: Controller, folder: Path, limit: float = 300.0) -> None:
        self.controller = controller
        self._log = folder / "controller.log"
        self._limit = limit

    def __enter__(self) -> Running:
        for path in self.controller.log_files:
            path.unlink(missing_ok=True)
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                self.controller.command,
                env={**os.environ, **self.controller.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            self._wait()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def log(self) -> str:
        texts = [path.read_text(errors="replace") for path in self.controller.log_files if path.exists()]
        return "".join([*texts, self._log.read_text(errors="replace")])

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def _wait(self) -> None:
        give_up = time.monotonic() + self._limit
        while not (listens(PORT) and self.controller.loaded(self.log)):
            if self.process.poll() is not None:
                raise PeerError(
                    f"{self.controller.name} ended with {self.process.returncode}:\n{self.log[-2000:]}"
                )
            if time.monotonic() > give_up:
                raise TooSlowError(f"{self.controller.name} had not read its rules", self._limit)
            time.sleep(0.05)


def listens(port: int) -> bool:
    """Whether anybody does on this TCP port (proc(5): state 0A is LISTEN)."""
    tables = (Path(f"/proc/self/net/{name}").read_text() for name in ("tcp", "tcp6"))
    return any(re.search(rf":{port:04X} [0-9A-F]+:0000 0A ", table) for table in tables)


def _ryu(application: str) -> tuple[str, ...]:
    options = (f"--ofp-tcp-listen-port={PORT}", "--ofp-listen-host=127.0.0.1")
    web = ("--wsapi-host=127.0.0.1", f"--wsapi-port={WEB_PORT}")
    return (str(RYU.commands / "python"), str(_HERE / "peers/start_ryu.py"), *options, *web, application)
