"""Measure the lag of the event loop: during it, no echo request is answered."""

from __future__ import annotations

from collections.abc import Callable

LATE_SECONDS = 0.05


class LoopLag:
    """The ``longest`` lag of the event loop, in seconds, and the number of ``late`` looks."""

    def __init__(self) -> None:
        self.longest = 0.0
        self.late = 0

    def watch(self, sleep: Callable[[float], None], clock: Callable[[], float]) -> None:
        """Sleep and measure when the event loop comes back, for ever; ``clock`` returns seconds."""
        while True:
            due = clock() + LATE_SECONDS
            sleep(LATE_SECONDS)
            lag = clock() - due
            self.longest = max(self.longest, lag)
            self.late += lag > LATE_SECONDS

    def report(self) -> dict[str, float]:
        """Return the lag as JSON values, in seconds."""
        return {"longest_lag": round(self.longest, 4), "late": self.late, "late_from": LATE_SECONDS}
