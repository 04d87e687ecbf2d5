"""When to look at a table again: audits apart from each other, and disturbances soon but within a budget."""

from __future__ import annotations

import enum

_GOLDEN_RATIO = 0.6180339887498949


class Disturbance(enum.IntEnum):
    """What has changed on a switch since its table was read."""

    NONE = 0
    OTHERS = 1
    """A rule of another application is new, changed or gone, where it may change a verdict."""
    OURS = 2
    """A rule of ours is, or one in a table of ours."""


class LookBudget:
    """How much of the time looks at a table may take after disturbances, however many there are.

    After one of rules of ours a third of the time, and twice a second; some seconds are saved for looks in a
    row. After one of others a look rests for 20 times what the last one took, and for 5 s.
    """

    PART = 1 / 3
    MOST_SAVED = 2.0
    LEAST_COST = 0.5 * PART
    REST_SECONDS, REST_TIMES = 5.0, 20.0

    def __init__(self, now: float) -> None:
        self._began = self._ended = now
        self._left = self.MOST_SAVED + self.LEAST_COST
        """Seconds of looking that were left when the last look began."""

    def note(self, began: float, ended: float) -> None:
        """Count a look that began and ended at these times, in seconds."""
        self._left = min(self.MOST_SAVED, self._left - self._cost + (began - self._began) * self.PART)
        self._began, self._ended = began, ended

    def extend(self, since: float, now: float) -> None:
        """Count the time from ``since`` to ``now`` as a part of the last look, if that ended at ``since``."""
        if self._ended == since:
            self._ended = now

    def next_at(self, disturbance: Disturbance) -> float:
        """Return when to look after a disturbance; it may be in the past."""
        if disturbance is Disturbance.OTHERS:
            return self._ended + max(self.REST_SECONDS, self.REST_TIMES * (self._ended - self._began))
        return max(self._ended, self._began + (self._cost - self._left) / self.PART)

    @property
    def _cost(self) -> float:
        return max(self._ended - self._began, self.LEAST_COST)


class RepairBudget:
    """How many repairs may be sent on the news alone, before the table is read.

    Whoever undoes a repair at once would have us repair for ever, as fast as messages travel. Beyond the
    budget a repair comes with the next look at the table, which has a budget of its own.
    """

    MOST = 50.0
    PER_SECOND = 1.0

    def __init__(self, now: float) -> None:
        self._left = self.MOST
        self._counted = now

    def take(self, cost: float, now: float) -> bool:
        """Return whether a repair of this cost may be sent at ``now``, in seconds, and count it."""
        self._left = min(self.MOST, self._left + max(0.0, now - self._counted) * self.PER_SECOND)
        self._counted = now
        if self._left < cost:
            return False
        self._left -= cost
        return True


def audit_delay(interval: float, dpid: int, audits: int) -> float:
    """Three to five quarters of the interval, spread evenly over the switches and over time."""
    return interval * (0.75 + (dpid + audits) * _GOLDEN_RATIO % 1 / 2)
