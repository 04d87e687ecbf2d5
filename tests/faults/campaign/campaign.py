"""One campaign: honest switches, traffic, a monitor, harms, and the attack; then what came of it."""

from __future__ import annotations

import gc
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

from benchmarks.convergence.record import Record
from benchmarks.convergence.traffic import Traffic
from testing.patience import HANG_SECONDS
from tests.faults.campaign.disturb import Disturber
from tests.faults.campaign.heartbeat import WRITE_SECONDS
from tests.faults.campaign.hostile import KINDS
from tests.faults.campaign.hostile.__main__ import slots
from tests.faults.campaign.promises import Beat, Found
from tests.faults.campaign.watch import Deviation, ProcessWatch, Sample, StateWatch, TableWatch
from tests.faults.campaign.world import (
    FIRST_HOSTILE,
    TWIN,
    World,
    descriptors_of,
    memory_of,
    seconds_of,
)

RATE = 15.0
"""Packets a second on each honest switch."""
_ROOT = Path(__file__).parents[3]
_QUIET_SECONDS = 3.0
_SETTLE_SECONDS = 60.0
_FEW = 2
"""So many descriptors more than before may be those of a question that is being answered."""
_BEFORE_SECONDS = 0.1
"""So much later than it happened may it be seen that a table is wrong."""
_MARGIN_SECONDS = 0.3
"""So long after a table is right again a cached flow may still treat a packet (docs/convergence.md)."""


@dataclass(frozen=True)
class Settings:
    """What a campaign is to be: for how long, with how many, and of which hostile kinds."""

    seconds: float = 600.0
    hostile: int = 100
    switches: int = 10
    seed: int = 25
    tls: bool = False
    kinds: tuple[str, ...] = tuple(KINDS)


class _Attack:
    """A context manager: the process that attacks, if there is any kind to attack with."""

    def __init__(self, world: World, settings: Settings) -> None:
        command = [
            *("nice", "-n", "5", sys.executable, "-m", "tests.faults.campaign.hostile"),
            *("--port", str(world.controller.port), "--pid", str(world.pid)),
            *("--policy", str(world.policy_path), "--cloned", str(world.switches[-1].dpid)),
            *("--twin", str(TWIN), "--first-dpid", str(FIRST_HOSTILE)),
            *("--slots", str(settings.hostile), "--seed", str(settings.seed)),
        ]
        if world.certificates is not None:
            command += ["--certificates", str(world.certificates.directory)]
        self._taken = slots(settings.hostile, settings.kinds)
        self._command = [*command, *settings.kinds] if settings.kinds else []

    def __enter__(self) -> _Attack:
        if self._command:
            self._process = subprocess.Popen(
                self._command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._command:
            self._process.kill()
            self._process.communicate()

    def end(self) -> dict[str, dict[str, Any]]:
        """Stop it; what each kind did. Raises subprocess.TimeoutExpired where it does not end."""
        if not self._command:
            return {}
        reported, _ = self._process.communicate(timeout=HANG_SECONDS)
        runs: dict[str, dict[str, Any]] = json.loads(reported)
        names = [kind.name for kind in self._taken]
        return {name: {**run, "slots": names.count(name)} for name, run in runs.items()}


def campaign(settings: Settings) -> Found:
    """Make a campaign. Needs root, for a network namespace; nothing outside of it is touched."""
    with TemporaryDirectory(prefix="campaign-") as folder:
        count = len(slots(settings.hostile, settings.kinds))
        with World(Path(folder), settings.switches, count, tls=settings.tls) as world:
            return _campaign(world, settings)


def _campaign(world: World, settings: Settings) -> Found:
    wanted = world.wanted()
    probes = world.probes()
    gc.freeze()
    tables, states, process = TableWatch(world, wanted), StateWatch(world), ProcessWatch(world)
    disturbers = [
        Disturber(world, each, tables.tables[each.name], [*wanted[each.name]], settings.seed)
        for each in world.switches
    ]
    started = time.time()
    with tables, states, Traffic(world.wires, probes, RATE, world.passing()) as traffic:
        time.sleep(_QUIET_SECONDS)
        before = _sample(world)
        begin = time.monotonic()
        with process, _Attack(world, settings) as attack:
            with _all(disturbers):
                _wait(world, begin + settings.seconds)
            end = time.monotonic()
            runs = attack.end()
        _settle(world, before)
        after = _sample(world) if world.controller.process.poll() is None else before
    found = Found(
        begin,
        end,
        [each.name for each in world.switches],
        world.switches[-1].name,
        [harm for each in disturbers for harm in each.harms],
        {name: table.deviations for name, table in tables.tables.items()},
        {name: table.reads for name, table in tables.tables.items()},
        [reported for reported in states.reported if begin <= reported.at],
        states.unanswered,
        _beats(world.heartbeats, begin, end),
        _places(world.heartbeats, begin, end),
        before,
        process.samples,
        after,
        runs,
        {name: _packets(traffic, name, started, table.deviations) for name, table in tables.tables.items()},
        *_log(world),
        load=os.getloadavg()[1],
        unanswered_beside=sum(each.unanswered for each in disturbers),
    )
    if (code := world.controller.process.poll()) is not None:
        found.ended = f"the controller ended with {code}: {world.controller.log[-1000:]}"
    found.faults += [fault for each in disturbers for fault in each.faults]
    found.faults += [repr(each.fault) for each in (tables, states, process) if each.fault]
    return found


@contextmanager
def _all(disturbers: Sequence[Disturber]) -> Iterator[None]:
    with ExitStack() as stack:
        for each in disturbers:
            stack.enter_context(each)
        yield
        for each in disturbers:
            each.stop()


def _wait(world: World, until: float) -> None:
    while time.monotonic() < until and world.controller.process.poll() is None:
        time.sleep(0.2)


def _settle(world: World, before: Sample) -> None:
    """Wait until the connections of the attack are gone from the controller, or it takes too long."""
    end = time.monotonic() + _SETTLE_SECONDS
    while world.controller.process.poll() is None and time.monotonic() < end:
        if descriptors_of(world.pid) <= before.descriptors + _FEW:
            return
        time.sleep(0.5)


def _sample(world: World) -> Sample:
    pid = world.pid
    return Sample(time.monotonic(), memory_of(pid), descriptors_of(pid), seconds_of(pid))


def _packets(
    traffic: Traffic, name: str, started: float, deviations: Sequence[Deviation]
) -> dict[str, dict[str, int]]:
    """What became of the packets of a switch, by whether its table was right when they were sent."""
    record = Record(started)
    for deviation in deviations:
        record.changing(deviation.wall - _BEFORE_SECONDS, 1, 0)
        if deviation.end is not None:
            back = deviation.wall + deviation.end - deviation.begin
            record.confirmed(back, 0, before=1)
            record.looked_through(back + _MARGIN_SECONDS, 0)
    return {moment: asdict(count) for moment, count in traffic.counts(name, record).items()}


def _beats(path: Path, begin: float, end: float) -> list[Beat]:
    """Those of the attack, and the silence at its end where there is one."""
    beats = [Beat(*map(float, line.split())) for line in _lines(path) if not line.startswith("#")]
    last = max((beat.at for beat in beats if beat.at <= end), default=begin)
    if end - last > 2 * WRITE_SECONDS:
        beats.append(Beat(end, end - last, 0.0))
    return [beat for beat in beats if begin <= beat.at <= end]


def _places(path: Path, begin: float, end: float) -> list[tuple[float, str]]:
    """Where the event loop was when it did not come: the moment, and its innermost functions."""
    looks = (line.split(maxsplit=2)[1:] for line in _lines(path) if line.startswith("#"))
    return [(float(look[0]), look[-1]) for look in looks if begin <= float(look[0]) <= end]


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _log(world: World) -> tuple[list[str], int, int, int]:
    """Honest switches that were lost, tracebacks, internal errors, and the size of the controller's log."""
    names = "|".join(each.name for each in world.switches)
    lost = re.compile(rf"(?:^|\s)({names}) \(dpid [^)]*\): (lost: .*)")
    found, tracebacks, internal = [], 0, 0
    dropped = re.compile(rf"rconn\|[A-Z]+\|({names})<->\w+:\S+: (.*(?:disconnecting|dropped|closed).*)")
    for match in dropped.finditer(world.ovs.log):
        found.append(f"{match[1]}: {match[2]}, says Open vSwitch")
    with world.controller.path.open(errors="replace") as lines:
        for line in lines:
            if gone := lost.search(line):
                found.append(f"{gone[1]}: {gone[2]}")
            tracebacks += line.startswith("Traceback")
            internal += "internal error" in line
    return found, tracebacks, internal, world.controller.path.stat().st_size
