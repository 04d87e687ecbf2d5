"""Schedule looks at a table: audits apart from each other, disturbances soon but within a budget."""

from __future__ import annotations

import enum

_GOLDEN_RATIO = 0.6180339887498949


class Disturbance(enum.IntEnum):
    """Kind of change on a switch since its table was read."""

    NONE = 0
    OTHERS = 1
    """Another application's rule is new, changed or gone, where it may change a verdict."""
    OURS = 2
    """A managed rule, or another rule in a table of op25b, is new, changed or gone."""


class LookBudget:
    """Budget of time for looks at a table after disturbances.

    After one of op25b's rules or tables, looks take a third of the time at most, twice a second; some seconds
    are saved for looks in a row. After one of another application's rule, a look waits for 20 times the
    duration of the last one, and for 5 s at least.
    """

    PART = 1 / 3
    MAX_SAVED = 2.0
    LEAST_COST = 0.5 * PART
    REST_SECONDS, REST_TIMES = 5.0, 20.0

    def __init__(self, now: float) -> None:
        self._began = self._ended = now
        self._left = self.MAX_SAVED + self.LEAST_COST
        """Seconds in the budget when the last look began."""

    def note(self, began: float, ended: float) -> None:
        """Count a look that began and ended at these times, in seconds."""
        self._left = min(self.MAX_SAVED, self._left - self._cost + (began - self._began) * self.PART)
        self._began, self._ended = began, ended

    def extend(self, since: float, now: float) -> None:
        """Count the time from ``since`` to ``now`` as a part of the last look, if that ended at ``since``."""
        if self._ended == since:
            self._ended = now

    def next_at(self, disturbance: Disturbance) -> float:
        """Return when to look after a disturbance, in seconds; it may be in the past."""
        if disturbance is Disturbance.OTHERS:
            return self._ended + max(self.REST_SECONDS, self.REST_TIMES * (self._ended - self._began))
        return max(self._ended, self._began + (self._cost - self._left) / self.PART)

    @property
    def _cost(self) -> float:
        return max(self._ended - self._began, self.LEAST_COST)


class RepairBudget:
    """Budget of repairs that are sent on reports alone, before the table is read.

    Another application that undoes each repair at once would else cause repairs without end. Beyond the
    budget a repair comes with the next look at the table, which has its own budget.
    """

    MOST = 50.0
    PER_SECOND = 1.0

    def __init__(self, now: float) -> None:
        self._left = self.MOST
        self._counted = now

    def take(self, cost: float, now: float) -> bool:
        """Return whether a repair of this cost may be sent at ``now``, in seconds; if so, take the cost."""
        self._left = min(self.MOST, self._left + max(0.0, now - self._counted) * self.PER_SECOND)
        self._counted = now
        if self._left < cost:
            return False
        self._left -= cost
        return True


def audit_delay(interval: float, dpid: int, audits: int) -> float:
    """Return the seconds until the next audit: 0.75 to 1.25 of ``interval``, spread over the switches."""
    return interval * (0.75 + (dpid + audits) * _GOLDEN_RATIO % 1 / 2)
