"""How switches are let in that come all at once, as they do when they have lost their controller together.

Ryu listens with room for 50 connections that wait to be accepted. Of more the first packets are dropped, and
each is sent again a second later, then 2, 4, 8 and so on up to a minute: the last of a thousand switches
would be connected after minutes. All that wait it accepts before anybody else has a turn, which with a
thousand is a tenth of a second. Where it cannot accept one, for want of a file descriptor, it never tries
again.
"""

from __future__ import annotations

import errno
import logging
from typing import Any

# Ryu's controller cannot be imported before it.
import ryu.base.app_manager  # noqa: F401
from ryu.controller import controller
from ryu.lib import hub

BACKLOG = 4096
"""Linux takes no more than ``net.core.somaxconn``, which is 4096 as it comes."""
MOST_ON_END = 16
"""So many connections are accepted before others have a turn."""
AGAIN_SECONDS = 1.0
"""When it is tried again to accept where that has failed."""

_REMEDIES = {errno.EMFILE: ": let this process open more files (ulimit -n, or LimitNOFILE in systemd)"}

log = logging.getLogger("op25b")


def listen_for_many() -> None:
    """From now on Ryu listens for switches like this; before its controller starts."""
    server: Any = controller.StreamServer

    class ForMany(server):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self.server.listen(BACKLOG)

        def serve_forever(self) -> None:
            while True:
                try:
                    for _ in range(MOST_ON_END):
                        hub.spawn(self.handle, *self.server.accept())
                    hub.sleep(0)
                except OSError as error:
                    log.error("no switch can connect now: %s%s", error, _REMEDIES.get(error.errno or 0, ""))
                    hub.sleep(AGAIN_SECONDS)

    controller.StreamServer = ForMany
