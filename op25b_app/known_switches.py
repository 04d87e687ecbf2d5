"""The switches that this process knows, and two threads that they share: for the time and for long work."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator

from ryu.lib import hub

from op25b_app.known_switch import KnownSwitch
from op25b_app.operate.events import Journal
from op25b_app.switch.session import Session

MOST_SECONDS = 5.0
"""How long nobody looks at the clock at most; one that was set forward is noticed then."""

log = logging.getLogger("op25b")


class KnownSwitches:
    """Those of the policy, and those that are connected, by datapath id.

    ``now`` is the time in seconds since 1970.
    """

    def __init__(self, journal: Journal, audit_seconds: float, now: Callable[[], float]) -> None:
        self._journal = journal
        self._audit_seconds = audit_seconds
        self._now = now
        self._known: dict[int, KnownSwitch] = {}
        # At most one for each switch.
        self._deferred = hub.Queue()
        self._wakes_at = math.inf
        self._sooner = hub.Event()
        hub.spawn(_for_ever, self._tell_time)
        hub.spawn(_for_ever, self._do_deferred)

    def __iter__(self) -> Iterator[KnownSwitch]:
        return iter([*self._known.values()])

    def make_known(self, dpid: int) -> KnownSwitch:
        """The switch with this datapath id, known from now on if it was not."""
        if dpid not in self._known:
            self._known[dpid] = KnownSwitch(
                Session(dpid, self._now(), self._audit_seconds),
                self._journal,
                now=self._now,
                defer=self._deferred.put,
                rests=self._rests,
            )
        return self._known[dpid]

    def _rests(self, switch: KnownSwitch) -> None:
        dpid = switch.session.dpid
        if switch.is_nobody:
            # One that was forgotten before may still be spoken to, and has a successor.
            if self._known.get(dpid) is switch:
                del self._known[dpid]
        elif switch.due_at < self._wakes_at:
            self._wakes_at = switch.due_at
            self._sooner.set()

    def _tell_time(self) -> None:
        """Wait until somebody is due, and tell all who are."""
        self._wakes_at = min((switch.due_at for switch in self), default=math.inf)
        self._sooner.wait(timeout=min(max(self._wakes_at - self._now(), 0.0), MOST_SECONDS))
        self._sooner.clear()
        now = self._now()
        for switch in [each for each in self if each.due_at <= now]:
            switch.tick()
            hub.sleep(0)

    def _do_deferred(self) -> None:
        self._deferred.get()()


def _for_ever(work: Callable[[], None]) -> None:
    """A mistake of ours ends no thread that all switches share."""
    while True:
        try:
            work()
        except Exception:
            log.exception("internal error")
            hub.sleep(MOST_SECONDS)
