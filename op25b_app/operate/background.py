"""Long work beside the event loop, which goes on meanwhile."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import eventlet.semaphore
import eventlet.tpool

MANY_OBJECTS = 100_000

SWITCH_SECONDS = 0.001
"""How long the thread may go on while the event loop waits for the interpreter, as it does after each system
call that it makes; a turn of it may make a dozen."""

_turn = eventlet.semaphore.Semaphore()
eventlet.tpool.set_num_threads(1)
sys.setswitchinterval(SWITCH_SECONDS)

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def in_background(
    work: Callable[_Arguments, _Result], *arguments: _Arguments.args, **named: _Arguments.kwargs
) -> _Result:
    """Do work in a thread of the operating system; the green thread that asked waits for its result.

    One work at a time: more threads would take their turns at the interpreter before the event loop's, and
    each would keep memory of its own.
    """
    with _turn:
        result: _Result = eventlet.tpool.execute(_spared_collection, work, *arguments, **named)
        return result


def _spared_collection(
    work: Callable[_Arguments, _Result], *arguments: _Arguments.args, **named: _Arguments.kwargs
) -> _Result:
    """Do work without the collector of cyclic garbage, which would stop every thread while it walks.

    A walk over the objects of a table of 100,000 rules takes half a second. Where work makes that many,
    what is alive afterwards is left out of later walks, too.
    """
    gc.disable()
    try:
        return work(*arguments, **named)
    finally:
        if gc.get_count()[0] > MANY_OBJECTS:
            gc.freeze()
        gc.enable()
