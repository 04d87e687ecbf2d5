"""Journal of the last events of a controller, numbered."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timezone
from typing import Any, NamedTuple

CAPACITY = 1000
Source = tuple[str | None, str]
"""Name of a switch, or None, and kind of event."""
STRANGERS = ""
"""Stands for the names of all switches that are not in the policy."""


class Event(NamedTuple):
    """One event; ``time`` in seconds since 1970, ``switch`` None where it concerns all of them."""

    number: int
    time: float
    switch: str | None
    kind: str
    text: str

    def as_json(self) -> dict[str, Any]:
        """Return the event as JSON values, with its time in ISO 8601."""
        return {**self._asdict(), "time": iso(self.time)}


class Journal:
    """The last events, in memory; ``started`` distinguishes the numbers of successive controllers.

    A source of many events loses its own: where there are too many, the oldest event of the switch and kind
    with the most is dropped. All switches that are not in the policy are one switch here.
    """

    def __init__(self, started: float, capacity: int = CAPACITY) -> None:
        self._started = started
        self._capacity = capacity
        self._events: dict[Source, deque[Event]] = {}
        self._of_length: dict[int, dict[Source, None]] = {}
        """Sources by their number of events, to find the largest one without a search."""
        self._most = self._kept = self._last = 0

    def record(self, at: float, switch: str | None, kind: str, text: str, *, stranger: bool = False) -> None:
        """Record an event, ``at`` in seconds since 1970; a ``stranger`` is not in the policy."""
        self._last += 1
        source = STRANGERS if stranger else switch, kind
        kept = self._events.setdefault(source, deque())
        kept.append(Event(self._last, at, switch, kind, text))
        self._moved(source, len(kept) - 1, len(kept))
        self._kept += 1
        if self._kept > self._capacity:
            self._drop_one()

    def _drop_one(self) -> None:
        most = next(iter(self._of_length[self._most]))
        self._events[most].popleft()
        self._moved(most, self._most, self._most - 1)
        if not self._events[most]:
            del self._events[most]
        self._kept -= 1

    def _moved(self, source: Source, before: int, after: int) -> None:
        """Update the number of events of a source, which is one more or one less."""
        if before:
            del self._of_length[before][source]
        if after:
            self._of_length.setdefault(after, {})[source] = None
        self._most = max(self._most, after)
        for length in (before, self._most):
            if not self._of_length.get(length, True):
                del self._of_length[length]
        while self._most not in self._of_length:
            self._most -= 1

    def report(self, after: int) -> dict[str, Any]:
        """Return the events after that number as JSON values; ``missed`` is the number no longer kept."""
        newer = (event for each in self._events.values() for event in each if event.number > after)
        events = [event.as_json() for event in sorted(newer)]
        missed = max(0, self._last - after - len(events)) if after >= 0 else 0
        return {"journal": iso(self._started), "last": self._last, "missed": missed, "events": events}


def iso(at: float, precision: str = "milliseconds") -> str:
    """Return seconds since 1970 as ISO 8601 in UTC."""
    return datetime.fromtimestamp(at, timezone.utc).isoformat(timespec=precision)
