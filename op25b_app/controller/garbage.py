"""Collect cyclic garbage in the thread of the event loop only, and some objects at a time.

Python would collect in the thread that makes the object that is one too many. A green thread that is part of
such garbage would end there, outside its event loop.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

import eventlet

MANY_OBJECTS = 100_000
NEW_OBJECTS = 5_000
"""Number of objects that a collection walks over in one or two milliseconds."""
LOOK_SECONDS = 0.01
"""Seconds between looks for NEW_OBJECTS more objects, during work in other threads."""
_MIDDLE_GENERATION = 1
SHORT_SECONDS = 0.01
"""Seconds of a full collection that may run every second; one ten times as long runs a hundredth as often.

So there is little garbage of ended connections at any time.
"""


class Collector:
    """Collects between the turns of the event loop and, as a context manager, during work in other threads.

    A walk over all objects of such work, at its end, would halt the event loop for a tenth of a second. Where
    the work has left many objects, those alive afterwards are left out of later walks.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._works = 0
        self._made = 0
        """Number of new objects, summed over the looks."""
        self._looks = False
        self._is_called = False
        self._all_at = 0.0

    def collect_between_turns_only(self) -> None:
        """Stop the automatic collection; the event loop then calls :meth:`between_turns`."""
        self._is_called = True
        gc.disable()

    def between_turns(self) -> None:
        """Collect, if there are as many new objects as Python would wait for. The event loop calls it."""
        if self._works or gc.get_count()[0] <= gc.get_threshold()[0]:
            return
        began = self._now()
        if began >= self._all_at:
            gc.collect()
            self._all_at = began + max(1.0, ((self._now() - began) / SHORT_SECONDS) ** 2)
            return
        gc.enable()
        _ = sorted(())  # one object too many: here Python collects, and chooses the generation
        gc.disable()

    def __enter__(self) -> None:
        self._works += 1
        gc.disable()
        if not self._looks:
            self._looks = True
            eventlet.spawn_after(LOOK_SECONDS, self._look)

    def __exit__(self, *raised: object) -> None:
        self._works -= 1
        if self._works:
            return
        if self._made + gc.get_count()[0] > MANY_OBJECTS:
            gc.freeze()
        self._made = 0
        if not self._is_called:
            gc.enable()

    def _look(self) -> None:
        while self._works:
            if (new := gc.get_count()[0]) > NEW_OBJECTS:
                self._made += new
                gc.collect(_MIDDLE_GENERATION)
            eventlet.sleep(LOOK_SECONDS)
        self._looks = False


collector = Collector()
