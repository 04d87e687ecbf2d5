"""Rate limit for log lines of one kind or source, with the number of lines that were left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

Kind = tuple[str, str]
"""Name of a logger, and the text of a line without its values."""

BURST, SECONDS = 20, 10.0
"""Lines of one kind about one source: BURST at once, and then one in SECONDS."""
BURST_OF_KIND, SECONDS_OF_KIND = 10_000, 0.1
"""The same for one kind about all sources: 1,000 switches that connect at once log 3,000 lines."""
MAX_SOURCES = 20_000
"""Maximum number of pairs of kind and source with a limit of their own; all further pairs share one."""
LAST_LENGTH = 300
"""Maximum number of characters kept of the last line left out: it may be the state of a switch."""
QUIET_SECONDS = 30.0
"""Seconds without another line until the number of lines left out is reported."""


class Flood(NamedTuple):
    """The number of lines of a kind, about a source, left out since one was logged, and the last of them."""

    kind: Kind
    source: str
    left_out: int
    last: str


class _TokenBucket:
    """A token bucket of lines that may be logged; it fills with time."""

    def __init__(self, now: float, burst: int, seconds: float) -> None:
        self._burst = burst
        self._seconds = seconds
        self._tokens = float(burst)
        self.at = now
        self.left_out = 0
        self.last = ""

    def takes(self, now: float) -> bool:
        """Return whether one more line may be logged."""
        self._tokens = min(self._burst, self._tokens + max(now - self.at, 0.0) / self._seconds)
        self.at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def is_full(self, now: float) -> bool:
        """Return whether the bucket is as if no line had been logged."""
        return not self.left_out and self._tokens + (now - self.at) / self._seconds >= self._burst


class FloodLimit:
    """Limits the rate of log lines. Times are in seconds and never go back."""

    def __init__(self) -> None:
        self._sources: dict[tuple[Kind, str], _TokenBucket] = {}
        self._kinds: dict[Kind, _TokenBucket] = {}
        self._tidied_at = -SECONDS

    def admit(self, kind: Kind, source: str, now: float, line: Callable[[], str] = str) -> int | None:
        """Return how many lines like this one were left out before it; None to leave it out, too.

        ``line`` returns its text, and is called only then.
        """
        bucket = self._bucket_of(kind, source, now)
        if not (bucket.takes(now) and self._of_kind(kind, now).takes(now)):
            bucket.left_out += 1
            bucket.last = line()[:LAST_LENGTH]
            return None
        left_out, bucket.left_out = bucket.left_out, 0
        return left_out

    def over(self, now: float) -> Iterator[Flood]:
        """Yield the floods that are over: none of their lines has come for QUIET_SECONDS."""
        for (kind, source), bucket in [*self._sources.items()]:
            if bucket.left_out and now - bucket.at >= QUIET_SECONDS:
                left_out, bucket.left_out = bucket.left_out, 0
                yield Flood(kind, source, left_out, bucket.last)

    def _bucket_of(self, kind: Kind, source: str, now: float) -> _TokenBucket:
        key = kind, source
        if key not in self._sources:
            # Not for each line: a look through all of them takes milliseconds.
            if len(self._sources) >= MAX_SOURCES and now - self._tidied_at >= SECONDS:
                self._tidied_at = now
                self._sources = {each: its for each, its in self._sources.items() if not its.is_full(now)}
            if len(self._sources) >= MAX_SOURCES:
                key = ("", ""), ""
            self._sources.setdefault(key, _TokenBucket(now, BURST, SECONDS))
        return self._sources[key]

    def _of_kind(self, kind: Kind, now: float) -> _TokenBucket:
        if kind not in self._kinds:
            if len(self._kinds) >= MAX_SOURCES:
                self._kinds.clear()
            self._kinds[kind] = _TokenBucket(now, BURST_OF_KIND, SECONDS_OF_KIND)
        return self._kinds[kind]
