"""A test bed: one Open vSwitch, alone in a network namespace, with a wire to each of its ports.

Frames come in through real devices, from which ovs-vswitchd reads with system calls as it does in production
without DPDK.
"""

from __future__ import annotations

import ctypes
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from benchmarks.filters import Filter, filtered_bridge, keep_megaflows
from benchmarks.policies import LINES, UPLINK, Space
from benchmarks.traffic import Arrival
from tests.openvswitch.private_ovs import PrivateOvs

_BRIDGE = "cost"
_BURST = 160
_PAUSE_SECONDS = 0.002
"""Between bursts: a wire holds some 250 frames that ovs-vswitchd has not read."""
_SETTLE_SECONDS = 0.02
_CLONE_NEWNET = 0x40000000


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
        with self._open as starting, _new_network():
            self._ovs = starting.enter_context(PrivateOvs(dummy=False))
            self._wires = {port: starting.enter_context(_wire(port)) for port in (*LINES, UPLINK)}
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
            cpu=_cpu_nanoseconds(self._ovs.switch_pid),
        )

    def forwarded(self) -> int:
        """Frames sent so far."""
        return sum(self._ovs.sent(_BRIDGE).values())


def _counter(text: str, name: str) -> float:
    found = re.search(rf"{re.escape(name)}: ([\d.]+)", text)
    assert found, text
    return float(found[1])


def _cpu_nanoseconds(process: int) -> int:
    """Time on a processor of all threads (proc(5): the first field of ``schedstat``)."""
    threads = Path(f"/proc/{process}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads)


def _wire(port: int) -> socket.socket:
    """A pair of devices, one of them named as the bridge wants its port; what is sent here comes in there."""
    device, peer = f"{_BRIDGE}-{port}", f"wire{port}"
    lines = [f"link add {device} type veth peer name {peer}", f"link set {device} up", f"link set {peer} up"]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    wire.bind((peer, 0))
    return wire


@contextmanager
def _new_network() -> Iterator[None]:
    """This thread is in a new network namespace meanwhile; it lasts as long as what is made in it."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.unshare(_CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "cannot make a network namespace; this needs root")
        Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")
        yield
    finally:
        libc.setns(before, _CLONE_NEWNET)
        os.close(before)
