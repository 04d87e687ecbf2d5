"""The controller of the lab: ``op25b run`` as an operator would start it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from errors import LabError

PROTECTED = {"protected", "monitoring"}
START_TIMEOUT = 300.0
"""Seconds, for a loaded machine; a switch that lost its controller takes up to ten to call again."""


class LabController:
    """``op25b run`` with a policy, its output in a log file."""

    def __init__(self, policy: Path, log: Path) -> None:
        self.policy = policy
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [*_op25b(), "run", "--policy", str(self.policy)]
        environment = {**os.environ, "OP25B_STATE_DIRECTORY": str(self.log.parent / "state")}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )

    def kill(self) -> None:
        """End it without warning (SIGKILL), as a crash would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=START_TIMEOUT)

    def wait_until_protected(self, switches: Iterable[str], timeout: float = START_TIMEOUT) -> float:
        """Wait for the rules to be confirmed on all these switches; return the seconds it took."""
        began = time.monotonic()
        waiting = set(switches)
        told = ""
        while time.monotonic() < began + timeout:
            if self._process is None or self._process.poll() is not None:
                raise LabError(f"the controller has ended:\n{self._log_end()}")
            states, told = self._ask()
            waiting = {name for name in waiting if states.get(name) not in PROTECTED}
            if not waiting:
                return time.monotonic() - began
            time.sleep(0.2)
        raise LabError(f"after {timeout:.0f} s: {told}\n{self._log_end()}")

    def _ask(self) -> tuple[dict[str, str], str]:
        """Each switch's state, and that with reasons as text, or what keeps ``op25b status`` from telling."""
        asked = subprocess.run([*_op25b(), "status", "--json"], check=False, capture_output=True, text=True)
        try:
            switches = json.loads(asked.stdout)["switches"]
        except (ValueError, KeyError):
            return {}, asked.stderr.strip()
        told = [f"{name} is {switch['state']}: {switch['reason']}" for name, switch in switches.items()]
        return {name: switch["state"] for name, switch in switches.items()}, "; ".join(told)

    def _log_end(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-15:])


def _op25b() -> list[str]:
    command = Path(sys.executable).with_name("op25b")
    if not command.exists():
        raise LabError(f"{command} is not there; run scripts/setup, and start the lab with its op25b")
    return [str(command)]
