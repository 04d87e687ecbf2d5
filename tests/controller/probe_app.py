"""A Ryu application for the tests of signals: says what happens to it, with a load as PROBE_LOAD asks.

``idle``; ``busy``, a green thread that computes 0.05 s at a time and yields in between; ``stuck``, one that
never yields; ``thread``, with long work in a thread of the operating system; ``stubborn``, idle but with a
``close`` that never returns; ``broken reload``. PROBE_STOP_SECONDS replaces the time in which the process
has to stop.
"""

from __future__ import annotations

import os
import sys
import time

import eventlet.patcher
import eventlet.tpool
from ryu.base import app_manager
from ryu.lib import hub

from op25b_app.controller import signals


def say(text: str) -> None:
    sys.stderr.write(f"probe: {text}\n")  # at once: the log is written by another thread


class Probe(app_manager.RyuApp):
    def start(self) -> None:
        super().start()
        self.load = os.environ["PROBE_LOAD"]
        vars(signals)["STOP_SECONDS"] = float(os.environ.get("PROBE_STOP_SECONDS", signals.STOP_SECONDS))
        signals.install(self.reload)
        hub.spawn(self.run)

    def run(self) -> None:
        if self.load == "thread":
            hub.spawn(eventlet.tpool.execute, eventlet.patcher.original("time").sleep, 5)
            hub.sleep(0.1)
        say("ready")
        while self.load in {"busy", "stuck"}:
            end = time.monotonic() + 0.05
            while time.monotonic() < end or self.load == "stuck":
                pass
            hub.sleep(0)

    def reload(self) -> None:
        say("reload")
        if self.load == "broken reload":
            raise ValueError("a reload that fails")

    def close(self) -> None:
        say("closed")
        while self.load == "stubborn":
            hub.sleep(1)
