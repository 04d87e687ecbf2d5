"""Honest switches, real ones, with two wires each, and their controller, in a network namespace."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping
from contextlib import ExitStack
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from benchmarks.convergence.probes import Probe, passing_frames
from benchmarks.convergence.traffic import Wires
from benchmarks.network import new_network, two_way_wire
from op25b_app.compiler.compiler import compile_rules
from op25b_app.openflow.flow_rule import FlowRule
from op25b_app.operate.control_client import NoControllerError, ask
from op25b_app.policy.decide import decide
from op25b_app.policy.loader import load
from op25b_app.policy.model import Policy, Verdict
from op25b_app.policy.packet import ETH_IPV4, ETH_IPV6, TCP, Packet, read_frame
from testing.frames import frame_of
from testing.private_ovs import PrivateOvs
from testing.process import COMMANDS, Controller
from testing.running import policy_text
from tests.controller.test_tls import Certificates
from tests.faults.campaign.heartbeat import VARIABLE

LINE, UPLINK = 1, 4
FIRST_HOSTILE, TWIN = 0x1001, 0x1000
_START_SECONDS = 120.0
_PROTOCOLS = ("OpenFlow13", "OpenFlow13", "OpenFlow14", "OpenFlow15")
_VERSIONS = {"OpenFlow13": 4, "OpenFlow14": 5, "OpenFlow15": 6}
_POOLS = ("198.18.64.0/24", "198.18.66.0/24")
_OURS = {4: "100.64.3.9", 6: "2001:db8:1000::9"}
_STATIC = {4: "100.64.8.9", 6: "2001:db8:1008::9"}
_MAIL = {4: "192.0.2.25", 6: "2001:db8:25::25"}
_OUTSIDE = {4: "203.0.113.9", 6: "2001:db8:ffff::9"}


class Honest(NamedTuple):
    """An honest switch: the bridge's and the policy's name for it, its datapath id, what it speaks."""

    name: str
    dpid: int
    protocols: str

    @property
    def version(self) -> int:
        """As the first byte of OpenFlow messages has it."""
        return _VERSIONS[self.protocols]


class World:
    """A context manager: at its begin all honest switches are protected."""

    def __init__(self, folder: Path, honest: int, hostile: int, *, tls: bool) -> None:
        self.folder = folder
        self.switches = [
            Honest(f"h{number}", number, _PROTOCOLS[number % len(_PROTOCOLS)])
            for number in range(1, honest + 1)
        ]
        self.policy_path = folder / "policy.yaml"
        self.heartbeats = folder / "heartbeats"
        self.certificates = Certificates(folder) if tls else None
        self.wires: dict[str, Wires] = {}
        self._write_policy(hostile)
        self._open = ExitStack()

    def __enter__(self) -> World:
        with self._open as starting:
            starting.enter_context(new_network())
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            self.ovs = starting.enter_context(PrivateOvs(dummy=False))
            self.socket = self.ovs.directory / "control.sock"
            for number, switch in enumerate(self.switches):
                self.wires[switch.name] = {
                    port: starting.enter_context(two_way_wire(f"{switch.name}-{port}", f"e{number}-{port}"))
                    for port in (LINE, UPLINK)
                }
            self.controller = starting.enter_context(self._start())
            self.controller.wait_for("in force", seconds=_START_SECONDS)
            target = self._target()
            for switch in self.switches:
                self.ovs.add_bridge(
                    switch.name,
                    (LINE, UPLINK),
                    dpid=switch.dpid,
                    protocols=switch.protocols,
                    controllers=[target],
                    datapath_type="netdev",
                )
            self._wait_until_protected()
            self._open = starting.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    @property
    def pid(self) -> int:
        return self.controller.process.pid

    def status(self, seconds: float = 60.0) -> dict[str, Any]:
        """What ``op25b status --json`` tells. Raises NoControllerError where nobody answers."""
        return ask(self.socket, "GET", "/status", seconds)

    def policy(self) -> Policy:
        loaded = load(self.policy_path, time.time())
        assert loaded.policy is not None, loaded.problems
        return loaded.policy

    def wanted(self) -> dict[str, frozenset[FlowRule]]:
        """The rules that each honest switch is to have."""
        policy = self.policy()
        return {
            each.name: frozenset(compile_rules(policy, policy.switches[each.name], time.time()))
            for each in self.switches
        }

    def probes(self) -> list[Probe]:
        """Connections in both directions: submission, mail to where it may go and elsewhere, and answers.

        ``passes`` has what the policy says, and then the contrary, for moments at which a rule is not there.
        """
        policy = self.policy()
        switch = policy.switches[self.switches[0].name]
        found = []
        for version in (4, 6):
            ours, static, mail, outside = (
                int(ip_address(each[version])) for each in (_OURS, _STATIC, _MAIL, _OUTSIDE)
            )
            for port, source, destination, sport, dport in (
                (LINE, ours, outside, 40000, 587),
                (LINE, ours, mail, 40000, 25),
                (LINE, ours, outside, 40000, 25),
                (LINE, static, outside, 40000, 25),
                (UPLINK, outside, ours, 587, 40000),
                (UPLINK, mail, ours, 25, 40000),
                (UPLINK, outside, ours, 25, 40000),
            ):
                frame = _segment(port, version, source, destination, sport, dport)
                verdict = decide(policy, switch, read_frame(port, frame), time.time()).verdict
                passes = verdict is not Verdict.BLOCK
                found.append(Probe(port, frame, (passes, not passes)))
        assert {probe.passes[0] for probe in found} == {True, False}
        return found

    def passing(self) -> dict[int, bytes]:
        """A frame for each port that passes as long as the rules are there at all."""
        return passing_frames([self.policy()], self.switches[0].name, time.time(), (LINE,), UPLINK)

    def _write_policy(self, hostile: int) -> None:
        names = [f"{each.name} {each.dpid:#x}" for each in self.switches]
        names += [f"twin {TWIN:#x}"]
        names += [f"bad-{number} {FIRST_HOSTILE + number:#x}" for number in range(hostile)]
        if self.certificates is not None:  # one for all of them
            tied = f'certificate: "sha256:{self.certificates.fingerprint("switch")}"'
            names = [f"{name} {tied}" for name in names]
        text = policy_text(*names).replace("static: [", "static: [{file: pools.txt}, ")
        self.policy_path.write_text(text)
        self.policy_path.with_name("pools.txt").write_text("".join(f"{pool}\n" for pool in _POOLS))

    def _start(self) -> Controller:
        command: list[str | Path] = [COMMANDS / "op25b", "run", "--policy", self.policy_path]
        command += ["ryu.app.ofctl_rest", Path(__file__).with_name("heartbeat.py")]
        if self.certificates is not None:
            command += self.certificates.options
        environment: Mapping[str, str] = {
            "OP25B_CONTROL_SOCKET": str(self.socket),
            "OP25B_STATE_DIRECTORY": str(self.folder / "state"),
            VARIABLE: str(self.heartbeats),
        }
        return Controller(self.folder, command, environment)

    def _target(self) -> str:
        if self.certificates is None:
            return f"tcp:127.0.0.1:{self.controller.port}"
        files = [self.certificates.file(name) for name in ("switch.key", "switch.crt", "authority.crt")]
        self.ovs.vsctl("set-ssl", *files)
        return f"ssl:127.0.0.1:{self.controller.port}"

    def _wait_until_protected(self) -> None:
        end = time.monotonic() + _START_SECONDS
        while True:
            try:
                states = {name: each["state"] for name, each in self.status()["switches"].items()}
            except NoControllerError:
                states = {}
            if all(states.get(each.name) == "protected" for each in self.switches):
                return
            assert time.monotonic() < end, f"{states}\n{self.controller.log[-4000:]}"
            time.sleep(0.1)


def _segment(port: int, version: int, source: int, destination: int, sport: int, dport: int) -> bytes:
    """The first segment of a connection that comes in at a port and goes to the other one."""
    to = LINE + UPLINK - port
    return frame_of(
        Packet(
            in_port=port,
            eth_type=ETH_IPV4 if version == 4 else ETH_IPV6,
            eth_source=0x02_00_00_00_00_00 | port,
            eth_destination=0x02_00_00_00_00_00 | to,
            version=version,
            source=source,
            destination=destination,
            protocol=TCP,
            source_port=sport,
            destination_port=dport,
        )
    )


def memory_of(pid: int) -> int:
    """What a process holds, in KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))


def descriptors_of(pid: int) -> int:
    """How many files and sockets a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def seconds_of(pid: int) -> float:
    """How much CPU time a process has taken, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def waited_by(pid: int) -> float:
    """For how long the first thread of a process was ready to run and had no processor, in seconds."""
    try:
        return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[1]) / 1e9
    except FileNotFoundError:  # it has ended
        return 0.0
