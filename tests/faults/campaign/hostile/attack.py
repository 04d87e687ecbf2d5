"""What a hostile kind has at hand: the controller's address, identities, and connections."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from testing.fake_switch import Abilities, FakeSwitch, Kind, Message
from testing.fake_switch.actions import LOCAL
from testing.fake_switch.wire import HEADER, MAX_BYTES, OPENFLOW_13, Stream, pack

PIECE_BYTES = 1 << 16
LITTLE = Abilities(tables=8)
_FLUSH_SECONDS = 0.2
_CAPABILITIES = 0b111

Bend = Callable[[bytes], Iterable[bytes]]
"""What is sent in the place of a message."""


@dataclass(frozen=True)
class Target:
    """The controller under attack, and whom it serves. ``cloned`` is the honest switch that is cloned."""

    port: int
    pid: int
    policy: Path
    cloned: int
    twin: int
    """A datapath id that several hostile switches claim."""
    first_dpid: int
    """That of the first slot; the policy knows one for each."""
    tls: ssl.SSLContext | None = None


@dataclass
class Attack:
    """One slot of the campaign: it makes one visit after the other. ``deeds`` counts what it did."""

    target: Target
    dpid: int
    chance: Random
    deeds: Counter[str] = field(default_factory=Counter)

    def did(self, what: str, times: int = 1) -> None:
        """Note something that was done."""
        self.deeds[what] += times

    async def connect(self, *, plain: bool = False, receive_buffer: int | None = None) -> Connection:
        """Connect, with TLS where the controller wants it, unless ``plain``."""
        loop = asyncio.get_running_loop()
        raw = socket.socket()
        raw.setblocking(False)
        try:
            if receive_buffer is not None:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            await loop.sock_connect(raw, ("127.0.0.1", self.target.port))
        except BaseException:
            raw.close()
            raise
        context = None if plain else self.target.tls
        name = None if context is None else "controller"
        limit = receive_buffer or PIECE_BYTES
        reader, writer = await asyncio.open_connection(
            sock=raw, ssl=context, server_hostname=name, limit=limit
        )
        return Connection(reader, writer)

    @asynccontextmanager
    async def connected(
        self, *, plain: bool = False, receive_buffer: int | None = None
    ) -> AsyncIterator[Connection]:
        """A connection that ends with the block."""
        connection = await self.connect(plain=plain, receive_buffer=receive_buffer)
        try:
            yield connection
        finally:
            connection.close()

    @asynccontextmanager
    async def playing(
        self, switch: FakeSwitch, bend: Bend = lambda message: (message,)
    ) -> AsyncIterator[Connection]:
        """A fake switch that talks with the controller in the background, each message bent."""
        async with self.connected() as connection:
            task = asyncio.create_task(connection.play(switch, bend))
            try:
                yield connection
            finally:
                task.cancel()
                with suppress(BaseException):
                    await task

    def switch(self, dpid: int | None = None, capabilities: Abilities = LITTLE) -> FakeSwitch:
        """A fake switch, of this slot's own datapath id unless another is given."""
        return FakeSwitch(dpid or self.dpid, capabilities=capabilities, ports=(1, 2, 3, 4, LOCAL))


class Connection:
    """A connection to the controller."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._stream = Stream()
        self._lock = asyncio.Lock()

    async def send(self, content: bytes) -> None:
        """Send; wait while the controller does not read. Raises OSError once it has closed."""
        self._end_if_closed()  # asyncio's TLS cannot write then
        self._writer.write(content)
        async with self._lock:
            await self._writer.drain()
        self._end_if_closed()

    def _end_if_closed(self) -> None:
        if self._writer.is_closing():
            raise ConnectionResetError("closed by the controller")

    async def receive(self) -> list[Message]:
        """The messages that come next. Raises ConnectionResetError where the controller has closed."""
        piece = await self._reader.read(PIECE_BYTES)
        if not piece:
            raise ConnectionResetError("closed by the controller")
        return [*self._stream.feed(piece)]

    async def until_closed(self) -> None:
        """Read and drop whatever comes until the controller closes."""
        while True:
            await self.receive()

    async def drop_until_closed(self) -> None:
        """The same where what comes need not be OpenFlow."""
        while await self._reader.read(PIECE_BYTES):
            pass

    async def shake_hands(self, dpid: int, *, auxiliary: int = 0, tables: int = 8) -> None:
        """Say hello and answer the question for features."""
        await self.send(pack(OPENFLOW_13, Kind.HELLO, 0))
        while True:
            for message in await self.receive():
                if message.kind == Kind.FEATURES_REQUEST:
                    body = struct.pack("!QIBB2xII", dpid, 0, tables, auxiliary, _CAPABILITIES, 0)
                    await self.send(pack(OPENFLOW_13, Kind.FEATURES_REPLY, message.xid, body))
                    return

    async def play(self, switch: FakeSwitch, bend: Bend) -> None:
        """Be a switch until the controller closes."""
        loop = asyncio.get_running_loop()
        channel = switch.connect()
        try:
            await self._pass_on(channel.due(loop.time()), bend)
            while not channel.closed:
                try:
                    piece = await asyncio.wait_for(self._reader.read(PIECE_BYTES), _FLUSH_SECONDS)
                except asyncio.TimeoutError:
                    await self._pass_on(channel.due(loop.time()), bend)
                    continue
                if not piece:
                    return
                await self._pass_on(channel.receive(piece, loop.time()), bend)
        finally:
            channel.close()
            self.close()

    async def _pass_on(self, messages: Iterable[bytes], bend: Bend) -> None:
        for message in messages:
            for bent in bend(message):
                await self.send(bent)

    async def flood(self, block: bytes, per_second: float, did: Callable[[], None]) -> None:
        """Send a block again and again, so many bytes in a second, or as many as are taken."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await self.send(block)
            did()
            due = max(due + len(block) / per_second, loop.time() - 0.1)
            await asyncio.sleep(max(0.0, due - loop.time()))

    def close(self) -> None:
        self._writer.close()

    def reset(self) -> None:
        """Close all of a sudden, by RST."""
        connection = self._writer.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


def block_of(message: bytes, size: int = PIECE_BYTES) -> bytes:
    """A message as often as it fits into ``size`` bytes, at least once."""
    return message * max(1, size // len(message))


def announced(kind: int, length: int = MAX_BYTES) -> bytes:
    """The header of a message of so many bytes."""
    return HEADER.pack(OPENFLOW_13, kind, length, 1)
