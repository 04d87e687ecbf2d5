"""Accept connections: many at once, as many as the system allows, and later those that it does not allow now.

Ryu listens with room for 50 connections that wait to be accepted. First packets of more are dropped, and
sent again after 1, 2, 4, 8 seconds and so on up to a minute: the last of a thousand switches, which have
lost their controller together, would be connected after minutes. Ryu accepts all that wait before other
green threads have a turn, which for a thousand takes a tenth of a second.

Neither Ryu nor eventlet's web server tries again. Where accepting fails once, as without a free file
descriptor, Ryu ends the controller, and the web server closes its socket.
"""

from __future__ import annotations

import errno
import logging
import resource
from collections.abc import Callable
from typing import Any

from ryu.lib import hub

BACKLOG = 4096
"""Connections that may wait; Linux limits it to ``net.core.somaxconn``, by default 4096."""
MAX_IN_A_ROW = 16
"""Maximum number of connections accepted before other green threads have a turn."""
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
            hub.sleep(AGAIN_SECONDS)


def for_many(server: Any) -> Any:
    """Return a subclass of a server of Ryu's, which listens for switches like this."""

    class ForMany(server):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self.server.listen(BACKLOG)

        def serve_forever(self) -> None:
            while True:
                for _ in range(MAX_IN_A_ROW):
                    hub.spawn(self.handle, *accepted(self.server.accept, "no switch can connect"))
                hub.sleep(0)

    return ForMany
