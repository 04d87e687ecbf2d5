"""Keep the known switches, and the green threads that they share: one for the time, two for jobs."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from ryu.lib import hub

from op25b_app.controller.green_threads import repeat
from op25b_app.controller.serial_executor import COMPARING, PROVING, SerialExecutor
from op25b_app.controller.switch_runner import INTERNAL_ERROR, SwitchRunner
from op25b_app.operate.events import Journal
from op25b_app.operate.fair_queue import FairQueue
from op25b_app.sync.session import Session
from op25b_app.sync.status import Job

MAX_SECONDS = 5.0
"""Maximum timer sleep, in seconds; a clock that was set forward is noticed then."""

log = logging.getLogger("op25b")


class SwitchRegistry:
    """The switches of the policy and those that are connected, by datapath id.

    ``now`` returns the time in seconds since 1970.
    """

    def __init__(self, journal: Journal, audit_seconds: float, now: Callable[[], float]) -> None:
        self._journal = journal
        self._audit_seconds = audit_seconds
        self._now = now
        self._known: dict[int, SwitchRunner] = {}
        self._comparisons, self._proofs = _Jobs(COMPARING), _Jobs(PROVING)
        self._wakes_at = math.inf
        self._sooner = hub.Event()
        repeat(self._tick_due)
        for jobs in (self._comparisons, self._proofs):
            repeat(jobs.do_next)

    def __iter__(self) -> Iterator[SwitchRunner]:
        return iter([*self._known.values()])

    def make_known(self, dpid: int) -> SwitchRunner:
        """Return the switch with this datapath id; make it known if it was not."""
        if dpid not in self._known:
            self._known[dpid] = SwitchRunner(
                Session(dpid, self._now(), self._audit_seconds),
                self._journal,
                now=self._now,
                do=self._do,
                on_idle=self._on_idle,
            )
        return self._known[dpid]

    def _on_idle(self, switch: SwitchRunner) -> None:
        dpid = switch.session.dpid
        if switch.is_forgettable:
            # A forgotten switch may still take steps, after its successor was made.
            if self._known.get(dpid) is switch:
                del self._known[dpid]
        elif switch.due_at < self._wakes_at:
            self._wakes_at = switch.due_at
            self._sooner.set()

    def _tick_due(self) -> None:
        """Wait until a switch is due, and tick each that is."""
        self._wakes_at = min((switch.due_at for switch in self), default=math.inf)
        self._sooner.wait(timeout=min(max(self._wakes_at - self._now(), 0.0), MAX_SECONDS))
        self._sooner.clear()
        now = self._now()
        for switch in [each for each in self if each.due_at <= now]:
            switch.tick()
            hub.sleep(0)

    def _do(self, switch: SwitchRunner, job: Job, datapath: Any) -> None:
        jobs = self._proofs if job.proves else self._comparisons
        jobs.add(switch, job, datapath)


class _Jobs:
    """The jobs that wait for one executor, the last one of each switch."""

    def __init__(self, executor: SerialExecutor) -> None:
        self._executor = executor
        self._queue: FairQueue[SwitchRunner, tuple[Job, Any]] = FairQueue()
        self._more = hub.Event()

    def add(self, switch: SwitchRunner, job: Job, datapath: Any) -> None:
        """Add a job for a switch over a connection; it replaces a waiting job of the same switch."""
        self._queue.add(switch, (job, datapath))
        self._more.set()

    def do_next(self) -> None:
        """Wait until there is a job, do it, and hand its switch the result."""
        while not self._queue:
            self._more.clear()
            self._more.wait()
        began = time.monotonic()
        switch, (job, datapath) = self._queue.take(began)
        try:
            result = self._executor.do(job.work)
        except Exception:
            log.exception("%s: internal error", switch)
            step = partial(job.fail, INTERNAL_ERROR)
        else:
            step = partial(job.then, result)
        self._queue.count(switch, began, time.monotonic())
        switch.enqueue(step, datapath)
