"""The same test bed with a bridge of the Linux kernel, which nftables filters or nobody."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType

from benchmarks.bed import Counters
from benchmarks.filters import Filter, Pipeline
from benchmarks.network import inside, network_of_thread, new_network, wire
from benchmarks.policies import LINES, UPLINK, Space
from benchmarks.rulesets import write_nftables
from benchmarks.traffic import Arrival

_BRIDGE = "bridge0"
_NAMES = {**{port: f"line{port}" for port in LINES}, UPLINK: f"uplink{UPLINK}"}


class KernelBed:
    """A context manager. The kernel forwards a frame while it is being sent, on the sender's CPU time.

    That holds for kernels without ``CONFIG_IRQ_TIME_ACCOUNTING``; the time includes that of sending.
    """

    def __init__(self, chosen: Filter, space: Space) -> None:
        self.chosen = chosen
        self._space = space
        self._open = ExitStack()
        self._sent = self._nanoseconds = 0

    def __enter__(self) -> KernelBed:
        with self._open as starting, new_network():
            self._network = starting.enter_context(network_of_thread())
            self._wires = {
                port: starting.enter_context(wire(name, f"wire{port}")) for port, name in _NAMES.items()
            }
            lines = [f"link add {_BRIDGE} type bridge", f"link set {_BRIDGE} up"]
            lines += [f"link set {name} master {_BRIDGE}" for name in _NAMES.values()]
            subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)
            _leave_bridged_frames_alone()
            if self.chosen.pipeline is not Pipeline.KERNEL:
                self._load()
            self._open = starting.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def send(self, arrivals: Sequence[Arrival]) -> None:
        """Returns when they have been dealt with."""
        before = time.thread_time_ns()
        for port, frame in arrivals:
            self._wires[port].send(frame)
        self._nanoseconds += time.thread_time_ns() - before
        self._sent += len(arrivals)

    def counters(self) -> Counters:
        return Counters(self._sent, 0, 0, self._nanoseconds)

    def forwarded(self) -> int:
        """Frames sent so far out of the ports of the bridge."""
        with inside(self._network):
            table = Path("/proc/thread-self/net/dev").read_text()
        rows = (line.split(":") for line in table.splitlines() if ":" in line)
        sent = {name.strip(): int(numbers.split()[_SENT_PACKETS]) for name, numbers in rows}
        return sum(sent[name] for name in _NAMES.values())

    def _load(self) -> None:
        with TemporaryDirectory() as folder:
            script = Path(folder, "rules.nft")
            write_nftables(script, self._space, port_first=self.chosen.pipeline is Pipeline.NFTABLES)
            subprocess.run(["nft", "-f", str(script)], check=True)


_SENT_PACKETS = 9
"""The column of ``/proc/net/dev``."""


def _leave_bridged_frames_alone() -> None:
    """Where the module br_netfilter is loaded, it takes bridged frames for routed ones and checks them."""
    for path in Path("/proc/sys/net/bridge").glob("bridge-nf-call-*"):
        path.write_text("0")
