"""What stands behind the question mark of a request: names and values, of which nothing is guessed."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import parse_qsl

MOST_DIGITS = 20
"""A datapath id of 64 bits has as many."""


class BadQueryError(Exception):
    """A query cannot be understood; the text says what is wrong and what can stand there."""


class Query:
    """The values of a query by their names.

    One that cannot be understood is refused: with a misspelt ``dry_run`` a policy would be in force.
    """

    def __init__(self, text: str, names: Collection[str]) -> None:
        """Raises BadQueryError for a name that is not among ``names``, or that stands there twice."""
        self._values: dict[str, str] = {}
        try:
            pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=100)
        except ValueError as error:
            raise BadQueryError(f"the query cannot be read: {error}") from None
        for name, value in pairs:
            if name not in names:
                known = f"there are {', '.join(sorted(names))}" if names else "there is none"
                raise BadQueryError(f"no parameter is called {_shown(name)}; {known}")
            if name in self._values:
                raise BadQueryError(f"{name} is given twice")
            self._values[name] = value

    def flag(self, name: str, *, otherwise: bool = False) -> bool:
        """Return whether a parameter is 1; it may be 0 or 1. Raises BadQueryError."""
        value = self._values.get(name, str(int(otherwise)))
        if value not in ("0", "1"):
            raise BadQueryError(f"{name} is {_shown(value)}; write 0 or 1")
        return value == "1"

    def number(self, name: str, otherwise: int) -> int:
        """Return a parameter that is a number from 0 on. Raises BadQueryError."""
        return self._number(name, self._values[name]) if name in self._values else otherwise

    def numbers(self, name: str) -> set[int]:
        """Return a parameter that is numbers with commas between, or empty. Raises BadQueryError."""
        written = self._values.get(name, "")
        return {self._number(name, each) for each in written.split(",")} if written else set()

    def _number(self, name: str, written: str) -> int:
        if not (written.isascii() and written.isdecimal() and len(written) <= MOST_DIGITS):
            raise BadQueryError(f"{name} is {_shown(written)}; write a number from 0 on")
        return int(written)


def _shown(value: str) -> str:
    return repr(value if len(value) <= 40 else value[:37] + "...")
