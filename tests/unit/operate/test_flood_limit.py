"""Of many lines of one kind some are told, and how many were left out."""

from __future__ import annotations

from functools import partial

from op25b_app.operate import flood_limit
from op25b_app.operate.flood_limit import BURST, BURST_OF_KIND, QUIET_SECONDS, SECONDS, Flood, FloodLimit

KIND = ("op25b", "%s sent garbage")


def reported(limit: FloodLimit, lines: int, source: str = "192.0.2.1", now: float = 0.0) -> int:
    """How many of so many lines are told."""
    texts = (f"line {number}" for number in range(lines))
    return sum(limit.admit(KIND, source, now, partial(str, text)) is not None for text in texts)


def test_after_a_burst_some_are_reported_and_the_rest_is_counted() -> None:
    limit = FloodLimit()
    assert reported(limit, 1000) == BURST
    assert limit.admit(KIND, "192.0.2.1", SECONDS) == 1000 - BURST
    assert limit.admit(KIND, "192.0.2.1", SECONDS) is None
    assert limit.admit(KIND, "192.0.2.1", 2 * SECONDS) == 1


def test_others_and_other_kinds_are_reported() -> None:
    limit = FloodLimit()
    reported(limit, 1000)
    assert reported(limit, BURST, "192.0.2.2") == BURST
    assert limit.admit(("op25b", "%s: %s"), "192.0.2.1", 0.0) == 0


def test_a_thousand_switches_may_tell_what_they_tell_when_they_connect() -> None:
    limit = FloodLimit()
    assert sum(reported(limit, 3, f"access-{number}") for number in range(1000)) == 3000


def test_many_sources_of_one_kind_are_a_flood_as_well() -> None:
    limit = FloodLimit()
    assert (
        sum(reported(limit, 1, f"2001:db8::{number:x}") for number in range(2 * BURST_OF_KIND))
        == BURST_OF_KIND
    )


def test_of_a_flood_that_is_over_it_is_reported() -> None:
    limit = FloodLimit()
    reported(limit, 1000)
    assert [*limit.over(QUIET_SECONDS - 1)] == []
    assert [*limit.over(QUIET_SECONDS)] == [Flood(KIND, "192.0.2.1", 1000 - BURST, "line 999")]
    assert [*limit.over(QUIET_SECONDS)] == []


def test_what_is_remembered_is_bounded() -> None:
    limit = FloodLimit()
    for number in range(3 * flood_limit.MAX_SOURCES):
        limit.admit((str(number), ""), str(number), 0.0)
    assert len(vars(limit)["_sources"]) <= flood_limit.MAX_SOURCES + 1
    assert len(vars(limit)["_kinds"]) <= flood_limit.MAX_SOURCES
    assert limit.admit(KIND, "new", 1e6) == 0, "what is long ago is forgotten"
    assert len(vars(limit)["_sources"]) < 10
