"""Ryu's connections with a time limit for the handshake and turns in reading, which Ryu lacks."""

from __future__ import annotations

import logging
import resource
import time
from collections.abc import Callable
from contextlib import closing, suppress
from socket import SHUT_RDWR
from typing import Any, Protocol

from eventlet.hubs import get_hub
from greenlet import getcurrent

# Ryu's controller cannot be imported before it.
from ryu.base.app_manager import lookup_service_brick
from ryu.controller import controller
from ryu.controller.handler import DEAD_DISPATCHER
from ryu.exception import OFPTruncatedMessage
from ryu.lib import hub

from op25b_app.controller.buffered_socket import BufferedSocket
from op25b_app.operate.pending_handshakes import PendingHandshakes, handshake_limit
from op25b_app.operate.turns import ConnectionClass, TurnUsage, chosen_next
from op25b_app.sync.certificate_check import Certificate, certificate
from op25b_app.sync.message_filter import MessageFilter, Stage

HANDSHAKE_SECONDS = 10.0
"""Seconds that a switch may take to send its features, once it is connected."""
WASTED_BYTES = 1 << 16
"""Most bytes of ignored messages on a stranger's connection, which is closed after that."""

log = logging.getLogger("op25b")


class PendingHandshake(Protocol):
    """A connection in its OpenFlow or TLS handshake."""

    def refuse(self, why: str) -> None:
        """Close the connection; ``why`` follows its address in the log."""


_pending: PendingHandshakes[PendingHandshake] = PendingHandshakes()
_all = TurnUsage()


REST_SECONDS = 0.03
"""Seconds between the turns of connections of one class that have used up their own turn."""
BATCH_SECONDS = 0.015
"""Seconds of turns, one after the other, for the connections that wait at the gate."""
_queues = {each: hub.Semaphore() for each in ConnectionClass}
"""By class, the connections that have used up their own turn."""


class _Gate:
    """Queue of connections while all together have used up their turn.

    As many as there is time for go on after all else that was due in the event loop: by turns the one that
    has waited longest, and the one that has been read least.
    """

    def __init__(self) -> None:
        self._waiting: dict[Any, TurnUsage] = {}
        """Usage by green thread, in order of arrival."""
        self._is_due = False

    def wait(self, usage: TurnUsage) -> None:
        me = getcurrent()
        self._waiting[me] = usage
        self._schedule_opening()
        try:
            get_hub().switch()
        finally:
            self._waiting.pop(me, None)

    def _open(self) -> None:
        """Let connections through one by one; each returns here when it waits for anything."""
        began = time.monotonic()
        for number in range(len(self._waiting)):
            if not self._waiting or time.monotonic() - began > BATCH_SECONDS:
                break
            _all.reset()
            chosen = chosen_next(self._waiting, number)
            del self._waiting[chosen]
            chosen.switch()
        self._is_due = False
        if self._waiting:
            self._schedule_opening()

    def _schedule_opening(self) -> None:
        if not self._is_due:
            self._is_due = True
            get_hub().schedule_call_global(0, self._open)


_gate = _Gate()


class ConnectionEnded(OFPTruncatedMessage):
    """The connection is at its end, and nothing more is read from it. Ryu heeds no other exception."""


def set_handshake_limit(switches: int) -> None:
    """Make room for the handshakes of a policy with ``switches`` switches."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    _pending.most = handshake_limit(switches, files)


def register_handshake(handshake: PendingHandshake, host: str) -> None:
    """Register a handshake; where there are too many, refuse one of the busiest host."""
    if (gone := _pending.add(handshake, host)) is not None:
        gone.refuse(f"made room for others: {_pending.most} are in their handshake, most of them from there")


def unregister_handshake(handshake: PendingHandshake) -> None:
    """Unregister a handshake that is over, with any result."""
    _pending.remove(handshake)


class Connection(controller.Datapath):
    """A connection of a switch, or of a peer that claims to be one."""

    def __init__(self, socket: Any, address: Any) -> None:
        self.message_filter = MessageFilter()
        self.refused = ""
        self.on_end: Callable[[], None] = lambda: None
        """Called at the end of the connection, for any reason."""
        self._usage = TurnUsage()
        self._class = ConnectionClass.OTHER
        self._recovered_at = time.monotonic()
        self.is_answer = False
        """True where the message read last is an answer to a session."""
        self.is_copy = False
        """True where it is a copy that one of op25b's rules has sent: what waits behind is in a hurry."""
        self._wasted = 0
        super().__init__(socket, address)
        self._deadline = get_hub().schedule_call_global(HANDSHAKE_SECONDS, hub.spawn, self._give_up)
        self.socket: Any = BufferedSocket(self.socket)
        register_handshake(self, address[0])

    def send(self, buf: bytes, close_socket: bool = False) -> bool:
        """Send messages and admit their answers. Returns False where the connection is ending."""
        self.message_filter.asked(buf)
        return self.send_own(buf, close_socket)

    def send_own(self, buf: bytes, close_socket: bool = False) -> bool:
        """Send messages whose answers are known by xid. Returns as :meth:`send` does."""
        sent: bool = super().send(buf, close_socket)
        return sent

    def finish_handshake(self, stage: Stage) -> None:
        """Set the stage of the connection, and end the time limit of its handshake."""
        self.message_filter.stage = stage
        self._end_handshake()

    @property
    def certificate(self) -> Certificate | None:
        """The peer's certificate, None without TLS or where its signer was not verified."""
        get: Any = getattr(self.socket, "getpeercert", None)
        if get is None or not (decoded := get()):
            return None
        return certificate(get(binary_form=True), decoded)

    def request_features(self) -> None:
        """Request the features again, to speak with the switch over this connection."""
        self.message_filter.stage = Stage.FEATURES
        self.send_msg(self.ofproto_parser.OFPFeaturesRequest(self))

    def request_echo(self) -> None:
        """Send an echo request, to get a sign of life."""
        self.send_msg(self.ofproto_parser.OFPEchoRequest(self))

    def refuse(self, why: str) -> None:
        """Close the connection at once, even with unsent messages; ``why`` follows its address in the log."""
        if self.state == DEAD_DISPATCHER:
            return
        log.warning("the connection from %s is closed: it %s", self.address[0], why)
        self.refused = f"it {why}"
        self.close()
        with suppress(OSError):
            self.socket.shutdown(SHUT_RDWR)

    def close(self) -> None:
        """Close the connection; the first call also calls ``on_end``."""
        is_first = self.state != DEAD_DISPATCHER
        self._end_handshake()
        super().close()
        if is_first:
            on_end, self.on_end = self.on_end, lambda: None  # it may hold this connection
            on_end()

    @property
    def has_ended(self) -> bool:
        """True once the connection is closed."""
        return bool(self.state == DEAD_DISPATCHER)

    @property
    def has_backlog(self) -> bool:
        """True where received bytes are unread, or messages wait to be sent."""
        return self.socket.has_unread or (self.send_q is not None and not self.send_q.empty())

    def await_turn(self, its_class: ConnectionClass) -> None:
        """Wait where this connection, or all connections together, have been read for a whole turn.

        Raises ConnectionEnded where the connection ends meanwhile, or has ended before.
        """
        self._set_class(its_class)
        if self._usage.is_used_up:
            while self._usage.is_used_up:
                self._end_if_over()
                with _queues[its_class]:
                    hub.sleep(REST_SECONDS)
                self._usage.renew()
        elif _all.is_used_up:
            _gate.wait(self._usage)
        self._end_if_over()

    def _set_class(self, its_class: ConnectionClass) -> None:
        """Set the class and update the usage: a new class starts with no usage."""
        if its_class is not self._class:
            self._class = its_class
            self._usage.reset()
        now = time.monotonic()
        if its_class is ConnectionClass.IN_USE:
            self._usage.recover(now - self._recovered_at)
        self._recovered_at = now

    def _end_if_over(self) -> None:
        if self.state == DEAD_DISPATCHER or (self._usage.is_used_up and self._is_given_up):
            raise ConnectionEnded(None, None, None)

    @property
    def _is_given_up(self) -> bool:
        """True where the peer has closed a connection that is not IN_USE: its messages are not needed."""
        return self._class is not ConnectionClass.IN_USE and self.socket.is_abandoned

    def accepts(self, message: bytes) -> bool:
        """Return whether to read a message; log the violation, unless the connection is set aside."""
        violation = self.message_filter.violation(message)
        if violation and self.message_filter.stage is not Stage.STANDBY:
            log.warning("the switch at %s sent %s: ignored", self.address[0], violation)
            self._wasted += len(message)
            if self._wasted > WASTED_BYTES and self._class is ConnectionClass.OTHER:
                self.refuse(f"sent more than {WASTED_BYTES} bytes of ignored messages")
        return not violation

    def charge(self, size: int, seconds: float) -> None:
        """Charge a message of ``size`` bytes that took ``seconds``; of copies only the time."""
        if self.is_copy and self._class is ConnectionClass.IN_USE:
            _all.charge_time(seconds)
            self._usage.charge_time(seconds)
            return
        _all.charge(size, seconds)
        if not (self.is_answer and self._class is ConnectionClass.IN_USE):
            self._usage.charge(size, seconds)

    def _end_handshake(self) -> None:
        unregister_handshake(self)
        self._deadline.cancel()

    def _give_up(self) -> None:
        self.refuse(f"did not finish the OpenFlow handshake within {HANDSHAKE_SECONDS:g} s")


def address_text(host: str, port: int) -> str:
    """Return host:port, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def serve(socket: Any, address: Any) -> None:
    """Serve a connection and close it at the end (Ryu's datapath connection factory)."""
    with closing(socket):
        if lookup_service_brick("ofp_event") is None:  # Ryu is stopping
            return
        try:
            connection = Connection(socket, address)
        except OSError:  # it is gone already
            return
        with closing(connection):
            try:
                connection.serve()
            except ConnectionEnded:
                pass
            except Exception:
                log.exception("internal error with the connection from %s", address[0])
