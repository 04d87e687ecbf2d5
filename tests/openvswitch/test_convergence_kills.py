"""The controller is killed at random moments; the whole campaign is ``-m benchmarks.convergence kills``."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.convergence.kills import SITES, kills
from benchmarks.convergence.plans import Variant, two_plans
from benchmarks.convergence.record import Kind

pytestmark = pytest.mark.slow
LISTS = Path(__file__).parents[3] / "shared/data/isp-prefixes"
ROUNDS = 6


def test_nothing_leaks_and_nothing_stops_while_controller_and_switch_are_killed(tmp_path: Path) -> None:
    first, second = (Variant(space.name, space) for space in two_plans(LISTS, ("AS2527", "AS2516")))
    found = kills((first, second), tmp_path, ROUNDS, rate=200, count=600)
    assert found.as_expected, found
    assert sum(found.moments.values()) == len(found.recoveries) == ROUNDS
    assert len(found.empty_seconds) == len(SITES), "ovs-vswitchd was killed once"
    assert found.total(Kind.EMPTY).lost > 0, "an empty switch passes nothing"
    assert found.deletions > ROUNDS
    steady = found.total(Kind.STEADY)
    assert min(steady.blocked, steady.permitted) > 1000
