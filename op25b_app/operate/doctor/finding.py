"""Findings about a switch or a controller."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from op25b_app.net.port_number import port_ranges
from op25b_app.policy.diagnostic import names_in_words

Severity = Literal["error", "warning", "ok"]


class Finding(NamedTuple):
    """One finding: ``what`` is so, ``where``, ``why`` it matters, and the command that is the ``remedy``.

    A check leaves ``where`` empty; :func:`at` fills it in for several findings.
    """

    severity: Severity
    where: str
    what: str
    why: str = ""
    remedy: str = ""


def error(what: str, why: str, remedy: str) -> Finding:
    """Return a finding of severity error."""
    return Finding("error", "", what, why, remedy)


def warning(what: str, why: str, remedy: str) -> Finding:
    """Return a finding of severity warning."""
    return Finding("warning", "", what, why, remedy)


def ok(what: str) -> Finding:
    """Return a finding of severity ok."""
    return Finding("ok", "", what)


def at(where: str, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Return findings with the place that they are about."""
    return (finding._replace(where=where) for finding in findings)


def ranges_of(numbers: Iterable[int]) -> str:
    """Return port numbers as text: ``1-3`` for 1, 2 and 3."""
    return names_in_words(port_ranges(numbers))
