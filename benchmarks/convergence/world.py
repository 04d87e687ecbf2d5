"""One Open vSwitch with a few switches, and one controller of all of them, alone in a network namespace."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from benchmarks.convergence.channel import Channel
from benchmarks.convergence.plans import PORTS
from benchmarks.convergence.probes import Probe
from benchmarks.convergence.record import Record
from benchmarks.convergence.traffic import BUFFER_BYTES, Traffic, Wires
from benchmarks.network import enlarge_packet_buffers, new_network, two_way_wire
from op25b_app.operate.control_client import NoControllerError, ask
from op25b_app.sync.status import is_converged
from testing.private_ovs import PrivateOvs
from testing.process import port_of, reserve_port
from testing.running import Op25bController

_POLL_SECONDS = 0.02
_LIMIT_SECONDS = 300.0


class Site(NamedTuple):
    """A switch: its name, what it speaks, and its :class:`Channel`; a crowded one has room for one policy."""

    name: str
    protocols: str = "OpenFlow13"
    plain: bool = False
    pace: float | None = None
    crowded: bool = False


BUNDLES_13, BUNDLES_14 = Site("bundles-13"), Site("bundles-14", "OpenFlow14")
BUNDLES_15 = Site("bundles-15", "OpenFlow15")
PLAIN = Site("plain", plain=True)
PLAIN_15 = Site("plain-15", "OpenFlow15", plain=True)
CROWDED = Site("crowded", plain=True, crowded=True)


class World:
    """A context manager; the controller is started and killed by whoever uses it."""

    def __init__(self, sites: Sequence[Site], folder: Path) -> None:
        self.sites = sites
        self.policy = folder / "policy.yaml"
        self.starts = 0
        self._folder = folder
        self._open = ExitStack()

    def __enter__(self) -> World:
        with self._open as starting:
            starting.enter_context(new_network())
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            self.ovs = starting.enter_context(PrivateOvs(dummy=False))
            self._port = port_of(starting.enter_context(reserve_port()))
            self.channels: dict[str, Channel] = {}
            self.wires: dict[str, Wires] = {}
            for number, site in enumerate(self.sites):
                channel = Channel(self._port, plain=site.plain, pace=site.pace)
                self.channels[site.name] = starting.enter_context(channel)
                self.wires[site.name] = {
                    port: starting.enter_context(two_way_wire(f"{site.name}-{port}", f"end{number}-{port}"))
                    for port in PORTS
                }
            starting.callback(self.kill)
            self.controller: Op25bController | None = None
            self._open = starting.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    @property
    def names(self) -> list[str]:
        return [site.name for site in self.sites]

    @property
    def log(self) -> str:
        assert self.controller is not None
        return self.controller.log

    def start(self) -> None:
        """Start the controller; its switches come by themselves."""
        self.starts += 1
        folder = self._folder / f"controller-{self.starts}"
        folder.mkdir()
        self.controller = Op25bController(
            folder,
            self.policy,
            socket=self._socket,
            port=self._port,
            environment={"OP25B_STATE_DIRECTORY": str(self._folder / "state")},
        )

    def signal(self, number: int) -> None:
        assert self.controller is not None
        self.controller.process.send_signal(number)

    def kill(self) -> None:
        """As a crash would (SIGKILL)."""
        if self.controller is not None:
            self.controller.process.kill()
            self.controller.process.wait()

    def connect(self, room: Mapping[int, int] | None = None) -> None:
        """Add the switches, each with its channel for a controller; ``room`` is that of crowded ones."""
        for dpid, site in enumerate(self.sites, start=1):
            self.ovs.add_bridge(
                site.name,
                PORTS,
                dpid=dpid,
                protocols=site.protocols,
                datapath_type="netdev",
            )
            for table, rules in (room or {}).items() if site.crowded else ():
                limit = (
                    "--id=@limit",
                    "create",
                    "Flow_Table",
                    f"flow_limit={rules}",
                    "overflow_policy=refuse",
                )
                self.ovs.vsctl(*limit, "--", "set", "Bridge", site.name, f"flow_tables:{table}=@limit")
            self.ovs.vsctl("set-controller", site.name, self.channels[site.name].target)
        self.enlarge_buffers()

    def enlarge_buffers(self) -> None:
        """Have Open vSwitch lose no frame however late it runs; once for each of its processes."""
        found = enlarge_packet_buffers(self.ovs.switch_pid, BUFFER_BYTES)
        assert found >= len(self.sites) * len(PORTS), found

    def status(self) -> Mapping[str, Any]:
        """Of each switch, as ``op25b status`` tells it; nothing while no controller answers."""
        try:
            switches: Mapping[str, Any] = ask(self._socket, "GET", "/status")["switches"]
        except NoControllerError:
            return {}
        return switches

    def passes_tables(self, switch: str, port: int, frame: bytes) -> bool:
        """Whether a frame passes by a switch's tables as they are, whatever its cache does."""
        return "Datapath actions: drop" not in self.ovs.trace(switch, port, frame)

    @contextmanager
    def examined(self, traffic: Traffic, records: Mapping[str, Record]) -> Iterator[None]:
        """Look at packets that leaked or were lost, before the tables change.

        Nothing is sent inside: whoever changes the tables notes it there.
        """
        with traffic.paused():
            for name, record in records.items():

                def passes_tables(probe: Probe, switch: str = name) -> bool:
                    return self.passes_tables(switch, probe.port, probe.frame)

                traffic.examine(name, record, passes_tables)
            yield

    def events(self) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = ask(self._socket, "GET", "/events")["events"]
        return events

    def reload(self) -> None:
        answer = ask(self._socket, "POST", "/reload?yes=1")
        assert answer["applied"], answer

    def wait_until_protected(self) -> dict[str, float]:
        """When each switch was first seen to be as the policy in force wants it (``time.time``)."""
        seen: dict[str, float] = {}
        end = time.monotonic() + _LIMIT_SECONDS
        while len(seen) < len(self.sites):
            status = self.status()
            for name in self.names:
                switch = status.get(name)
                if name not in seen and switch and switch["current"] and is_converged(switch["state"]):
                    seen[name] = time.time()
            assert time.monotonic() < end, f"after {_LIMIT_SECONDS:.0f} s: {status}\n{self.log[-4000:]}"
            time.sleep(_POLL_SECONDS)
        return seen

    def wait_until_looked_through(self) -> float:
        """Return when Open vSwitch has compared its whole cache with its tables as they are now.

        A time as ``time.time`` gives it.

        Whoever waits for its revalidators waits for the end of a round, which may have begun before; and a
        change is known to them once the main loop has come by again.
        """
        self.ovs.appctl("version")
        for _ in range(2):
            self.ovs.appctl("revalidator/wait")
        return time.time()

    def dropped_frames(self) -> int:
        """Return how many frames found a full socket buffer, ours or Open vSwitch's: those say nothing."""
        sockets = subprocess.run(
            ["ss", "--packet", "--all", "--memory", "--no-header"], check=True, capture_output=True, text=True
        )
        return sum(map(int, re.findall(r"skmem:\(.*?,d(\d+)\)", sockets.stdout)))

    @property
    def _socket(self) -> Path:
        return self.ovs.directory / "control.sock"
