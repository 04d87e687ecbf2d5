"""Which messages a switch may send at which point of its connection; what else it sends is not parsed.

A switch answers, tells, and commands nothing. It greets first and says what it is then (OpenFlow 1.3.5,
6.3.1 and 7.3.1): before that nothing else counts. An answer is one to a request that was sent over the same
connection, with its xid (7.1). The same in 1.4 and 1.5.
"""

from __future__ import annotations

import enum

from op25b_app.openflow import codec, wire
from op25b_app.openflow.flow_monitor import is_flow_update
from op25b_app.sync.protocol import is_answer

MOST_ASKED = 256
"""So many requests of one connection may be open; the oldest are forgotten first."""
SHORT_BYTES = 1 << 10
"""Messages with room for a few things only are no longer."""
PORTS_BYTES = 1 << 20
"""So much a switch may say of its ports when it is asked once: 16,384 of them."""

_HELLO, _ERROR, _ECHO_REQUEST, _ECHO_REPLY = 0, 1, 2, 3
_PACKET_IN = 10
_BUNDLE_CONTROL = 33
_PORT_DESCRIPTION = 13
_MATCH_AT = 24
"""Where the match of a packet-in begins (7.4.1)."""

ALWAYS = frozenset({_ERROR, _ECHO_REQUEST, _ECHO_REPLY})
REQUESTS = frozenset({wire.FEATURES_REPLY - 1, 7, wire.MULTIPART_REQUEST, wire.BARRIER_REPLY - 1, 22, 24, 26})
"""What is answered by the next type: features, configuration, multipart, barrier, queues, role, async."""
REPLIES = frozenset(kind + 1 for kind in REQUESTS)
TOLD = frozenset(
    {_HELLO, wire.EXPERIMENTER, _PACKET_IN, wire.FLOW_REMOVED, 12, 30, 31, 32, _BUNDLE_CONTROL, 35}
)
"""What comes without a request, states of ports, roles, tables and controllers among it."""
COMMANDS = REQUESTS | {9, 13, 14, 15, 16, 17, 28, 29, 34}
"""What only controllers send."""
_SHORT = frozenset({_HELLO, wire.FEATURES_REPLY, 12, 30, 31, 35})


class Stage(enum.Enum):
    """How far a connection is."""

    GREETING = enum.auto()
    FEATURES = enum.auto()
    """The switch has greeted and is asked what it is."""
    OPEN = enum.auto()
    ASIDE = enum.auto()
    """It has said what it is, and is not spoken to: nothing but signs of life is of interest."""


class Admission:
    """What one connection may say now."""

    def __init__(self) -> None:
        self.stage = Stage.GREETING
        self._asked: dict[int, tuple[int, int | None]] = {}
        """By xid the type of the reply, and for multipart requests their kind."""
        self._told_of_ports = 0
        self._version: int | None = None
        """The one that is spoken, as its first byte has it, once there is a request."""

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

    def objection(self, message: bytes) -> str:
        """Why a whole message of the switch is to be ignored, to go on after "it sent"; or nothing."""
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
        if self.stage is Stage.ASIDE:
            return f"a message of type {kind} over a connection that is not in use"
        return self._objection_to_news(kind, message)

    def _ask(self, xid: int, kind: int, message: bytes) -> None:
        self._asked.pop(xid, None)
        self._asked[xid] = kind, _multipart_kind(kind, message)
        if len(self._asked) > MOST_ASKED:
            del self._asked[next(iter(self._asked))]
        if self._asked[xid][1] == _PORT_DESCRIPTION:
            self._told_of_ports = 0

    def _greeting(self, kind: int) -> str:
        if kind != _HELLO:
            return f"a message of type {kind} before its hello"
        self.stage = Stage.FEATURES
        return ""

    def _objection_to_news(self, kind: int, message: bytes) -> str:
        if is_answer(message) or is_flow_update(message):
            return ""
        if kind in REPLIES:
            return self._objection_to_reply(kind, message)
        if kind not in TOLD or kind == _HELLO:
            return f"a message of type {kind}, which switches do not send then"
        if kind == _PACKET_IN and int.from_bytes(message[_MATCH_AT + 2 : _MATCH_AT + 4], "big") > SHORT_BYTES:
            return "a packet with more fields than there are"
        return ""

    def _objection_to_reply(self, kind: int, message: bytes) -> str:
        if not self._is_asked_for(message):
            part = _multipart_kind(kind, message)
            which = "" if part is None else f" (multipart kind {part})"
            return f"a reply of type {kind}{which} that nobody asked for"
        if wire.multipart_kind(message) == _PORT_DESCRIPTION:
            self._told_of_ports += len(message)
            if self._told_of_ports > PORTS_BYTES:
                return f"more than {PORTS_BYTES} bytes about its ports"
        return ""

    def _is_asked_for(self, message: bytes) -> bool:
        """Whether a reply is one to a request that is open; with its last part that is open no more."""
        xid, kind = int.from_bytes(message[4:8], "big"), message[1]
        if self._asked.get(xid) != (kind, _multipart_kind(kind, message)):
            return False
        if kind != wire.MULTIPART_REPLY or not codec.has_more(message):
            del self._asked[xid]
        return True


def _multipart_kind(kind: int, message: bytes) -> int | None:
    """The kind (OFPMP) of a multipart reply, or of a request whose reply has the type ``kind``."""
    if kind != wire.MULTIPART_REPLY or len(message) < wire.MULTIPART_HEADER_SIZE:
        return None
    return int.from_bytes(message[wire.HEADER_SIZE : wire.HEADER_SIZE + 2], "big")
