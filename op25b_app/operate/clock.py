"""Clock that follows the wall clock, but never runs backwards."""

from __future__ import annotations

import math


class Clock:
    """Seconds since 1970 that never run backwards.

    They advance as the monotonic clock does, from the latest time that the wall clock has shown. A wall clock
    that is set forward is followed, so exceptions end early. One that is set back is not, so none ends late.
    """

    def __init__(self) -> None:
        self._ahead = -math.inf

    def now(self, wall: float, monotonic: float) -> float:
        """Return the time from both clocks, in seconds; read ``wall`` first.

        A pause between the readings then makes the wall clock look early, which changes nothing. In the other
        order, each pause would stay in the time for ever.
        """
        self._ahead = max(self._ahead, wall - monotonic)
        return monotonic + self._ahead
