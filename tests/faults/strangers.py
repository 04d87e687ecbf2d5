"""Connections of whoever is no switch, and what they send."""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from testing.fake_switch.wire import MAX_BYTES, Kind, pack
from testing.patience import HANG_SECONDS

METER_CONFIGURATIONS = 10
METERS = pack(
    4,
    Kind.MULTIPART_REPLY,
    1,
    struct.pack("!HHxxxx", METER_CONFIGURATIONS, 1)
    + b"".join(struct.pack("!HHIHHIIxxxx", 24, 1, number, 1, 16, 1, 1) for number in range(2700)),
)
"""Of all replies the one that Ryu reads longest; some 40 ms."""
HELLO = pack(4, Kind.HELLO, 1)


def features(dpid: int, xid: int, auxiliary: int = 0) -> bytes:
    return pack(4, Kind.FEATURES_REPLY, xid, struct.pack("!QIBBxxII", dpid, 0, 8, auxiliary, 7, 0))


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=HANG_SECONDS)


def open_as_switch(port: int, dpid: int, auxiliary: int = 0) -> socket.socket:
    """A connection of a switch that has said what it is, and says nothing more."""
    connection = connect(port)
    introduce(connection, dpid, auxiliary)
    return connection


def introduce(connection: socket.socket, dpid: int, auxiliary: int = 0) -> None:
    """Say what a switch says first."""
    connection.sendall(HELLO)
    connection.sendall(features(dpid, xid_of(connection, Kind.FEATURES_REQUEST), auxiliary))


def xid_of(connection: socket.socket, kind: int) -> int:
    """That of the next message of a type that the controller sends; ConnectionError where none comes."""
    while True:
        header = _receive(connection, 8)
        _receive(connection, int.from_bytes(header[2:4], "big") - 8)
        if header[1] == kind:
            return int.from_bytes(header[4:8], "big")


def is_ended(connection: socket.socket, seconds: float) -> bool:
    """Whether the controller ends a connection within so long."""
    end = time.monotonic() + seconds
    try:
        connection.settimeout(seconds)
        while connection.recv(MAX_BYTES):
            connection.settimeout(max(0.001, end - time.monotonic()))
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


@contextmanager
def streaming(connection: socket.socket, message: bytes) -> Iterator[None]:
    """Send a message again and again, as fast as it is read; what comes back is read and forgotten."""
    over = threading.Event()

    def stream() -> None:
        connection.setblocking(False)
        rest = b""
        while not over.is_set():
            readable, writable, _ = select.select([connection], [connection], [], 0.2)
            if readable and not connection.recv(MAX_BYTES):
                return
            if writable:
                rest = rest or message
                rest = rest[connection.send(rest) :]

    def streamed() -> None:
        with suppress(OSError):
            stream()

    thread = threading.Thread(target=streamed)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        connection.close()


def _receive(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        piece = connection.recv(size - len(received))
        if not piece:
            raise ConnectionError("the controller has ended the connection")
        received += piece
    return received
