"""What the parts of a run find: numbers, without how they are found or shown."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """The median of several values and their quartiles."""

    median: float
    lower: float
    upper: float
    values: int = 1


def spread_of(values: Sequence[float]) -> Spread:
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, lower, upper, len(values))


@dataclass(frozen=True)
class Install:
    """``rules`` on one switch; times in seconds, ``ratio`` to the raw socket within a round.

    ``lag`` is by how many seconds the controller's event loop was late at most. ``failure`` says why there
    are no times; ``gave_up_after`` so many seconds, where it was too slow.
    """

    size: int
    peer: str
    rules: int
    seconds: Spread | None = None
    ratio: Spread | None = None
    controller_cpu: Spread | None = None
    switch_cpu: Spread | None = None
    proven_seconds: Spread | None = None
    lag: Spread | None = None
    failure: str = ""
    gave_up_after: float | None = None


@dataclass(frozen=True)
class Change:
    """A change of one prefix under a peer.

    Messages of the controller, by kind (medians) and in all; seconds until the last was confirmed, from when
    the change was asked for and, ``sending``, from the first message. The table held ``rules`` before and
    never fewer than ``lowest``. Packets are those of all rounds. ``timeline`` holds seconds since the first
    round asked, and the rules in the table from then on.
    """

    peer: str
    kinds: dict[str, int]
    messages: Spread
    seconds: Spread
    sending: Spread
    controller_cpu: Spread
    rules: int
    lowest: int
    permitted: int
    lost: int
    blocked: int
    leaked: int
    timeline: list[tuple[float, int]]


@dataclass(frozen=True)
class Switches:
    """``switches`` at one controller, ``rules`` on each: seconds and CPU seconds of the controller.

    From when they begin to connect until the last has confirmed its rules, and until the last is proven; the
    same when all connect again with their rules there. ``peak`` memory in MB; ``idle`` is the share of a core
    afterwards; ``lag`` is by how many seconds the controller's event loop was late at most.
    """

    switches: int
    peer: str
    rules: int
    confirmed_seconds: Spread | None = None
    confirmed_cpu: Spread | None = None
    proven_seconds: Spread | None = None
    proven_cpu: Spread | None = None
    again_seconds: Spread | None = None
    again_cpu: Spread | None = None
    peak: Spread | None = None
    idle: Spread | None = None
    lag: Spread | None = None
    failure: str = ""


@dataclass(frozen=True)
class CacheSize:
    """``rules`` are those of the bridge; ``masks`` are different sets of header bits that megaflows match."""

    space: str
    prefixes: int
    filter: str
    rules: int
    workload: str
    megaflows: int
    masks: int


@dataclass(frozen=True)
class ProcessorTime:
    """Per packet or connection; ``ratio`` is to the time without a filter in the same round.

    ``lookups`` are in tables of masks, ``upcalls`` of packets that no megaflow matches.
    """

    prefixes: int
    workload: str
    filter: str
    nanoseconds: Spread
    ratio: Spread
    lookups: float
    upcalls: float


@dataclass(frozen=True)
class ProofCost:
    """``classes`` of headers were told apart; the rest are medians.

    ``seconds`` (elapsed), ``cpu`` (seconds) and ``peak`` (memory, MB) are those of the whole command,
    ``inside`` the seconds of CPU that reading the dump and the proof take when called.
    """

    space: str
    prefixes: int
    filter: str
    rules: int
    classes: int
    seconds: float
    cpu: float
    peak: float
    inside: float
