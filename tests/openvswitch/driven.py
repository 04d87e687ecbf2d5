"""A session that drives a real bridge over its management socket, without a controller in between."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from op25b_app.openflow.bundle import decode_control_reply
from op25b_app.sync.desired_state import DesiredState
from op25b_app.sync.protocol import SwitchFeatures
from op25b_app.sync.session import Session
from op25b_app.sync.status import Outcome
from testing.fake_switch.wire import Kind, Stream, pack
from testing.private_ovs import PrivateOvs

SECONDS = 20.0
TABLES = 254


class Driven:
    """``reported`` are the reasons of all states that the session has been in."""

    def __init__(self, path: Path, version: int, dpid: int) -> None:
        self.session = Session(dpid, time.time())
        self.version = version
        self.reported: list[str] = []
        self.bundles = True
        """Whether the session learns that the bridge takes bundles."""
        self._stream = Stream()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(SECONDS)
        self._socket.connect(str(path))
        # With SET_CONFIG a management connection is told what a controller is told.
        self._socket.sendall(pack(version, Kind.HELLO, 0))
        self._socket.sendall(pack(version, Kind.SET_CONFIG, 0, struct.pack("!HH", 0, 128)))

    def close(self) -> None:
        self._socket.close()

    def begin(self, desired: DesiredState, ports: frozenset[int]) -> None:
        """Connect, with a policy."""
        self._carry_out(self.session.assign(desired, time.time()))
        self._carry_out(self.session.connected(SwitchFeatures(self.version, TABLES, ports), time.time()))

    def assign(self, desired: DesiredState) -> None:
        self._carry_out(self.session.assign(desired, time.time()))

    def run_until(self, done: Callable[[], bool], seconds: float = SECONDS) -> None:
        """Carry messages and ticks until something is so; AssertionError if that does not come."""
        end = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < end, (self.session.status, self.reported)
            self._step()

    def run_until_state(self, state: str) -> None:
        self.run_until(lambda: self.session.status.state.value == state)

    def run_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._step()

    def _step(self) -> None:
        readable, _, _ = select.select([self._socket], [], [], 0.02)
        if readable:
            received = self._socket.recv(1 << 20)
            assert received, "the bridge closed the connection"
            for message in self._stream.feed(received):
                if message.kind == Kind.ECHO_REQUEST:
                    self._socket.sendall(pack(self.version, Kind.ECHO_REPLY, message.xid, message.body))
                elif self.bundles or decode_control_reply(message.raw) is None:
                    self._carry_out(self.session.receive(message.raw, time.time()))
        if self.session.due_at <= time.time():
            self._carry_out(self.session.tick(time.time()))

    def _carry_out(self, outcome: Outcome) -> None:
        self.reported += [outcome.new_status.reason] if outcome.new_status else []
        for piece in outcome.chunks:
            self._socket.sendall(piece)
        if outcome.job:
            self._carry_out(outcome.job.then(outcome.job.work(), time.time()))


@contextmanager
def driven(ovs: PrivateOvs, bridge: str, version: int, dpid: int = 1) -> Iterator[Driven]:
    """A session for a bridge of OpenFlow ``version``, 4 for 1.3."""
    drives = Driven(ovs.directory / f"{bridge}.mgmt", version, dpid)
    try:
        yield drives
    finally:
        drives.close()
