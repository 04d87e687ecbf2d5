"""A channel between one switch and its controller that reads what it passes on, and may refuse some of it.

So a real Open vSwitch can be a switch that knows neither bundles nor flow monitors, on a slow line.
"""

from __future__ import annotations

import socket
import struct
import time
from collections import Counter
from collections.abc import Iterator

from benchmarks.relay import Relay, dialled
from op25b_app.openflow.wire import (
    BARRIER_REPLY,
    ERROR,
    EXPERIMENTER,
    MULTIPART_EXPERIMENTER,
    MULTIPART_REQUEST,
    ONF_EXPERIMENTER,
    OPENFLOW_13,
    encode_message,
)
from op25b_app.sync.update_orders import DROP_ALL

_FLOW_MOD, _BARRIER_REQUEST = 14, 20
_BUNDLE_CONTROLS = {33, 2300}
_BUNDLE_ADDS = {34, 2301}
"""As OpenFlow 1.4 has them, and the ONF's extension of 1.3."""
_COMMIT = 4
_FLOW_MONITOR, _ONF_FLOW_MONITOR = 16, 1870
_BAD_REQUEST, _BAD_TYPE, _BAD_MULTIPART, _BAD_EXPERIMENTER = 1, 1, 2, 3
_METADATA_AND_MASK = bytes.fromhex("80000510")
"""Header of the OXM field by which staged rules match (OpenFlow 1.3.5, section 7.2.3.7)."""
_SLICE_BYTES = 1 << 13
_DIAL_SECONDS = 0.05

BUNDLE, STAGED, CLOSED_FIRST, IN_PLACE = "bundle", "staged", "closed first", "in place"


class Channel(Relay):
    """A context manager that listens on ``port`` and passes on to ``controller_port``, both of this host.

    With ``plain`` the switch has neither bundles nor a flow monitor: both are answered as a switch answers
    that does not know them. ``pace`` is how many bytes of the controller pass in a second.
    """

    def __init__(self, controller_port: int, *, plain: bool = False, pace: float | None = None) -> None:
        super().__init__(controller_port)
        self.confirmed = 0.0
        """When the switch last confirmed a change (``time.time``)."""
        self.flow_mods = 0
        """Of the controller, those in bundles among them."""
        self._plain = plain
        self._pace = pace
        self._kinds: Counter[str] = Counter()
        self._awaited: int | None = None
        self._changing = False

    @property
    def target(self) -> str:
        """What Open vSwitch calls the controller behind this channel."""
        return f"tcp:127.0.0.1:{self.port}"

    def take_order(self) -> str:
        """In which order the changes were made that came by since this was last asked."""
        kinds, self._kinds = self._kinds, Counter()
        return next((order for order in (BUNDLE, STAGED, CLOSED_FIRST) if kinds[order]), IN_PLACE)

    def _dial(self, switch: socket.socket) -> socket.socket | None:
        """Find the controller for a switch, as long as that has patience."""
        while (controller := dialled(self._controller_port)) is None:
            if _is_closed(switch):
                return None
            time.sleep(_DIAL_SECONDS)
        return controller

    def _copy(self, giver: socket.socket, taker: socket.socket, *, from_switch: bool) -> None:
        """What is answered here goes back instead of going on."""
        follow = self._from_switch if from_switch else self._asked
        for messages in _read(giver):
            passing = bytearray()
            for message in messages:
                answer = follow(message)
                if answer is None:
                    passing += message
                else:
                    giver.sendall(answer)
            self._send(taker, passing, slowly=not from_switch)

    def _send(self, taker: socket.socket, content: bytearray, *, slowly: bool) -> None:
        if self._pace is None or not slowly:
            taker.sendall(content)
            return
        for start in range(0, len(content), _SLICE_BYTES):
            piece = content[start : start + _SLICE_BYTES]
            taker.sendall(piece)
            time.sleep(len(piece) / self._pace)

    def _asked(self, message: bytes) -> bytes | None:
        """A message of the controller."""
        kind, xid = message[1], int.from_bytes(message[4:8], "big")
        if _is_bundle(message):
            if self._plain:
                return _refusal(message, _BAD_EXPERIMENTER if message[0] == OPENFLOW_13 else _BAD_TYPE)
            self.flow_mods += _kind_in(message, _BUNDLE_ADDS)
            if _is_commit(message):
                self._kinds[BUNDLE] += 1
                self._awaited = xid
        elif _is_monitor_request(message):
            return _refusal(message, _BAD_MULTIPART) if self._plain else None
        elif kind == _FLOW_MOD:
            self.flow_mods += 1
            self._changing = True
            self._kinds[STAGED] += _METADATA_AND_MASK in message
            self._kinds[CLOSED_FIRST] += (message[24], message[30:32]) == (DROP_ALL.table, b"\xff\xff")
        elif kind == _BARRIER_REQUEST and self._changing:
            self._changing, self._awaited = False, xid
        return None

    def _from_switch(self, message: bytes) -> bytes | None:
        """A message of the switch."""
        confirming = message[1] == BARRIER_REPLY or _is_bundle(message)
        if confirming and int.from_bytes(message[4:8], "big") == self._awaited:
            self.confirmed, self._awaited = time.time(), None
        return None


def _is_bundle(message: bytes) -> bool:
    return _kind_in(message, _BUNDLE_CONTROLS | _BUNDLE_ADDS)


def _is_commit(message: bytes) -> bool:
    position = 20 if message[0] == OPENFLOW_13 else 12
    control = int.from_bytes(message[position : position + 2], "big")
    return _kind_in(message, _BUNDLE_CONTROLS) and control == _COMMIT


def _kind_in(message: bytes, kinds: set[int]) -> bool:
    return message[1] in kinds or _extension(message) in kinds


def _extension(message: bytes) -> int | None:
    """The kind of an experimenter's message of the ONF."""
    if message[1] != EXPERIMENTER or len(message) < 16:
        return None
    organisation, kind = struct.unpack_from("!II", message, 8)
    return int(kind) if organisation == ONF_EXPERIMENTER else None


def _is_monitor_request(message: bytes) -> bool:
    if message[1] != MULTIPART_REQUEST:
        return False
    kind = int.from_bytes(message[8:10], "big")
    if kind == MULTIPART_EXPERIMENTER:
        return struct.unpack_from("!II", message, 16) == (ONF_EXPERIMENTER, _ONF_FLOW_MONITOR)
    return kind == _FLOW_MONITOR


def _refusal(message: bytes, code: int) -> bytes:
    """BAD_REQUEST with the beginning of the message (OpenFlow 1.3.5, section 7.4.4)."""
    xid = int.from_bytes(message[4:8], "big")
    return encode_message(message[0], ERROR, xid, struct.pack("!HH", _BAD_REQUEST, code) + message[:64])


def _read(giver: socket.socket) -> Iterator[list[bytes]]:
    """Whole messages, as many as have come."""
    rest = b""
    while content := giver.recv(1 << 18):
        rest += content
        messages, start = [], 0
        while len(rest) - start >= 8:
            end = start + max(8, rest[start + 2] << 8 | rest[start + 3])
            if end > len(rest):
                break
            messages.append(rest[start:end])
            start = end
        rest = rest[start:]
        if messages:
            yield messages


def _is_closed(connection: socket.socket) -> bool:
    """Whether the other side has closed; what it has sent is left to be read."""
    try:
        return connection.recv(1 << 16, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
