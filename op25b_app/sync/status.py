"""What a session tells: messages to send, the state of its switch, and what has happened to that."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, NamedTuple


class State(enum.Enum):
    CONNECTING = "connecting"
    INSTALLING = "installing"
    CHECKING = "checking"
    """It was as wanted. Something has changed since, and the table is not proven again yet."""
    PROTECTED = "protected"
    MONITORING = "monitoring"
    DEGRADED = "degraded"
    LOST = "lost"
    UNKNOWN = "unknown"


AS_WANTED = (State.PROTECTED, State.MONITORING)
ON_THE_WAY = (State.CONNECTING, State.INSTALLING, State.CHECKING)
"""The states that end by themselves."""


class Status(NamedTuple):
    """What to say of a switch; ``since`` in seconds since 1970, ``rules`` those confirmed last.

    ``since`` is the moment from which the state holds. A check that finds nothing changed does not move it.
    """

    state: State
    reason: str
    since: float
    rules: int = 0


class Event(NamedTuple):
    """Something that happened to a switch, other than a new state, and that an operator wants to know of."""

    kind: str
    text: str


class Job(NamedTuple):
    """Work that takes long, to be done beside the event loop.

    ``work`` reads only values that nobody changes. Its result goes to ``then``, as an input of the session at
    a time in seconds since 1970; ``fail`` is the input, with a reason, where it raised. What has come
    meanwhile is handled first, and may have made the result stale: then it is ignored. ``proves`` tells
    that the work is a proof, which may take much longer than any other.
    """

    work: Callable[[], Any]
    then: Callable[[Any, float], Outcome]
    fail: Callable[[str, float], Outcome]
    proves: bool = False


class Outcome(NamedTuple):
    """What an input leads to: OpenFlow messages, joined to pieces to send in order; the state if new."""

    pieces: tuple[bytes, ...] = ()
    turned: Status | None = None
    events: tuple[Event, ...] = ()
    job: Job | None = None

    def before(self, other: Outcome) -> Outcome:
        """Return this outcome with another one behind it; of two states or jobs the later one counts."""
        return Outcome(
            self.pieces + other.pieces,
            other.turned or self.turned,
            self.events + other.events,
            other.job or self.job,
        )
