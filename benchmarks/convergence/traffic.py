"""Numbered packets, sent all the time, and which of them arrive."""

from __future__ import annotations

import itertools
import selectors
import socket
import struct
import threading
import time
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import inf
from types import TracebackType
from typing import NamedTuple

from benchmarks.convergence.probes import Probe
from benchmarks.convergence.record import Count, Kind, Record
from benchmarks.network import SO_RCVBUFFORCE

_TRAILER = struct.Struct("!IQ")
"""Behind the packet, where no switch looks: a mark and the packet's number."""
_MARK = 0x25B0_5EED
_PASSING_MARK = 0x25B0_0000
"""Its last bits are the port."""
_PORTS_OF_MARK = 0xFF
_PASSING_EVERY = 8
"""Packets from one round of frames that pass to the next."""
BUFFER_BYTES = 1 << 24
"""Of each socket, ours and the switch's, for the frames of minutes."""
_LAST_SECONDS = 60.0
"""For the last packets, where a switch does not pass what always passes."""
_ARRIVAL_SECONDS = 0.02
"""In which a packet has arrived, if it does."""

Wires = Mapping[int, socket.socket]
"""By port."""


class _Receiver(NamedTuple):
    site: str
    wire: socket.socket


class _Passed(NamedTuple):
    """When (``time.time``) a frame arrived that was sent on a port behind a packet of this number."""

    number: int
    at: float


def dealt_with(
    ports: Sequence[int], arrived: Mapping[int, float], passed: Mapping[int, Sequence[tuple[int, float]]]
) -> list[float]:
    """Return for each packet a time by which the switch has decided about it; infinity where none is known.

    ``ports`` are where they came in, by number; ``arrived`` is when those arrived that did. ``passed`` is, by
    port, when frames arrived that were sent there behind a packet. A switch takes the packets of one port in
    their order: one that does not arrive was decided before a later one arrived.
    """
    last: dict[int, float] = {}
    unseen = {port: sorted(found) for port, found in passed.items()}
    found = []
    for number in range(len(ports) - 1, -1, -1):
        port = ports[number]
        while (behind := unseen.get(port)) and behind[-1][0] >= number:
            last[port] = min(last.get(port, inf), behind.pop()[1])
        if number in arrived:
            last[port] = arrived[number]
        found.append(last.get(port, inf))
    return found[::-1]


class Traffic:
    """A context manager: sends each probe in turn on every site, so many in a second on each.

    Between them, on each port, it sends one of the ``passing`` frames: by when that arrives, all before it
    were decided. At the end all that was sent has been dealt with.
    """

    def __init__(
        self, sites: Mapping[str, Wires], probes: Sequence[Probe], rate: float, passing: Mapping[int, bytes]
    ) -> None:
        self._sites = sites
        self._probes = probes
        self._passing = passing
        self._pause = 1 / rate
        self._sent = array("d")
        """When each packet was sent (``time.time``), by its number; a moment before it was, never after."""
        self._arrived: Mapping[str, dict[int, float]] = {site: {} for site in sites}
        """When each packet arrived that did, by its number."""
        self._passed: Mapping[str, dict[int, list[_Passed]]] = {
            site: {port: [] for port in passing} for site in sites
        }
        self._stale: Mapping[str, set[int]] = {site: set() for site in sites}
        self._examined = dict.fromkeys(sites, 0)
        self._failure: OSError | None = None
        self._ends, self._is_over = threading.Event(), threading.Event()
        self._sending = threading.Lock()
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._send, self._receive)]

    def __enter__(self) -> Traffic:
        for wires in self._sites.values():
            for wire in wires.values():
                wire.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
                wire.setblocking(False)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.set()
        self._threads[0].join()
        if self._failure is None and kind is None:
            self._wait_until_decided()
        self._is_over.set()
        self._threads[1].join()
        if self._failure is not None:
            raise self._failure

    @property
    def sent(self) -> int:
        """How many packets were sent on each site so far."""
        return len(self._sent)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Send nothing inside; all that was sent before has been dealt with."""
        with self._sending:
            self._wait_until_decided()
            yield

    def _wait_until_decided(self) -> None:
        if not self._sent:
            return
        self._send_passing(self.sent - 1)
        end = time.monotonic() + _LAST_SECONDS
        while not self._all_decided() and time.monotonic() < end:
            time.sleep(_ARRIVAL_SECONDS)

    def _all_decided(self) -> bool:
        """Whether what was sent behind all packets has arrived."""
        passed = (found for ports in self._passed.values() for found in ports.values())
        return all(found and found[-1].number == self.sent - 1 for found in passed)

    def counts(self, site: str, record: Record) -> dict[str, Count]:
        """By the kind of moment at which it was sent: what became of every packet of a site."""
        found: dict[str, Count] = {}
        for number, kind, passes, _ in self._judged(site, record, 0, len(self._sent)):
            arrived, stale = number in self._arrived[site], number in self._stale[site]
            found.setdefault(kind.value, Count()).add(passes, arrived=arrived, stale=stale)
        return found

    def examine(self, site: str, record: Record, passes_tables: Callable[[Probe], bool]) -> None:
        """Look at each packet that leaked or was lost since this was last asked; inside :meth:`paused`.

        Where the tables were those of a confirmed policy, and would have treated it rightly, it is a stale
        flow in the switch's cache that did not, and the packet counts as that.
        """
        first, end = self._examined[site], len(self._sent)
        for number, _, passes, is_confirmed in self._judged(site, record, first, end):
            wrong = len({*passes}) == 1 and (number in self._arrived[site]) is not passes[-1]
            probe = self._probes[number % len(self._probes)]
            if wrong and is_confirmed and passes_tables(probe) is passes[-1]:
                self._stale[site].add(number)
        self._examined[site] = end

    def _judged(
        self, site: str, record: Record, first: int, end: int
    ) -> Iterator[tuple[int, Kind, list[bool], bool]]:
        """Yield of packets: number, kind of moment, whether it passes under what held then, is it confirmed.

        The last as :meth:`Record.is_confirmed` says.
        """
        known = len(self._sent)
        ports = [self._probes[number % len(self._probes)].port for number in range(known)]
        ends = dealt_with(ports, self._arrived[site], self._passed[site])
        for number in range(first, end):
            kind, policies = record.judge(self._sent[number], ends[number])
            passes = self._probes[number % len(self._probes)].passes
            is_confirmed = record.is_confirmed(self._sent[number], ends[number])
            yield number, kind, [passes[policy] for policy in policies], is_confirmed

    def _send(self) -> None:
        due = time.monotonic()
        for number in itertools.count():
            if self._ends.is_set():
                return
            probe = self._probes[number % len(self._probes)]
            frame = probe.frame + _TRAILER.pack(_MARK, number)
            with self._sending:
                self._sent.append(time.time())
                try:
                    for wires in self._sites.values():
                        wires[probe.port].send(frame)
                    if number % _PASSING_EVERY == 0:
                        self._send_passing(number)
                except OSError as error:
                    self._failure = error
                    return
            due = max(due + self._pause, time.monotonic() - 1)
            time.sleep(max(0.0, due - time.monotonic()))

    def _send_passing(self, number: int) -> None:
        """Behind all packets up to this one, on every port."""
        for port, passing in self._passing.items():
            frame = passing + _TRAILER.pack(_PASSING_MARK | port, number)
            for wires in self._sites.values():
                wires[port].send(frame)

    def _receive(self) -> None:
        with selectors.DefaultSelector() as selector:
            for site, wires in self._sites.items():
                for wire in wires.values():
                    selector.register(wire, selectors.EVENT_READ, _Receiver(site, wire))
            while not self._is_over.is_set():
                for key, _ in selector.select(0.1):
                    self._take(key.data)

    def _take(self, receiver: _Receiver) -> None:
        while True:
            try:
                frame = receiver.wire.recv(2048)
            except BlockingIOError:
                return
            if len(frame) > _TRAILER.size:
                mark, number = _TRAILER.unpack_from(frame, len(frame) - _TRAILER.size)
                if mark == _MARK:
                    self._arrived[receiver.site].setdefault(number, time.time())
                elif mark & ~_PORTS_OF_MARK == _PASSING_MARK:
                    passed = _Passed(number, time.time())
                    self._passed[receiver.site][mark & _PORTS_OF_MARK].append(passed)
