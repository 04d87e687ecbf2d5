"""What a session tells: messages to send, the state of its switch, and what has happened to that."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import NamedTuple


class State(enum.Enum):
    CONNECTING = "connecting"
    INSTALLING = "installing"
    PROTECTED = "protected"
    MONITORING = "monitoring"
    DEGRADED = "degraded"
    LOST = "lost"
    UNKNOWN = "unknown"


AS_WANTED = (State.PROTECTED, State.MONITORING)


class Status(NamedTuple):
    """What to say of a switch; ``since`` in seconds since 1970, ``rules`` those confirmed last."""

    state: State
    reason: str
    since: float
    rules: int = 0


class Event(NamedTuple):
    """Something that happened to a switch, other than a new state, and that an operator wants to know of."""

    kind: str
    text: str


class Outcome(NamedTuple):
    """What an input leads to: OpenFlow messages, joined to pieces to send in order; the state if new.

    Where there is something ``later``, that comes next, before any other input, at a time in seconds since
    1970; it may take long.
    """

    pieces: tuple[bytes, ...] = ()
    turned: Status | None = None
    events: tuple[Event, ...] = ()
    later: Callable[[float], Outcome] | None = None
