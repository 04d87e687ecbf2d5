"""Ryu's connections, with what Ryu leaves open: a limit in time for the handshake, and turns in reading."""

from __future__ import annotations

import logging
import resource
from collections.abc import Callable
from contextlib import closing, suppress
from socket import SHUT_RDWR
from typing import Any, Protocol

from eventlet.hubs import get_hub

# Ryu's controller cannot be imported before it.
from ryu.base.app_manager import lookup_service_brick
from ryu.controller import controller
from ryu.controller.handler import DEAD_DISPATCHER
from ryu.lib import hub

from op25b_app.operate.newcomers import Newcomers, room
from op25b_app.operate.turns import Share
from op25b_app.patient_socket import PatientSocket
from op25b_app.switch.admission import Admission, Stage
from op25b_app.switch.identity import Certificate, certificate

HANDSHAKE_SECONDS = 10.0
"""How long a switch may take to say what it is, once it is connected."""
STRANGER_SECONDS = 0.005
"""How long nothing is read from strangers after one of them has had a turn."""

log = logging.getLogger("op25b")


class Newcomer(Protocol):
    """What has not finished its handshake."""

    def refuse(self, why: str) -> None:
        """Close the connection; ``why`` goes on after its address."""


_newcomers: Newcomers[Newcomer] = Newcomers()
_strangers = hub.Semaphore()
_all = Share()


def make_room(switches: int) -> None:
    """From now on there is room for so many switches to connect at once."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    _newcomers.most = room(switches, files)


def welcome(newcomer: Newcomer, host: str) -> None:
    """Note who has begun a handshake; where that makes too many, another is refused."""
    if (gone := _newcomers.come(newcomer, host)) is not None:
        gone.refuse(
            f"made room: {_newcomers.most} connections are in their handshake, most of them from there"
        )


def settle(newcomer: Newcomer) -> None:
    """Whatever became of a handshake, it is over."""
    _newcomers.go(newcomer)


def serve_with_limits() -> None:
    """From now on Ryu serves connections of the class below; before its controller starts."""
    controller.datapath_connection_factory = _serve


class Connection(controller.Datapath):  # type: ignore[misc]
    """A connection of a switch, or of whoever claims to be one."""

    def __init__(self, socket: Any, address: Any) -> None:
        self.admission = Admission()
        self.is_known = False
        """Whether it is one of a switch in the policy."""
        self.refused = ""
        self.on_end: Callable[[], None] = lambda: None
        """Called when the connection is at its end, for whatever reason."""
        self._share = Share()
        self._is_wasted = False
        super().__init__(socket, address)
        self._deadline = get_hub().schedule_call_global(HANDSHAKE_SECONDS, hub.spawn, self._give_up)
        self.socket: Any = PatientSocket(self.socket)
        welcome(self, address[0])

    def send(self, buf: bytes, close_socket: bool = False) -> bool:
        """Send messages; what they ask for may be answered."""
        self.admission.asked(buf)
        return self.send_own(buf, close_socket)

    def send_own(self, buf: bytes, close_socket: bool = False) -> bool:
        """Send messages whose answers are told by their xid."""
        sent: bool = super().send(buf, close_socket)
        return sent

    def finish_handshake(self, stage: Stage) -> None:
        """The switch has said what it is, and that is how far its connection is."""
        self.admission.stage = stage
        self._end_handshake()

    @property
    def certificate(self) -> Certificate | None:
        """The one that was shown, if it is known who has signed it; None without TLS."""
        get: Any = getattr(self.socket, "getpeercert", None)
        if get is None or not (decoded := get()):
            return None
        return certificate(get(binary_form=True), decoded)

    def ask_what_it_is(self) -> None:
        """Ask for the features again: from now on the switch is spoken to over this connection."""
        self.admission.stage = Stage.FEATURES
        self.send_msg(self.ofproto_parser.OFPFeaturesRequest(self))

    def ask_for_life(self) -> None:
        """Have the switch send something."""
        self.send_msg(self.ofproto_parser.OFPEchoRequest(self))

    def refuse(self, why: str) -> None:
        """Close the connection at once, with what is still to be sent; ``why`` goes on after its address."""
        if self.state == DEAD_DISPATCHER:
            return
        log.warning("the connection from %s is closed: it %s", self.address[0], why)
        self.refused = f"it {why}"
        self.close()
        with suppress(OSError):
            self.socket.shutdown(SHUT_RDWR)

    def close(self) -> None:
        is_first = self.state != DEAD_DISPATCHER
        self._end_handshake()
        super().close()
        if is_first:
            self.on_end()

    def await_turn(self) -> None:
        """Let others go first where this connection, or all together, have been read for a whole turn."""
        if self._share.is_used_up:
            while self._share.is_used_up:
                with _strangers:
                    hub.sleep(STRANGER_SECONDS)
                self._share.renew()
            _all.reset()
        elif _all.is_used_up:
            _all.reset()
            hub.sleep(0)

    def may_say(self, message: bytes) -> bool:
        """Whether to read a message; if it is not as OpenFlow has it, the log says why."""
        objection = self.admission.objection(message)
        self._is_wasted = bool(objection)
        if objection and self.admission.stage is not Stage.ASIDE:
            log.warning("the switch at %s sent %s: ignored", self.address[0], objection)
        return not objection

    def spend(self, size: int, seconds: float) -> None:
        """Note the time that a message took. Strangers, and whoever sends what is ignored, wait for it."""
        _all.spend(size, seconds)
        if self._is_wasted or not self.is_known:
            self._share.spend(size, seconds)

    def _end_handshake(self) -> None:
        settle(self)
        self._deadline.cancel()

    def _give_up(self) -> None:
        self.refuse(f"did not say within {HANDSHAKE_SECONDS:g} s what it is, as a switch does")


def _serve(socket: Any, address: Any) -> None:
    """In Ryu's words a datapath connection factory: what it begins with its end closes."""
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
            except Exception:
                log.exception("internal error with the connection from %s", address[0])
