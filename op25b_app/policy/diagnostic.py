"""What is wrong with a policy, told with its place and its remedy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from op25b_app.policy.model import Place


class Problem(NamedTuple):
    """One error (the policy cannot be used) or warning (it can, and should be looked at)."""

    place: Place
    severity: Literal["error", "warning"]
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.severity}: {self.message}"


def error(place: Place, message: str) -> Problem:
    return Problem(place, "error", message)


def warning(place: Place, message: str) -> Problem:
    return Problem(place, "warning", message)


MOST_NAMES = 20
"""Names in one line; nobody reads a thousand."""


def names_in_words(names: Sequence[str], most: int = MOST_NAMES, separator: str = ", ") -> str:
    """Return ``a, b, c``, or the first of them and how many more there are."""
    if len(names) <= most:
        return separator.join(names)
    return f"{separator.join(names[:most])} and {len(names) - most:,} more"


MOST_TOLD = 1000
"""Errors of one file; nobody reads more, and a file that is no policy at all may have millions."""


class Errors:
    """The first errors of a file, and how many more there are."""

    def __init__(self) -> None:
        self._first: list[Problem] = []
        self._more = 0

    def add(self, place: Place, message: str) -> None:
        """Note an error at a place."""
        self.add_later(lambda: error(place, message))

    def add_later(self, made: Callable[[], Problem]) -> None:
        """Note an error that is only worked out if it is one of the first."""
        if len(self._first) < MOST_TOLD:
            self._first.append(made())
        else:
            self._more += 1

    def told(self) -> list[Problem]:
        """Return the first errors and, where there are more, one that says how many."""
        if not self._more:
            return [*self._first]
        return [*self._first, error(self._first[-1].place, f"and {self._more:,} more errors in this file")]
