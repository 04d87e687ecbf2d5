"""Socket of a connection that waits without limit to read, and for long to send.

Ryu has one time-out for both (5 s, ``socket_timeout``). Where nothing comes to read, it tries again: with
1,000 idle switches that is 200 exceptions a second, three to five per cent of a core. It reads a header
first and the rest then, each with a timer. Where nothing can be sent, it ends the connection, though a busy
switch reads on later.
"""

from __future__ import annotations

from contextlib import suppress
from socket import SHUT_RD
from typing import Any

from eventlet import patcher
from ryu.lib import hub

CHUNK_BYTES = 1 << 16
SEND_SECONDS = 10.0
"""Seconds that a switch may stop reading. An application that has more to send to it waits as long."""
_select: Any = patcher.original("select")
PIECE_BYTES = 1 << 14
"""Most bytes handed to Ryu at once: it keeps the last piece, for each of many connections."""


class BufferedSocket:
    """Replaces one of eventlet's sockets that has a time-out."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._limit: float = socket.gettimeout()
        self._chunk, self._position = b"", 0
        self._sends = True
        self._awaits_more = False
        socket.settimeout(None)

    @property
    def has_unread(self) -> bool:
        """True where received bytes are unread, or their reader has not asked for more."""
        return not self._awaits_more or bool(self._now(_select.POLLIN))

    @property
    def is_abandoned(self) -> bool:
        """True where the peer has closed, even if bytes that it sent before are unread."""
        return bool(self._now(_select.POLLRDHUP))

    def recv(self, size: int) -> bytes:
        """Return at most ``size`` bytes, as soon as there are some; none at the end."""
        if self._position == len(self._chunk):
            self._chunk, self._position = self._read(), 0
        piece = self._chunk[self._position : self._position + min(size, PIECE_BYTES)]
        self._position += len(piece)
        if self._position == len(self._chunk):
            self._chunk, self._position = b"", 0
        return piece

    def sendall(self, content: bytes) -> None:
        """Send all of it.

        Raises TimeoutError where nothing could be sent for SEND_SECONDS, or for the time-out if longer.
        """
        # A read that begins meanwhile may get a time-out, too, and is tried again.
        self._socket.settimeout(max(self._limit, SEND_SECONDS))
        try:
            self._socket.sendall(content)
        finally:
            self._socket.settimeout(None)

    def shutdown(self, how: int) -> None:
        """Shut the socket down; reading ends later, after the original time-out."""
        self._sends = False
        self._socket.shutdown(how)
        hub.spawn_after(self._limit, self._end_reading)

    def _read(self) -> bytes:
        self._awaits_more = True
        try:
            received: bytes = self._socket.recv(CHUNK_BYTES)
        except ValueError:
            # Of TLS, once this side has ended it.
            if self._sends:
                raise
            return b""
        finally:
            self._awaits_more = False
        return received

    def _now(self, events: int) -> int:
        """Return which poll events the socket is ready for now, POLLHUP where it is closed."""
        poll = _select.poll()
        try:
            poll.register(self._socket.fileno(), events)
        except ValueError:  # it is closed
            return int(_select.POLLHUP)
        ready = poll.poll(0)
        return int(ready[0][1]) if ready else 0

    def _end_reading(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(SHUT_RD)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)
