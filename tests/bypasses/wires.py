"""Wires between devices, each with a program on it: what a frame becomes on its way."""

from __future__ import annotations

import errno
import os
import selectors
import threading
from collections.abc import Callable
from typing import NamedTuple

from tests.bypasses.bends import Bend, straight
from tests.bypasses.relays import relayed, unrelayed

_LARGEST_FRAME = 65536
_FRAMES_AT_ONCE = 64


class Arrived(NamedTuple):
    """What becomes of a frame that comes from the network: to the host, and back to the network."""

    to_host: list[bytes]
    back: list[bytes] = []


class Program:
    """A host's own program between its kernel and the wire; it bends what the host sends."""

    def __init__(self, bend: Bend = straight, unbend: Bend = straight) -> None:
        self.outgoing = bend
        self._unbend = unbend

    def incoming(self, frame: bytes) -> Arrived:
        return Arrived(self._unbend(frame))


class Relay(Program):
    """On the line whose address is borrowed: answers of mail servers go to the helper."""

    def __init__(self, own: bytes, helper: bytes) -> None:
        super().__init__()
        self._own, self._helper = own, helper

    def incoming(self, frame: bytes) -> Arrived:
        answer = relayed(frame, self._own, self._helper)
        return Arrived([frame]) if answer is None else Arrived([], [answer])


class Helper(Program):
    """At the helper: what the relay packed is unpacked."""

    def incoming(self, frame: bytes) -> Arrived:
        answer = unrelayed(frame)
        return Arrived([frame if answer is None else answer])


class Wire:
    """One host's device, one device of the network, and the program between them."""

    def __init__(self, host: int, network: int, program: Program) -> None:
        self.host, self.network, self.program = host, network, program
        self.sent = 0
        """Frames that the program has put on the network's side so far."""

    def from_host(self, frame: bytes) -> None:
        for each in self.program.outgoing(frame):
            self.send(each)

    def from_network(self, frame: bytes) -> None:
        arrived = self.program.incoming(frame)
        for each in arrived.to_host:
            _write(self.host, each)
        for each in arrived.back:
            self.send(each)

    def send(self, frame: bytes) -> None:
        _write(self.network, frame)
        self.sent += 1


def _write(device: int, frame: bytes) -> None:
    """Put a frame out; a device that is not up yet loses it."""
    try:
        os.write(device, frame)
    except OSError as error:
        if error.errno != errno.EIO:
            raise


class Wires:
    """A thread that carries the frames of all wires; what goes wrong on one is kept in ``faults``."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self.faults: list[str] = []
        threading.Thread(target=self._carry, daemon=True).start()

    def connect(self, host: int, network: int, program: Program) -> Wire:
        wire = Wire(host, network, program)
        self._selector.register(host, selectors.EVENT_READ, wire.from_host)
        self._selector.register(network, selectors.EVENT_READ, wire.from_network)
        return wire

    def _carry(self) -> None:
        while True:
            for key, _ in self._selector.select(0.1):
                self._drain(key.fd, key.data)

    def _drain(self, device: int, take: Callable[[bytes], None]) -> None:
        for _ in range(_FRAMES_AT_ONCE):
            try:
                frame = os.read(device, _LARGEST_FRAME)
            except BlockingIOError:
                return
            try:
                take(frame)
            except Exception as error:
                self.faults.append(f"{type(error).__name__}: {error} at {frame.hex()}")
