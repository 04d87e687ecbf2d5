"""From the moment at which somebody deletes a drop rule until it is back, as the switch itself tells it."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.convergence.plans import PORTS, Variant
from op25b_app.policy.loader import load
from op25b_app.rules.compiler import compile_rules
from op25b_app.rules.flow import FlowRule, Role
from op25b_app.rules.ofctl import format_rule
from op25b_app.switch.flow_monitor import Event, decode_updates, encode_monitor_request, is_flow_update
from op25b_app.switch.wire import OPENFLOW_13
from tests.openvswitch.openflow_client import OpenFlowClient
from tests.openvswitch.private_ovs import PrivateOvs
from tests.openvswitch.running import Op25bController

_BRIDGE = "repair"
_QUIET_SECONDS = 0.5
_RANDOM_SECONDS = 3.0
"""The next deletion comes so late after the last repair, at most."""
_LIMIT_SECONDS = 60.0


@dataclass(frozen=True)
class Repairs:
    """Seconds from each deletion until the rule was back; ``events`` are those that name the rule."""

    policy: str
    rules: int
    seconds: tuple[float, ...]
    events: int

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def nine_in_ten(self) -> float:
        return statistics.quantiles(self.seconds, n=10, method="inclusive")[-1]


def repairs_of(variant: Variant, folder: Path, count: int, seed: int = 25) -> Repairs:
    policy = folder / "policy.yaml"
    variant.write(policy, [_BRIDGE])
    return repairs(variant.name, policy, _BRIDGE, folder, count, seed, PORTS)


def repairs(
    name: str, policy: Path, switch: str, folder: Path, count: int, seed: int, ports: Sequence[int]
) -> Repairs:
    """Delete one drop rule after another at random moments; ``switch`` is the only one of the policy."""
    chance = random.Random(seed)
    loaded = load(policy, time.time()).policy
    assert loaded is not None
    rules = [*compile_rules(loaded, loaded.switches[switch], time.time())]
    drops = [rule for rule in rules if rule.role is Role.BLOCK]
    socket = folder / "control.sock"
    with PrivateOvs() as ovs, Op25bController(folder, policy, socket=socket) as controller:
        controller.wait_for("in force")
        dpid = loaded.switches[switch].dpid
        ovs.add_bridge(_BRIDGE, ports, dpid=dpid, controllers=[controller.target])
        controller.wait_for_state(switch, "protected", seconds=_LIMIT_SECONDS)
        with ovs.openflow(_BRIDGE) as watching:
            watching.accept_events()
            watching.send(encode_monitor_request(version=OPENFLOW_13, xid=1))
            updates = _updates(watching)
            seconds = []
            for _ in range(count):
                time.sleep(_QUIET_SECONDS + chance.uniform(0, _RANDOM_SECONDS))
                victim = chance.choice(drops)
                seconds.append(_repair(ovs, victim, updates))
        controller.wait_for_state(switch, "protected")
        told = controller.command("events", "--json").stdout
    return Repairs(name, len(rules), tuple(seconds), told.count('"kind": "repair"'))


def delete(ovs: PrivateOvs, bridge: str, rule: FlowRule, protocols: str = "OpenFlow13") -> None:
    """As somebody with ``ovs-ofctl`` does it."""
    text = format_rule(rule._replace(hard_timeout=0))
    match = text.partition(",")[2].rpartition(",actions=")[0]
    ovs.ofctl("--strict", "del-flows", bridge, match, protocols=protocols)


def _repair(ovs: PrivateOvs, victim: FlowRule, updates: Iterator[tuple[float, Event, object]]) -> float:
    delete(ovs, _BRIDGE, victim)
    gone = next(at for at, event, key in updates if event is Event.REMOVED and key == victim.key)
    return next(at for at, event, key in updates if event is Event.ADDED and key == victim.key) - gone


def _updates(switch: OpenFlowClient) -> Iterator[tuple[float, Event, object]]:
    """When a rule was added or removed, and its key."""
    while True:
        message = switch.await_message()
        at = time.monotonic()
        if is_flow_update(message):
            for update in decode_updates(message):
                yield at, update.event, update.rule.key
