"""Hold the table of a session's states: which state follows on which input.

The session takes its next state from here. ``scripts/write_pages.py`` shows the table in
``docs/architecture.md``. Tests drive a session into each entry, and hold that no other combination occurs.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import NamedTuple

from op25b_app.sync.status import CONVERGED, TRANSIENT, State


class Input(enum.Enum):
    """Event or conclusion of a session, in words that follow "when"."""

    CONNECTED = "it connects, and the policy names it"
    CONNECTED_UNNAMED = "it connects, and the policy does not name it"
    DISCONNECTED = "its connection ends"
    UNNAMED = "a policy that does not name it is put in force"
    POLICY_UNREAD = "a policy is put in force, and its table has to be read first"
    POLICY_KNOWN = "a policy is put in force, and its table is known"
    POLICY_SENT = "changes for that policy are sent"
    POLICY_EQUAL = "that policy changes no rule"
    POLICY_AGAIN = "the same policy is put in force again"
    POLICY_AGAIN_BUSY = "the same policy is put in force again, during a reading or an update"
    REPORTED = "it reports a change of its rules, or of ports that the policy has by name"
    UPDATING = "its table differs, and changes are sent"
    FAILED = "it does not answer, its answer cannot be used, or work on it fails"
    VIOLATED = "its table, its ports or its connections are not as wanted"
    DISTURBED = "its table is as wanted, but was changed again while it was read"
    PORTS_AWAITED = "its table is proven, but its ports are not described yet"
    PROVEN = "its table is proven, in enforce mode"
    PROVEN_MONITORING = "its table is proven, in monitor mode"


class Transition(NamedTuple):
    """The next state on an input, and the states in which that input occurs.

    In the states of ``ignored`` the input occurs, and changes neither the state nor its reason.
    """

    to: State
    occurs_in: frozenset[State]
    ignored: frozenset[State] = frozenset()


ALL = frozenset(State)
CONNECTED = ALL - {State.LOST}
NAMED = CONNECTED - {State.UNKNOWN}
READ = NAMED - {State.CONNECTING}
"""States in which the table has been read over this connection, or soon is."""
PENDING = NAMED - CONVERGED

TRANSITIONS: Mapping[Input, Transition] = {
    Input.CONNECTED: Transition(State.CONNECTING, ALL - {State.UNKNOWN}),
    Input.CONNECTED_UNNAMED: Transition(State.UNKNOWN, frozenset({State.LOST, State.UNKNOWN})),
    Input.DISCONNECTED: Transition(State.LOST, ALL),
    Input.UNNAMED: Transition(State.UNKNOWN, CONNECTED),
    Input.POLICY_UNREAD: Transition(State.INSTALLING, CONNECTED),
    Input.POLICY_KNOWN: Transition(State.CHECKING, READ),
    Input.POLICY_SENT: Transition(State.INSTALLING, frozenset({State.CHECKING})),
    Input.POLICY_EQUAL: Transition(State.CHECKING, frozenset({State.CHECKING})),
    Input.POLICY_AGAIN: Transition(State.CHECKING, READ),
    Input.POLICY_AGAIN_BUSY: Transition(State.CHECKING, NAMED, TRANSIENT),
    Input.REPORTED: Transition(State.CHECKING, NAMED, PENDING),
    Input.UPDATING: Transition(State.INSTALLING, NAMED, frozenset({State.DEGRADED})),
    Input.FAILED: Transition(State.DEGRADED, NAMED),
    Input.VIOLATED: Transition(State.DEGRADED, NAMED),
    Input.DISTURBED: Transition(State.CHECKING, PENDING, frozenset({State.CHECKING})),
    Input.PORTS_AWAITED: Transition(State.INSTALLING, PENDING),
    Input.PROVEN: Transition(State.PROTECTED, NAMED - {State.MONITORING}),
    Input.PROVEN_MONITORING: Transition(State.MONITORING, NAMED - {State.PROTECTED}),
}


def next_state(state: State, given: Input) -> State | None:
    """Return the state that follows on an input; None where the input is ignored.

    An input in a state in which it should not occur leads where it leads from the others: a session never
    stays in a better state than it has found.
    """
    transition = TRANSITIONS[given]
    return None if state in transition.ignored else transition.to
