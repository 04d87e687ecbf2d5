"""What the catalogue holds: tricks, and mail that must keep flowing."""

from __future__ import annotations

from dataclasses import dataclass

from tests.bypasses.arrangements import Arrangement
from tests.bypasses.rulesets import Setting


@dataclass(frozen=True)
class Trick:
    """One way to bring mail past a port test, and what is expected of it.

    ``plain`` says whether it delivers against plain rules (``without_tcp6``: plain rules of IPv4 only), and
    ``closed_by`` which settings stop it, each of them alone. ``references`` are keys of the document's list.
    """

    name: str
    how: str
    arrange: Arrangement
    plain: bool
    closed_by: frozenset[Setting]
    references: tuple[str, ...] = ()
    without_tcp6: bool = False


@dataclass(frozen=True)
class Honest:
    """Mail that must arrive whatever the rules."""

    name: str
    arrange: Arrangement


@dataclass(frozen=True)
class Group:
    """Tricks that belong together, under one heading."""

    name: str
    tricks: tuple[Trick, ...]
