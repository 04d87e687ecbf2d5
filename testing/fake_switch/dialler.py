"""Fake switches on real connections to a controller, many in one process, with faults of the wire."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar

from testing.fake_switch.channel import Channel
from testing.fake_switch.switch import FakeSwitch
from testing.fake_switch.wire import Message
from testing.patience import HANG_SECONDS

REDIAL_SECONDS = 0.05
"""How long after a refused connection the next one is tried."""
Result = TypeVar("Result")


@dataclass(frozen=True)
class Fault:
    """What is wrong with one connection.

    It ends when the switch has sent, or received and handled, so many bytes; with ``reset`` by RST and not
    by FIN. ``bend`` gives what is sent in the place of each message.
    """

    sends: int | None = None
    receives: int | None = None
    reset: bool = False
    bend: Callable[[bytes], bytes] = bytes


FLAWLESS = Fault()


class Dialler:
    """Keeps one fake switch connected: at once again whenever a connection ends.

    Each connection has the next of ``faults``, later ones none. ``receive_buffer`` is the size of the
    socket's, in bytes, for a switch whose reading matters. All methods are for the loop's own thread.
    """

    def __init__(
        self,
        switch: FakeSwitch,
        port: int,
        *,
        host: str = "127.0.0.1",
        faults: Iterable[Fault] = (),
        receive_buffer: int | None = None,
    ) -> None:
        self.switch = switch
        self.connections = 0
        self.sent = self.received = 0
        """Bytes of the connection that is there, or was there last."""
        self.on_connected: Callable[[], None] = lambda: None
        self.on_handled: Callable[[Message], None] = lambda message: None
        self.link: _Link | None = None
        self._address = host, port
        self._faults = iter(faults)
        self._receive_buffer = receive_buffer
        self._running: asyncio.Task[None] | None = None
        self._hanging = False

    def start(self) -> None:
        self._running = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
        if self.link is not None:
            self.link.end()

    def hang(self) -> None:
        """Neither read nor answer from now on, over connections to come too, while they stay open."""
        self._hanging = True
        if self.link is not None:
            self.link.pause()

    def go_on(self) -> None:
        self._hanging = False
        if self.link is not None:
            self.link.resume()

    def end(self, *, reset: bool = False) -> None:
        """End the connection; the next one follows."""
        if self.link is not None:
            self.link.end(reset=reset)

    def flush(self) -> None:
        """Send what the switch has to say without being asked."""
        if self.link is not None:
            self.link.flush()

    def send(self, data: bytes) -> None:
        """Send what no switch would."""
        if self.link is not None:
            self.link.write(data)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            fault = next(self._faults, FLAWLESS)
            link = _Link(self, fault)
            try:
                await loop.create_connection(lambda link=link: link, sock=await self._dial())  # type: ignore[misc]
            except OSError:
                await asyncio.sleep(REDIAL_SECONDS)
                continue
            await link.over

    async def _dial(self) -> socket.socket:
        loop = asyncio.get_running_loop()
        while True:
            connection = socket.socket()
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._receive_buffer is not None:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
            try:
                await loop.sock_connect(connection, self._address)
                return connection
            except OSError:
                connection.close()
                await asyncio.sleep(REDIAL_SECONDS)
            except BaseException:
                connection.close()
                raise


class _Link(asyncio.Protocol):
    """One connection of a dialler."""

    def __init__(self, dialler: Dialler, fault: Fault) -> None:
        self.over = asyncio.get_running_loop().create_future()
        self._dialler = dialler
        self._fault = fault
        self._transport: Any = None
        self._channel: Channel | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._hanging = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        dialler = self._dialler
        self._transport = transport
        dialler.link = self
        dialler.connections += 1
        dialler.sent = dialler.received = 0
        channel = self._channel = dialler.switch.connect()
        channel.on_handled = lambda message: dialler.on_handled(message)
        dialler.on_connected()
        if dialler._hanging:
            self.pause()
        self._break_off()
        self.flush()

    def data_received(self, data: bytes) -> None:
        assert self._channel is not None
        dialler, limit = self._dialler, self._fault.receives
        if limit is not None:
            data = data[: limit - dialler.received]
        dialler.received += len(data)
        self._send(self._channel.receive(data, time.monotonic()))
        self._break_off()

    def connection_lost(self, error: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._channel is not None:
            self._channel.close()
        self._dialler.link = None
        if not self.over.done():
            self.over.set_result(None)

    def flush(self) -> None:
        if self._channel is not None and not self._hanging:
            self._send(self._channel.due(time.monotonic()))

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def pause(self) -> None:
        self._hanging = True
        self._transport.pause_reading()

    def resume(self) -> None:
        self._hanging = False
        self._transport.resume_reading()
        self.flush()

    def end(self, *, reset: bool = False) -> None:
        """End the connection behind what was sent; with ``reset``, all of a sudden."""
        if reset:
            connection = self._transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.close()

    def _send(self, messages: Iterable[bytes]) -> None:
        assert self._channel is not None
        dialler, limit = self._dialler, self._fault.sends
        for message in messages:
            bent = self._fault.bend(message)
            if limit is not None:
                bent = bent[: limit - dialler.sent]
            dialler.sent += len(bent)
            self._transport.write(bent)
        self._break_off()
        if self._channel.closed:
            self._transport.close()
        if self._timer is not None:
            self._timer.cancel()
        if (due := self._channel.next_due()) is not None:
            delay = max(0.001, due - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(delay, self.flush)

    def _break_off(self) -> None:
        dialler, fault = self._dialler, self._fault
        if dialler.sent == fault.sends or dialler.received == fault.receives:
            self.end(reset=fault.reset)


class Diallers:
    """A thread with a loop of its own, for tests that are not asynchronous themselves."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._diallers: list[Dialler] = []

    def __enter__(self) -> Diallers:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for dialler in self._diallers:
            self._await(dialler.stop())
        self._await(asyncio.sleep(0))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def dial(
        self, switch: FakeSwitch, *, faults: Iterable[Fault] = (), receive_buffer: int | None = None
    ) -> Dialler:
        """Connect a switch, for as long as this lasts."""
        dialler = Dialler(switch, self._port, faults=faults, receive_buffer=receive_buffer)
        self._diallers.append(dialler)
        self.do(dialler.start)
        return dialler

    def stop(self, dialler: Dialler) -> None:
        self._diallers.remove(dialler)
        self._await(dialler.stop())

    def do(self, act: Callable[[], Result]) -> Result:
        """Have the loop's thread do something, and what comes of it."""

        async def acting() -> Result:
            return act()

        return self._await(acting())

    def _await(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(HANG_SECONDS)
