"""How many rules a switch holds, asked as fast as it answers."""

from __future__ import annotations

import socket
import struct
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

_OPENFLOW_13, _HELLO, _MULTIPART_REQUEST, _TABLE_STATISTICS = 4, 0, 18, 3
_TABLE = struct.Struct("!BxxxIQQ")
_PAUSE_SECONDS = 0.001
_POINTS = 300
"""Of a timeline, about."""


class TableSizes:
    """A context manager; ``samples`` are moments (``time.monotonic``) and the rules in all tables then.

    ``path`` is the management socket of a bridge. Open vSwitch counts rules as they come, so asking is cheap.
    """

    def __init__(self, path: Path) -> None:
        self.samples: list[tuple[float, int]] = []
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(60)
        self._socket.connect(str(path))
        self._stream = self._socket.makefile("rb")
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> TableSizes:
        self._socket.sendall(struct.pack("!BBHI", _OPENFLOW_13, _HELLO, 8, 0))
        _message(self._stream)
        self.samples.append((time.monotonic(), self._count()))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.set()
        self._thread.join()
        self._socket.close()

    @property
    def latest(self) -> int:
        return self.samples[-1][1]

    def lowest(self, since: float) -> int:
        """Of the samples from a moment on."""
        return min(rules for at, rules in self.samples if at >= since)

    def timeline(self, since: float) -> list[tuple[float, int]]:
        """Seconds after ``since`` at which another number of rules was seen, and that number."""
        found: list[tuple[float, int]] = []
        for at, rules in self.samples:
            if at >= since and (not found or found[-1][1] != rules):
                found.append((round(at - since, 4), rules))
        return found[:: max(1, len(found) // _POINTS)]

    def _ask(self) -> None:
        while not self._ends.wait(_PAUSE_SECONDS):
            self.samples.append((time.monotonic(), self._count()))

    def _count(self) -> int:
        request = struct.pack("!BBHIHHxxxx", _OPENFLOW_13, _MULTIPART_REQUEST, 16, 1, _TABLE_STATISTICS, 0)
        self._socket.sendall(request)
        reply = _message(self._stream)
        return sum(active for _, active, _, _ in _TABLE.iter_unpack(reply[16:]))


def _message(stream: BinaryIO) -> bytes:
    """The next message but echoes, which a management socket is not asked for."""
    header = stream.read(8)
    return header + stream.read(int.from_bytes(header[2:4], "big") - 8)
