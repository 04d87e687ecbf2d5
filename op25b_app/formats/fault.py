"""Collect the faults of a text by line: the first of them, and the number of further ones."""

from __future__ import annotations

from typing import Literal, NamedTuple

Severity = Literal["error", "warning"]

MAX_FAULTS = 50
"""Maximum number of faults reported for one file; further ones are counted."""


class Fault(NamedTuple):
    """Something wrong at a line and column, which count from 1; ``message`` says what, and the remedy."""

    line: int
    column: int
    message: str
    severity: Severity = "error"


class Faults:
    """The first faults of a file, and the number of further ones."""

    def __init__(self) -> None:
        self._first: list[Fault] = []
        self._more = 0
        self._more_at = 0

    def add(self, line: int, message: str, column: int = 1, severity: Severity = "error") -> None:
        """Note a fault."""
        if len(self._first) < MAX_FAULTS:
            self._first.append(Fault(line, column, message, severity))
            return
        self._more += 1
        self._more_at = self._more_at or line

    def reported(self) -> tuple[Fault, ...]:
        """Return the first faults and, where there are more, one with their number."""
        if not self._more:
            return tuple(self._first)
        severity: Severity = "error" if any(fault.severity == "error" for fault in self._first) else "warning"
        last = Fault(self._more_at, 1, f"and {self._more:,} more lines of this file", severity)
        return (*self._first, last)
