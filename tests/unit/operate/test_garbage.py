"""Cyclic garbage is collected in the thread of the event loop, whichever thread has made it."""

from __future__ import annotations

import gc
import math
import threading
from collections.abc import Iterator

import pytest

from op25b_app.operate.garbage import Collector

OBJECTS = 20_000


class Cycle:
    """Garbage that only a collector finds; notes in which thread it ends."""

    ended_in: list[int]

    def __init__(self) -> None:
        self.self = self

    def __del__(self) -> None:
        self.ended_in.append(threading.get_ident())


@pytest.fixture
def collector() -> Iterator[Collector]:
    Cycle.ended_in = []
    collector = Collector()
    collector.collect_between_turns_only()
    yield collector
    gc.enable()


def make_garbage_in_another_thread() -> None:
    thread = threading.Thread(target=lambda: [Cycle() and None for _ in range(OBJECTS)])
    thread.start()
    thread.join()


def test_garbage_of_another_thread_ends_in_the_thread_of_the_event_loop(collector: Collector) -> None:
    make_garbage_in_another_thread()
    assert Cycle.ended_in == []
    collector.between_turns()
    assert len(Cycle.ended_in) == OBJECTS
    assert set(Cycle.ended_in) == {threading.get_ident()}
    assert not gc.isenabled()


def test_nothing_is_collected_between_turns_before_there_is_enough(collector: Collector) -> None:
    gc.collect()
    Cycle()
    collector.between_turns()
    assert Cycle.ended_in == []


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
        make_garbage_in_another_thread()
    assert not gc.isenabled()
    collector.between_turns()
    assert set(Cycle.ended_in) == {threading.get_ident()}
