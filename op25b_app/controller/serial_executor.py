"""Do long work in threads beside the event loop, one work of each kind at a time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import eventlet.semaphore
import eventlet.tpool

from op25b_app.controller.garbage import collector

SWITCH_SECONDS = 0.0001
"""Seconds that a thread may go on while the event loop waits for the interpreter.

The event loop waits after each of its system calls: some hundreds in a turn with many connections.
"""

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class SerialExecutor:
    """Does one work after the other, each in a thread; works of another executor do not wait for it.

    More threads would delay the event loop's turn at the interpreter, and each would keep its own memory.
    """

    def __init__(self) -> None:
        self._turn = eventlet.semaphore.Semaphore()

    def do(
        self,
        work: Callable[_Arguments, _Result],
        *arguments: _Arguments.args,
        **named: _Arguments.kwargs,
    ) -> _Result:
        """Do work in a thread of the operating system; the calling green thread waits for its result.

        Raises what the work raises.
        """
        with self._turn, collector:
            result: _Result = eventlet.tpool.execute(work, *arguments, **named)
            return result


COMPARING = SerialExecutor()
"""Work that a repair may wait for: compiling, comparing, planning. Some tenths of a second at most."""
PROVING = SerialExecutor()
"""Proofs: only the state of a switch waits for them."""
EXAMINING = SerialExecutor()
"""Comparisons with the policy in force, and answers to a doctor: only the request waits for them."""
LEARNING = SerialExecutor()
"""Reading what sources say of lines: only other sources wait for it."""
_EXECUTORS = 4

in_background = COMPARING.do

eventlet.tpool.set_num_threads(_EXECUTORS)
sys.setswitchinterval(SWITCH_SECONDS)
