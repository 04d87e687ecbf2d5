"""A test bed: one Open vSwitch, alone in a network namespace, with a wire to each of its ports.

Frames come in through real devices, from which ovs-vswitchd reads with system calls as it does in production
without DPDK.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import NamedTuple

from benchmarks.filters import Filter, filtered_bridge, keep_megaflows
from benchmarks.network import new_network, wire
from benchmarks.policies import LINES, UPLINK, Space
from benchmarks.processes import cpu_nanoseconds
from benchmarks.traffic import Arrival
from testing.private_ovs import PrivateOvs

_BRIDGE = "cost"
_BURST = 160
_PAUSE_SECONDS = 0.002
"""Between bursts: a wire holds some 250 frames that ovs-vswitchd has not read."""
_SETTLE_SECONDS = 0.02


class Counters(NamedTuple):
    """What the datapath has done so far.

    ``lookups`` are in tables of masks, of packets that hit a megaflow; ``upcalls`` ask the OpenFlow tables.
    """

    packets: int
    lookups: int
    upcalls: int
    cpu: int
    """Nanoseconds of all threads of ovs-vswitchd."""

    def since(self, earlier: Counters) -> Counters:
        return Counters(*(now - before for now, before in zip(self, earlier, strict=True)))


class Bed:
    """A context manager; ``exact_match_cache`` False lets every packet look through the masks."""

    def __init__(self, chosen: Filter, space: Space, *, exact_match_cache: bool) -> None:
        self.chosen = chosen
        self._space = space
        self._exact_match_cache = exact_match_cache
        self._open = ExitStack()
        self._wires: dict[int, socket.socket] = {}

    def __enter__(self) -> Bed:
        with self._open as starting, new_network():
            self._ovs = starting.enter_context(PrivateOvs(dummy=False))
            for port in (*LINES, UPLINK):
                self._wires[port] = starting.enter_context(wire(f"{_BRIDGE}-{port}", f"wire{port}"))
            keep_megaflows(self._ovs)
            if not self._exact_match_cache:
                self._ovs.vsctl("set", "Open_vSwitch", ".", "other_config:emc-insert-inv-prob=0")
            filtered_bridge(self._ovs, _BRIDGE, self._space, self.chosen, datapath_type="netdev")
            self._open = starting.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def send(self, arrivals: Sequence[Arrival]) -> None:
        """Returns when they have been dealt with."""
        for start in range(0, len(arrivals), _BURST):
            for port, frame in arrivals[start : start + _BURST]:
                self._wires[port].send(frame)
            time.sleep(_PAUSE_SECONDS)
        time.sleep(_SETTLE_SECONDS)

    def counters(self) -> Counters:
        text = self._ovs.appctl("dpif-netdev/pmd-stats-show")
        hits, each = _counter(text, "megaflow hits"), _counter(text, "avg. subtable lookups per megaflow hit")
        return Counters(
            packets=round(_counter(text, "packets received")),
            lookups=round(hits * each),
            upcalls=round(_counter(text, "miss with success upcall")),
            cpu=cpu_nanoseconds(self._ovs.switch_pid),
        )

    def forwarded(self) -> int:
        """Frames sent so far."""
        return sum(self._ovs.sent(_BRIDGE).values())


def _counter(text: str, name: str) -> float:
    found = re.search(rf"{re.escape(name)}: ([\d.]+)", text)
    assert found, text
    return float(found[1])
