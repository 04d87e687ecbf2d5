"""An interrupted run cleans up as a finished one does, and a slow machine fails no test."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from types import FrameType

import pytest
from hypothesis import HealthCheck, settings

from op25b_app.sync import session
from op25b_app.sync.status import State
from op25b_app.sync.transitions import TRANSITIONS, Input, next_state


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def pytest_configure(config: pytest.Config) -> None:
    """SIGTERM and SIGHUP do what SIGINT does: pytest ends the fixtures it has begun.

    Hypothesis gives examples as long as they take.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("patient")


@pytest.fixture(scope="session", autouse=True)
def states_are_in_the_table() -> Iterator[None]:
    """Hold that each input of a session occurs in a state that sync/transitions.py has for it."""

    def checked(state: State, given: Input) -> State | None:
        assert state in TRANSITIONS[given].occurs_in, f"{given} in {state}"
        return next_state(state, given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "next_state", checked)
        yield
