"""Accept many switches that connect at once, as after they have lost their controller together.

Ryu listens with room for 50 connections that wait to be accepted. First packets of more are dropped, and
sent again after 1, 2, 4, 8 seconds and so on up to a minute: the last of a thousand switches would be
connected after minutes. Ryu accepts all that wait before other green threads have a turn, which for a
thousand takes a tenth of a second.
"""

from __future__ import annotations

from typing import Any

from ryu.lib import hub

from op25b_app.controller.accepting import accepted

BACKLOG = 4096
"""Connections that may wait; Linux limits it to ``net.core.somaxconn``, by default 4096."""
MAX_IN_A_ROW = 16
"""Maximum number of connections accepted before other green threads have a turn."""


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
