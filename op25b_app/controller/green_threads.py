"""Repeat work in a green thread."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ryu.lib import hub

REST_SECONDS = 5.0
"""Seconds until work is tried again after an error in it."""

log = logging.getLogger("op25b")


def repeat(work: Callable[[], None]) -> None:
    """Repeat the work for ever, in a green thread of its own; an error in it is logged.

    The work waits for what it is to do, or for the time.
    """
    hub.spawn(_for_ever, work)


def _for_ever(work: Callable[[], None]) -> None:
    while True:
        try:
            work()
        except Exception:
            log.exception("internal error")
            hub.sleep(REST_SECONDS)
