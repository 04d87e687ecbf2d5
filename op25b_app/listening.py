"""How switches are let in that come all at once, as they do when they have lost their controller together.

Ryu listens with room for 50 connections that wait to be accepted. Of more the first packets are dropped, and
each is sent again a second later, then 2, 4, 8 and so on up to a minute: the last of a thousand switches
would be connected after minutes. All that wait it accepts before anybody else has a turn, which with a
thousand is a tenth of a second.
"""

from __future__ import annotations

from typing import Any

# Ryu's controller cannot be imported before it.
import ryu.base.app_manager  # noqa: F401
from ryu.controller import controller
from ryu.lib import hub

from op25b_app.operate.accepting import accepted

BACKLOG = 4096
"""Linux takes no more than ``net.core.somaxconn``, which is 4096 as it comes."""
MOST_ON_END = 16
"""So many connections are accepted before others have a turn."""


def listen_for_many() -> None:
    """From now on Ryu listens for switches like this; before its controller starts."""
    server: Any = controller.StreamServer

    class ForMany(server):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self.server.listen(BACKLOG)

        def serve_forever(self) -> None:
            while True:
                for _ in range(MOST_ON_END):
                    hub.spawn(self.handle, *accepted(self.server.accept, "no switch can connect"))
                hub.sleep(0)

    controller.StreamServer = ForMany
