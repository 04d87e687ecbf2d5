"""Queue work of many clients; next is the client that has used the least time lately."""

from __future__ import annotations

from functools import partial
from typing import Generic, TypeVar

Client = TypeVar("Client")
Work = TypeVar("Work")

HALF_LIFE_SECONDS = 60.0
"""Seconds after which used time is weighted by half."""
MAX_COUNTED = 1_000
"""Maximum number of clients whose time is kept; the least time is forgotten."""


class FairQueue(Generic[Client, Work]):
    """The last work of each client, least used time first. Times are monotonic, in seconds.

    So a client with long work delays others by one piece of it at most.
    """

    def __init__(self) -> None:
        self._waiting: dict[Client, Work] = {}
        self._used: dict[Client, tuple[float, float]] = {}
        """Seconds used as of a monotonic time, by client."""

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, client: Client, work: Work) -> None:
        """Add work; it replaces waiting work of the same client, in its place."""
        self._waiting[client] = work

    def take(self, now: float) -> tuple[Client, Work]:
        """Remove and return what is next; of clients that have used as much, the first to wait.

        Raises ValueError where nothing waits.
        """
        client = min(self._waiting, key=partial(self._seconds, now))
        return client, self._waiting.pop(client)

    def count(self, client: Client, began: float, ended: float) -> None:
        """Count the time that a client's work took."""
        self._used[client] = self._seconds(ended, client) + ended - began, ended
        if len(self._used) > MAX_COUNTED:
            del self._used[min(self._used, key=partial(self._seconds, ended))]

    def _seconds(self, now: float, client: Client) -> float:
        seconds, counted = self._used.get(client, (0.0, now))
        return float(seconds * 0.5 ** ((now - counted) / HALF_LIFE_SECONDS))
