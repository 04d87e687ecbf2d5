"""A controller with fake switches: one that must never notice anything, and others that misbehave."""

from __future__ import annotations

import itertools
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

from op25b_app.operate.control_client import NoControllerError, ask
from testing.fake_switch import Abilities, FakeSwitch, Kind, Message
from testing.fake_switch.actions import LOCAL
from testing.fake_switch.dialler import Dialler, Diallers, Fault
from testing.fake_switch.rules import put, rules_on
from testing.fake_switch.wire import pack
from testing.patience import HANG_SECONDS
from testing.running import Op25bController, policy_text

HURRIED = str(Path(__file__).parent / "hurried.py")
EVERY_LINE = str(Path(__file__).parent / "every_line.py")
_FIRST_ECHO = 0x5EED0000
"""Transaction number of the first echo request of the tests, far from those that the switches use."""
LITTLE = Abilities(tables=8)
"""A switch of a few tables: what it tells of them is short."""


class Rig:
    """A controller of switches ``s1`` to as many, with these datapath ids, in a process of its own.

    ``steady`` is the last of them, connected all the time. ``options`` are ryu-manager's, for its
    configuration file. ``pools`` are further prefixes of static space, ``settings`` go into the policy.
    """

    def __init__(
        self,
        switches: int,
        *,
        applications: Sequence[str] = (),
        options: Mapping[str, float] = MappingProxyType({}),
        pools: Sequence[str] = (),
        settings: str = "",
    ) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="faults-"))
        policy = self.directory / "policy.yaml"
        numbers = range(1, switches + 1)
        text = policy_text(*(f"s{number} {number:#x}" for number in numbers))
        policy.write_text(text.replace("static: [", "static: [{file: pools.txt}, ") + settings)
        (self.directory / "pools.txt").write_text("".join(f"{pool}\n" for pool in pools))
        configuration = self.directory / "ryu.conf"
        lines = (f"{name} = {value}\n" for name, value in options.items())
        configuration.write_text("[DEFAULT]\n" + "".join(lines))
        self._socket = self.directory / "control.sock"
        self.controller = Op25bController(
            self.directory,
            policy,
            socket=self._socket,
            applications=[EVERY_LINE, *applications, "--config-file", str(configuration)],
            environment={"OP25B_STATE_DIRECTORY": str(self.directory / "state")},
        )
        self.diallers = Diallers(self.controller.port)
        self._unused = iter(numbers[:-1])
        self._echoes = itertools.count(_FIRST_ECHO)
        self._dialled: list[Dialler] = []
        self._log_seen = 0
        self._steady_number = switches

    def __enter__(self) -> Rig:
        self.controller.wait_for("in force", seconds=HANG_SECONDS)
        self.wait_until(self._socket.exists, lambda: f"no {self._socket}")
        self.diallers.__enter__()
        self.steady = self.diallers.dial(FakeSwitch(self._steady_number, capabilities=LITTLE))
        self.wait_for(self.steady, "protected", seconds=HANG_SECONDS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.diallers.__exit__(kind, error, trace)
        self.controller.__exit__(kind, error, trace)
        shutil.rmtree(self.directory)

    def new_switch(self, capabilities: Abilities = LITTLE) -> FakeSwitch:
        """A switch that the policy knows and that was never connected before."""
        return FakeSwitch(next(self._unused), capabilities=capabilities, ports=(1, 2, 3, 4, LOCAL))

    def put_most_rules(self, switch: FakeSwitch) -> None:
        """Leave a switch with all rules that the policy asks for but a few."""
        put(switch, *sorted(self.controller.wanted(f"s{switch.dpid}"))[:-5])

    def dial(
        self, switch: FakeSwitch, *, faults: Iterable[Fault] = (), receive_buffer: int | None = None
    ) -> Dialler:
        self._dialled.append(self.diallers.dial(switch, faults=faults, receive_buffer=receive_buffer))
        return self._dialled[-1]

    def hang_up(self, dialler: Dialler) -> None:
        self._dialled.remove(dialler)
        self.diallers.stop(dialler)

    def end_test(self) -> None:
        """Disconnect all switches but the steady one; what is in the log concerns no later test."""
        for dialler in [*self._dialled]:
            self.diallers.stop(dialler)
        self._dialled.clear()
        self._log_seen = len(self.log)

    def states(self) -> dict[str, tuple[str, str]]:
        """State and reason of every switch, by name."""
        switches = self._status()["switches"]
        return {name: (each["state"], each["reason"]) for name, each in switches.items()}

    def state(self, dialler: Dialler) -> tuple[str, str]:
        return self.states()[f"s{dialler.switch.dpid}"]

    def wait_for(
        self, dialler: Dialler, state: str, reason: str = "", seconds: float = HANG_SECONDS
    ) -> tuple[str, str]:
        """Return as soon as a switch is in a state, for a reason that a regular expression finds."""
        found = "", ""

        def reached() -> bool:
            nonlocal found
            found = self.state(dialler)
            return found[0] == state and re.search(reason, found[1]) is not None

        def complaint() -> str:
            name = f"s{dialler.switch.dpid} (dpid"
            about = "\n".join(line for line in self.log.splitlines() if line.startswith(name))
            return f"{found}, not {state!r} with {reason!r} in:\n{about}"

        self.wait_until(reached, complaint, seconds)
        return found

    def wait_for_protection(self, dialler: Dialler, seconds: float = HANG_SECONDS) -> None:
        """Return once a switch is protected and holds exactly the rules that the policy asks for."""
        self.wait_for(dialler, "protected", seconds=seconds)
        assert self.holds_all(dialler)

    def wait_for_echo(self, dialler: Dialler) -> None:
        """Return once the controller has dealt with what a switch sent before: it answers in order."""
        asked, answered = next(self._echoes), threading.Event()

        def handled(message: Message) -> None:
            if message.kind == Kind.ECHO_REPLY and message.xid == asked:
                answered.set()

        dialler.on_handled = handled
        self.diallers.do(lambda: dialler.send(pack(4, Kind.ECHO_REQUEST, asked)))
        self.wait_until(answered.is_set, lambda: "no answer to an echo request")

    def holds_all(self, dialler: Dialler) -> bool:
        """Whether a switch has exactly the rules that the policy asks for, and a marker."""
        wanted = self.controller.wanted(f"s{dialler.switch.dpid}")
        found = self.diallers.do(lambda: rules_on(dialler.switch))
        return wanted <= set(found) and len(found) - len(wanted) == 1

    def wait_until(
        self, condition: Callable[[], bool], complaint: Callable[[], str], seconds: float = HANG_SECONDS
    ) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert self.controller.process.poll() is None, f"the controller ended:\n{self.log}"
            assert time.monotonic() < end, complaint()
            time.sleep(0.05)

    def assert_undisturbed(self) -> None:
        """The controller lives and has shown no traceback; the steady switch has not noticed anything."""
        assert "Traceback" not in self.log[self._log_seen :], self.log[self._log_seen :]
        assert self.state(self.steady)[0] == "protected", self.state(self.steady)
        assert self.steady.connections == 1

    @property
    def log(self) -> str:
        return self.controller.log

    @property
    def memory(self) -> int:
        """What the controller holds, in KiB."""
        status = Path(f"/proc/{self.controller.process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+)", status)[0])

    def _status(self) -> dict[str, Any]:
        try:
            return ask(self._socket, "GET", "/status")
        except NoControllerError as error:
            raise AssertionError(f"{error}; log:\n{self.log}") from None
