"""Decide which messages of a switch are parsed at each stage of its connection.

A switch answers and reports, but does not command. It sends first its hello and then its features (OpenFlow
1.3.5, 6.3.1 and 7.3.1). Before that only errors and echoes are parsed as well. A reply must be to a request
that was sent over the same connection, with its xid (7.1). The same holds in 1.4 and 1.5.
"""

from __future__ import annotations

import enum

from op25b_app.openflow import codec, wire
from op25b_app.openflow.flow_monitor import is_flow_update
from op25b_app.sync.protocol import is_reply

MAX_ASKED = 256
"""Maximum number of open requests of one connection; the oldest are forgotten first."""
SHORT_BYTES = 1 << 10
"""Most bytes of a message with room for a few things, and of a packet-in's match."""
PORTS_BYTES = 1 << 20
"""Most bytes of port descriptions in reply to one request: 16,384 ports."""

_HELLO, _ERROR, _ECHO_REQUEST, _ECHO_REPLY = 0, 1, 2, 3
_PACKET_IN = 10
_BUNDLE_CONTROL = 33
_PORT_DESCRIPTION = 13
_MATCH_AT = 24
"""Offset of the match in a packet-in, in bytes (7.4.1)."""

ALWAYS = frozenset({_ERROR, _ECHO_REQUEST, _ECHO_REPLY})
REQUESTS = frozenset({wire.FEATURES_REPLY - 1, 7, wire.MULTIPART_REQUEST, wire.BARRIER_REPLY - 1, 22, 24, 26})
"""Request types: features, configuration, multipart, barrier, queues, role, async. A reply's is one more."""
REPLIES = frozenset(kind + 1 for kind in REQUESTS)
UNREQUESTED = frozenset(
    {_HELLO, wire.EXPERIMENTER, _PACKET_IN, wire.FLOW_REMOVED, 12, 30, 31, 32, _BUNDLE_CONTROL, 35}
)
"""Types of messages without a request, among them states of ports, roles, tables and controllers."""
COMMANDS = REQUESTS | {9, 13, 14, 15, 16, 17, 28, 29, 34}
"""Types of messages that only controllers send."""
_SHORT = frozenset({_HELLO, wire.FEATURES_REPLY, 12, 30, 31, 35})


class Stage(enum.Enum):
    """Stage of a connection."""

    GREETING = enum.auto()
    FEATURES = enum.auto()
    """The switch has sent its hello and is asked for its features."""
    OPEN = enum.auto()
    STANDBY = enum.auto()
    """The switch has sent its features and is not in use: only errors and echoes are parsed."""


class MessageFilter:
    """Filter for the messages that one connection may send now."""

    def __init__(self) -> None:
        self.stage = Stage.GREETING
        self._asked: dict[int, tuple[int, int | None]] = {}
        """Type of the reply by xid, and for multipart requests their kind."""
        self._bytes_about_ports = 0
        self._version: int | None = None
        """Wire version of the last request sent; None before there is one."""

    def asked(self, messages: bytes) -> None:
        """Note the requests among messages that are sent to the switch."""
        position = 0
        while len(messages) - position >= wire.HEADER_SIZE:
            kind, size = messages[position + 1], int.from_bytes(messages[position + 2 : position + 4], "big")
            if kind in REQUESTS:
                self._version = messages[position]
                message = bytes(messages[position : position + wire.MULTIPART_HEADER_SIZE])
                self._ask(int.from_bytes(message[4:8], "big"), kind + 1, message)
            position += max(size, wire.HEADER_SIZE)

    def violation(self, message: bytes) -> str:
        """Return why a whole message is to be ignored, to continue "it sent"; empty if it is not.

        A hello moves the connection to its next stage, and a reply closes its request.
        """
        kind = message[1]
        if kind == _ERROR:
            self._asked.pop(int.from_bytes(message[4:8], "big"), None)
        if kind in ALWAYS:
            return ""
        if kind in _SHORT and len(message) > SHORT_BYTES:
            return f"a message of type {kind} with {len(message)} bytes"
        if self.stage is Stage.GREETING:
            return self._greeting(kind)
        if message[0] != self._version:
            return f"a message of type {kind} in version {message[0]} of the protocol"
        if self.stage is Stage.FEATURES:
            is_next = kind == wire.FEATURES_REPLY and self._is_asked_for(message)
            return "" if is_next else f"a message of type {kind} before its features"
        if self.stage is Stage.STANDBY:
            return f"a message of type {kind} over a connection that is not in use"
        return self._violation_of_report(kind, message)

    def _ask(self, xid: int, kind: int, message: bytes) -> None:
        self._asked.pop(xid, None)
        self._asked[xid] = kind, _multipart_kind(kind, message)
        if len(self._asked) > MAX_ASKED:
            del self._asked[next(iter(self._asked))]
        if self._asked[xid][1] == _PORT_DESCRIPTION:
            self._bytes_about_ports = 0

    def _greeting(self, kind: int) -> str:
        if kind != _HELLO:
            return f"a message of type {kind} before its hello"
        self.stage = Stage.FEATURES
        return ""

    def _violation_of_report(self, kind: int, message: bytes) -> str:
        if is_reply(message) or is_flow_update(message):
            return ""
        if kind in REPLIES:
            return self._violation_of_reply(kind, message)
        if kind not in UNREQUESTED or kind == _HELLO:
            return f"a message of type {kind}, which switches do not send at this point"
        if kind == _PACKET_IN and int.from_bytes(message[_MATCH_AT + 2 : _MATCH_AT + 4], "big") > SHORT_BYTES:
            return "a packet-in with too many match fields"
        return ""

    def _violation_of_reply(self, kind: int, message: bytes) -> str:
        if not self._is_asked_for(message):
            part = _multipart_kind(kind, message)
            which = "" if part is None else f" (multipart kind {part})"
            return f"a reply of type {kind}{which} without a request"
        if wire.multipart_kind(message) == _PORT_DESCRIPTION:
            self._bytes_about_ports += len(message)
            if self._bytes_about_ports > PORTS_BYTES:
                return f"more than {PORTS_BYTES} bytes about its ports"
        return ""

    def _is_asked_for(self, message: bytes) -> bool:
        """Return whether a reply is to an open request; its last part closes the request."""
        xid, kind = int.from_bytes(message[4:8], "big"), message[1]
        if self._asked.get(xid) != (kind, _multipart_kind(kind, message)):
            return False
        if kind != wire.MULTIPART_REPLY or not codec.has_more(message):
            del self._asked[xid]
        return True


def _multipart_kind(kind: int, message: bytes) -> int | None:
    """Return the kind (OFPMP) of a multipart reply, or of a request whose reply has the type ``kind``."""
    if kind != wire.MULTIPART_REPLY or len(message) < wire.MULTIPART_HEADER_SIZE:
        return None
    return int.from_bytes(message[wire.HEADER_SIZE : wire.HEADER_SIZE + 2], "big")
