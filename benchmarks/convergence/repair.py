"""From the moment at which somebody harms a rule until it is back, and until the switch is protected again.

The switch itself tells, over a connection of its own, when the rule is harmed and when it is right again. The
controller is asked for the state meanwhile.
"""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from benchmarks.convergence.interference import Interferer, Kind
from benchmarks.convergence.plans import PORTS, Variant
from op25b_app.compiler.compiler import compile_rules
from op25b_app.openflow.flow_monitor import (
    FlowEvent,
    FlowUpdate,
    decode_updates,
    encode_monitor_request,
    is_flow_update,
)
from op25b_app.openflow.flow_rule import FlowRule, RuleRole
from op25b_app.openflow.ofctl import format_rule
from op25b_app.operate.control_client import ask
from op25b_app.policy.loader import load
from testing.fake_switch.flow_mod import Command
from testing.openflow_client import OpenFlowClient
from testing.private_ovs import PrivateOvs
from testing.running import Op25bController

BRIDGE = "repair"
_QUIET_SECONDS = 0.5
_RANDOM_SECONDS = 0.5
"""The next harm comes so late after the last one was made good, at most."""
_REST_AFTER = 1.0
"""And no sooner than so many times what that took."""
_START_SECONDS = 300.0
PATIENCE_SECONDS = 15.0
"""A rule that is not back by then is put back, and counts as one that does not come back."""
_HOPELESS = 2
"""After so many of these no more of that kind are tried."""
_PROTECTED_SECONDS = 600.0
_POLL_SECONDS = 0.01
_ECHO_REQUEST, _ECHO_REPLY = 2, 3
_APPLICATIONS = ("ryu.app.ofctl_rest", "--wsapi-host", "127.0.0.1")
_NO_AUDIT = {"OP25B_AUDIT_SECONDS": "86400"}
"""What is measured follows a report, not an audit that happens to be due."""


class Repair(NamedTuple):
    """Seconds from the harm on: until the rule was back, until the switch was seen protected with it.

    ``false`` is for how long it was called protected while the rule was not there.
    """

    back: float
    protected: float
    false: float


@dataclass(frozen=True)
class Repairs:
    """All of one kind on one table; ``events`` are the repairs that op25b has told of."""

    policy: str
    rules: int
    kind: Kind
    repairs: tuple[Repair, ...]
    events: int
    given_up: int = 0
    """How many rules did not come back."""

    def median(self, value: Callable[[Repair], float]) -> float:
        return statistics.median(map(value, self.repairs))

    def nine_in_ten(self, value: Callable[[Repair], float]) -> float:
        return statistics.quantiles(map(value, self.repairs), n=10, method="inclusive")[-1]

    def longest(self, value: Callable[[Repair], float]) -> float:
        return max(map(value, self.repairs))


def repairs_of(variant: Variant, folder: Path, counts: dict[Kind, int], seed: int = 25) -> list[Repairs]:
    """Measure the repairs of a generated policy."""
    policy = folder / "policy.yaml"
    variant.write(policy, [BRIDGE])
    return repairs(variant.name, policy, BRIDGE, folder, counts, seed, PORTS)


def repairs(
    name: str,
    policy: Path,
    switch: str,
    folder: Path,
    counts: dict[Kind, int],
    seed: int,
    ports: Sequence[int],
    patience: float = PATIENCE_SECONDS,
) -> list[Repairs]:
    """Harm one drop rule after another at random moments, in each way so often.

    ``switch`` is the only one of the policy. A rule that is not back after ``patience``, in seconds, is put
    back. Raises TimeoutError where it does not become protected again.
    """
    chance = random.Random(seed)
    loaded = load(policy, time.time()).policy
    assert loaded is not None
    rules = [*compile_rules(loaded, loaded.switches[switch], time.time())]
    drops = [rule for rule in rules if rule.role is RuleRole.BLOCK]
    dpid = loaded.switches[switch].dpid
    found = []
    with PrivateOvs() as ovs:
        socket = ovs.directory / "control.sock"
        with Op25bController(
            folder, policy, socket=socket, applications=_APPLICATIONS, environment=_NO_AUDIT
        ) as controller:
            controller.wait_for("in force", seconds=_START_SECONDS)
            ovs.add_bridge(BRIDGE, ports, dpid=dpid, controllers=[controller.target])
            controller.wait_for_state(switch, "protected", seconds=_START_SECONDS)
            with ovs.openflow(BRIDGE) as watching, ovs.openflow(BRIDGE) as harming:
                watching.accept_events()
                watching.send(encode_monitor_request(version=watching.version, xid=1))
                updates = _updates(watching)
                interferer = Interferer(harming, dpid, controller.web_port)
                for kind, count in counts.items():
                    reported, given_up = _event_count(socket), 0
                    done: list[Repair] = []
                    while len(done) + given_up < count and given_up < _HOPELESS:
                        last = done[-1].protected if done else 0.0
                        rest = max(_QUIET_SECONDS, _REST_AFTER * last)
                        time.sleep(rest + chance.uniform(0, _RANDOM_SECONDS))
                        with _States(socket, switch) as states:
                            repair = _repair(
                                interferer, kind, chance.choice(drops), updates, states, patience
                            )
                        given_up += repair is None
                        done += [repair] if repair else []
                    events = _event_count(socket) - reported
                    found.append(Repairs(name, len(rules), kind, tuple(done), events, given_up))
    return found


def delete(ovs: PrivateOvs, bridge: str, rule: FlowRule, protocols: str = "OpenFlow13") -> None:
    """As somebody with ``ovs-ofctl`` does it."""
    text = format_rule(rule._replace(hard_timeout=0))
    match = text.partition(",")[2].rpartition(",actions=")[0]
    ovs.ofctl("--strict", "del-flows", bridge, match, protocols=protocols)


def is_back(update: FlowUpdate, rule: FlowRule) -> bool:
    """Whether an update tells that there is ``rule`` as it shall be."""
    reported = update.rule
    return update.event is not FlowEvent.REMOVED and (
        reported.key == rule.key and reported.action == rule.action and reported.cookie == rule.cookie
    )


class _States:
    """A context manager: asks for a switch's state again and again.

    ``seen`` are the moments at which a question was sent and answered, and the state.
    """

    def __init__(self, socket: Path, switch: str) -> None:
        self.seen: list[tuple[float, float, str]] = []
        self._socket, self._switch = socket, switch
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> _States:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ends.is_set():
            asked = time.monotonic()
            state = ask(self._socket, "GET", "/status")["switches"][self._switch]["state"]
            self.seen.append((asked, time.monotonic(), state))
            self._ends.wait(_POLL_SECONDS)

    def first(self, after: float, *, protected: bool) -> float:
        """When an answer to a question asked after a moment first told so; TimeoutError where none does."""
        end = time.monotonic() + _PROTECTED_SECONDS
        number = 0
        while time.monotonic() < end:
            for asked, answered, state in self.seen[number:]:
                number += 1
                if asked >= after and (state == "protected") is protected:
                    return answered
            time.sleep(_POLL_SECONDS)
        raise TimeoutError(f"no state {'' if protected else 'other than '}'protected': {self.seen[-1:]}")

    def unprotected_before(self, gone: float, back: float) -> float:
        """When it was first seen as anything but protected, or ``back`` if it never was before that."""
        seen = (at for asked, at, state in self.seen if asked >= gone and state != "protected")
        return min(next(seen, back), back)


def _repair(
    interferer: Interferer,
    kind: Kind,
    victim: FlowRule,
    updates: Iterator[tuple[float, FlowUpdate]],
    states: _States,
    patience: float,
) -> Repair | None:
    """One harm, and what came of it; None where the rule had to be put back."""
    given_up = threading.Event()

    def give_up() -> None:
        given_up.set()
        interferer.send(victim, Command.ADD)

    interferer.harm(kind, victim)
    timer = threading.Timer(patience, give_up)
    timer.start()
    concerning = ((at, update) for at, update in updates if update.rule.key == victim.key)
    gone = next(at for at, update in concerning if not is_back(update, victim))
    back = next(at for at, update in concerning if is_back(update, victim))
    timer.cancel()
    timer.join()
    protected = states.first(back, protected=True)
    if given_up.is_set():
        return None
    return Repair(back - gone, protected - gone, states.unprotected_before(gone, back) - gone)


def _updates(switch: OpenFlowClient) -> Iterator[tuple[float, FlowUpdate]]:
    """When a rule was added, removed or changed, and what was told of it."""
    while True:
        message = switch.await_message()
        at = time.monotonic()
        if message[1] == _ECHO_REQUEST:  # Open vSwitch looks after 60 s without a word whether we are there
            switch.send(bytes([message[0], _ECHO_REPLY]) + message[2:])
        elif is_flow_update(message):
            for update in decode_updates(message):
                if update.event in (FlowEvent.ADDED, FlowEvent.REMOVED, FlowEvent.MODIFIED):
                    yield at, update


def _event_count(socket: Path) -> int:
    """How many repairs are among the events that are still kept."""
    events = ask(socket, "GET", "/events")["events"]
    return sum(event["kind"] == "repair" for event in events)
