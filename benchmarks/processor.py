"""CPU time of ovs-vswitchd per packet and per new connection, under each filter by turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import NamedTuple

from benchmarks.bed import Bed, Counters
from benchmarks.filters import (
    BINDING,
    BINDING_TRACKED,
    DEFAULTS,
    DEFAULTS_TRACKED,
    IN_KERNEL,
    KERNEL,
    NFTABLES,
    NFTABLES_ADDRESSES_FIRST,
    NO_FILTER,
    NO_FILTER_AGAIN,
    PREFIX,
    PREFIX_TRACKED,
    SOURCE_FIRST,
    UNHARDENED,
    Filter,
)
from benchmarks.kernel_bed import KernelBed
from benchmarks.policies import AT, SEED, SWITCH, Space, generated_space, policy_of
from benchmarks.results import ProcessorTime, spread_of
from benchmarks.traffic import CONNECTIONS, Arrival, connections, introductions, plain_connections
from op25b_app.policy.decide import decide
from op25b_app.policy.model import Verdict
from op25b_app.policy.packet import read_frame


class Traffic(NamedTuple):
    """What comes in: so many connections for a seed; ``strictest`` is the hardening that blocks most."""

    name: str
    connections: Callable[[Space, int, int], list[Arrival]]
    filters: tuple[Filter, ...]
    strictest: str


PLAIN = Traffic(
    "plain",
    plain_connections,
    (
        NO_FILTER,
        NO_FILTER_AGAIN,
        SOURCE_FIRST,
        UNHARDENED,
        DEFAULTS,
        KERNEL,
        NFTABLES,
        NFTABLES_ADDRESSES_FIRST,
    ),
    "defaults",
)
MIXED = Traffic(
    "mixed",
    connections,
    (
        NO_FILTER,
        NO_FILTER_AGAIN,
        UNHARDENED,
        DEFAULTS,
        DEFAULTS_TRACKED,
        PREFIX,
        PREFIX_TRACKED,
        BINDING,
        BINDING_TRACKED,
    ),
    "binding",
)
"""All are compared with the first; the second shows how much of a difference is noise."""
NEW_CONNECTIONS = 250
"""In each round."""
AnyBed = Bed | KernelBed


def packet_times(
    prefixes: int, traffic: Traffic, rounds: int, *, exact_match_cache: bool
) -> Iterator[ProcessorTime]:
    """Per packet of connections that the flow cache knows, none of which any filter blocks.

    Without the exact-match cache in front of it, every packet looks through the masks.
    """
    space = generated_space(prefixes)
    known = _never_blocked(space, traffic)
    workload = f"{traffic.name} packets{'' if exact_match_cache else ', no exact-match cache'}"
    with ExitStack() as opened:
        beds = _beds(opened, space, traffic, exact_match_cache=exact_match_cache)
        for bed in beds:
            bed.send(known)
            before, forwarded = bed.counters(), bed.forwarded()
            bed.send(known)
            assert bed.counters().since(before).packets == bed.forwarded() - forwarded
        taken = _by_turns(beds, [known] * rounds)
    yield from _summaries(prefixes, workload, taken, lambda counted: counted.packets)


def connection_times(prefixes: int, traffic: Traffic, rounds: int) -> Iterator[ProcessorTime]:
    """Per new connection, its first packet and the answer; the flow cache knows 2,000 others."""
    space = generated_space(prefixes)
    new = [traffic.connections(space, NEW_CONNECTIONS, SEED + number) for number in range(1, rounds + 1)]
    with ExitStack() as opened:
        beds = _beds(opened, space, traffic, exact_match_cache=True)
        for bed in beds:
            bed.send(traffic.connections(space, CONNECTIONS, SEED))
        taken = _by_turns(beds, new)
    workload = f"{traffic.name} new connections"
    yield from _summaries(prefixes, workload, taken, lambda counted: NEW_CONNECTIONS)


def _beds(opened: ExitStack, space: Space, traffic: Traffic, *, exact_match_cache: bool) -> list[AnyBed]:
    beds: list[AnyBed] = []
    for chosen in traffic.filters:
        if chosen.pipeline in IN_KERNEL:
            beds.append(opened.enter_context(KernelBed(chosen, space)))
        else:
            bed = Bed(chosen, space, exact_match_cache=exact_match_cache)
            beds.append(opened.enter_context(bed))
        beds[-1].send(introductions(space))
    return beds


def _by_turns(beds: Sequence[AnyBed], traffic: Sequence[list[Arrival]]) -> dict[Filter, list[Counters]]:
    """What each round took under each filter; every other round goes backwards."""
    taken: dict[Filter, list[Counters]] = {bed.chosen: [] for bed in beds}
    for number, arrivals in enumerate(traffic):
        for bed in beds if number % 2 == 0 else reversed(beds):
            before = bed.counters()
            bed.send(arrivals)
            taken[bed.chosen].append(bed.counters().since(before))
    return taken


def _summaries(
    prefixes: int, workload: str, taken: dict[Filter, list[Counters]], units: Callable[[Counters], int]
) -> Iterator[ProcessorTime]:
    for chosen, rounds in taken.items():
        unfiltered = taken[KERNEL if chosen.pipeline in IN_KERNEL else NO_FILTER]
        times = [counted.cpu / units(counted) for counted in rounds]
        ratios = [counted.cpu / other.cpu for counted, other in zip(rounds, unfiltered, strict=True)]
        total = sum(map(units, rounds))
        yield ProcessorTime(
            prefixes,
            workload,
            chosen.name,
            spread_of(times),
            spread_of(ratios),
            sum(counted.lookups for counted in rounds) / total,
            sum(counted.upcalls for counted in rounds) / total,
        )


def _never_blocked(space: Space, traffic: Traffic) -> list[Arrival]:
    """What passes under the strictest filter, and so under every one."""
    policy = policy_of(space, traffic.strictest)
    switch = policy.switches[SWITCH]
    return [
        arrival
        for arrival in traffic.connections(space, CONNECTIONS, SEED)
        if decide(policy, switch, read_frame(*arrival), AT).verdict is Verdict.PERMIT
    ]
