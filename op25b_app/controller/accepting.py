"""Accept connections: as many as the system allows, and later those that cannot be accepted now.

Neither Ryu nor eventlet's web server tries again. Where accepting fails once, as without a free file
descriptor, Ryu ends the controller, and the web server closes its socket.
"""

from __future__ import annotations

import errno
import logging
import resource
from collections.abc import Callable
from typing import Any

import eventlet

AGAIN_SECONDS = 1.0
"""Seconds until accepting is tried again after a failure."""

_REMEDIES = {errno.EMFILE: ": let this process open more files (ulimit -Hn, or LimitNOFILE in systemd)"}

log = logging.getLogger("op25b")


def open_as_many_files_as_allowed() -> None:
    """Raise this process's limit of open files to the hard limit; each connection is one file."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def accepted(accept: Callable[[], tuple[Any, Any]], trouble: str) -> tuple[Any, Any]:
    """Return the next connection and its address; log ``trouble`` once for each error meanwhile."""
    said: set[int | None] = set()
    while True:
        try:
            return accept()
        except OSError as error:
            if error.errno not in said:
                log.error("%s now: %s%s", trouble, error, _REMEDIES.get(error.errno or 0, ""))
                said.add(error.errno)
            eventlet.sleep(AGAIN_SECONDS)
