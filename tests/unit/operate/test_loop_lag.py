"""The lag of an event loop, against a clock that a test sets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from op25b_app.operate.loop_lag import LATE_SECONDS, LoopLag


def test_the_longest_lag_and_how_many_were_late() -> None:
    now = 100.0
    lags: Iterator[float] = iter((0.0, 0.02, LATE_SECONDS / 2, 0.3, 0.06))

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds + next(lags)

    lag = LoopLag()
    with pytest.raises(StopIteration):
        lag.watch(sleep, lambda: now)
    assert lag.report() == {"longest_lag": 0.3, "late": 2, "late_from": LATE_SECONDS}
