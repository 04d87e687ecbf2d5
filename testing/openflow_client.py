"""An OpenFlow client of a bridge's own socket; it speaks the bytes of ``op25b_app.openflow``."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from op25b_app.openflow import codec
from op25b_app.openflow.flow_rule import FlowRule
from testing.patience import HANG_SECONDS

HELLO, ERROR, SET_CONFIG = 0, 1, 9
BARRIER = 0x2525_2525


class Refusal(NamedTuple):
    """An error message's type and code, and the rule that it is about."""

    type: int
    code: int
    rule: FlowRule


class OpenFlowClient:
    def __init__(self, connection: socket.socket, version: int) -> None:
        self.version = version
        self._socket = connection
        self._stream = connection.makefile("rb")
        self._socket.sendall(struct.pack("!BBHI", version, HELLO, 8, 0))
        assert self._message()[1] == HELLO

    def load(
        self, rules: Iterable[FlowRule], command: codec.FlowModCommand = codec.FlowModCommand.ADD
    ) -> list[Refusal]:
        """Send one flow-mod a rule and a barrier; what the switch refused."""
        sent = list(rules)
        barrier = len(sent)
        for xid, rule in enumerate(sent):
            self._socket.sendall(codec.encode_flow_mod(rule, command=command, version=self.version, xid=xid))
        self._socket.sendall(codec.encode_barrier_request(version=self.version, xid=barrier))
        errors = [(xid, message) for kind, xid, message in self._until(barrier) if kind == ERROR]
        return [Refusal(message[9], message[11], sent[xid]) for xid, message in errors]

    def read(self) -> list[codec.FlowStats]:
        """Every rule of every table."""
        xid = 0x2525
        self._socket.sendall(codec.encode_flow_stats_request(version=self.version, xid=xid))
        parts = []
        for kind, _, message in self._until(xid):
            assert kind != ERROR, message.hex()
            parts.append(message)
            while codec.has_more(parts[-1]):
                parts.append(self._message())
        return [rule for part in parts for rule in codec.decode_flow_stats(part)]

    def send(self, *messages: bytes) -> None:
        self._socket.sendall(b"".join(messages))

    def received(self) -> list[bytes]:
        """What the switch has sent before it answers a barrier that is sent now, the answer left out."""
        self.send(codec.encode_barrier_request(version=self.version, xid=BARRIER))
        return [message for _, xid, message in self._until(BARRIER) if xid != BARRIER]

    def accept_events(self) -> None:
        """Be told of what nobody asked for, as a controller is; a management connection is not by itself."""
        self.send(struct.pack("!BBHIHH", self.version, SET_CONFIG, 12, 0, 0, 128))

    def await_message(self) -> bytes:
        """The next message."""
        return self._message()

    def _until(self, xid: int) -> Iterator[tuple[int, int, bytes]]:
        while True:
            message = self._message()
            _, kind, _, found = struct.unpack_from("!BBHI", message)
            yield kind, found, message
            if found == xid:
                return

    def _message(self) -> bytes:
        header = self._stream.read(8)
        assert len(header) == 8, "the switch closed the connection"
        return header + self._stream.read(int.from_bytes(header[2:4], "big") - 8)


@contextmanager
def openflow_client(path: Path, version: int = 4) -> Iterator[OpenFlowClient]:
    """A client of the bridge whose management socket is ``path``; ``version`` 4 is OpenFlow 1.3."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(HANG_SECONDS)
        connection.connect(str(path))
        yield OpenFlowClient(connection, version)
