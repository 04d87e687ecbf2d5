"""Event loop with short turns: few connections in each, and garbage collection between them.

eventlet's serves all readable connections, up to 1,023, before green threads whose sleep is over. When a
thousand switches answer at once, that takes 50 to 200 ms.
"""

from __future__ import annotations

from typing import Any

from op25b_app.controller.garbage import collector

MAX_IN_A_ROW = 16
"""Maximum number of connections served in one turn; the kernel reports the rest next."""


def few_ready(epoll: Any, seconds: float) -> list[tuple[int, int]]:
    """Return ready descriptors, each with its events; wait for one for ``seconds`` at most."""
    collector.between_turns()
    ready: list[tuple[int, int]] = epoll.poll(seconds, MAX_IN_A_ROW)
    return ready
