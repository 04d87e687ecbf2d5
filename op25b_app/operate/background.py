"""Long work beside the event loop, which goes on meanwhile, in a thread for each kind of length."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import eventlet.semaphore
import eventlet.tpool

MANY_OBJECTS = 100_000

SWITCH_SECONDS = 0.001
"""How long a thread may go on while the event loop waits for the interpreter, as it does after each system
call that it makes; a turn of it may make a dozen."""

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
        with self._turn, _collector_spared:
            result: _Result = eventlet.tpool.execute(work, *arguments, **named)
            return result


class _CollectorSpared:
    """No collection of cyclic garbage while there is work, since it would stop every thread while it walks.

    A walk over the objects of a table of 100,000 rules takes half a second. Where work has made that
    many, what is alive afterwards is left out of later walks, too. For the event loop's thread only.
    """

    def __init__(self) -> None:
        self._works = 0

    def __enter__(self) -> None:
        self._works += 1
        gc.disable()

    def __exit__(self, *raised: object) -> None:
        self._works -= 1
        if self._works:
            return
        if gc.get_count()[0] > MANY_OBJECTS:
            gc.freeze()
        gc.enable()


COMPARING = Lane()
"""What a repair may wait for: compiling, comparing, planning. Some tenths of a second at most."""
PROVING = Lane()
"""Proofs, which nothing but the state of a switch waits for."""
EXAMINING = Lane()
"""Policies that are compared with the one in force, and what a doctor asks: only whoever asks waits."""
_LANES = 3

in_background = COMPARING.do

_collector_spared = _CollectorSpared()
eventlet.tpool.set_num_threads(_LANES)
sys.setswitchinterval(SWITCH_SECONDS)
