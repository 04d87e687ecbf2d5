"""Stop and reload by signal, in a process that runs eventlet, idle or busy.

A Python signal handler runs in the greenlet that is at work, and a green thread that it starts may wait for
long when nothing else wakes the hub. So the handler does little: the interpreter writes the number of each
signal into a pipe (``signal.set_wakeup_fd``), and a green thread reads that pipe.
"""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

import eventlet
import eventlet.hubs
import greenlet
from eventlet.green import os as green_os

from op25b_app.controller import log_writer

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
STOP_SECONDS = 0.9
"""Seconds that applications may take to close before the process ends without them."""

_log = logging.getLogger("op25b")
_stopping = False


def install(on_reload: Callable[[], object]) -> None:
    """Make SIGINT and SIGTERM stop the process, and SIGHUP call ``on_reload`` in a green thread.

    Call it once, from the main greenlet. A stop is a KeyboardInterrupt in the main greenlet: there
    ``ryu-manager`` waits for its applications, and closes them all. A second SIGINT or SIGTERM ends the
    process at once, and so does the end of STOP_SECONDS. An exception of ``on_reload`` is logged.
    """
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in STOP_SIGNALS:
        signal.signal(number, _limit_stop)
    signal.signal(signal.SIGHUP, _leave_to_pipe)
    atexit.register(_end)
    eventlet.spawn(_read_signals, reading, ReloadQueue(on_reload), greenlet.getcurrent())


def stopping() -> bool:
    """Return whether SIGINT or SIGTERM has come."""
    return _stopping


def _leave_to_pipe(number: int, frame: FrameType | None) -> None:
    """Do nothing: without a handler the interpreter would not write to the pipe."""


def _limit_stop(number: int, frame: FrameType | None) -> None:
    global _stopping
    _stopping = True
    for again in STOP_SIGNALS:
        signal.signal(again, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, _give_up)
    signal.setitimer(signal.ITIMER_REAL, STOP_SECONDS)


def _give_up(number: int, frame: FrameType | None) -> None:
    _log.error("applications did not close within %s s: stopping without them", STOP_SECONDS)
    log_writer.drain()
    os._exit(1)


def _end() -> None:
    """End a stopped process without waiting for threads of eventlet.tpool or freeing all of Ryu."""
    if _stopping:
        log_writer.drain()
        logging.shutdown()
        sys.stdout.flush()
        os._exit(1 if hasattr(sys, "last_value") else 0)  # set by an uncaught exception


class ReloadQueue:
    """Reloads one after the other: a request during a reload starts another one after it."""

    def __init__(self, on_reload: Callable[[], object]) -> None:
        self._on_reload = on_reload
        self._asked = self._runs = False

    def ask(self) -> None:
        """Start a reload, or have another follow the one under way."""
        self._asked = True
        if not self._runs:
            self._runs = True
            eventlet.spawn(self._run)

    def _run(self) -> None:
        while self._asked:
            self._asked = False
            _log.info("SIGHUP: reloading")
            try:
                self._on_reload()
            except Exception:
                _log.exception("reload failed")
        self._runs = False


def _read_signals(reading: int, reloads: ReloadQueue, main: greenlet.greenlet) -> None:
    while True:
        for number in sorted(set(green_os.read(reading, 512))):
            if number == signal.SIGHUP:
                reloads.ask()
            elif number in STOP_SIGNALS:
                _log.info("%s: stopping", signal.Signals(number).name)
                eventlet.hubs.get_hub().schedule_call_global(0, main.throw, KeyboardInterrupt)
