"""The registry of hostile kinds: each is one coroutine, which is one visit to the controller."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from tests.faults.campaign.hostile.attack import Attack

Visit = Callable[[Attack], Awaitable[None]]


class Hostile(NamedTuple):
    """A kind of attack. ``points`` are those of the issue that it stands for; ``most`` run at once."""

    name: str
    visit: Visit
    points: tuple[int, ...]
    most: int | None


KINDS: dict[str, Hostile] = {}
"""All kinds, by name; whatever is registered is part of each campaign."""


def hostile(name: str, *points: int, most: int | None = None) -> Callable[[Visit], Visit]:
    """Register a coroutine as a kind: it makes one visit and notes what it does; it may be cancelled."""

    def register(visit: Visit) -> Visit:
        if name in KINDS:
            raise ValueError(f"two kinds are called {name!r}")
        KINDS[name] = Hostile(name, visit, points, most)
        return visit

    return register
