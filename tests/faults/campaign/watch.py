"""What is so, as the switches themselves tell it, and what op25b says of it meanwhile."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, TypeVar

from op25b_app.compiler.marker import is_marker
from op25b_app.openflow import codec
from op25b_app.openflow.flow_monitor import FlowEvent, decode_updates, encode_monitor_request, is_flow_update
from op25b_app.openflow.flow_rule import FlowRule
from op25b_app.operate.control_client import NoControllerError
from op25b_app.sync.ruleset import Key
from testing.fake_switch.wire import Stream
from testing.openflow_client import SET_CONFIG
from tests.faults.campaign.world import Honest, World, descriptors_of, memory_of, seconds_of, waited_by

READ_SECONDS = 0.1
"""How often each table is read."""
ASK_SECONDS = 0.1
"""How often op25b is asked for its status."""
_MEASURE_SECONDS = 0.5
_READ_XID, _MONITOR_XID = 7, 8
_ASK_LIMIT_SECONDS = 20.0

_Self = TypeVar("_Self", bound="_Watch")


@dataclass
class Deviation:
    """A time in which a table was not as the policy says; ``end`` is None while it lasts.

    Moments are those of ``time.monotonic``; ``wall`` is the begin in seconds since 1970.
    """

    begin: float
    wall: float
    end: float | None = None
    waited: float = 0.0
    """How long the controller was ready meanwhile and had no processor, in seconds."""
    keys: set[Key] = field(default_factory=set)


class Table:
    """What one switch holds, as it is read and as the switch tells of changes in between."""

    def __init__(self, wanted: Iterable[FlowRule], waits: Callable[[], float] = lambda: 0.0) -> None:
        """``waits`` gives for how long the controller has waited for a processor so far, in seconds."""
        self.deviations: list[Deviation] = []
        self._waits = waits
        self.reads = 0
        self._wanted = {rule.key: rule for rule in wanted}
        self._wrong: set[Key] = set()

    @property
    def is_right(self) -> bool:
        return not self._wrong

    def read(self, rules: Iterable[FlowRule], now: float) -> None:
        """The whole table was read."""
        self.reads += 1
        found = {rule.key: rule for rule in rules if not is_marker(rule)}
        keys = {key for key, rule in found.items() if self._wanted.get(key) != rule}
        self._note(keys | (self._wanted.keys() - found.keys()), now)

    def reported(self, event: FlowEvent, rule: FlowRule, now: float) -> None:
        """The switch tells that a rule is there, or gone."""
        if is_marker(rule):
            return
        wanted = self._wanted.get(rule.key)
        is_right = wanted is None if event is FlowEvent.REMOVED else wanted == rule
        self._note(self._wrong - {rule.key} if is_right else self._wrong | {rule.key}, now)

    def _note(self, wrong: set[Key], now: float) -> None:
        if wrong and not self._wrong:
            self.deviations.append(Deviation(now, time.time(), waited=-self._waits()))
        if wrong:
            self.deviations[-1].keys |= wrong
        elif self._wrong:
            self.deviations[-1].waited += self._waits()
            self.deviations[-1].end = now
        self._wrong = wrong


class _Watch:
    """A context manager with a thread; ``fault`` is what it stumbled over."""

    def __init__(self) -> None:
        self.fault: Exception | None = None
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._guard, daemon=True)

    def __enter__(self: _Self) -> _Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.set()
        self._thread.join()

    def _guard(self) -> None:
        try:
            self._run()
        except Exception as fault:
            self.fault = fault

    def _run(self) -> None:
        raise NotImplementedError


class _Reader:
    """A connection of its own to a bridge, over which the table is read."""

    def __init__(self, path: Path, switch: Honest, table: Table) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self._version = switch.version
        self._table = table
        self._stream = Stream()
        self._rules: list[FlowRule] = []
        self._is_asked = False
        hello = bytes([self._version, 0, 0, 8, 0, 0, 0, 0])
        config = bytes([self._version, SET_CONFIG, 0, 12, 0, 0, 0, 0, 0, 0, 0, 128])
        self.socket.sendall(hello + config + encode_monitor_request(version=self._version, xid=_MONITOR_XID))

    def ask(self) -> None:
        """Ask for the table, unless an answer is still to come."""
        if not self._is_asked:
            self._is_asked = True
            self.socket.sendall(codec.encode_flow_stats_request(version=self._version, xid=_READ_XID))

    def take(self) -> None:
        """Read what has come."""
        piece = self.socket.recv(1 << 18)
        now = time.monotonic()
        if not piece:
            raise ConnectionError("a bridge has closed the connection of the monitor")
        for message in self._stream.feed(piece):
            if is_flow_update(message.raw):
                for update in decode_updates(message.raw):
                    if update.event in (FlowEvent.ADDED, FlowEvent.REMOVED, FlowEvent.MODIFIED):
                        self._table.reported(update.event, update.rule, now)
            elif codec.is_flow_stats_reply(message.raw):
                self._rules += [each.rule for each in codec.decode_flow_stats(message.raw)]
                if not codec.has_more(message.raw):
                    self._table.read(self._rules, now)
                    self._rules, self._is_asked = [], False


class TableWatch(_Watch):
    """Reads the table of each honest switch ten times a second, and is told of changes in between."""

    def __init__(self, world: World, wanted: Mapping[str, Iterable[FlowRule]]) -> None:
        super().__init__()
        waits = partial(waited_by, world.pid)
        self.tables = {each.name: Table(wanted[each.name], waits) for each in world.switches}
        self._readers = [
            _Reader(world.ovs.directory / f"{each.name}.mgmt", each, self.tables[each.name])
            for each in world.switches
        ]

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            for reader in self._readers:
                selector.register(reader.socket, selectors.EVENT_READ, reader)
            due = time.monotonic()
            while not self._ends.is_set():
                if time.monotonic() >= due:
                    due = max(due + READ_SECONDS, time.monotonic())
                    for reader in self._readers:
                        reader.ask()
                for key, _ in selector.select(max(0.0, due - time.monotonic())):
                    key.data.take()
        for reader in self._readers:
            reader.socket.close()


class StatusReport(NamedTuple):
    """An answer of op25b: when it came, how long it took, and the state of each honest switch."""

    at: float
    seconds: float
    states: Mapping[str, str]
    reasons: Mapping[str, str]
    longest_lag: float
    late: int


class StateWatch(_Watch):
    """Asks op25b for its status all the time."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.reported: list[StatusReport] = []
        self.unanswered = 0
        self._world = world
        self._names = [each.name for each in world.switches]

    def _run(self) -> None:
        while not self._ends.is_set():
            asked = time.monotonic()
            try:
                status = self._world.status(_ASK_LIMIT_SECONDS)
            except NoControllerError:
                self.unanswered += 1
                self._ends.wait(ASK_SECONDS)
                continue
            now = time.monotonic()
            switches = {name: status["switches"][name] for name in self._names}
            self.reported.append(
                StatusReport(
                    now,
                    now - asked,
                    {name: each["state"] for name, each in switches.items()},
                    {name: each["reason"] for name, each in switches.items()},
                    status["event_loop"]["longest_lag"],
                    status["event_loop"]["late"],
                )
            )
            self._ends.wait(ASK_SECONDS)


class Sample(NamedTuple):
    """What the controller's process takes: KiB of memory, open descriptors, seconds of CPU time."""

    at: float
    memory: int
    descriptors: int
    cpu: float


class ProcessWatch(_Watch):
    """Measures the controller's process twice a second."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.samples: list[Sample] = []
        self._pid = world.pid

    def _run(self) -> None:
        while True:
            pid = self._pid
            self.samples.append(
                Sample(time.monotonic(), memory_of(pid), descriptors_of(pid), seconds_of(pid))
            )
            if self._ends.wait(_MEASURE_SECONDS):
                return
