"""Megaflows and masks that traffic leaves in the flow cache of Open vSwitch's user-space datapath."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from benchmarks.filters import (
    BINDING,
    BINDING_TRACKED,
    DEFAULTS,
    DEFAULTS_TRACKED,
    NO_FILTER,
    PREFIX,
    PREFIX_TRACKED,
    SOURCE_FIRST,
    UNHARDENED,
    Filter,
    filtered_bridge,
    keep_megaflows,
)
from benchmarks.policies import Space
from benchmarks.results import CacheSize
from benchmarks.traffic import (
    Arrival,
    by_port,
    connections,
    introductions,
    plain_connections,
    port_scan,
)
from testing.private_ovs import PrivateOvs


class Workload(NamedTuple):
    """Traffic, and the filters under which it is looked at."""

    name: str
    traffic: Callable[[Space], list[Arrival]]
    filters: tuple[Filter, ...]


_PLAIN_FILTERS = (NO_FILTER, SOURCE_FIRST, UNHARDENED, DEFAULTS)
_FILTERS = (
    *_PLAIN_FILTERS,
    PREFIX,
    BINDING,
    DEFAULTS_TRACKED,
    PREFIX_TRACKED,
    BINDING_TRACKED,
)
WORKLOADS = (
    Workload("2,000 plain connections", plain_connections, _PLAIN_FILTERS),
    Workload("2,000 connections", connections, _FILTERS),
    Workload("2,000-port scan", port_scan, _FILTERS),
)
BATCH = 80
"""Frames at once; a device in memory queues 100."""
_BRIDGE = "cost"
_ARRIVAL_SECONDS = 10.0


def cache_sizes(ovs: PrivateOvs, space: Space, filters: Iterable[Filter] = _FILTERS) -> Iterator[CacheSize]:
    """What each workload leaves in an empty cache under each filter."""
    keep_megaflows(ovs)
    for chosen in filters:
        rules = filtered_bridge(ovs, _BRIDGE, space, chosen)
        send(ovs, _BRIDGE, introductions(space))
        for workload in WORKLOADS:
            if chosen not in workload.filters:
                continue
            ovs.appctl("revalidator/purge")
            send(ovs, _BRIDGE, workload.traffic(space))
            megaflows = ovs.appctl("dpctl/dump-flows", "-m").splitlines()
            masks = [mask_of(megaflow) for megaflow in megaflows if megaflow.startswith("ufid:")]
            yield CacheSize(
                space.name, len(space), chosen.name, rules, workload.name, len(masks), len(set(masks))
            )
        ovs.vsctl("del-br", _BRIDGE)


def send(ovs: PrivateOvs, bridge: str, arrivals: Sequence[Arrival]) -> None:
    """Returns once all have come in; a full queue would drop."""
    wanted = {port: _received(ovs, bridge, port) for port in {arrival.port for arrival in arrivals}}
    for port, frames in by_port(arrivals, BATCH):
        ovs.receive(bridge, port, *frames)
        wanted[port] += len(frames)
        give_up = time.monotonic() + _ARRIVAL_SECONDS
        while _received(ovs, bridge, port) != wanted[port]:
            assert time.monotonic() < give_up, f"frames to port {port} of {bridge} were lost"


def mask_of(megaflow: str) -> str:
    """What a megaflow, as ``dpctl/dump-flows -m`` prints it, matches on: its fields without values."""
    match = megaflow.partition(", packets:")[0].partition(", ")[2]
    return re.sub(r"(?<=[(=])[^(),/=]+(?=[/,)])", "", match)


def _received(ovs: PrivateOvs, bridge: str, port: int) -> int:
    statistics = ovs.ofctl("--no-names", "dump-ports", bridge, str(port))
    [frames] = re.findall(r"rx pkts=(\d+)", statistics)
    return int(frames)
