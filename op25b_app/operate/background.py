"""Long work beside the event loop, which goes on meanwhile, in a thread for each kind of length."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import eventlet.semaphore
import eventlet.tpool

MANY_OBJECTS = 100_000
NEW_OBJECTS = 5_000
"""So many are walked over for cyclic garbage in one or two milliseconds."""
LOOK_SECONDS = 0.01
"""How often to look whether there are so many more."""
_MIDDLE_GENERATION = 1
SWITCH_SECONDS = 0.0001
"""How long a thread may go on while the event loop waits for the interpreter, as it does after each system
call that it makes. A turn of it makes some hundreds with many connections."""

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class Lane:
    """Works that wait for each other, and for no work of another lane.

    More threads would take their turns at the interpreter before the event loop's, and each would keep memory
    of its own.
    """

    def __init__(self) -> None:
        self._turn = eventlet.semaphore.Semaphore()

    def do(
        self,
        work: Callable[_Arguments, _Result],
        *arguments: _Arguments.args,
        **named: _Arguments.kwargs,
    ) -> _Result:
        """Do work in a thread of the operating system; the green thread that asked waits for its result.

        Raises what the work raises.
        """
        with self._turn, _collector:
            result: _Result = eventlet.tpool.execute(work, *arguments, **named)
            return result


class _Collector:
    """Collects cyclic garbage while there is work, in the event loop's thread and some objects at a time.

    Python would walk over all objects where it likes, in any thread: those of a table of 100,000 rules take
    half a second, and the end of a connection is for the event loop to see. All that are made during work,
    walked over at its end, would take a tenth of a second. Where work has left many, what is alive afterwards
    is left out of later walks.
    """

    def __init__(self) -> None:
        self._works = 0
        self._made = 0
        """How many objects more than before were there at each look."""
        self._looks = False

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
        gc.enable()

    def _look(self) -> None:
        while self._works:
            if (new := gc.get_count()[0]) > NEW_OBJECTS:
                self._made += new
                gc.collect(_MIDDLE_GENERATION)
            eventlet.sleep(LOOK_SECONDS)
        self._looks = False


COMPARING = Lane()
"""What a repair may wait for: compiling, comparing, planning. Some tenths of a second at most."""
PROVING = Lane()
"""Proofs, which nothing but the state of a switch waits for."""
EXAMINING = Lane()
"""Policies that are compared with the one in force, and what a doctor asks: only whoever asks waits."""
_LANES = 3

in_background = COMPARING.do

_collector = _Collector()
eventlet.tpool.set_num_threads(_LANES)
sys.setswitchinterval(SWITCH_SECONDS)
