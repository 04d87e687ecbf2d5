"""What a look at a switch or a controller has shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from op25b_app.net.port_number import port_name
from op25b_app.policy.diagnostic import names_in_words

Severity = Literal["error", "warning", "ok"]


class Finding(NamedTuple):
    """``what`` is so, ``where``; ``why`` it matters, in one clause; the command that is the ``remedy``."""

    severity: Severity
    where: str
    what: str
    why: str = ""
    remedy: str = ""


def error(where: str, what: str, why: str, remedy: str) -> Finding:
    return Finding("error", where, what, why, remedy)


def warning(where: str, what: str, why: str, remedy: str) -> Finding:
    return Finding("warning", where, what, why, remedy)


def ok(where: str, what: str) -> Finding:
    return Finding("ok", where, what)


def ranges_of(numbers: Iterable[int]) -> str:
    """1, 2, 3 and 7 are ``1-3, 7``."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return names_in_words(
        [port_name(first) if first == last else f"{first}-{last}" for first, last in ranges]
    )
