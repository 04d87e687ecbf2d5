"""A time that a wall clock which is set back does not move."""

from __future__ import annotations

import math


class Clock:
    """Seconds since 1970 that never run backwards.

    They advance as the monotonic clock does, from the latest that the wall clock ever said. A wall clock that
    is set forward is followed, so exceptions end early; one that is set back is not, so they never end late.
    """

    def __init__(self) -> None:
        self._ahead = -math.inf

    def now(self, wall: float, monotonic: float) -> float:
        """The time, from both clocks in seconds; read ``wall`` first.

        Whatever passes between both readings then counts as too early a wall clock, which changes nothing;
        the other way round each such pause would stay in the time for ever.
        """
        self._ahead = max(self._ahead, wall - monotonic)
        return monotonic + self._ahead
