"""CPU time of ovs-vswitchd per packet and per new connection, under each filter by turns."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import NamedTuple

from benchmarks.bed import Bed, Counters
from benchmarks.filters import (
    BINDING,
    BINDING_TRACKED,
    DEFAULTS,
    DEFAULTS_TRACKED,
    NO_FILTER,
    PREFIX,
    PREFIX_TRACKED,
    UNHARDENED,
    Filter,
)
from benchmarks.policies import AT, SEED, SWITCH, generated_space, policy_of
from benchmarks.traffic import Arrival, connections, introductions
from op25b_app.policy.decide import decide
from op25b_app.policy.model import Verdict
from op25b_app.policy.packet import read_frame

FILTERS = (
    NO_FILTER,
    Filter("no filter, again", None),
    UNHARDENED,
    DEFAULTS,
    DEFAULTS_TRACKED,
    PREFIX,
    PREFIX_TRACKED,
    BINDING,
    BINDING_TRACKED,
)
"""All are compared with the first; the second shows how much of a difference is noise."""
NEW_CONNECTIONS = 250
"""In each round."""
_TRAFFIC_SPACE = 10
"""Prefixes that every generated space begins with, so traffic made for these suits all."""


class Spread(NamedTuple):
    median: float
    lower_quartile: float
    upper_quartile: float


class ProcessorTime(NamedTuple):
    """Per packet or connection; ``ratio`` is that of the times under this filter and under none in one round.

    ``lookups`` are in tables of masks, ``upcalls`` of packets that no megaflow matches.
    """

    prefixes: int
    workload: str
    filter: str
    rounds: int
    nanoseconds: Spread
    ratio: Spread
    lookups: float
    upcalls: float


def packet_times(prefixes: int, rounds: int, *, exact_match_cache: bool) -> Iterator[ProcessorTime]:
    """Per packet of connections that the flow cache knows, none of which any filter blocks.

    Without the exact-match cache in front of it, every packet looks through the masks.
    """
    traffic = _never_blocked(connections(generated_space(_TRAFFIC_SPACE)))
    workload = "packets" if exact_match_cache else "packets, no exact-match cache"
    with ExitStack() as opened:
        beds = _beds(opened, prefixes, exact_match_cache=exact_match_cache)
        for bed in beds:
            bed.send(traffic)
            before, forwarded = bed.counters(), bed.forwarded()
            bed.send(traffic)
            assert bed.counters().since(before).packets == bed.forwarded() - forwarded
        taken = _by_turns(beds, [traffic] * rounds)
    yield from _summaries(prefixes, workload, taken, lambda counted: counted.packets)


def connection_times(prefixes: int, rounds: int) -> Iterator[ProcessorTime]:
    """Per connection to and from new addresses, its first packet and the answer, to port 25 among them; the
    flow cache knows 2,000 others."""
    space = generated_space(_TRAFFIC_SPACE)
    traffic = [connections(space, NEW_CONNECTIONS, seed=SEED + number) for number in range(1, rounds + 1)]
    with ExitStack() as opened:
        beds = _beds(opened, prefixes, exact_match_cache=True)
        for bed in beds:
            bed.send(connections(space))
        taken = _by_turns(beds, traffic)
    yield from _summaries(prefixes, "new connections", taken, lambda counted: NEW_CONNECTIONS)


def _beds(opened: ExitStack, prefixes: int, *, exact_match_cache: bool) -> list[Bed]:
    space = generated_space(prefixes)
    beds = [
        opened.enter_context(Bed(chosen, space, exact_match_cache=exact_match_cache)) for chosen in FILTERS
    ]
    for bed in beds:
        bed.send(introductions(space))
    return beds


def _by_turns(beds: Sequence[Bed], traffic: Sequence[list[Arrival]]) -> dict[str, list[Counters]]:
    """What each round took under each filter; every other round goes backwards."""
    taken: dict[str, list[Counters]] = {bed.chosen.name: [] for bed in beds}
    for number, arrivals in enumerate(traffic):
        for bed in beds if number % 2 == 0 else reversed(beds):
            before = bed.counters()
            bed.send(arrivals)
            taken[bed.chosen.name].append(bed.counters().since(before))
    return taken


def _summaries(
    prefixes: int, workload: str, taken: dict[str, list[Counters]], units: Callable[[Counters], int]
) -> Iterator[ProcessorTime]:
    compared = [counted.cpu / units(counted) for counted in taken[NO_FILTER.name]]
    for name, rounds in taken.items():
        times = [counted.cpu / units(counted) for counted in rounds]
        total = sum(map(units, rounds))
        yield ProcessorTime(
            prefixes,
            workload,
            name,
            len(rounds),
            _spread(times),
            _spread([time / other for time, other in zip(times, compared, strict=True)]),
            sum(counted.lookups for counted in rounds) / total,
            sum(counted.upcalls for counted in rounds) / total,
        )


def _spread(values: Sequence[float]) -> Spread:
    lower, median, upper = statistics.quantiles(values, n=4)
    return Spread(median, lower, upper)


def _never_blocked(arrivals: Sequence[Arrival]) -> list[Arrival]:
    """What passes even under ``binding``, and so under every filter."""
    policy = policy_of(generated_space(_TRAFFIC_SPACE), "binding")
    switch = policy.switches[SWITCH]
    return [
        arrival
        for arrival in arrivals
        if decide(policy, switch, read_frame(*arrival), AT).verdict is Verdict.PERMIT
    ]
