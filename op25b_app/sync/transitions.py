"""Hold the table of a session's states: which state follows on which input.

The session takes its next state from here. ``docs/architecture.md`` shows the table; a test writes and
compares it. Tests drive a session into each entry, and hold that no other combination occurs.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from op25b_app.sync.status import CONVERGED, TRANSIENT, State


class Input(enum.Enum):
    """What a session has taken in or concluded, in words that follow "when"."""

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
    REPORTED = "it reports a change of its rules"
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
MANY = 3

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


def table() -> str:
    """Return the table as Markdown: a row for each input, a column for each state."""
    head = ["Input", "when", *(state.value for state in State)]
    rows = [
        [_name(given), given.value, *(_cell(transition, state) for state in State)]
        for given, transition in TRANSITIONS.items()
    ]
    return "\n".join(map(_row, [head, ["---"] * len(head), *rows]))


def drawing() -> str:
    """Return the table as a Mermaid state diagram: an arrow for each pair of states, with its inputs.

    One arrow leaves the group ``named`` where an input leads on from MANY of its states, or more.
    """
    arrows: dict[tuple[str, str], list[str]] = {}
    for given, transition in TRANSITIONS.items():
        before = transition.occurs_in - transition.ignored - {transition.to}
        singly = before - NAMED if len(before & NAMED) >= MANY else before
        names = [state.value for state in State if state in singly]
        for name in names if singly == before else [*names, "named"]:
            arrows.setdefault((name, transition.to.value), []).append(_name(given))
    group = "".join(f"        {state.value}\n" for state in State if state in NAMED)
    lines = [f"    {one} --> {other}: {', '.join(names)}" for (one, other), names in arrows.items()]
    return "\n".join(["stateDiagram-v2", f"    state named {{\n{group}    }}", *lines])


def _name(given: Input) -> str:
    return given.name.lower().replace("_", " ")


def _cell(transition: Transition, state: State) -> str:
    if state not in transition.occurs_in:
        return ""
    return "stays" if state in transition.ignored else transition.to.value


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
