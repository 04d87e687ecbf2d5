"""The controller is killed at random moments under traffic, and started again; nothing else is done.

Meanwhile somebody deletes rules of ours with ``ovs-ofctl``, policies are reloaded, and now and then
ovs-vswitchd is killed as well and comes back with empty tables.
"""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.convergence.plans import LINES, UPLINK, Variant
from benchmarks.convergence.probes import Probe, passing_frames, probes
from benchmarks.convergence.record import QUEUE_SECONDS, Count, Kind, Record
from benchmarks.convergence.repair import delete
from benchmarks.convergence.traffic import Traffic
from benchmarks.convergence.world import Site, World
from op25b_app.compiler.compiler import compile_rules
from op25b_app.openflow.flow_rule import FieldValue, FlowRule
from op25b_app.policy.packet import Packet, read_frame
from testing.private_ovs import OvsError

SITES = (
    Site("bundles-13"),
    Site("bundles-15", "OpenFlow15"),
    Site("plain-slow", plain=True, pace=400_000.0),
)
RESTART_EVERY = 10
"""Rounds from one restart of ovs-vswitchd to the next."""
_DELETION_SECONDS = 0.25
_REPAIR_SECONDS, _RELOAD_SECONDS, _START_SECONDS, _CONTACT_SECONDS = 0.05, 0.6, 1.5, 0.25
"""The controller is killed so soon after a deletion, a reload, its start or a switch that came back."""
_QUIET_SECONDS = (0.2, 0.6)
_PATIENCE_SECONDS = 15.0
_ADDRESSES = {"ipv4_src": (4, True), "ipv4_dst": (4, False), "ipv6_src": (6, True), "ipv6_dst": (6, False)}
"""IP version, and whether it is the source, by the fields of a rule."""
_AT = 1_800_000_000.0


@dataclass(frozen=True)
class Kills:
    """What a campaign measured.

    ``rules`` are those of each policy. ``moments`` counts the kills by what the controller was about.
    ``recoveries`` are seconds from each start of the controller until every switch was seen as wanted,
    ``empty_seconds`` those from each restart of ovs-vswitchd until a switch was. ``counts`` are packets, by
    switch and kind of moment.
    """

    rules: tuple[int, int]
    seconds: float
    moments: dict[str, int]
    deletions: int
    recoveries: tuple[float, ...]
    empty_seconds: tuple[float, ...]
    counts: dict[str, dict[str, Count]]
    tracebacks: int

    @property
    def as_expected(self) -> bool:
        """Nothing leaked, nothing was lost but where a switch was empty, and no controller stumbled."""
        kinds = {kind: self.total(kind) for kind in Kind if kind is not Kind.BEFORE}
        leaked = sum(count.leaked for count in kinds.values())
        lost = sum(count.lost for kind, count in kinds.items() if kind is not Kind.EMPTY)
        sent = kinds[Kind.STEADY]
        return min(sent.blocked, sent.permitted) > 0 == leaked + lost + self.tracebacks

    def total(self, kind: Kind) -> Count:
        """Of all switches."""
        return sum((site.get(kind.value, Count()) for site in self.counts.values()), Count())


@dataclass
class _Deleter:
    """A context manager: a thread that deletes rules with ``ovs-ofctl``, on one switch after the other.

    Only such that no probe depends on, so that what is counted is what the controller does.
    """

    world: World
    victims: Sequence[FlowRule]
    chance: random.Random
    deleted: int = 0
    _ends: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> _Deleter:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._ends.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ends.wait(self.chance.uniform(0, 2 * _DELETION_SECONDS)):
            self.delete_one()

    def delete_one(self) -> None:
        site = self.chance.choice(self.world.sites)
        try:
            delete(self.world.ovs, site.name, self.chance.choice(self.victims), site.protocols)
            self.deleted += 1
        except OvsError:
            pass  # ovs-vswitchd is being restarted


class Campaign:
    """One world, round after round. Policy numbers are 0 and 1, by turns."""

    def __init__(
        self, world: World, variants: Sequence[Variant], traffic: Traffic, deleter: _Deleter, seed: int
    ) -> None:
        self.moments: Counter[str] = Counter()
        self.recoveries: list[float] = []
        self.empty_seconds: list[float] = []
        self.records = {name: Record(time.time()) for name in world.names}
        self._world = world
        self._variants = variants
        self._deleter = deleter
        self._chance = random.Random(seed)
        self._policy = 0
        self._traffic = traffic

    def round(self, *, restart: bool) -> None:
        """Begin something, kill the controller in the middle of it, start it again and wait."""
        time.sleep(2 * QUEUE_SECONDS if restart else self._chance.uniform(*_QUIET_SECONDS))
        activity = "installing" if restart else self._chance.choice(("reloading", "repairing", "starting"))
        with self._world.examined(self._traffic, self.records):
            emptied, before = time.time(), self._policy
            if activity == "reloading":
                self._ask_for_reload()
        if activity == "installing":
            self._restart_switches()
        elif activity == "reloading":
            time.sleep(self._chance.uniform(0, _RELOAD_SECONDS))
        elif activity == "repairing":
            self._deleter.delete_one()
            time.sleep(self._chance.uniform(0, _REPAIR_SECONDS))
        else:
            self._world.kill()
            self._world.start()
            if self._chance.random() < 0.5:
                time.sleep(self._chance.uniform(0, _START_SECONDS))
            else:
                self._await_contact()
        self.moments[self._about(activity)] += 1
        self._world.kill()
        self._recover(before, restarted=emptied if restart else None)

    def _ask_for_reload(self) -> None:
        asked, before = time.time(), self._policy
        self._policy = 1 - before
        self._variants[self._policy].write(self._world.policy, self._world.names)
        for record in self.records.values():
            record.changing(asked, before, self._policy)
        self._world.signal(signal.SIGHUP)

    def _restart_switches(self) -> None:
        at = time.time()
        for record in self.records.values():
            record.emptied(at, self._policy)
        self._world.ovs.restart_switch()
        self._await_contact()

    def _await_contact(self) -> None:
        """Some time after a switch has come back."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < end and {"connecting", "installing"}.isdisjoint(self._states()):
            time.sleep(0.005)
        time.sleep(self._chance.uniform(0, _CONTACT_SECONDS))

    def _states(self) -> set[str]:
        return {switch["state"] for switch in self._world.status().values()}

    def _recover(self, before: int, *, restarted: float | None) -> None:
        began = time.time()
        self._world.start()
        seen = self._world.wait_until_protected()
        self.recoveries.append(max(seen.values()) - began)
        for name, at in seen.items():
            if restarted is not None:
                self.empty_seconds.append(at - restarted)
            self.records[name].confirmed(at, self._policy, before=before)
        if restarted is not None:
            self._world.enlarge_buffers()
        looked_through = self._world.wait_until_looked_through()
        for record in self.records.values():
            record.looked_through(looked_through, self._policy)

    def _about(self, activity: str) -> str:
        """What the controller is doing at this moment, as far as it tells."""
        states = self._states()
        if not states:
            return f"{activity}, not yet listening"
        for state in ("installing", "connecting", "lost"):
            if state in states:
                return f"{activity}, {state}"
        return f"{activity}, done or not begun"


def kills(
    variants: tuple[Variant, Variant], folder: Path, rounds: int, *, rate: float, count: int, seed: int = 25
) -> Kills:
    """So many rounds between two policies, with packets all the time."""
    names = [site.name for site in SITES]
    policies = [variant.policy(folder, names) for variant in variants]
    frames = probes(policies, names[0], _AT, LINES, UPLINK, count)
    passing = passing_frames(policies, names[0], _AT, LINES, UPLINK)
    rules = [[*compile_rules(policy, policy.switches[names[0]], _AT)] for policy in policies]
    began = time.monotonic()
    with World(SITES, folder) as world:
        variants[0].write(world.policy, names)
        world.start()
        world.connect()
        world.wait_until_protected()
        deleter = _Deleter(world, _victims({*rules[0], *rules[1]}, frames), random.Random(seed))
        traffic = Traffic(world.wires, frames, rate, passing)
        campaign = Campaign(world, variants, traffic, deleter, seed)
        with traffic:
            with deleter:
                for number in range(1, rounds + 1):
                    campaign.round(restart=number % RESTART_EVERY == RESTART_EVERY // 2)
            world.wait_until_protected()
            with world.examined(traffic, campaign.records):
                pass
        tracebacks = sum(path.read_text().count("Traceback") for path in folder.glob("*/controller.log"))
    return Kills(
        (len(rules[0]), len(rules[1])),
        time.monotonic() - began,
        dict(sorted(campaign.moments.items())),
        deleter.deleted,
        tuple(campaign.recoveries),
        tuple(campaign.empty_seconds),
        {name: traffic.counts(name, campaign.records[name]) for name in names},
        tracebacks,
    )


def _victims(rules: Iterable[FlowRule], frames: Sequence[Probe]) -> list[FlowRule]:
    """Rules about addresses that no probe has."""
    packets = [read_frame(probe.port, probe.frame) for probe in frames]
    found = []
    for rule in sorted(rules, key=lambda each: (each.table, each.cookie)):
        addresses = [field for field in rule.match if field.name in _ADDRESSES]
        if addresses and not any(_has(packet, field) for packet in packets for field in addresses):
            found.append(rule)
    return found


def _has(packet: Packet, field: FieldValue) -> bool:
    """Does a packet have an address that a rule asks for?"""
    version, is_source = _ADDRESSES[field.name]
    address = packet.source if is_source else packet.destination
    return packet.version == version and address & (-1 if field.mask is None else field.mask) == field.value
