"""Which policies a switch may be following at which moment, and what became of the packets sent then."""

from __future__ import annotations

import bisect
import enum
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

QUEUE_SECONDS = 1.0
"""What a packet may have been on its way when a switch ends, with all it holds."""


class Kind(enum.Enum):
    """Kinds of moments; each leaves more open about a packet than those above it."""

    BEFORE = "before first protection"
    STEADY = "steady"
    CHANGING = "while a policy is being changed"
    REVALIDATING = "after a confirmed change, until the cache was looked through"
    EMPTY = "while a switch comes back empty"


class Moment(NamedTuple):
    """From ``begin`` (seconds since 1970) on; ``policies`` are numbers of those that may decide, new last."""

    begin: float
    kind: Kind
    policies: tuple[int, ...]


class Record:
    """One switch's moments as they come, in seconds since 1970; protected by policy 0 from ``begin`` on."""

    def __init__(self, begin: float) -> None:
        self._moments = [Moment(-inf, Kind.BEFORE, (0,)), Moment(begin, Kind.STEADY, (0,))]

    def changing(self, asked: float, *policies: int) -> None:
        """A reload was asked for: these policies may decide from now on."""
        self._note(Moment(asked, Kind.CHANGING, policies))

    def emptied(self, at: float, *policies: int) -> None:
        """The switch restarts: what is in its queues is gone, and so are its rules."""
        self._note(Moment(at - QUEUE_SECONDS, Kind.EMPTY, policies))

    def confirmed(self, at: float, policy: int, *, before: int) -> None:
        """A change was confirmed; ``before`` is the policy that cached flows may still follow."""
        self._note(Moment(at, Kind.REVALIDATING, (before, policy)))

    def looked_through(self, at: float, policy: int) -> None:
        """Open vSwitch has compared each flow of its cache with the tables as they are now."""
        self._note(Moment(at, Kind.STEADY, (policy,)))

    def _note(self, moment: Moment) -> None:
        """From its begin on, it holds in place of whatever was noted before."""
        self._moments = [each for each in self._moments if each.begin < moment.begin] + [moment]

    def judge(self, sent: float, dealt_with: float) -> tuple[Kind, list[int]]:
        """Return the kind of moment at which a packet was decided, and the policies that may have done so.

        A packet was decided at some time between ``sent`` and ``dealt_with``. Policies come in their order.
        """
        possible = self._between(sent, dealt_with)
        policies = dict.fromkeys(policy for moment in possible for policy in moment.policies)
        return max((moment.kind for moment in possible), key=[*Kind].index), [*policies]

    def is_confirmed(self, sent: float, dealt_with: float) -> bool:
        """Return whether the tables followed the last policy for all the time that a packet took."""
        possible = self._between(sent, dealt_with)
        return all(moment.kind in (Kind.STEADY, Kind.REVALIDATING) for moment in possible)

    def _between(self, sent: float, dealt_with: float) -> list[Moment]:
        first = bisect.bisect_right(self._moments, sent, key=lambda each: each.begin) - 1
        end = bisect.bisect_right(self._moments, dealt_with, key=lambda each: each.begin)
        return self._moments[first:end]


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
