"""A tap between one switch and its controller: passes the bytes on and remembers them, with their time.

Chunks are passed on as they are, so a tap costs a controller that writes much at once next to nothing. What
it has heard is read as OpenFlow messages afterwards.
"""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from benchmarks.relay import Relay, dialled

_CHUNK_BYTES = 1 << 18
_SNAPSHOT_SECONDS = 0.002
_POLL_SECONDS = 0.05
_HEADER_BYTES = 8

_EXPERIMENTER, _FLOW_MOD, _GROUP_MOD, _METER_MOD = 4, 14, 15, 29
_FEATURES_REPLY, _BARRIER_REQUEST, _BARRIER_REPLY = 6, 20, 21
_BUNDLE_CONTROL, _BUNDLE_ADD = 33, 34
NAMES = {
    0: "hello", 1: "error", 2: "echo request", 3: "echo reply", _EXPERIMENTER: "experimenter",
    5: "features request", _FEATURES_REPLY: "features reply", 7: "get-config request", 8: "get-config reply",
    9: "set-config", 10: "packet-in", 11: "flow-removed", 12: "port-status", 13: "packet-out",
    _FLOW_MOD: "flow-mod", _GROUP_MOD: "group-mod", 16: "port-mod", 17: "table-mod",
    18: "multipart request", 19: "multipart reply",
    _BARRIER_REQUEST: "barrier request", _BARRIER_REPLY: "barrier reply",
    24: "role request", 25: "role reply", 28: "set-async", _METER_MOD: "meter-mod",
    _BUNDLE_CONTROL: "bundle-control", _BUNDLE_ADD: "bundle-add",
}  # fmt: skip
"""OpenFlow 1.3.5, section 7.1, and the two of 1.4."""
_CHANGES = {_EXPERIMENTER, _FLOW_MOD, _GROUP_MOD, _METER_MOD, _BUNDLE_CONTROL, _BUNDLE_ADD}
_CONFIRMATIONS = {_EXPERIMENTER, _BARRIER_REPLY, _BUNDLE_CONTROL}
_NOT_COUNTED = {2, 3, 18}
"""Echoes go on for ever, and reading back changes nothing."""


class Message(NamedTuple):
    """The header of an OpenFlow message and when it came by (``time.monotonic``)."""

    at: float
    from_switch: bool
    kind: int
    length: int
    xid: int


class Snapshot(NamedTuple):
    """CPU time (ns) of the controller and of the switch at a moment."""

    at: float
    controller: int
    switch: int


class _Chunk(NamedTuple):
    at: float
    from_switch: bool
    content: bytes


class _Convergence:
    """Follows the changes that a controller makes and the answer that confirms the last of them."""

    def __init__(self) -> None:
        self.last_change: float | None = None
        self.confirmed: float | None = None
        self._asks = False
        self._awaited: set[int] = set()

    def follow(self, message: Message) -> None:
        if message.from_switch:
            if self.confirmed is None and message.kind in _CONFIRMATIONS and message.xid in self._awaited:
                self.confirmed = message.at
        elif message.kind in _CHANGES:
            self.last_change, self.confirmed = message.at, None
            self._awaited = {message.xid}
            self._asks = False
        elif message.kind == _BARRIER_REQUEST and not self._asks:
            self._asks = True
            self._awaited.add(message.xid)


class Tap(Relay):
    """A context manager that listens on ``port`` and passes on to ``controller_port``, both of this host.

    ``cpu`` gives the CPU times of controller and switch (ns); it is asked when the switch says what it is,
    and when it confirms.
    """

    def __init__(self, port: int, controller_port: int, cpu: Callable[[], tuple[int, int]]) -> None:
        super().__init__(controller_port, port)
        self.snapshots: list[Snapshot] = []
        self._cpu = cpu
        self._chunks: list[_Chunk] = []
        self._messages: list[Message] = []
        self._rest = {True: bytearray(), False: bytearray()}
        self._read = 0
        self._convergence = _Convergence()

    def handshake(self) -> float:
        """When the switch first said what it is, its features: from here on a controller can act."""
        return next(message.at for message in self.messages() if message.kind == _FEATURES_REPLY)

    def messages(self) -> list[Message]:
        """All messages so far, by time."""
        while self._read < len(self._chunks):
            chunk = self._chunks[self._read]
            self._read += 1
            for message in _split(self._rest[chunk.from_switch], chunk):
                self._messages.append(message)
                self._convergence.follow(message)
        return self._messages

    def wait_until_converged(
        self, since: float, whole: Callable[[], bool], *, quiet: float, limit: float
    ) -> float | None:
        """When the last change after ``since`` was confirmed, once none has followed for ``quiet`` seconds.

        A controller may also pause while its rules are not ``whole``. Where it asks for no confirmation this
        is when its last change came by. None where it has not come to that within ``limit`` seconds.
        """
        give_up = since + limit
        while time.monotonic() < give_up:
            time.sleep(_POLL_SECONDS)
            self.snapshot()
            self.messages()
            changed, confirmed = self._convergence.last_change, self._convergence.confirmed
            if changed is None or changed < since:
                continue
            if time.monotonic() - (confirmed or changed) > quiet and whole():
                return confirmed or changed
        return None

    def counts(self, since: float) -> Counter[str]:
        """Messages of the controller after a moment by their kind, echoes and reading back left out."""
        kinds = (
            message.kind for message in self.messages() if message.at > since and not message.from_switch
        )
        return Counter(NAMES.get(kind, str(kind)) for kind in kinds if kind not in _NOT_COUNTED)

    def first_change(self, since: float) -> float:
        """When the controller first changed something after a moment."""
        changes = (each for each in self.messages() if not each.from_switch and each.kind in _CHANGES)
        return next(message.at for message in changes if message.at > since)

    def snapshot_at(self, moment: float) -> Snapshot:
        """The first one from ``moment`` on, or else the last."""
        later = (snapshot for snapshot in self.snapshots if snapshot.at >= moment)
        return next(later, self.snapshots[-1])

    def snapshot(self) -> Snapshot:
        taken = Snapshot(time.monotonic(), *self._cpu())
        self.snapshots.append(taken)
        return taken

    def _dial(self, switch: socket.socket) -> socket.socket | None:
        return dialled(self._controller_port)

    def _copy(self, giver: socket.socket, taker: socket.socket, *, from_switch: bool) -> None:
        while content := giver.recv(_CHUNK_BYTES):
            self._chunks.append(_Chunk(time.monotonic(), from_switch, content))
            taker.sendall(content)
            if from_switch and self._is_due(content):
                self.snapshot()

    def _is_due(self, content: bytes) -> bool:
        if len(content) < _HEADER_BYTES or content[1] == _FEATURES_REPLY or not self.snapshots:
            return True
        ends_with_barrier = content[-_HEADER_BYTES:][1:4] == bytes((_BARRIER_REPLY, 0, _HEADER_BYTES))
        confirms = ends_with_barrier or content[1] in _CONFIRMATIONS
        return confirms and time.monotonic() - self.snapshots[-1].at > _SNAPSHOT_SECONDS


def _split(rest: bytearray, chunk: _Chunk) -> Iterator[Message]:
    """The messages that end in a chunk; what is left over stays in ``rest``."""
    rest += chunk.content
    start = 0
    while len(rest) - start >= _HEADER_BYTES:
        length = max(_HEADER_BYTES, rest[start + 2] << 8 | rest[start + 3])
        if len(rest) - start < length:
            break
        xid = int.from_bytes(rest[start + 4 : start + 8], "big")
        yield Message(chunk.at, chunk.from_switch, rest[start + 1], length, xid)
        start += length
    del rest[:start]
