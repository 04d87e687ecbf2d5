"""A topology as a running Mininet network, on the lab's own Open vSwitch."""

from __future__ import annotations

import functools
import itertools
import runpy
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import open_vswitch
from errors import LabError
from mininet.net import Mininet
from mininet.node import OVSSwitch, RemoteController

from op25b_app.openflow.flow_rule import COOKIE_OWNER, RuleRole

TOPOLOGIES = Path(__file__).parent.parent / "topologies"
# Mininet raises limits of the whole machine the first time; this network is small enough without.
Mininet.inited = True

CONTROLLER = ("127.0.0.1", 6653)
# The lab counts SYNs: make it one and one repetition, whatever the kernel's version.
_TWO_SYNS = (
    "echo 1 > /proc/sys/net/ipv4/tcp_syn_retries; "
    "for f in /proc/sys/net/ipv4/tcp_syn_linear_timeouts; do [ ! -e $f ] || echo 0 > $f; done"
)
_ROLE_SHIFT = 40
_ROLE_MASK = 0xFFFFFF << _ROLE_SHIFT


class _AwaitedController(RemoteController):  # type: ignore[misc]
    def checkListening(self) -> None:  # noqa: N802
        """The controller starts after the switches; Mininet would complain."""


class Topologies(NamedTuple):
    """Files by the name ``mn --topo`` knows a topology by; and what cannot be loaded, and why."""

    files: dict[str, Path]
    problems: list[str]


def find_topologies() -> Topologies:
    """Find every topology that lies beside its policy; one that cannot be loaded hides no other."""
    files, problems = {}, []
    for file in sorted(file for file in TOPOLOGIES.glob("*.py") if file.with_suffix(".yaml").exists()):
        try:
            files.update(dict.fromkeys(_topos(file), file))
        except LabError as error:
            problems.append(str(error))
    return Topologies(files, problems)


def policy_file(topology: str) -> Path:
    """The policy that belongs to a topology."""
    return find_topologies().files[topology].with_suffix(".yaml")


def make_topo(topology: str) -> Any:
    """Make the Mininet topology object of that name.

    Raises: LabError with the place where its file goes wrong.
    """
    file = find_topologies().files[topology]
    make = _topos(file)[topology]
    with _told_with_its_place(file):
        return make()


def mail_domains(topo: Any) -> dict[str, str]:
    """The mail domain of each host that has one."""
    domains = {name: topo.nodeInfo(name).get("mail_domain") for name in topo.hosts()}
    return {name: domain for name, domain in domains.items() if domain}


def managed_switches(topo: Any) -> list[str]:
    """The switches of a topology that a policy is for; bridges that only hand on frames are none."""
    return [name for name in topo.switches() if topo.nodeInfo(name).get("in_policy", True)]


def _topos(file: Path) -> dict[str, Callable[[], Any]]:
    with _told_with_its_place(file):
        topos = runpy.run_path(str(file)).get("topos")
    if not isinstance(topos, dict) or not topos:
        raise LabError(f"{file}: it names no topology; write topos = {{NAME: CLASS}}")
    return topos


@contextmanager
def _told_with_its_place(file: Path) -> Iterator[None]:
    """What a topology file raises becomes a LabError with the line of that file."""
    try:
        yield
    except SyntaxError as error:
        raise LabError(f"{error.filename}:{error.lineno}:{error.offset}: {error.msg}") from None
    except Exception as error:
        lines = [
            frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)
        ]
        where = f"{file}:{lines[-1]}" if lines else f"{file}"
        raise LabError(f"{where}: {type(error).__name__}: {error}") from None


class LabNetwork:
    """One topology, started: hosts with their addresses, switches that wait for a controller."""

    def __init__(self, topology: str) -> None:
        self.policy = policy_file(topology)
        self.datapath = open_vswitch.datapath()
        self.topo = make_topo(topology)
        switch = functools.partial(OVSSwitch, datapath=self.datapath, protocols="OpenFlow13")
        ip, port = CONTROLLER
        controller = functools.partial(_AwaitedController, ip=ip, port=port)
        self.mininet = Mininet(topo=self.topo, switch=switch, controller=controller)

    def start(self) -> None:
        self.mininet.start()
        for host in self.mininet.hosts:
            host.cmd(_TWO_SYNS)
        for switch in self.switch_names:
            missing = self._wanted_ports(switch) - set(open_vswitch.ports(switch))
            if missing:
                raise LabError(f"Open vSwitch could not give {switch} the ports {sorted(missing)}")

    @property
    def switch_names(self) -> list[str]:
        """The switches that a policy is for."""
        return managed_switches(self.topo)

    @property
    def families(self) -> tuple[int, ...]:
        """The IP versions that hosts of this topology speak."""
        return (4, 6) if getattr(self.topo, "ipv6", False) else (4,)

    def space(self, name: str) -> str:
        """The kind of address a host has: dynamic, static, unlisted, ...; a topology need not say it."""
        space: str = self.topo.nodeInfo(name).get("space", "host")
        return space

    def node(self, name: str) -> Any:
        """The Mininet host of that name."""
        return self.mininet[name]

    def addresses(self, name: str) -> tuple[str, ...]:
        """A host's addresses on its first interface, without prefix length, IPv4 first."""
        return tuple(address.split("/")[0] for address in self.topo.nodeInfo(name)["addresses"][0])

    def mail_domains(self) -> dict[str, str]:
        """The mail domain of each host that has one."""
        return mail_domains(self.topo)

    def packets(self, *roles: RuleRole) -> int:
        """How many packets all rules of op25b with one of these roles have matched, on all switches."""
        return sum(
            open_vswitch.packets(switch, COOKIE_OWNER << 48 | role << _ROLE_SHIFT, _ROLE_MASK)
            for switch, role in itertools.product(self.switch_names, roles)
        )

    def packets_settle(self, roles: Sequence[RuleRole], expected: int, timeout: float = 60.0) -> int:
        """Wait for so many packets to be counted: Open vSwitch updates its counters twice a second."""
        deadline = time.monotonic() + timeout
        while (count := self.packets(*roles)) < expected and time.monotonic() < deadline:
            time.sleep(0.1)
        return count

    def _wanted_ports(self, switch: str) -> set[int]:
        return set(self.topo.ports[switch])
