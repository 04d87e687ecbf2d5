"""Sends over one of Ryu's connections, and holds up nobody where a switch does not read."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from ryu.lib import hub

MOST_PIECES = 1 << 13
"""Some five million flow-mods."""


class Outbox:
    """What is to be sent over one connection.

    Ryu takes some messages at once, and lets wait who sends more: that is a thread here, for as long as there
    is more. Ryu stops sending when a switch does not read, and then the connection ends; so it does where
    more waits than any plan has.
    """

    def __init__(self, datapath: Any) -> None:
        self._datapath = datapath
        self._waiting: deque[bytes] = deque()
        self._sender: Any = None

    def send(self, pieces: Iterable[bytes]) -> None:
        """Send messages, joined to pieces, in order."""
        self._waiting.extend(pieces)
        if len(self._waiting) > MOST_PIECES:
            self._give_up()
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
        """Where it is less than half full nobody waits for room in Ryu's queue, but for a turn perhaps."""
        queue = self._datapath.send_q
        return queue is not None and 2 * queue.qsize() >= queue.maxsize

    def _send_rest(self) -> None:
        while self._waiting:
            self._send_next()
        self._sender = None

    def _send_next(self) -> None:
        if not self._datapath.send_own(self._waiting.popleft()):
            self._give_up()

    def _give_up(self) -> None:
        self._waiting.clear()
        # Ryu tells every application of the end, and may wait for the one that has called this.
        hub.spawn(self._datapath.close)
