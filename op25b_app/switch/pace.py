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


_REST = {Disturbance.OTHERS: (5.0, 20.0), Disturbance.OURS: (0.5, 2.0)}
"""By what happened: seconds of rest after a look, at least, and as a multiple of what the look took."""


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


def look_at(disturbance: Disturbance, began: float, ended: float) -> float:
    """When to look after a disturbance; the last look at the table began and ended at these times.

    So however often others change something, looking takes a third of the time at most, a twentieth for
    rules that are not ours, and is done twice a second at most.
    """
    least, multiple = _REST[disturbance]
    return ended + max(least, multiple * (ended - began))
