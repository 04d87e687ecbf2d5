"""Send over one of Ryu's connections, without waiting for a switch that does not read."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from ryu.lib import hub

MAX_PIECES = 1 << 13
"""Maximum number of waiting pieces: some five million flow-mods."""


class SendQueue:
    """Messages to be sent over one connection.

    Ryu takes some messages at once, and lets the sender of more wait: here that is a green thread, as long as
    there is more. When a switch does not read, Ryu stops sending and the connection ends. It also ends where
    more waits than any plan has.
    """

    def __init__(self, datapath: Any) -> None:
        self._datapath = datapath
        self._waiting: deque[bytes] = deque()
        self._sender: Any = None

    def send(self, chunks: Iterable[bytes]) -> None:
        """Send pieces, each of whole messages, in order."""
        self._waiting.extend(chunks)
        if len(self._waiting) > MAX_PIECES:
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
        """Return whether Ryu's queue is at least half full, so that sending may wait for room."""
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
