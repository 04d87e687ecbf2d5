"""How long a controller takes to answer a switch that is connected all the time."""

from __future__ import annotations

from testing.fake_switch import Kind, Message
from testing.fake_switch.wire import pack
from tests.faults.rig import Rig


class Probe:
    """Echo requests of the steady switch, one after the other.

    ``cpu_seconds`` is how much the controller worked until each was answered.
    """

    def __init__(self, rig: Rig) -> None:
        self.cpu_seconds: list[float] = []
        self._rig = rig
        self._worked = rig.controller.cpu_seconds
        rig.steady.on_handled = self._handled

    def ask(self) -> None:
        """Send one and wait for its answer."""
        number = len(self.cpu_seconds)
        self._worked = self._rig.controller.cpu_seconds
        self._rig.diallers.do(lambda: self._rig.steady.send(pack(4, Kind.ECHO_REQUEST, number)))
        self._rig.wait_until(lambda: len(self.cpu_seconds) > number, lambda: "no answer to an echo request")

    def _handled(self, message: Message) -> None:
        if message.kind == Kind.ECHO_REPLY and message.xid == len(self.cpu_seconds):
            self.cpu_seconds.append(self._rig.controller.cpu_seconds - self._worked)
