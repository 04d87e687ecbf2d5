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
from typing import Any

import environment
from errors import LabError

from op25b_app.sync.status import is_converged

START_TIMEOUT = 300.0
"""Seconds, for a loaded machine; a switch that lost its controller takes up to ten to call again."""


class LabController:
    """``op25b run`` with a policy, its output in a log file; in the lab's own environment."""

    def __init__(self, policy: Path, log: Path) -> None:
        self.policy = policy
        self.log = log
        self._environment = environment.own_environment(os.environ, log.parent)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = environment.configuration(self.log.parent)
        command = [*_op25b(), "run", "--policy", str(self.policy), *options]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
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

    def states(self) -> dict[str, str]:
        """Return the state of each switch that it knows; of none where it does not answer."""
        return self._ask()[0]

    def wait_until_protected(self, switches: Iterable[str], timeout: float = START_TIMEOUT) -> float:
        """Wait for these switches to be protected or, in monitor mode, monitoring; return the seconds.

        Raises: LabError where one is not within ``timeout`` seconds, or the controller ends.
        """
        began = time.monotonic()
        names = [*switches]
        reported = ""
        while time.monotonic() < began + timeout:
            if self._process is None or self._process.poll() is not None:
                raise LabError(f"the controller has ended:\n{self._log_end()}")
            states, reported = self._ask()
            if all(is_converged(states.get(name, "")) for name in names):
                return time.monotonic() - began
            time.sleep(0.2)
        raise LabError(f"after {timeout:.0f} s: {reported}\n{self._log_end()}")

    def lines(self) -> list[dict[str, Any]]:
        """Return which line has which address, as ``op25b lines`` tells; none where it does not answer."""
        asked = subprocess.run(
            [*_op25b(), "lines", "--json"], env=self._environment, check=False, capture_output=True, text=True
        )
        try:
            lines: list[dict[str, Any]] = json.loads(asked.stdout)["lines"]
        except (ValueError, KeyError):
            return []
        return lines

    def _ask(self) -> tuple[dict[str, str], str]:
        """Each switch's state, and that with reasons as text, or what keeps ``op25b status`` from telling."""
        asked = subprocess.run(
            [*_op25b(), "status", "--json"],
            env=self._environment,
            check=False,
            capture_output=True,
            text=True,
        )
        try:
            switches = json.loads(asked.stdout)["switches"]
        except (ValueError, KeyError):
            return {}, asked.stderr.strip()
        reported = [f"{name} is {switch['state']}: {switch['reason']}" for name, switch in switches.items()]
        return {name: switch["state"] for name, switch in switches.items()}, "; ".join(reported)

    def _log_end(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-15:])


def _op25b() -> list[str]:
    command = Path(sys.executable).with_name("op25b")
    if not command.exists():
        raise LabError(f"{command} is not there; run scripts/setup, and start the lab with its op25b")
    return [str(command)]
