"""Mail that a policy permits and mail that it blocks, sent all the time, and what of it arrives."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

from benchmarks.policies import LINES, SEED, UPLINK, Space, mail_destinations
from benchmarks.traffic import outside
from op25b_app.net.prefix import Prefix
from op25b_app.policy.packet import ETH_IPV4, TCP, Packet
from testing.frames import frame_of

PACKETS_PER_SECOND = 400
_DIFFERENT = 1000
_ROUTER = 0x02_00_00_00_00_FF
_PERMITTED, _BLOCKED = 0x02_00_00_00_01_00, 0x02_00_00_00_02_00
"""Sources of Ethernet, by which frames are told apart where they arrive."""
_SETTLE_SECONDS = 1.0
_BUFFER_BYTES = 1 << 23
_SO_RCVBUFFORCE = 33


@dataclass
class Counts:
    permitted: int = 0
    blocked: int = 0


class MailPackets:
    """A context manager: sends at the first subscriber port, counts what leaves at the uplink.

    At its end all that was sent has been dealt with.
    """

    def __init__(self, wires: dict[int, socket.socket], sources: Sequence[Prefix], space: Space) -> None:
        self.sent, self.arrived = Counts(), Counts()
        self._line, self._uplink = wires[LINES[0]], wires[UPLINK]
        self._frames = list(_pairs(sources, space))
        self._ends = threading.Event()
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._send, self._count)]

    def __enter__(self) -> MailPackets:
        self._uplink.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        self._uplink.settimeout(_SETTLE_SECONDS)
        self._uplink.send(_frame(_ROUTER, _PERMITTED, 1, 1, 123))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join()

    @property
    def lost(self) -> int:
        return self.sent.permitted - self.arrived.permitted

    def _send(self) -> None:
        number = 0
        due = time.monotonic()
        while not self._ends.is_set():
            permitted, blocked = self._frames[number % len(self._frames)]
            self._line.send(permitted)
            self._line.send(blocked)
            self.sent.permitted += 1
            self.sent.blocked += 1
            number += 1
            due += 2 / PACKETS_PER_SECOND
            time.sleep(max(0.0, due - time.monotonic()))

    def _count(self) -> None:
        while True:
            try:
                source = int.from_bytes(self._uplink.recv(2048)[6:12], "big")
            except TimeoutError:
                if self._ends.is_set():
                    return
                continue
            self.arrived.permitted += source == _PERMITTED
            self.arrived.blocked += source == _BLOCKED


def _pairs(sources: Sequence[Prefix], space: Space) -> list[tuple[bytes, bytes]]:
    """Packets from dynamic addresses: to mail destinations or to submission; to port 25 of somebody else."""
    chance = random.Random(SEED)
    mail = [prefix.first for prefix in mail_destinations() if prefix.version == 4]
    found = []
    for number in range(_DIFFERENT):
        source = chance.choice(sources).first
        there = outside(chance, space, 4)
        target = (chance.choice(mail), 25) if number % 2 else (there, 587)
        permitted = _frame(_PERMITTED, _ROUTER, source, *target)
        found.append((permitted, _frame(_BLOCKED, _ROUTER, source, there, 25)))
    return found


def _frame(sender: int, receiver: int, source: int, destination: int, port: int) -> bytes:
    return frame_of(
        Packet(
            in_port=LINES[0],
            eth_type=ETH_IPV4,
            eth_source=sender,
            eth_destination=receiver,
            version=4,
            protocol=TCP,
            source=source,
            source_port=40000,
            destination=destination,
            destination_port=port,
        )
    )
