"""How much work a proof, or an effect, may take: a table that others write to could make it endless."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

STEPS_AT_LEAST = 500_000
"""What a proof of few rules may take, rules of others among them."""
STEPS_A_RULE = 500
"""For each rule of ours; tables of 1,000 to 360,000 of them take about 50 a rule."""
_STEPS_BETWEEN_LOOKS = 10_000


class OverBudgetError(Exception):
    """The work was given up. ``within`` says what it may have taken."""

    def __init__(self, within: str) -> None:
        super().__init__(f"not within {within}")
        self.within = within


class TooManyStepsError(Exception):
    """A part of the work has taken more than its share; it may be tried in another way."""


class Budget:
    """Counts steps, and ends the work that takes too many.

    A step is an edge of a diagram that is made, or an interval of values that is looked at: about 3 µs, and
    100 bytes at most. The same work takes the same steps on every machine. ``is_over`` may end it as well,
    by a clock, say; it is asked every 10,000 steps. None for ``steps`` is without a limit.
    """

    def __init__(self, steps: int | None = None, is_over: Callable[[], bool] = lambda: False) -> None:
        self.spent = 0
        self._steps = steps
        self._is_over = is_over
        self._share_ends: int | None = None
        self._next_look = 0

    def spend(self, steps: int) -> None:
        """Count ``steps``.

        Raises OverBudgetError where they are too many, or the time is over; TooManyStepsError where only a
        share of them is used up.
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
        """Give a part of the work, which holds no such part itself, a share of the steps."""
        self._share_ends = self.spent + steps
        self._next_look = min(self._next_look, self._share_ends)
        try:
            yield
        finally:
            self._share_ends = None


def steps_for(own_rules: int) -> int:
    """The steps that a proof of a table with so many rules of ours may take."""
    return STEPS_AT_LEAST + STEPS_A_RULE * own_rules
