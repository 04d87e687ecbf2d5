"""A Ryu application that writes down how late the event loop comes, how much of that it only waited, and why.

``OP25B_HEARTBEATS`` names the file. A line has the moment (``time.monotonic``), the lag, and how much of the
lag the thread was ready and had no processor, as Linux counts it: that is the machine's, not the loop's.
While the loop does not come, a thread beside it writes lines that begin with ``#``: the moment, and where
the loop is.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

from eventlet import patcher
from ryu.base import app_manager
from ryu.lib import hub

VARIABLE = "OP25B_HEARTBEATS"
BEAT_SECONDS = 0.02
LEAST_LAG = 0.02
"""Shorter ones are written down once a second, to show that the loop goes on."""
WRITE_SECONDS = 1.0
LOOK_SECONDS = 0.05
"""How often the thread beside the loop looks whether that is late."""
_FRAMES = 4

_threading, _time = patcher.original("threading"), patcher.original("time")


class Heartbeat(app_manager.RyuApp):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._file = os.open(os.environ[VARIABLE], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._last = self._collects_since = time.monotonic()
        self._loop = _threading.get_ident()

    def start(self) -> None:
        super().start()
        hub.spawn(self._beat)
        _threading.Thread(target=self._look, daemon=True).start()
        gc.callbacks.append(self._collects)

    def _beat(self) -> None:
        schedule = os.open(f"/proc/self/task/{os.getpid()}/schedstat", os.O_RDONLY)
        waited, written = _waited(schedule), 0.0
        while True:
            due = time.monotonic() + BEAT_SECONDS
            hub.sleep(BEAT_SECONDS)
            now, before = time.monotonic(), waited
            waited = _waited(schedule)
            self._last = now
            if now - due > LEAST_LAG or now - written > WRITE_SECONDS:
                written = now
                os.write(self._file, f"{now:.4f} {now - due:.4f} {waited - before:.4f}\n".encode())

    def _collects(self, phase: str, about: dict[str, int]) -> None:
        """Python walks over objects for cyclic garbage, or has done so: nothing else goes on meanwhile."""
        now = time.monotonic()
        if phase == "start":
            self._collects_since = now
        elif now - self._collects_since > LEAST_LAG:
            took = f"{now - self._collects_since:.3f} s"
            what = f"collecting garbage of generation {about['generation']}"
            os.write(self._file, f"# {now:.4f} {what}: {took}\n".encode())

    def _look(self) -> None:
        while True:
            _time.sleep(LOOK_SECONDS)
            now = time.monotonic()
            if now - self._last > BEAT_SECONDS + LOOK_SECONDS:
                where = " < ".join(_places(sys._current_frames().get(self._loop)))
                os.write(self._file, f"# {now:.4f} {where}\n".encode())


def _places(frame: FrameType | None) -> list[str]:
    """Where a thread is, its innermost functions first."""
    found: list[str] = []
    while frame is not None and len(found) < _FRAMES:
        found.append(f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} {frame.f_code.co_name}")
        frame = frame.f_back
    return found


def _waited(schedule: int) -> float:
    """Seconds for which the thread was ready to run and did not."""
    return int(os.pread(schedule, 100, 0).split()[1]) / 1e9
