"""Sends over one of Ryu's connections, and holds up nobody where a switch does not read."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from ryu.lib import hub


class Outbox:
    """What is to be sent over one connection: at most a plan, as a session sends the next after an answer.

    Ryu takes some messages at once, and lets wait who sends more: that is a thread here, for as long as there
    is more. Ryu stops sending when a switch does not read, and then the connection ends.
    """

    def __init__(self, datapath: Any) -> None:
        self._datapath = datapath
        self._waiting: deque[bytes] = deque()
        self._sender: Any = None

    def send(self, pieces: Iterable[bytes]) -> None:
        """Send messages, joined to pieces, in order."""
        self._waiting.extend(pieces)
        if self._sender is not None:
            return
        while self._waiting and not self._would_wait():
            self._send_next()
        if self._waiting:
            self._sender = hub.spawn(self._send_rest)

    def close(self) -> None:
        """Send no more; the connection is left as it is."""
        self._waiting.clear()
        if self._sender is not None:
            hub.kill(self._sender)

    def _would_wait(self) -> bool:
        queue = self._datapath.send_q
        return queue is not None and queue.full()

    def _send_rest(self) -> None:
        while self._waiting:
            self._send_next()
        self._sender = None

    def _send_next(self) -> None:
        if not self._datapath.send(self._waiting.popleft()):
            self._waiting.clear()
            # Ryu tells every application of the end, and may wait for the one that has called this.
            hub.spawn(self._datapath.close)
