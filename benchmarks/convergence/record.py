"""Which policies a switch may be following at which moment, and what became of the packets sent then."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

REVALIDATION_SECONDS = 0.05
"""Open vSwitch looks through its cached flows a moment after a change that it has confirmed."""
QUEUE_SECONDS = 1.0
"""What a packet may have been on its way when a switch ends, with all it holds."""
_BEFORE_SECONDS = 0.1
"""The same when a change is asked for."""


class Kind(enum.Enum):
    BEFORE = "before first protection"
    STEADY = "steady"
    CHANGING = "while a policy is being changed"
    REVALIDATING = f"within {REVALIDATION_SECONDS * 1000:.0f} ms after a confirmed change"
    EMPTY = "while a switch comes back empty"


class Moment(NamedTuple):
    """From ``begin`` (seconds since 1970) on; ``policies`` are numbers of those that may decide, new last."""

    begin: float
    kind: Kind
    policies: tuple[int, ...]


class Record:
    """One switch's moments as they come; protected by policy 0 from ``begin`` (seconds since 1970) on."""

    def __init__(self, begin: float) -> None:
        self._moments = [Moment(-inf, Kind.BEFORE, (0,))]
        self.protected(begin, 0)

    def changing(self, asked: float, *policies: int) -> None:
        """A reload was asked for: these policies may decide from now on."""
        self._note(Moment(asked - _BEFORE_SECONDS, Kind.CHANGING, policies))

    def emptied(self, at: float, *policies: int) -> None:
        """The switch restarts: what is in its queues is gone, and so are its rules."""
        self._note(Moment(at - QUEUE_SECONDS, Kind.EMPTY, policies))

    def protected(self, confirmed: float, policy: int, *, before: int | None = None) -> None:
        """A change was confirmed; ``before`` is the policy that cached flows may still follow."""
        both = (policy,) if before is None else (before, policy)
        self._note(Moment(confirmed, Kind.REVALIDATING, both))
        self._note(Moment(confirmed + REVALIDATION_SECONDS, Kind.STEADY, (policy,)))

    def _note(self, moment: Moment) -> None:
        """From its begin on, it holds in place of whatever was noted before."""
        self._moments = [each for each in self._moments if each.begin < moment.begin] + [moment]

    def moments(self) -> list[Moment]:
        return [*self._moments]


@dataclass
class Count:
    """Packets sent at moments of one kind, by what the policies say that may decide then."""

    blocked: int = 0
    leaked: int = 0
    permitted: int = 0
    lost: int = 0
    stale: int = 0
    """Neither leaked nor lost by the tables, but by a stale flow in the cache of Open vSwitch."""
    either: int = 0
    as_before: int = 0
    """Of ``either``, those that were treated as the old policy says."""

    def add(self, passes: Sequence[bool], *, arrived: bool, stale: bool = False) -> None:
        """``passes``: does the packet, under each policy, the new one last?"""
        if len({*passes}) > 1:
            self.either += 1
            self.as_before += arrived is not passes[-1]
        elif passes[-1]:
            self.permitted += 1
            self.lost += not arrived and not stale
            self.stale += not arrived and stale
        else:
            self.blocked += 1
            self.leaked += arrived and not stale
            self.stale += arrived and stale

    def __add__(self, other: Count) -> Count:
        mine, theirs = vars(self), vars(other)
        return Count(**{name: mine[name] + theirs[name] for name in mine})
