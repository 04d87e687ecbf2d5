"""Accepting connections: as many as the system allows, and later what cannot be accepted now.

Neither Ryu nor eventlet's web server tries again: where accepting fails once, as it does for want of a file
descriptor, the one ends the controller and the other closes its socket.
"""

from __future__ import annotations

import errno
import logging
import resource
from collections.abc import Callable
from typing import Any

import eventlet

AGAIN_SECONDS = 1.0
"""When it is tried again to accept where that has failed."""

_REMEDIES = {errno.EMFILE: ": let this process open more files (ulimit -Hn, or LimitNOFILE in systemd)"}

log = logging.getLogger("op25b")


def open_as_many_files_as_allowed() -> None:
    """From now on, in this process; each connection is one. Systems begin with 1,024 and allow more."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def accepted(accept: Callable[[], tuple[Any, Any]], trouble: str) -> tuple[Any, Any]:
    """The next connection and its address; ``trouble`` is what to say, once, while there can be none."""
    said: set[int | None] = set()
    while True:
        try:
            return accept()
        except OSError as error:
            if error.errno not in said:
                log.error("%s now: %s%s", trouble, error, _REMEDIES.get(error.errno or 0, ""))
                said.add(error.errno)
            eventlet.sleep(AGAIN_SECONDS)
