"""Which lines of a log are left out because there are too many like them, and how many were."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

Kind = tuple[str, str]
"""Who tells something, and its text without the values in it."""

BURST, SECONDS = 20, 10.0
"""So many lines of one kind about one source come at once, and then one in so many seconds."""
BURST_OF_KIND, SECONDS_OF_KIND = 10_000, 0.1
"""The same for a kind, about whatever sources: 1,000 switches that connect at once tell 3,000."""
MOST_SOURCES = 20_000
"""Of so many pairs of kind and source it is known how much they told; all others share what one has."""
LAST_LENGTH = 300
"""So many characters are kept of the last line that was left out: it may be the state of a switch."""
QUIET_SECONDS = 30.0
"""After how long without another line it is told how many were left out."""


class Flood(NamedTuple):
    """How many lines of a kind, about a source, were left out since one was told, and the last of them."""

    kind: Kind
    source: str
    left_out: int
    last: str


class _Allowance:
    """A token bucket: what may be told, which grows with time."""

    def __init__(self, now: float, burst: int, seconds: float) -> None:
        self._burst = burst
        self._seconds = seconds
        self._tokens = float(burst)
        self.at = now
        self.left_out = 0
        self.last = ""

    def takes(self, now: float) -> bool:
        """Whether one more line may be told."""
        self._tokens = min(self._burst, self._tokens + max(now - self.at, 0.0) / self._seconds)
        self.at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def is_full(self, now: float) -> bool:
        """Whether it is as if nothing had ever been told."""
        return not self.left_out and self._tokens + (now - self.at) / self._seconds >= self._burst


class FloodLimit:
    """Remembers what was told. Times are in seconds and never go back."""

    def __init__(self) -> None:
        self._sources: dict[tuple[Kind, str], _Allowance] = {}
        self._kinds: dict[Kind, _Allowance] = {}
        self._tidied_at = -SECONDS

    def admit(self, kind: Kind, source: str, now: float, line: Callable[[], str] = str) -> int | None:
        """How many lines like this one were left out before it; None where it is to be left out, too.

        ``line`` gives its text, and is asked only then.
        """
        allowance = self._allowance(kind, source, now)
        if not (allowance.takes(now) and self._of_kind(kind, now).takes(now)):
            allowance.left_out += 1
            allowance.last = line()[:LAST_LENGTH]
            return None
        left_out, allowance.left_out = allowance.left_out, 0
        return left_out

    def over(self, now: float) -> Iterator[Flood]:
        """The floods that are over: none of their lines has come for a while."""
        for (kind, source), allowance in [*self._sources.items()]:
            if allowance.left_out and now - allowance.at >= QUIET_SECONDS:
                left_out, allowance.left_out = allowance.left_out, 0
                yield Flood(kind, source, left_out, allowance.last)

    def _allowance(self, kind: Kind, source: str, now: float) -> _Allowance:
        key = kind, source
        if key not in self._sources:
            # Not for each line: looking through all of them takes milliseconds.
            if len(self._sources) >= MOST_SOURCES and now - self._tidied_at >= SECONDS:
                self._tidied_at = now
                self._sources = {each: its for each, its in self._sources.items() if not its.is_full(now)}
            if len(self._sources) >= MOST_SOURCES:
                key = ("", ""), ""
            self._sources.setdefault(key, _Allowance(now, BURST, SECONDS))
        return self._sources[key]

    def _of_kind(self, kind: Kind, now: float) -> _Allowance:
        if kind not in self._kinds:
            if len(self._kinds) >= MOST_SOURCES:
                self._kinds.clear()
            self._kinds[kind] = _Allowance(now, BURST_OF_KIND, SECONDS_OF_KIND)
        return self._kinds[kind]
