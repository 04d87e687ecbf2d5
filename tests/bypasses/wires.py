"""Wires between devices, each with a program on it: what a frame becomes on its way."""

from __future__ import annotations

import errno
import os
import selectors
import threading
from collections.abc import Callable
from typing import NamedTuple

from tests.bypasses.bends import Bend, carries_tcp, straight
from tests.bypasses.encapsulation import IPV4
from tests.bypasses.headers import ETH_IPV4, ETH_IPV6, TCP, Ethernet, Ipv4, Ipv6, outline, with_addresses
from tests.bypasses.link_layer import plain_frame
from tests.bypasses.relays import is_answer_to, packed, unpacked

_LARGEST_FRAME = 65536
_FRAMES_AT_ONCE = 64


class Arrived(NamedTuple):
    """What becomes of a frame that comes from the network: to the host, and back to the network."""

    to_host: list[bytes]
    back: list[bytes]


class Program:
    """A host's own program between its kernel and the wire; it bends what the host sends."""

    def __init__(self, bend: Bend = straight, unbend: Bend = straight) -> None:
        self.outgoing = bend
        self._unbend = unbend

    def incoming(self, frame: bytes) -> Arrived:
        return Arrived(self._unbend(frame), [])


class Relay(Program):
    """Where the borrowed address lives: answers to it go on to the helper, from the host's own address."""

    def __init__(self, borrowed: bytes, own: bytes, helper: bytes, router: bytes) -> None:
        super().__init__()
        self._borrowed, self._own, self._helper, self._router = borrowed, own, helper, router

    def incoming(self, frame: bytes) -> Arrived:
        if not is_answer_to(frame, self._borrowed):
            return Arrived([frame], [])
        return Arrived([], [self._router + frame[:6] + packed(frame, self._own, self._helper)[12:]])


class Unpacking(Program):
    """Where answers arrive packed: at a helper, and on a line whose accomplice hides them."""

    def incoming(self, frame: bytes) -> Arrived:
        answer = unpacked(frame)
        return Arrived([frame if answer is None else answer], [])


class Aftr(Program):
    """The ISP's own decapsulator of DS-Lite with its NAT44 (RFC 6333), for one subscriber and TCP.

    ``address`` is where softwires end, ``pool`` the IPv4 address behind which they are translated.
    """

    def __init__(self, address: bytes, pool: bytes, router: bytes) -> None:
        super().__init__()
        self.address = address
        self._pool, self._router = pool, router
        self._softwire: tuple[bytes, bytes] | None = None
        """The subscriber's IPv6 address, and the IPv4 address that it has inside."""

    def incoming(self, frame: bytes) -> Arrived:
        seen, ethernet = outline(frame), Ethernet.read(frame)
        if seen is None:
            return Arrived([frame], [])
        if seen.destination == self.address and seen.protocol == IPV4:
            inner = Ipv4.read(Ipv6.read(ethernet.payload).payload)
            self._softwire = seen.source, inner.source
            return self._on(ethernet, with_addresses(inner, self._pool, inner.destination).write())
        if self._softwire is not None and seen.destination == self._pool and seen.protocol == TCP:
            subscriber, inside = self._softwire
            inner = with_addresses(Ipv4.read(ethernet.payload), seen.source, inside)
            return self._on(ethernet, Ipv6(self.address, subscriber, IPV4, inner.write()).write())
        return Arrived([frame], [])

    def _on(self, arrived: Ethernet, packet: bytes) -> Arrived:
        ethertype = ETH_IPV4 if packet[0] >> 4 == 4 else ETH_IPV6
        return Arrived([], [Ethernet(self._router, arrived.destination, ethertype, packet).write()])


class Silent(Program):
    """A host that is on and says nothing to TCP that it did not ask for."""

    def incoming(self, frame: bytes) -> Arrived:
        return Arrived([] if carries_tcp(frame) else [frame], [])


class Neighbour(Program):
    """Behind the uplink: takes frames apart, and packs the answers to those that are in league with it."""

    def __init__(self, addresses: dict[int, bytes]) -> None:
        """``addresses`` are its own, by IP version."""
        super().__init__(self._hide, lambda frame: [plain_frame(frame)])
        self.addresses = addresses
        self.friends: set[bytes] = set()

    def _hide(self, frame: bytes) -> list[bytes]:
        for version, address_at in ((4, slice(30, 34)), (6, slice(38, 54))):
            address = frame[address_at]
            if address in self.friends and is_answer_to(frame, address):
                return [packed(frame, self.addresses[version], address)]
        return [frame]


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
        self.put(frame)
        self.sent += 1

    def put(self, frame: bytes) -> None:
        """Put a frame on the network's side that does not count as an attempt."""
        _write(self.network, frame)


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
