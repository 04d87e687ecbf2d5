"""Run the session of one known switch: its waiting steps, and the connection in use.

There is no thread per switch: a step is taken on arrival, or after the step under way. Long work is a job,
done in a thread for all switches. Its result is another step, so no switch waits for it.
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

from op25b_app.controller.message_tap import why_ended
from op25b_app.controller.send_queue import SendQueue
from op25b_app.net.port_number import PortNumbers
from op25b_app.operate.events import Journal
from op25b_app.sync.desired_state import DesiredState
from op25b_app.sync.protocol import SwitchFeatures
from op25b_app.sync.session import Session
from op25b_app.sync.status import Job, Outcome, needs_operator

INBOX = 256
"""Maximum number of waiting steps; beyond it, messages of the switch are not read."""
ROOM_SECONDS = 0.02
"""Seconds between looks for room among the waiting steps."""
MAX_SECONDS_IN_A_ROW = 0.01
"""Seconds of waiting steps before other green threads have a turn."""

INTERNAL_ERROR = "internal error of op25b; its log says more"

Step = Callable[[float], Outcome]
"""Gives the session an input, at a time in seconds since 1970."""

log = logging.getLogger("op25b")


class SwitchRunner:
    """Takes the steps of a session one after the other, and carries out their outcomes.

    ``now`` returns seconds since 1970, ``do`` has a job done and posts its result, and ``on_idle`` is called
    when no step is left.
    """

    def __init__(
        self,
        session: Session,
        journal: Journal,
        *,
        now: Callable[[], float],
        do: Callable[[SwitchRunner, Job, Any], None],
        on_idle: Callable[[SwitchRunner], None],
    ) -> None:
        self.session = session
        self.generation = self._assigned = 0
        """Number of the policy that the session follows, once no step is left."""
        self.due_at = math.inf
        """Time of the next call of :meth:`tick`, in seconds since 1970."""
        self._journal = journal
        self._now = now
        self._do = do
        self._on_idle = on_idle
        self._inbox: deque[tuple[Step, Any]] = deque()
        self._busy = False
        self._ports: dict[Any, tuple[frozenset[int], PortNumbers]] = {}
        """By connection, the ports and their names that wait to be passed to the session."""
        self._datapath: Any = None
        self._send_queue: SendQueue | None = None

    @property
    def is_forgettable(self) -> bool:
        """True where the switch is neither connected nor in the policy."""
        return self._datapath is None and self.session.desired is None

    def enqueue(self, step: Step, datapath: Any = None) -> None:
        """Have the session take a step; one of a connection that is no longer in use is ignored."""
        self._inbox.append((step, datapath))
        if not self._busy:
            self._work()

    def on_message(self, message: bytes, datapath: Any) -> None:
        """Have the session read a message; where too many steps wait, its connection waits, too."""
        while len(self._inbox) >= INBOX:
            hub.sleep(ROOM_SECONDS)
        self.enqueue(partial(self.session.receive, message), datapath)

    def ports_changed(self, ports: frozenset[int], names: PortNumbers, datapath: Any) -> None:
        """Pass the present ports of a connection to the session, in place of ports that still wait."""
        is_pending = datapath in self._ports
        self._ports[datapath] = ports, names
        if not is_pending:
            self.enqueue(partial(self._pass_ports, datapath), datapath)

    def tick(self) -> None:
        """Have the session act on the time, unless steps are being taken."""
        if not self._busy:
            self.enqueue(self.session.tick)

    def assign(self, desired: DesiredState | None, generation: int) -> None:
        """Have the session follow a desired state, or none, of the policy with this number."""

        def step(now: float) -> Outcome:
            self._assigned = generation
            return self.session.assign(desired, now)

        self.enqueue(step)

    def connect(self, datapath: Any, connection: SwitchFeatures) -> None:
        """Have the session begin over a connection, in place of the one in use."""

        def step(now: float) -> Outcome:
            self._use(datapath)
            return self.session.connected(connection, now)

        self.enqueue(step)

    def contest(self, addresses: Sequence[str]) -> None:
        """Report the addresses that contest the datapath id; none where a single connection claims it.

        The end of a contest is no news of a connection that has ended with it.
        """
        if self._datapath is not None and self._datapath.has_ended:
            self.disconnect(self._datapath)
        self.enqueue(partial(self.session.contested, addresses))

    def take_shortcomings(self, reasons: Sequence[str]) -> None:
        """Report why what is desired of the switch may not be what it should be."""
        self.enqueue(partial(self.session.take_shortcomings, reasons))

    def disconnect(self, datapath: Any) -> None:
        """Report the end of a connection to the session; one that is no longer in use is ignored."""

        def step(now: float) -> Outcome:
            self._use(None)
            return self.session.disconnected(now, why_ended(datapath))

        self.enqueue(step, datapath)

    def _pass_ports(self, datapath: Any, now: float) -> Outcome:
        ports, names = self._ports.pop(datapath)
        return self.session.ports_changed(ports, now, names)

    def _work(self) -> None:
        """Take the waiting steps, one after the other."""
        self._busy, self.due_at = True, math.inf
        began = time.monotonic()
        while self._inbox:
            self._finish(*self._inbox.popleft())
            if time.monotonic() - began > MAX_SECONDS_IN_A_ROW:
                hub.sleep(0)
                began = time.monotonic()
        self._busy, self.due_at = False, self.session.due_at
        self.generation = self._assigned
        self._on_idle(self)

    def _finish(self, step: Step, datapath: Any) -> None:
        """Take a step, unless it is of a connection that is no longer in use."""
        if datapath is not None and datapath is not self._datapath:
            self._ports.pop(datapath, None)
            return
        try:
            began = self._now()
            outcome = step(began)
            self.session.ended(began, self._now())
            self._carry_out(outcome)
        except Exception:
            # An error in op25b gives up what is under way on this switch, and nothing else.
            log.exception("%s: internal error", self)
            self._carry_out(self.session.fail(INTERNAL_ERROR, self._now()))

    def _carry_out(self, outcome: Outcome) -> None:
        """Send and log the outcome of a step, and have its job done."""
        if self._send_queue is not None:
            self._send_queue.send(outcome.chunks)
        now, is_stranger = self._now(), self.session.desired is None
        if outcome.new_status is not None:
            level = logging.WARNING if needs_operator(outcome.new_status.state) else logging.INFO
            text = f"{outcome.new_status.state.value}: {outcome.new_status.reason}"
            log.log(level, "%s: %s", self, text)
            self._journal.record(now, self.session.name, "state", text, stranger=is_stranger)
        for event in outcome.events:
            log.warning("%s: %s", self, event.text)
            self._journal.record(now, self.session.name, event.kind, event.text, stranger=is_stranger)
        if outcome.job is not None:
            self._do(self, outcome.job, self._datapath)

    def _use(self, datapath: Any) -> None:
        """Replace the connection in use by this one, or by none."""
        if self._send_queue is not None:
            self._send_queue.close()
        if datapath is not None and self._datapath is not None:
            # Ryu tells every application of it, and may wait for the one that has called this.
            hub.spawn(self._datapath.close)
        self._datapath = datapath
        self._send_queue = datapath and SendQueue(datapath)

    def __str__(self) -> str:
        dpid = f"dpid {self.session.dpid:#x}"
        return dpid if self.session.desired is None else f"{self.session.name} ({dpid})"
