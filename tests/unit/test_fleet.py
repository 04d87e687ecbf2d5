"""How many controllers a network needs, from a crowd that one was measured with."""

from __future__ import annotations

import pytest

from benchmarks.fleet import Limits, needs
from benchmarks.results import Switches, spread_of

CROWD = Switches(
    1_000,
    "op25b",
    1_017,
    proven_cpu=spread_of([9.0]),
    again_cpu=spread_of([3.0]),
    peak=spread_of([220.0]),
    idle=spread_of([0.1]),
)
LIMITS = Limits(seconds=60, megabytes=2_000, share=0.5)


def test_each_measure_asks_for_controllers_of_its_own() -> None:
    assert [each.controllers for each in needs(CROWD, 100_000, LIMITS)] == [15, 5, 20, 11]
    assert [each.controllers for each in needs(CROWD, 1_000, LIMITS)] == [1, 1, 1, 1]


def test_a_run_without_all_times_is_refused() -> None:
    with pytest.raises(ValueError, match="no times of op25b for 1,000 switches"):
        needs(Switches(1_000, "op25b", 1_017), 100_000, LIMITS)
