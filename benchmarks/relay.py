"""Between a switch and its controller, both of this host: listens, dials and passes on."""

from __future__ import annotations

import contextlib
import socket
import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import TypeVar

_Self = TypeVar("_Self", bound="Relay")


class Relay(ABC):
    """A context manager that listens on ``port``, any free one for 0; switches are to connect there."""

    def __init__(self, controller_port: int, port: int = 0) -> None:
        self._controller_port = controller_port
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self: _Self) -> _Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in (self._listener, *self._sockets):
            _shut(each)

    @abstractmethod
    def _dial(self, switch: socket.socket) -> socket.socket | None:
        """A connection to the controller for a switch; None where the switch is not to be served."""

    @abstractmethod
    def _copy(self, giver: socket.socket, taker: socket.socket, *, from_switch: bool) -> None:
        """Pass on what comes until it ends, or an OSError does."""

    def _accept(self) -> None:
        while True:
            try:
                switch, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(switch,), daemon=True).start()

    def _connect(self, switch: socket.socket) -> None:
        self._sockets.append(switch)
        controller = self._dial(switch)
        if controller is None:
            switch.close()
            return
        self._sockets.append(controller)
        for each in (switch, controller):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for pair in ((switch, controller, True), (controller, switch, False)):
            threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, giver: socket.socket, taker: socket.socket, from_switch: bool) -> None:
        with contextlib.suppress(OSError):
            self._copy(giver, taker, from_switch=from_switch)
        for each in (giver, taker):
            _shut(each)


def dialled(port: int) -> socket.socket | None:
    """A connection to a port of this host; None where nobody listens."""
    try:
        return socket.create_connection(("127.0.0.1", port))
    except OSError:
        return None


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
