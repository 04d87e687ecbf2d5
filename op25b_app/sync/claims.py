"""Decide which connection speaks for a datapath id where several claim it.

The first one does, for as long as it lives. A switch may connect again before op25b notices that its old
connection is gone. Then the old one is asked for a sign of life, and without one it loses its place. It is
not judged before all that it has sent is read. A second connection waits and stays open while the first
lives: a closed one would come again at once.

Auxiliary connections (OpenFlow 1.3.5, 6.3.7) claim nothing: they belong to a switch whose main connection is
open and comes from the same host.
"""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

LIFE_SECONDS = 5.0
"""Seconds the connection in use may be silent, all read that it has sent, once another claims its place."""
AGAIN_SECONDS = 5.0
"""Seconds from a sign of life to the next request for one, while other connections wait."""
MAX_WAITING = 4
"""Maximum number of connections that wait for the place of one; of more the oldest is closed."""

_SILENT = "showed no sign of life while another connection claimed its datapath id"
_TOO_MANY = f"was one of more than {MAX_WAITING} that waited to speak for one datapath id"
_ORPHAN = "is auxiliary to a main connection from the same address that is not there"
_REPLACED = "is auxiliary, and another one has its number now"

Key = TypeVar("Key")


class ClaimActions(NamedTuple, Generic[Key]):
    """Decision: a connection to use, one to ask for a sign of life, and some to close.

    The reason to close one continues the word "it".
    """

    use: Key | None = None
    ask: Key | None = None
    close: tuple[tuple[Key, str], ...] = ()


class Claims(Generic[Key]):
    """The connections that claim one datapath id. Times are in seconds and never go back."""

    def __init__(self) -> None:
        self.in_use: Key | None = None
        self._waiting: dict[Key, None] = {}
        """Waiting connections in the order in which they came."""
        self._hosts: dict[Key, str] = {}
        self._auxiliary: dict[tuple[str, int], Key] = {}
        self._asked_at: float | None = None
        """Time since when the connection in use is silent after a request; None without a request."""
        self._last_sign_at: float | None = None
        """Time of its last sign of life since it has rivals."""

    def __bool__(self) -> bool:
        """Return whether any connection is left, auxiliary ones aside."""
        return bool(self._hosts)

    @property
    def is_contested(self) -> bool:
        """True where connections wait: call :meth:`tick` now and then."""
        return bool(self._waiting)

    @property
    def rivals(self) -> tuple[Key, ...]:
        """Two or more live connections that claim the datapath id; empty where one is alone."""
        if self.in_use is None or self._last_sign_at is None or not self._waiting:
            return ()
        return self.in_use, *self._waiting

    def is_claimed_by(self, key: Key) -> bool:
        """Return whether a connection, not an auxiliary one, is in use or waits for that."""
        return key in self._hosts

    def claim(self, key: Key, host: str, now: float) -> ClaimActions[Key]:
        """Take the claim of a connection from ``host``."""
        if key == self.in_use:
            return ClaimActions(use=key)
        self._hosts[key] = host
        if self.in_use is None:
            return self._use(key, now)
        if not self._waiting:
            self._last_sign_at = None
        self._waiting[key] = None
        close: list[tuple[Key, str]] = []
        for each in [*self._waiting][:-MAX_WAITING]:
            close += ((each, _TOO_MANY), *self._forget(each))
        return ClaimActions(ask=self._ask(now), close=tuple(close))

    def auxiliary(self, key: Key, host: str, number: int) -> ClaimActions[Key]:
        """Take an auxiliary connection; close it without a main one, else an older one of its number."""
        if host not in self._hosts.values():
            return ClaimActions(close=((key, _ORPHAN),))
        before = self._auxiliary.get((host, number))
        self._auxiliary[host, number] = key
        return ClaimActions(close=() if before is None or before == key else ((before, _REPLACED),))

    def note_message(self, key: Key, now: float) -> bool:
        """Note a sign of life; return whether it is the first since the connection in use has rivals."""
        if key != self.in_use or self._asked_at is None:
            return False
        is_first = self._last_sign_at is None and bool(self._waiting)
        self._asked_at, self._last_sign_at = None, now
        return is_first

    def note_backlog(self, now: float) -> None:
        """Restart the wait for a sign of life: messages of or to the connection in use are queued."""
        if self._asked_at is not None:
            self._asked_at = now

    def tick(self, now: float) -> ClaimActions[Key]:
        """Ask the connection in use for a sign of life when that is due, and replace a silent one."""
        if self.in_use is None or not self._waiting:
            return ClaimActions()
        if self._asked_at is None:
            is_due = self._last_sign_at is None or now - self._last_sign_at >= AGAIN_SECONDS
            return ClaimActions(ask=self._ask(now) if is_due else None)
        if now - self._asked_at < LIFE_SECONDS:
            return ClaimActions()
        lost = self.in_use
        orphans = self._forget(lost)
        return self._use_newest(now, ((lost, _SILENT), *orphans))

    def ended(self, key: Key, now: float) -> ClaimActions[Key]:
        """Take the end of a connection; auxiliary ones without a main one are to be closed."""
        for place, each in [*self._auxiliary.items()]:
            if each == key:
                del self._auxiliary[place]
        if key not in self._hosts:
            return ClaimActions()
        was_in_use, orphans = key == self.in_use, self._forget(key)
        return self._use_newest(now, orphans) if was_in_use else ClaimActions(close=orphans)

    def _use_newest(self, now: float, close: tuple[tuple[Key, str], ...]) -> ClaimActions[Key]:
        if not self._waiting:
            return ClaimActions(close=close)
        return self._use([*self._waiting][-1], now)._replace(close=close)

    def _use(self, key: Key, now: float) -> ClaimActions[Key]:
        self._waiting.pop(key, None)
        self.in_use, self._last_sign_at, self._asked_at = key, None, None
        return ClaimActions(use=key, ask=self._ask(now) if self._waiting else None)

    def _ask(self, now: float) -> Key | None:
        if self._asked_at is not None:
            return None
        self._asked_at = now
        return self.in_use

    def _forget(self, key: Key) -> tuple[tuple[Key, str], ...]:
        """Forget a claim; return the auxiliary connections without a main one."""
        host = self._hosts.pop(key)
        self._waiting.pop(key, None)
        if key == self.in_use:
            self.in_use, self._asked_at, self._last_sign_at = None, None, None
        if host in self._hosts.values():
            return ()
        places = [place for place in self._auxiliary if place[0] == host]
        return tuple((self._auxiliary.pop(place), _ORPHAN) for place in places)
