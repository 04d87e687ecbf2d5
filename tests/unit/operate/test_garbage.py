"""Cyclic garbage is collected in the thread of the event loop, whichever thread has made it."""

from __future__ import annotations

import gc
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


def test_all_generations_are_collected_in_the_end(collector: Collector) -> None:
    """What was alive when the younger ones were collected is found by a later, wider collection."""
    gc.freeze()
    try:
        gc.collect()  # from now on a few objects are a large part of those that were there
        before = gc.get_stats()[2]["collections"]
        kept: list[list[object]] = []
        for _ in range(10 * OBJECTS):
            kept.append([])
            collector.between_turns()
        assert gc.get_stats()[2]["collections"] > before
    finally:
        gc.unfreeze()
    assert len(kept) == 10 * OBJECTS


def test_work_in_other_threads_leaves_the_automatic_collection_off(collector: Collector) -> None:
    with collector:
        make_garbage_in_another_thread()
    assert not gc.isenabled()
    collector.between_turns()
    assert set(Cycle.ended_in) == {threading.get_ident()}
