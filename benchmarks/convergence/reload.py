"""Reloads under traffic, on switches that change their tables in different ways."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmarks.convergence.plans import LINES, UPLINK, Variant, binding
from benchmarks.convergence.probes import passing_frames, probes
from benchmarks.convergence.record import Count, Record
from benchmarks.convergence.traffic import Traffic
from benchmarks.convergence.world import Site, World
from benchmarks.policies import Space
from op25b_app.compiler.compiler import compile_rules
from op25b_app.compiler.pipeline import Table
from op25b_app.policy.model import Policy

FORWARDING_TABLE = 20
_BETWEEN_SECONDS = 0.3
_SPARE_RULES = 3
_AT = 1_800_000_000.0


class Step(NamedTuple):
    """One reload on one switch: its order, the flow-mods sent, seconds from asking until confirmed."""

    to: str
    order: str
    flow_mods: int
    seconds: float


@dataclass(frozen=True)
class Reload:
    """One switch through all reloads, and what became of the packets, by kind of moment."""

    switch: str
    steps: tuple[Step, ...]
    counts: dict[str, Count]

    @property
    def orders(self) -> set[str]:
        return {step.order for step in self.steps}

    @property
    def total(self) -> Count:
        return sum(self.counts.values(), Count())


def reloads(
    sites: Sequence[Site], variants: Sequence[Variant], folder: Path, *, rate: float, count: int
) -> list[Reload]:
    """From each variant to the next, with packets all the time."""
    names = [site.name for site in sites]
    policies = [variant.policy(folder, names) for variant in variants]
    frames = probes(policies, names[0], _AT, LINES, UPLINK, count)
    passing = passing_frames(policies, names[0], _AT, LINES, UPLINK)
    with World(sites, folder) as world:
        variants[0].write(world.policy, names)
        world.start()
        world.connect(_room(policies, names[0]))
        for site in sites:
            world.ovs.add_flows(
                site.name, f"table={FORWARDING_TABLE},actions=NORMAL", protocols=site.protocols
            )
        world.wait_until_protected()
        records = {name: Record(time.time()) for name in names}
        steps: dict[str, list[Step]] = {name: [] for name in names}
        with Traffic(world.wires, frames, rate, passing) as traffic:
            time.sleep(_BETWEEN_SECONDS)
            for number, variant in enumerate(variants[1:], start=1):
                for name, step in _reload(world, traffic, records, number, variant).items():
                    steps[name].append(step)
                time.sleep(_BETWEEN_SECONDS)
            with world.examined(traffic, records):
                pass
            dropped = world.dropped_frames()
    if dropped:
        raise RuntimeError(f"{dropped} frames found a full socket buffer, and say nothing of switches")
    return [Reload(name, tuple(steps[name]), traffic.counts(name, records[name])) for name in names]


def _reload(
    world: World, traffic: Traffic, records: dict[str, Record], number: int, variant: Variant
) -> dict[str, Step]:
    variant.write(world.policy, world.names)
    before = {name: channel.flow_mods for name, channel in world.channels.items()}
    for channel in world.channels.values():
        channel.take_order()
    with world.examined(traffic, records):
        asked = time.time()
        for record in records.values():
            record.changing(asked, number - 1, number)
    world.reload()
    world.wait_until_protected()
    found = {}
    for name, channel in world.channels.items():
        confirmed = max(asked, channel.confirmed)
        records[name].confirmed(confirmed, number, before=number - 1)
        flow_mods = channel.flow_mods - before[name]
        found[name] = Step(variant.name, channel.take_order(), flow_mods, confirmed - asked)
    looked_through = world.wait_until_looked_through()
    for record in records.values():
        record.looked_through(looked_through, number)
    return found


def _room(policies: Sequence[Policy], name: str) -> dict[int, int]:
    """For the rules of any of the policies and hardly more; not of table 0, where hidden rules count."""
    sizes = [
        Counter(rule.table for rule in compile_rules(policy, policy.switches[name], _AT))
        for policy in policies
    ]
    return {
        table: max(size[table] for size in sizes) + _SPARE_RULES
        for table in set().union(*sizes) - {Table.ADMIT}
    }


def hardening_variants(space: Space) -> list[Variant]:
    """Policies over one address plan, each of which differs from the next in something else."""
    bound = binding(space)
    default = Variant("defaults", space, more=bound)
    return [
        default._replace(name="source_validation: off", hardening="{source_validation: off}"),
        default._replace(name="binding", hardening="{source_validation: binding}"),
        default._replace(name="prefix", hardening="{source_validation: prefix}"),
        default,
        default._replace(name="encapsulation: permit", hardening="{encapsulation: permit}"),
        default._replace(name="tunnels: block", hardening="{tunnels: block}"),
        default._replace(name="unreadable_tcp: permit", hardening="{unreadable_tcp: permit}"),
        default._replace(name="inbound.port_25: block", inbound="{port_25: block}"),
        default._replace(name="monitor", mode="monitor"),
        default._replace(name="enforce again"),
        default._replace(
            name="port 3 trusted",
            roles="subscriber_ports: [1-2], uplink_ports: [4], trusted_ports: [3]",
            more="",
        ),
        default._replace(name="port 3 uplink", roles="subscriber_ports: [1-2], uplink_ports: [3-4]", more=""),
        default._replace(name="port 3 subscriber again"),
        default._replace(name="table 20", more=f"{bound}, forwarding: {{table: {FORWARDING_TABLE}}}"),
        default._replace(name="normal again"),
    ]
