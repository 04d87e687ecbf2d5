"""Work beside the event loop: cyclic garbage goes meanwhile, in the loop's thread and some at a time."""

from __future__ import annotations

import gc
import threading
import time

from op25b_app.controller.garbage import LOOK_SECONDS, NEW_OBJECTS
from op25b_app.controller.serial_executor import SerialExecutor
from tests.cyclic_garbage import Cycle


def test_garbage_is_collected_while_there_is_work_and_in_the_thread_of_the_event_loop() -> None:
    ended_in: list[int] = []
    worked_in: list[int] = []

    def work() -> int:
        worked_in.append(threading.get_ident())
        give_up = time.monotonic() + 60
        while len(ended_in) < 10 * NEW_OBJECTS and time.monotonic() < give_up:
            for _ in range(NEW_OBJECTS // 10):
                Cycle(ended_in)
            time.sleep(LOOK_SECONDS / 2)
        return len(ended_in)

    assert SerialExecutor().do(work) >= 10 * NEW_OBJECTS
    assert set(ended_in) == {threading.get_ident()}
    assert worked_in != [threading.get_ident()]
    assert gc.isenabled()


def test_what_a_large_work_has_left_is_left_out_of_later_collections() -> None:
    gc.unfreeze()
    kept: list[list[int]] = SerialExecutor().do(lambda: [[] for _ in range(300_000)])
    assert gc.get_freeze_count() > len(kept)
    gc.unfreeze()
    SerialExecutor().do(lambda: [[] for _ in range(100)])
    assert gc.get_freeze_count() == 0
