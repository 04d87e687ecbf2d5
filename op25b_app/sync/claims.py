"""Which connection speaks for a datapath id, where several claim it.

The first one does, for as long as it lives. A switch that connects again, because its connection is gone
while this side does not know it yet, comes second: then the first is asked for a sign of life, and without
one it loses its place. As long as this side has not read all that the first has sent, it is not judged.
Whoever comes second while the first lives waits, over a connection that stays open: one that is closed would
come again at once.

Auxiliary connections (OpenFlow 1.3.5, 6.3.7) claim nothing: they belong to a switch whose main connection is
there, and comes from the same host.
"""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

LIFE_SECONDS = 5.0
"""How long the connection in use may be silent, all read that it has sent, once another claims its place."""
AGAIN_SECONDS = 5.0
"""How long after a sign of life it is asked for the next one, while others wait."""
MOST_WAITING = 4
"""So many connections may wait for the place of one; of more the oldest is closed."""

_SILENT = "showed no sign of life while another connection claimed its datapath id"
_TOO_MANY = f"was one of more than {MOST_WAITING} that waited to speak for one datapath id"
_ORPHAN = "is auxiliary to a main connection from the same address that is not there"
_REPLACED = "is auxiliary, and another one has its number now"

Key = TypeVar("Key")


class Ruling(NamedTuple, Generic[Key]):
    """What is to be done: a connection to speak over, one to be asked for a sign of life, some to close.

    Why these are closed goes on after "it".
    """

    use: Key | None = None
    ask: Key | None = None
    close: tuple[tuple[Key, str], ...] = ()


class Claims(Generic[Key]):
    """The connections that claim one datapath id. Times are in seconds and never go back."""

    def __init__(self) -> None:
        self.in_use: Key | None = None
        self._waiting: dict[Key, None] = {}
        """In the order in which they came."""
        self._hosts: dict[Key, str] = {}
        self._auxiliary: dict[tuple[str, int], Key] = {}
        self._asked_at: float | None = None
        """Since when the one in use has been silent, asked for a sign of life."""
        self._heard_at: float | None = None
        """When it has shown one since it has rivals."""

    def __bool__(self) -> bool:
        """Whether any connection is left."""
        return bool(self._hosts)

    @property
    def is_contested(self) -> bool:
        """Whether others wait: then call :meth:`tick` every now and then."""
        return bool(self._waiting)

    @property
    def rivals(self) -> tuple[Key, ...]:
        """Two connections or more that are alive and claim the datapath id; none where one is alone."""
        if self.in_use is None or self._heard_at is None or not self._waiting:
            return ()
        return self.in_use, *self._waiting

    def is_claimed_by(self, key: Key) -> bool:
        """Whether a connection is in use or waits for that, and is no auxiliary one."""
        return key in self._hosts

    def claim(self, key: Key, host: str, now: float) -> Ruling[Key]:
        """A connection from ``host`` says that it is the switch."""
        if key == self.in_use:
            return Ruling(use=key)
        self._hosts[key] = host
        if self.in_use is None:
            return self._use(key, now)
        if not self._waiting:
            self._heard_at = None
        self._waiting[key] = None
        close: list[tuple[Key, str]] = []
        for each in [*self._waiting][:-MOST_WAITING]:
            close += ((each, _TOO_MANY), *self._forget(each))
        return Ruling(ask=self._ask(now), close=tuple(close))

    def auxiliary(self, key: Key, host: str, number: int) -> Ruling[Key]:
        """A connection says that it is one of those beside the main one. It is let be, or closed."""
        if host not in self._hosts.values():
            return Ruling(close=((key, _ORPHAN),))
        before = self._auxiliary.get((host, number))
        self._auxiliary[host, number] = key
        return Ruling(close=() if before is None or before == key else ((before, _REPLACED),))

    def heard(self, key: Key, now: float) -> bool:
        """A connection shows that it lives. Whether that tells something that was not known."""
        if key != self.in_use or self._asked_at is None:
            return False
        is_news = self._heard_at is None and bool(self._waiting)
        self._asked_at, self._heard_at = None, now
        return is_news

    def behind(self, now: float) -> None:
        """Whether the connection in use lives cannot be told: what it has sent, or is sent, still waits."""
        if self._asked_at is not None:
            self._asked_at = now

    def tick(self, now: float) -> Ruling[Key]:
        """Time has passed: without a sign of life the connection in use has to go."""
        if self.in_use is None or not self._waiting:
            return Ruling()
        if self._asked_at is None:
            is_due = self._heard_at is None or now - self._heard_at >= AGAIN_SECONDS
            return Ruling(ask=self._ask(now) if is_due else None)
        if now - self._asked_at < LIFE_SECONDS:
            return Ruling()
        lost = self.in_use
        orphans = self._forget(lost)
        return self._use_newest(now, ((lost, _SILENT), *orphans))

    def ended(self, key: Key, now: float) -> Ruling[Key]:
        """A connection is at its end; with a main one its auxiliary ones end."""
        for place, each in [*self._auxiliary.items()]:
            if each == key:
                del self._auxiliary[place]
        if key not in self._hosts:
            return Ruling()
        was_in_use, orphans = key == self.in_use, self._forget(key)
        return self._use_newest(now, orphans) if was_in_use else Ruling(close=orphans)

    def _use_newest(self, now: float, close: tuple[tuple[Key, str], ...]) -> Ruling[Key]:
        if not self._waiting:
            return Ruling(close=close)
        return self._use([*self._waiting][-1], now)._replace(close=close)

    def _use(self, key: Key, now: float) -> Ruling[Key]:
        self._waiting.pop(key, None)
        self.in_use, self._heard_at, self._asked_at = key, None, None
        return Ruling(use=key, ask=self._ask(now) if self._waiting else None)

    def _ask(self, now: float) -> Key | None:
        if self._asked_at is not None:
            return None
        self._asked_at = now
        return self.in_use

    def _forget(self, key: Key) -> tuple[tuple[Key, str], ...]:
        """A connection claims nothing any more; which auxiliary ones have no main one left."""
        host = self._hosts.pop(key)
        self._waiting.pop(key, None)
        if key == self.in_use:
            self.in_use, self._asked_at, self._heard_at = None, None, None
        if host in self._hosts.values():
            return ()
        places = [place for place in self._auxiliary if place[0] == host]
        return tuple((self._auxiliary.pop(place), _ORPHAN) for place in places)
