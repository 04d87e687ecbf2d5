"""Problems of a policy, each with its place and its remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple

from op25b_app.policy.model import SourceLocation


class Diagnostic(NamedTuple):
    """One error (the policy cannot be used) or warning (it can, but should be checked)."""

    place: SourceLocation
    severity: Literal["error", "warning"]
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.severity}: {self.message}"


def error(place: SourceLocation, message: str) -> Diagnostic:
    """Return a problem that makes the policy unusable."""
    return Diagnostic(place, "error", message)


def warning(place: SourceLocation, message: str) -> Diagnostic:
    """Return a problem that leaves the policy usable."""
    return Diagnostic(place, "warning", message)


MAX_NAMES = 20
"""Maximum number of names in one line."""


def names_in_words(names: Sequence[str], most: int = MAX_NAMES, separator: str = ", ") -> str:
    """Return ``a, b, c``, or the first names and the number of further ones."""
    if len(names) <= most:
        return separator.join(names)
    return f"{separator.join(names[:most])} and {len(names) - most:,} more"


def unknown_switch(name: str, known: Iterable[str]) -> str:
    """Return words that say that no switch has this name, with the names that there are."""
    return f"no switch is called '{name}'; the switches are {names_in_words([*known]) or 'none'}"


MAX_REPORTED = 1000
"""Maximum number of errors reported for one file; a file that is no policy may have millions."""


class Errors:
    """The first errors of a file, and the number of further ones."""

    def __init__(self) -> None:
        self._first: list[Diagnostic] = []
        self._more = 0

    def add(self, place: SourceLocation, message: str) -> None:
        """Note an error at a place."""
        self.add_later(lambda: error(place, message))

    def add_later(self, made: Callable[[], Diagnostic]) -> None:
        """Note an error; ``made`` is called only if the error is one of the first."""
        if len(self._first) < MAX_REPORTED:
            self._first.append(made())
        else:
            self._more += 1

    def reported(self) -> list[Diagnostic]:
        """Return the first errors and, where there are more, one with their number."""
        if not self._more:
            return [*self._first]
        return [*self._first, error(self._first[-1].place, f"and {self._more:,} more errors in this file")]
