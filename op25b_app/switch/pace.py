"""When to look at a table again: audits apart from each other, and disturbances soon but within a budget."""

from __future__ import annotations

import enum

from op25b_app.rules.flow import FlowRule
from op25b_app.rules.pipeline import Table
from op25b_app.switch.ruleset import Ruleset

_GOLDEN_RATIO = 0.6180339887498949


class Disturbance(enum.IntEnum):
    """What others have done to a switch since its table was read."""

    NONE = 0
    OTHERS = 1
    """A rule of theirs is new, changed or gone, where it may change a verdict."""
    OURS = 2
    """A rule of ours is, or one in a table of ours."""


_REST = {Disturbance.OTHERS: (5.0, 20.0), Disturbance.OURS: (0.5, 2.0)}
"""By what happened: seconds of rest after a look, at least, and as a multiple of what the look took."""


def concern_of(rule: FlowRule, wanted: Ruleset | None) -> Disturbance:
    """What a rule that somebody added, changed or removed has to do with us."""
    if rule.ours or (wanted is not None and rule.key in wanted.by_key):
        return Disturbance.OURS
    if rule.table == Table.ADMIT:
        return Disturbance.OTHERS
    last = Table.ADMIT if wanted is None else wanted.last_own_table
    return Disturbance.OURS if rule.table <= last else Disturbance.NONE


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
