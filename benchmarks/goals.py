"""The goals, and how a run compares with each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from statistics import median
from typing import NamedTuple

from benchmarks.filters import DEFAULTS
from benchmarks.markdown_table import table
from benchmarks.results import Install, Spread
from benchmarks.run import Run
from benchmarks.tables import readable_seconds


class Goal(NamedTuple):
    """``found`` is what was measured, ``met`` whether that is enough."""

    work: str
    wanted: str
    found: str
    met: bool


def goals_table(run: Run) -> str:
    lines = [
        [goal.work, goal.wanted, goal.found, "met" if goal.met else "missed"]
        for part in (_install, _change, _switches, _compile, _flow_cache, _processor)
        for goal in part(run)
    ]
    return table(["work", "goal", "measured", ""], lines)


class _Bound(NamedTuple):
    """op25b takes at most ``factor`` times what the peer takes."""

    peer: str
    factor: float
    wanted: str


_INSTALL_BOUNDS = (
    _Bound("raw socket", 1.2, "at most 1.2 times the raw socket"),
    _Bound("ovs-ofctl --bundle", 1 / 2, "at least 2 times faster than `ovs-ofctl --bundle`"),
    _Bound("plain Ryu application", 1 / 20, "at least 20 times faster than a plain Ryu application"),
    _Bound("Faucet", 1 / 30, "at least 30 times faster than Faucet"),
    _Bound("ryu.app.rest_firewall", 1 / 10_000, "at least 10,000 times faster than rest_firewall"),
)
_CHANGE_MESSAGES, _CHANGE_FACTOR = 10, 1_000
_CROWD, _CROWD_FACTOR, _CROWD_MEGABYTES = 1_000, 40, 200
_IDLE_LIMITS = {100: 0.02, 1_000: 0.15}
"""By the number of switches: the share of a core."""
_LAG_SECONDS = 0.05
_COMPILE_LIMITS = ((100_000, 2.0, 300), (500_000, 12.0, None))
"""Prefixes, seconds of CPU, megabytes."""
_RELOADED, _RELOAD_SECONDS = 100_000, 0.3
_COVER_FACTORS = {"netaddr": 5, "ipaddress": 10}
_CACHE_LIMIT = 40
_CACHE_WORKLOAD = "2,000 plain connections"
_PROCESSOR_LIMIT = 1.05


def _install(run: Run) -> Iterator[Goal]:
    for size in dict.fromkeys(row.size for row in run.install):
        rows = {row.peer: row for row in run.install if row.size == size}
        ours = rows.get("op25b")
        if ours is None or ours.seconds is None:
            continue
        for bound in _INSTALL_BOUNDS:
            peer = rows.get(bound.peer)
            if peer is not None:
                yield _compared(f"install {size:,} rules", bound, ours, peer)
        yield from _lag(f"install {size:,} rules", ours.lag)


def _lag(work: str, lag: Spread | None) -> Iterator[Goal]:
    if lag is not None:
        wanted = f"the event loop at most {readable_seconds(_LAG_SECONDS)} late"
        yield Goal(work, wanted, readable_seconds(lag.median), lag.median <= _LAG_SECONDS)


def _compared(work: str, bound: _Bound, ours: Install, peer: Install) -> Goal:
    assert ours.seconds is not None
    if peer.seconds is None:
        is_met = peer.gave_up_after is not None and ours.seconds.median <= bound.factor * peer.gave_up_after
        return Goal(work, bound.wanted, peer.failure, is_met)
    assert ours.ratio is not None
    assert peer.ratio is not None
    ratio = ours.ratio.median / peer.ratio.median
    found = f"{ratio:.2f} times" if bound.factor > 1 else f"{1 / ratio:,.1f} times faster"
    return Goal(work, bound.wanted, found, ratio <= bound.factor)


def _change(run: Run) -> Iterator[Goal]:
    rows = {row.peer: row for row in run.change}
    ours, faucet = rows.get("op25b"), rows.get("Faucet")
    if ours is None:
        return
    work = f"a change of one prefix, {ours.rules:,} rules"
    messages = ours.messages.upper
    met = messages <= _CHANGE_MESSAGES
    yield Goal(work, f"at most {_CHANGE_MESSAGES} messages", f"{messages:.0f} messages", met)
    yield Goal(
        work, "the table never below what it held", f"{ours.lowest:,} rules", ours.lowest >= ours.rules
    )
    undisturbed = f"{ours.lost} lost, {ours.leaked} leaked of {ours.permitted + ours.blocked:,} packets"
    yield Goal(work, "no packet lost, none leaked", undisturbed, not (ours.lost or ours.leaked))
    if faucet is None:
        return
    for of, times in (
        ("", (faucet.seconds, ours.seconds)),
        (", from the first message", (faucet.sending, ours.sending)),
    ):
        factor = times[0].median / times[1].median
        wanted = f"at least {_CHANGE_FACTOR:,} times faster than Faucet{of}"
        yield Goal(work, wanted, f"{factor:,.0f} times faster", factor >= _CHANGE_FACTOR)


def _switches(run: Run) -> Iterator[Goal]:
    rows = {(row.switches, row.peer): row for row in run.switches if not row.failure}
    for count in dict.fromkeys(switches for switches, _ in rows):
        ours, plain = rows.get((count, "op25b")), rows.get((count, "plain Ryu application"))
        if ours is None or ours.idle is None or ours.peak is None:
            continue
        assert ours.confirmed_cpu is not None
        assert ours.proven_cpu is not None
        work = f"{count:,} switches with {ours.rules:,} rules each"
        limit = _IDLE_LIMITS.get(count)
        if limit is not None:
            found = f"{100 * ours.idle.median:.1f} % of a core"
            yield Goal(f"{work}, idle", f"under {100 * limit:.0f} %", found, ours.idle.median < limit)
        yield from _lag(work, ours.lag)
        if count != _CROWD:
            continue
        if plain is not None and plain.confirmed_cpu is not None:
            factor = plain.confirmed_cpu.median / ours.confirmed_cpu.median
            wanted = f"at least {_CROWD_FACTOR} times a plain Ryu application (CPU)"
            yield Goal(work, wanted, f"{factor:,.0f} times", factor >= _CROWD_FACTOR)
        for step, spread, most in (("confirmed", ours.confirmed_cpu, 3), ("proven", ours.proven_cpu, 12)):
            wanted = f"{step} in under {most} s of CPU"
            yield Goal(work, wanted, readable_seconds(spread.median), spread.median < most)
        megabytes = ours.peak.median
        yield Goal(work, f"under {_CROWD_MEGABYTES} MB", f"{megabytes:,.0f} MB", megabytes < _CROWD_MEGABYTES)


def _compile(run: Run) -> Iterator[Goal]:
    for prefixes, seconds, megabytes in _COMPILE_LIMITS:
        for row in run.compile:
            if row.prefixes != prefixes:
                continue
            wanted = f"under {seconds} s" + (f" and {megabytes} MB" if megabytes else "")
            found = f"{row.cpu:.2g} s, {row.peak.median:,.0f} MB"
            met = row.cpu < seconds and (not megabytes or row.peak.median < megabytes)
            yield Goal(f"{row.space}, from file to rules", wanted, found, met)
            if prefixes == _RELOADED:
                reload = f"{1000 * row.reload.median:,.0f} ms"
                is_quick = row.reload.median < _RELOAD_SECONDS
                yield Goal(f"{row.space}, one changed", "compiled in under 300 ms", reload, is_quick)
    for cover in run.cover:
        factor = next((least for way, least in _COVER_FACTORS.items() if way in cover.way), None)
        if factor is not None:
            found = f"{cover.whole_ratio.median:.1f} times"
            work = f"{cover.space} to the fewest prefixes"
            wanted = f"at least {factor} times {cover.way}"
            yield Goal(work, wanted, found, cover.whole_ratio.median >= factor)


def _flow_cache(run: Run) -> Iterator[Goal]:
    rows = [row for row in run.flow_cache if (row.workload, row.filter) == (_CACHE_WORKLOAD, DEFAULTS.name)]
    if not rows:
        return
    work = f"megaflows / masks after {_CACHE_WORKLOAD}, {_span(row.prefixes for row in rows)} prefixes"
    megaflows, masks = [row.megaflows for row in rows], [row.masks for row in rows]
    found = f"{_span(megaflows)} / {_span(masks)}"
    met = (
        max(*megaflows, *masks) <= _CACHE_LIMIT and max(megaflows) - min(megaflows) <= median(megaflows) / 10
    )
    yield Goal(work, f"constant, at most {_CACHE_LIMIT} / {_CACHE_LIMIT}", found, met)


def _processor(run: Run) -> Iterator[Goal]:
    rows = [row for row in run.processor if row.filter == DEFAULTS.name and "no exact" not in row.workload]
    for workload in dict.fromkeys(row.workload for row in rows):
        chosen = [row for row in rows if row.workload == workload]
        work = f"CPU of ovs-vswitchd, {workload}, {_span(row.prefixes for row in chosen)} prefixes"
        ratios = [row.ratio.median for row in chosen]
        found = f"{_span(ratios, lambda value: f'{value:.2f}')} times no filter"
        yield Goal(work, "within 5 % of no filter", found, max(ratios) <= _PROCESSOR_LIMIT)


def _span(values: Iterable[float], form: Callable[[float], str] = lambda value: f"{value:,.0f}") -> str:
    found = list(values)
    low, high = form(min(found)), form(max(found))
    return low if low == high else f"{low} to {high}"
