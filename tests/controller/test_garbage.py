"""Cyclic garbage is collected in the thread of the event loop, whichever thread has made it."""

from __future__ import annotations

import gc
import math
import threading
from collections.abc import Iterator

import pytest

from op25b_app.controller.garbage import Collector
from tests.cyclic_garbage import make_in_another_thread

OBJECTS = 20_000


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    collector.collect_between_turns_only()
    yield collector
    gc.enable()


def test_garbage_of_another_thread_ends_in_the_thread_of_the_event_loop(collector: Collector) -> None:
    ended_in = make_in_another_thread(OBJECTS)
    assert ended_in == []
    collector.between_turns()
    assert len(ended_in) == OBJECTS
    assert set(ended_in) == {threading.get_ident()}
    assert not gc.isenabled()


def test_nothing_is_collected_between_turns_before_there_is_enough(collector: Collector) -> None:
    gc.collect()
    ended_in = make_in_another_thread(1)
    collector.between_turns()
    assert ended_in == []


@pytest.mark.parametrize(("takes", "waits"), [(0.001, 1.0), (0.01, 1.0), (0.1, 100.0)])
def test_the_longer_it_takes_to_walk_over_all_objects_the_rarer_it_is(takes: float, waits: float) -> None:
    now = 1000.0
    begun: list[float] = []
    kept: list[object] = []

    def take_time(phase: str, about: dict[str, int]) -> None:
        nonlocal now
        if about["generation"] == 2 and phase == "start":
            begun.append(now)
            now += takes

    collector = Collector(lambda: now)
    collector.collect_between_turns_only()
    gc.callbacks.append(take_time)
    try:
        for step in (0.0, 0.5 * waits, 0.4 * waits, 0.2 * waits):
            now += step
            kept.append([[each] for each in range(OBJECTS)])
            collector.between_turns()
    finally:
        gc.callbacks.remove(take_time)
        gc.enable()
    assert len(begun) == 2
    assert begun[1] - begun[0] == pytest.approx(1.1 * waits + takes)


def test_what_grows_is_walked_over_before_that(collector: Collector) -> None:
    """As Python does it: where a quarter of all objects has come since the last time."""
    gc.freeze()
    try:
        gc.collect()  # from now on a few objects are a large part of those that were there
        late = Collector(lambda: -1.0)  # it is never time to walk over all
        late.collect_between_turns_only()
        before = gc.get_stats()[2]["collections"]
        enough = 2 * math.prod(threshold + 1 for threshold in gc.get_threshold())
        kept: list[list[object]] = []
        for _ in range(enough):
            kept.append([])
            late.between_turns()
        assert gc.get_stats()[2]["collections"] > before
    finally:
        gc.unfreeze()
    assert len(kept) == enough


def test_work_in_other_threads_leaves_the_automatic_collection_off(collector: Collector) -> None:
    with collector:
        ended_in = make_in_another_thread(OBJECTS)
    assert not gc.isenabled()
    collector.between_turns()
    assert set(ended_in) == {threading.get_ident()}
