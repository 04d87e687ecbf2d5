"""Some of the sequences of ``lease_churn.py``; and a session that forgets a step is caught by them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest

from op25b_app.policy.model import Policy, Switch
from op25b_app.sync.desired_state import DesiredState, DesiredStates
from tests.property.lease_churn import Churn

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("first", range(0, 40, 10))
def test_no_lease_opens_port_25_however_it_comes_and_goes(first: int) -> None:
    done: Counter[str] = Counter()
    for seed in range(first, first + 10):
        Churn(seed, done).run()
    assert min(done[name] for name in ("join", "release", "write_file", "lose_file", "interrupted")) > 2


def test_rules_of_lines_as_they_were_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler that goes on with the lines that it knew."""
    of = DesiredStates.of

    def change_lines(states: DesiredStates, policy: Policy) -> None:
        states._edition += 1

    def of_the_first(states: DesiredStates, switch: Switch) -> DesiredState:
        return of(states, states._policy.switches[switch.name])

    monkeypatch.setattr(DesiredStates, "change_lines", change_lines)
    monkeypatch.setattr(DesiredStates, "of", of_the_first)
    with pytest.raises(AssertionError):
        _run(range(20))


def _run(seeds: Iterable[int]) -> None:
    for seed in seeds:
        Churn(seed, Counter()).run()
