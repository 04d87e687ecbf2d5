"""A switch that this process knows: its session, the steps that wait for it, and the connection in use.

It has no thread of its own: a step is taken where it comes in, or after the one that is being taken. What
takes long is deferred to a thread for all switches, so that nothing else waits for it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from functools import partial
from typing import Any

from ryu.lib import hub

from op25b_app.operate.background import in_background
from op25b_app.operate.events import Journal
from op25b_app.outbox import Outbox
from op25b_app.switch.assignment import Assignment
from op25b_app.switch.session import AS_WANTED, Connection, Outcome, Session, State
from op25b_app.unread import why_ended

INBOX = 256
"""Steps that may wait while one is taken; whoever comes with one more waits."""

CALM = {*AS_WANTED, State.CONNECTING, State.INSTALLING}

Step = Callable[[float], Outcome]
"""Gives the session an input, at a time in seconds since 1970."""

log = logging.getLogger("op25b")


class KnownSwitch:
    """Takes steps with a session, one after the other, and carries out what comes of them.

    ``now`` is the time in seconds since 1970, ``defer`` has something done in another thread, and
    ``rests`` is called when no step is left to take.
    """

    def __init__(
        self,
        session: Session,
        journal: Journal,
        *,
        now: Callable[[], float],
        defer: Callable[[Callable[[], None]], None],
        rests: Callable[[KnownSwitch], None],
    ) -> None:
        self.session = session
        self.generation = self._assigned = 0
        """Which of the policies that have been put in force the session follows, all steps taken."""
        self.due_at = math.inf
        """When to call :meth:`tick`, in seconds since 1970."""
        self._journal = journal
        self._now = now
        self._defer = defer
        self._rests = rests
        self._inbox = hub.Queue(INBOX)
        self._busy = False
        self._datapath: Any = None
        self._outbox: Outbox | None = None

    @property
    def is_nobody(self) -> bool:
        """Whether it is neither connected nor in the policy, nor about to be."""
        return self._datapath is None and self.session.assignment is None and not self._inbox.putting()

    def post(self, step: Step, datapath: Any = None) -> None:
        """Have the session take a step; one of a connection that is no longer in use counts for nothing."""
        waits = self._busy
        if waits:
            self._inbox.put((step, datapath))
            # Where there was no room for it, nobody may be busy any more.
            if self._busy:
                return
        self._busy, self.due_at = True, math.inf
        if waits or self._done(step, datapath):
            self._work()

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

    def disconnect(self, datapath: Any) -> None:
        def step(now: float) -> Outcome:
            self._use(None)
            return self.session.disconnected(now, why_ended(datapath))

        self.post(step, datapath)

    def _work(self) -> None:
        """Take the steps that have come meanwhile, up to one that leaves something for later."""
        while not self._inbox.empty():
            if not self._done(*self._inbox.get()):
                return
        self._busy, self.due_at = False, self.session.due_at
        self.generation = self._assigned
        self._rests(self)

    def _done(self, step: Step, datapath: Any) -> bool:
        counts = datapath is None or datapath is self._datapath
        return not counts or self._carry_out(self._take(step))

    def _go_on(self, step: Step) -> None:
        """Take a step that may take long, and those that have come meanwhile."""
        if self._carry_out(in_background(self._take, step)):
            self._work()

    def _take(self, step: Step) -> Outcome:
        began = self._now()
        try:
            outcome = step(began)
        except Exception:
            log.exception("%s: internal error", self)
            outcome = self.session.fail("internal error of op25b; its log says more", self._now())
        self.session.ended(began, self._now())
        return outcome

    def _carry_out(self, outcome: Outcome) -> bool:
        """Tell and send what comes of a step; whether that is all, or something more is deferred."""
        if outcome.turned is not None:
            level = logging.INFO if outcome.turned.state in CALM else logging.WARNING
            text = f"{outcome.turned.state.value}: {outcome.turned.reason}"
            log.log(level, "%s: %s", self, text)
            self._journal.record(outcome.turned.since, self.session.name, "state", text)
        for event in outcome.events:
            log.warning("%s: %s", self, event.text)
            self._journal.record(self._now(), self.session.name, event.kind, event.text)
        if self._outbox is not None:
            self._outbox.send(outcome.pieces)
        if outcome.later is None:
            return True
        self._defer(partial(self._go_on, outcome.later))
        return False

    def _use(self, datapath: Any) -> None:
        """Speak over this connection from now on, or over none."""
        if self._outbox is not None:
            self._outbox.close()
        if datapath is not None and self._datapath is not None:
            log.warning(
                "%s: connected from %s, while the connection from %s is open: closing that; "
                "do two switches have this datapath id?",
                self,
                *(each.address[0] for each in (datapath, self._datapath)),
            )
            # Ryu tells every application of it, and may wait for the one that has called this.
            hub.spawn(self._datapath.close)
        self._datapath = datapath
        self._outbox = datapath and Outbox(datapath)

    def __str__(self) -> str:
        dpid = f"dpid {self.session.dpid:#x}"
        return dpid if self.session.assignment is None else f"{self.session.name} ({dpid})"
