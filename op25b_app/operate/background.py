"""Long work beside the event loop, which goes on meanwhile, in a thread for each kind of length."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import eventlet.semaphore
import eventlet.tpool

from op25b_app.operate.garbage import collector

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
        with self._turn, collector:
            result: _Result = eventlet.tpool.execute(work, *arguments, **named)
            return result


COMPARING = Lane()
"""What a repair may wait for: compiling, comparing, planning. Some tenths of a second at most."""
PROVING = Lane()
"""Proofs, which nothing but the state of a switch waits for."""
EXAMINING = Lane()
"""Policies that are compared with the one in force, and what a doctor asks: only whoever asks waits."""
_LANES = 3

in_background = COMPARING.do

eventlet.tpool.set_num_threads(_LANES)
sys.setswitchinterval(SWITCH_SECONDS)
