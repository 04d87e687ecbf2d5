"""Parse the query of a request strictly: nothing in it is guessed."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import parse_qsl

MAX_DIGITS = 20
"""Most digits of a number: a 64-bit datapath id has as many."""


class BadQueryError(Exception):
    """A query cannot be understood; the text says what is wrong and what is allowed."""


class Query:
    """The values of a query by their names.

    A query that cannot be understood is refused: a misspelt ``dry_run`` would put a policy in force.
    """

    def __init__(self, text: str, names: Collection[str], body: bytes = b"") -> None:
        """Parse ``text``. Raises BadQueryError where a name is not among ``names``, or is given twice.

        ``body`` is that of the request.
        """
        self.body = body
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
        """Return whether a parameter is 1. Raises BadQueryError where it is neither 0 nor 1."""
        value = self._values.get(name, str(int(otherwise)))
        if value not in ("0", "1"):
            raise BadQueryError(f"{name} is {_shown(value)}; write 0 or 1")
        return value == "1"

    def text(self, name: str) -> str | None:
        """Return a parameter as it is; None where it is not given."""
        return self._values.get(name)

    def number(self, name: str, otherwise: int) -> int:
        """Return a parameter as a number. Raises BadQueryError where it is no number from 0 on."""
        return self._number(name, self._values[name]) if name in self._values else otherwise

    def numbers(self, name: str) -> set[int]:
        """Return the numbers in a comma-separated parameter. Raises BadQueryError where one is wrong."""
        written = self._values.get(name, "")
        return {self._number(name, each) for each in written.split(",")} if written else set()

    def _number(self, name: str, written: str) -> int:
        if not (written.isascii() and written.isdecimal() and len(written) <= MAX_DIGITS):
            raise BadQueryError(f"{name} is {_shown(written)}; write a number from 0 on")
        return int(written)


def _shown(value: str) -> str:
    return repr(value if len(value) <= 40 else value[:37] + "...")
