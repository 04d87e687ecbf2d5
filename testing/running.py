"""A controller with op25b in it, run as a person runs it and asked as a person asks it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from op25b_app.compiler.compiler import compile_rules
from op25b_app.compiler.marker import is_marker
from op25b_app.openflow.flow_rule import FlowRule
from op25b_app.policy.loader import load
from op25b_app.policy.model import Policy
from testing.patience import HANG_SECONDS
from testing.private_ovs import PrivateOvs
from testing.process import COMMANDS, UNHURRIED, Controller

SPACE = """
isp:
  name: Example ISP
  mail_destinations: [192.0.2.0/24, "2001:db8:25::/48"]
address_space:
  dynamic: [100.64.0.0/10, "2001:db8:1000::/36"]
  static: [100.64.8.0/24, "2001:db8:1008::/48"]
switches:
"""


def policy_text(*switches: str) -> str:
    """A policy with these switches; each ``NAME DPID [MORE]``, MORE in YAML's flow style."""
    text = SPACE
    for switch in switches:
        name, dpid, more = [*switch.split(maxsplit=2), ""][:3]
        text += f"  {name}: {{dpid: {dpid}, subscriber_ports: [1-3], uplink_ports: [4], {more}}}\n"
    return text


class Op25bController(Controller):
    """``ryu-manager op25b_app.app`` with a policy file and a control socket of its own.

    It is not hurried (see testing/unhurried.py), unless ``applications`` make it so.
    """

    def __init__(
        self,
        directory: Path,
        policy: Path,
        *,
        socket: Path,
        applications: Sequence[str] = (),
        port: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.policy_path = policy
        own = {"OP25B_CONTROL_SOCKET": str(socket), "OP25B_POLICY": str(policy)}
        self.environment = {**own, **(environment or {})}
        command: list[str | Path] = [COMMANDS / "ryu-manager", "op25b_app.app", UNHURRIED, *applications]
        super().__init__(directory, command, self.environment, port)

    def __enter__(self) -> Op25bController:
        return self

    @property
    def target(self) -> str:
        """What Open vSwitch calls this controller."""
        return f"tcp:127.0.0.1:{self.port}"

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``op25b`` beside this controller."""
        return subprocess.run(
            [COMMANDS / "op25b", *arguments],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
        )

    def status(self) -> dict[str, Any]:
        result = self.command("status", "--json")
        status: dict[str, Any] = json.loads(result.stdout)
        if "error" not in status:
            assert result.returncode == (0 if status["all_as_wanted"] else 1)
        return status

    def wait_for_state(
        self, name: str, state: str, reason: str = "", seconds: float = HANG_SECONDS
    ) -> dict[str, Any]:
        """What the status says of a switch as soon as it is in ``state`` with ``reason`` in its reason."""
        found: dict[str, Any] = {}

        def reached() -> bool:
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.log}"
            found.update(self.status().get("switches", {}).get(name, {"state": None, "reason": ""}))
            return found["state"] == state and reason in found["reason"]

        wait_until(
            reached, lambda: f"{name} is {found}, not {state!r} with {reason!r}; log:\n{self.log}", seconds
        )
        return found

    def policy(self) -> Policy:
        loaded = load(self.policy_path, time.time())
        assert loaded.policy is not None, loaded.problems
        return loaded.policy

    def wanted(self, name: str) -> set[FlowRule]:
        policy = self.policy()
        return set(compile_rules(policy, policy.switches[name], time.time()))


def wait_until(
    condition: Callable[[], bool], complaint: Callable[[], str], seconds: float = HANG_SECONDS
) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, complaint()
        time.sleep(0.05)


def rules_on(ovs: PrivateOvs, bridge: str, version: int = 4) -> set[FlowRule]:
    """Every rule of a bridge but the marker, which decides nothing."""
    with ovs.openflow(bridge, version) as switch:
        return {installed.rule for installed in switch.read() if not is_marker(installed.rule)}
