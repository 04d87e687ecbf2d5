"""How many switches may knock at once.

Ryu listens with room for 50 connections that wait to be accepted. Of more, which come when many switches lose
their controller together, the first packets are dropped, and each is sent again a second later, then 2, 4, 8
and so on up to a minute: the last of a thousand switches would be connected after minutes.
"""

from __future__ import annotations

from typing import Any

from ryu.controller import controller

BACKLOG = 4096
"""Linux takes no more than ``net.core.somaxconn``, which is 4096 as it comes."""


def widen() -> None:
    """From now on Ryu listens for switches with more room; before its controller starts."""
    server: Any = controller.StreamServer

    class Wide(server):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self.server.listen(BACKLOG)

    controller.StreamServer = Wide
