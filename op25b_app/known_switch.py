"""A switch that this process knows: its session, the steps that wait for it, and the connection in use.

It has no thread of its own: a step is taken where it comes in, or after the one that is being taken. What
takes long is a job, done in a thread for all switches; its result is a step like any other, so that neither
this switch nor another one waits for it.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ryu.lib import hub

from op25b_app.operate.events import Journal
from op25b_app.outbox import Outbox
from op25b_app.sync.desired_state import Assignment
from op25b_app.sync.session import Connection, Session
from op25b_app.sync.status import AS_WANTED, ON_THE_WAY, Job, Outcome
from op25b_app.unread import why_ended

INBOX = 256
"""So many steps may wait while one is taken; then messages of the switch are not read any more."""
ROOM_SECONDS = 0.02
"""How often it is looked whether there is room again."""
MOST_SECONDS_ON_END = 0.01
"""For how long steps that have waited are taken before others have a turn."""

CALM = {*AS_WANTED, *ON_THE_WAY}

INTERNAL_ERROR = "internal error of op25b; its log says more"

Step = Callable[[float], Outcome]
"""Gives the session an input, at a time in seconds since 1970."""

log = logging.getLogger("op25b")


class KnownSwitch:
    """Takes steps with a session, one after the other, and carries out what comes of them.

    ``now`` is the time in seconds since 1970, ``do`` has a job done and posts what comes of it, and ``rests``
    is called when no step is left to take.
    """

    def __init__(
        self,
        session: Session,
        journal: Journal,
        *,
        now: Callable[[], float],
        do: Callable[[KnownSwitch, Job, Any], None],
        rests: Callable[[KnownSwitch], None],
    ) -> None:
        self.session = session
        self.generation = self._assigned = 0
        """Which of the policies that have been put in force the session follows, all steps taken."""
        self.due_at = math.inf
        """When to call :meth:`tick`, in seconds since 1970."""
        self._journal = journal
        self._now = now
        self._do = do
        self._rests = rests
        self._inbox: deque[tuple[Step, Any]] = deque()
        self._busy = False
        self._ports: dict[Any, frozenset[int]] = {}
        """By connection those that the session is still to be told of."""
        self._datapath: Any = None
        self._outbox: Outbox | None = None

    @property
    def is_nobody(self) -> bool:
        """Whether it is neither connected nor in the policy."""
        return self._datapath is None and self.session.assignment is None

    def post(self, step: Step, datapath: Any = None) -> None:
        """Have the session take a step; one of a connection that is no longer in use is ignored."""
        self._inbox.append((step, datapath))
        if not self._busy:
            self._work()

    def hear(self, message: bytes, datapath: Any) -> None:
        """Have the session read a message; where too many wait already, its connection waits, too."""
        while len(self._inbox) >= INBOX:
            hub.sleep(ROOM_SECONDS)
        self.post(partial(self.session.receive, message), datapath)

    def ports_changed(self, ports: frozenset[int], datapath: Any) -> None:
        """The ports of a connection are these now, whatever was said of them and is not told yet."""
        is_pending = datapath in self._ports
        self._ports[datapath] = ports
        if not is_pending:
            self.post(partial(self._tell_ports, datapath), datapath)

    def tick(self) -> None:
        if not self._busy:
            self.post(self.session.tick)

    def assign(self, assignment: Assignment | None, generation: int) -> None:
        def step(now: float) -> Outcome:
            self._assigned = generation
            return self.session.assign(assignment, now)

        self.post(step)

    def connect(self, datapath: Any, connection: Connection) -> None:
        def step(now: float) -> Outcome:
            self._use(datapath)
            return self.session.connected(connection, now)

        self.post(step)

    def contest(self, addresses: Sequence[str]) -> None:
        """So many connections claim the datapath id; with none it is claimed by one alone."""
        self.post(partial(self.session.contested, addresses))

    def disconnect(self, datapath: Any) -> None:
        def step(now: float) -> Outcome:
            self._use(None)
            return self.session.disconnected(now, why_ended(datapath))

        self.post(step, datapath)

    def _tell_ports(self, datapath: Any, now: float) -> Outcome:
        return self.session.ports_changed(self._ports.pop(datapath), now)

    def _work(self) -> None:
        """Take the steps that have come, one after the other."""
        self._busy, self.due_at = True, math.inf
        began = time.monotonic()
        while self._inbox:
            self._finish(*self._inbox.popleft())
            if time.monotonic() - began > MOST_SECONDS_ON_END:
                hub.sleep(0)
                began = time.monotonic()
        self._busy, self.due_at = False, self.session.due_at
        self.generation = self._assigned
        self._rests(self)

    def _finish(self, step: Step, datapath: Any) -> None:
        """Take a step, unless it is of a connection that is no longer in use."""
        if datapath is not None and datapath is not self._datapath:
            self._ports.pop(datapath, None)
            return
        try:
            self._carry_out(self._take(step))
        except Exception:
            # A mistake of ours gives up what is under way on this switch, and nothing else.
            log.exception("%s: internal error", self)
            self._carry_out(self.session.fail(INTERNAL_ERROR, self._now()))

    def _take(self, step: Step) -> Outcome:
        began = self._now()
        outcome = step(began)
        self.session.ended(began, self._now())
        return outcome

    def _carry_out(self, outcome: Outcome) -> None:
        """Send and tell what comes of a step, and have its job done."""
        if self._outbox is not None:
            self._outbox.send(outcome.pieces)
        now, is_stranger = self._now(), self.session.assignment is None
        if outcome.turned is not None:
            level = logging.INFO if outcome.turned.state in CALM else logging.WARNING
            text = f"{outcome.turned.state.value}: {outcome.turned.reason}"
            log.log(level, "%s: %s", self, text)
            self._journal.record(now, self.session.name, "state", text, stranger=is_stranger)
        for event in outcome.events:
            log.warning("%s: %s", self, event.text)
            self._journal.record(now, self.session.name, event.kind, event.text, stranger=is_stranger)
        if outcome.job is not None:
            self._do(self, outcome.job, self._datapath)

    def _use(self, datapath: Any) -> None:
        """Speak over this connection from now on, or over none."""
        if self._outbox is not None:
            self._outbox.close()
        if datapath is not None and self._datapath is not None:
            # Ryu tells every application of it, and may wait for the one that has called this.
            hub.spawn(self._datapath.close)
        self._datapath = datapath
        self._outbox = datapath and Outbox(datapath)

    def __str__(self) -> str:
        dpid = f"dpid {self.session.dpid:#x}"
        return dpid if self.session.assignment is None else f"{self.session.name} ({dpid})"
