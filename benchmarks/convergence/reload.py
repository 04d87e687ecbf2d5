"""Reloads under traffic, on switches that change their tables in different ways."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.convergence.plans import LINES, UPLINK, Variant, binding
from benchmarks.convergence.probes import probes
from benchmarks.convergence.record import Count, Record
from benchmarks.convergence.traffic import Traffic
from benchmarks.convergence.world import Site, World
from benchmarks.policies import Space
from op25b_app.policy.model import Policy
from op25b_app.rules.compiler import compile_rules
from op25b_app.rules.pipeline import Table

FORWARDING_TABLE = 20
_BETWEEN_SECONDS = 0.3
_SPARE_RULES = 3
_AT = 1_800_000_000.0


@dataclass(frozen=True)
class Reload:
    """One switch through all reloads: order, flow-mods and seconds of each; packets by moment."""

    switch: str
    policies: tuple[str, ...]
    orders: tuple[str, ...]
    flow_mods: tuple[int, ...]
    seconds: tuple[float, ...]
    counts: dict[str, Count]

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
    with World(sites, folder) as world:
        variants[0].write(world.policy, names)
        world.start()
        world.connect(_room(policies, names[0]))
        for name in names:
            world.ovs.add_flows(
                name, f"table={FORWARDING_TABLE},actions=NORMAL", protocols=_spoken(sites, name)
            )
        world.wait_until_protected()
        records = {name: Record(time.time(), 0) for name in names}
        for record in records.values():
            record.protected(time.time(), 0)
        steps: dict[str, list[tuple[str, int, float]]] = {name: [] for name in names}
        with Traffic(world.wires, frames, rate) as traffic:
            time.sleep(_BETWEEN_SECONDS)
            for number, variant in enumerate(variants[1:], start=1):
                variant.write(world.policy, names)
                for name, step in _step(world, records, number).items():
                    steps[name].append(step)
                time.sleep(_BETWEEN_SECONDS)
    return [
        Reload(
            name,
            policies=tuple(variant.name for variant in variants),
            orders=tuple(order for order, _, _ in steps[name]),
            flow_mods=tuple(sent for _, sent, _ in steps[name]),
            seconds=tuple(taken for _, _, taken in steps[name]),
            counts=traffic.counts(name, records[name]),
        )
        for name in names
    ]


def _step(world: World, records: dict[str, Record], number: int) -> dict[str, tuple[str, int, float]]:
    before = {name: channel.flow_mods for name, channel in world.channels.items()}
    for channel in world.channels.values():
        channel.take_order()
    asked = time.time()
    for record in records.values():
        record.changing(asked, number - 1, number)
    world.reload()
    world.wait_until_protected()
    found = {}
    for name, channel in world.channels.items():
        confirmed = max(asked, channel.confirmed)
        records[name].protected(confirmed, number, before=number - 1)
        found[name] = (channel.take_order(), channel.flow_mods - before[name], confirmed - asked)
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


def _spoken(sites: Sequence[Site], name: str) -> str:
    return next(site.protocols for site in sites if site.name == name)
