"""Results of a session: messages to send, the state of its switch, events and jobs."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, NamedTuple


class State(str, enum.Enum):
    """State of a switch, equal to its name in reports."""

    CONNECTING = "connecting"
    INSTALLING = "installing"
    CHECKING = "checking"
    """Its rules or the policy have changed, and the table is not proven again yet."""
    PROTECTED = "protected"
    MONITORING = "monitoring"
    DEGRADED = "degraded"
    LOST = "lost"
    UNKNOWN = "unknown"


CONVERGED = frozenset({State.PROTECTED, State.MONITORING})
TRANSIENT = frozenset({State.CONNECTING, State.INSTALLING, State.CHECKING})


def is_converged(state: str) -> bool:
    """Return whether a switch in this state is in its desired state, read back and proven."""
    return state in CONVERGED


def is_transient(state: str) -> bool:
    """Return whether a switch leaves this state by itself, soon."""
    return state in TRANSIENT


def needs_operator(state: str) -> bool:
    """Return whether a switch in this state waits for somebody to act."""
    return not (is_converged(state) or is_transient(state))


class Status(NamedTuple):
    """State of a switch with its reason; ``rules`` is the number of rules confirmed last.

    ``since`` is the moment from which the state holds, in seconds since 1970. A check that finds nothing
    changed does not move it.
    """

    state: State
    reason: str
    since: float
    rules: int = 0


class SwitchEvent(NamedTuple):
    """Event on a switch, other than a new state, for the operator."""

    kind: str
    text: str


class Job(NamedTuple):
    """Slow work, to be done beside the event loop.

    ``work`` reads only values that no other code changes. ``then`` takes its result, or ``fail`` a reason
    where it raised, as an input of the session at a time in seconds since 1970. Inputs that came meanwhile
    are handled first; where they made the result stale, it is ignored. ``proves`` is true for a proof, which
    may take much longer than any other work.
    """

    work: Callable[[], Any]
    then: Callable[[Any, float], Outcome]
    fail: Callable[[str, float], Outcome]
    proves: bool = False


class Outcome(NamedTuple):
    """Result of an input: OpenFlow messages, joined to pieces to send in order; the state if new."""

    chunks: tuple[bytes, ...] = ()
    new_status: Status | None = None
    events: tuple[SwitchEvent, ...] = ()
    job: Job | None = None

    def before(self, other: Outcome) -> Outcome:
        """Return this outcome with another one behind it; of two states or jobs the later one is kept."""
        return Outcome(
            self.chunks + other.chunks,
            other.new_status or self.new_status,
            self.events + other.events,
            other.job or self.job,
        )
