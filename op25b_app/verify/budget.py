"""Limit the work of a proof or an effect: tables that other applications write to could make it endless."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

STEPS_AT_LEAST = 500_000
"""Steps that any proof may take, unmanaged rules included."""
STEPS_A_RULE = 500
"""Steps for each of op25b's rules; tables of 1,000 to 360,000 of them take about 50 a rule."""
_STEPS_BETWEEN_LOOKS = 10_000


class OverBudgetError(Exception):
    """The work was given up. ``within`` is the limit that it exceeded, as text."""

    def __init__(self, within: str) -> None:
        super().__init__(f"not within {within}")
        self.within = within


class TooManyStepsError(Exception):
    """A part of the work exceeded its share of steps; another method may be tried."""


class Budget:
    """Count steps, and end work that takes too many.

    A step is one edge of a new diagram, or one interval of values read: about 3 µs, and at most 100 bytes.
    The same work takes the same steps on every machine. ``steps`` None is without a limit. ``is_over`` is
    called every 10,000 steps; the work ends where it returns True (for a time limit, say).
    """

    def __init__(self, steps: int | None = None, is_over: Callable[[], bool] = lambda: False) -> None:
        self.spent = 0
        self._steps = steps
        self._is_over = is_over
        self._share_ends: int | None = None
        self._next_look = 0

    def spend(self, steps: int) -> None:
        """Count ``steps``.

        Raises OverBudgetError where the steps or the time are used up, and TooManyStepsError where only the
        share of ``at_most`` is.
        """
        self.spent += steps
        if self.spent >= self._next_look:
            self._look()

    def _look(self) -> None:
        if self._steps is not None and self.spent > self._steps:
            raise OverBudgetError(f"{self._steps:,} steps")
        if self._is_over():
            raise OverBudgetError(f"the time for it ({self.spent:,} steps)")
        if self._share_ends is not None and self.spent >= self._share_ends:
            raise TooManyStepsError
        ends = [self._steps + 1] if self._steps is not None else []
        ends += [self._share_ends] if self._share_ends is not None else []
        self._next_look = min([self.spent + _STEPS_BETWEEN_LOOKS, *ends])

    @contextmanager
    def at_most(self, steps: int) -> Iterator[None]:
        """Limit a part of the work to this many steps; such parts do not nest."""
        self._share_ends = self.spent + steps
        self._next_look = min(self._next_look, self._share_ends)
        try:
            yield
        finally:
            self._share_ends = None


def steps_for(own_rules: int) -> int:
    """Return the steps that a proof of a table with this many op25b rules may take."""
    return STEPS_AT_LEAST + STEPS_A_RULE * own_rules
