"""What has happened: the last events of a controller, numbered."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timezone
from typing import Any, NamedTuple

CAPACITY = 1000


class Event(NamedTuple):
    """One thing that happened; ``time`` in seconds since 1970, no ``switch`` where it concerns them all."""

    number: int
    time: float
    switch: str | None
    kind: str
    text: str

    def as_json(self) -> dict[str, Any]:
        return {**self._asdict(), "time": iso(self.time)}


class Journal:
    """The last events, in memory; ``started`` tells one controller's numbers from its successor's."""

    def __init__(self, started: float, capacity: int = CAPACITY) -> None:
        self._started = started
        self._events: deque[Event] = deque(maxlen=capacity)
        self._last = 0

    def record(self, at: float, switch: str | None, kind: str, text: str) -> None:
        self._last += 1
        self._events.append(Event(self._last, at, switch, kind, text))

    def report(self, after: int) -> dict[str, Any]:
        """The events after that number, as JSON values; ``missed`` counts those that are no longer kept."""
        events = [event.as_json() for event in self._events if event.number > after]
        missed = max(0, self._last - after - len(events)) if after >= 0 else 0
        return {"journal": iso(self._started), "last": self._last, "missed": missed, "events": events}


def iso(at: float) -> str:
    """A moment in UTC, to the millisecond."""
    return datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="milliseconds")
