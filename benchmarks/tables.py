"""Markdown tables of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from benchmarks.markdown_table import table
from benchmarks.results import CacheSize, ProcessorTime, Spread
from benchmarks.run import Run

_COMPARED_CACHE = "unhardened"
_NONE = "-"


def sections(run: Run) -> dict[str, str]:
    """By the name of its part: what a run found; parts that were not run are left out."""
    found: dict[str, tuple[list[Any], Callable[[Run], str]]] = {
        "install": (run.install, _install),
        "change": (run.change, _change),
        "switches": (run.switches, _switches),
        "flow-cache": (run.flow_cache, _flow_cache),
        "processor-plain": (_processor_rows(run, "plain"), lambda run: _processor(run, "plain")),
        "processor-mixed": (_processor_rows(run, "mixed"), lambda run: _processor(run, "mixed")),
        "proof": (run.proof, _proof),
    }
    about = "Measured: " + "; ".join(f"{name} {value}" for name, value in run.about.items()) + "."
    return {**{name: make(run) for name, (rows, make) in found.items() if rows}, "about": about}


def _install(run: Run) -> str:
    parts = []
    for size in _each(row.size for row in run.install):
        rows = [row for row in run.install if row.size == size]
        lines = []
        for row in rows:
            if row.seconds is None:
                lines.append([row.peer, *[_NONE] * 6, row.failure])
                continue
            assert row.ratio is not None
            cells = [
                f"{row.rules:,}",
                _seconds(row.seconds),
                _times(row.ratio),
                _seconds(row.controller_cpu),
                _seconds(row.switch_cpu),
                _seconds(row.proven_seconds),
                f"{row.seconds.values}",
            ]
            lines.append([row.peer, *cells])
        heads = [
            "way",
            "rules",
            "time (quartiles)",
            "raw socket = 1",
            "CPU of the controller or command",
            "CPU of ovs-vswitchd",
            "until proven",
            "runs",
        ]
        parts.append(f"{size:,} rules on one switch:\n\n{table(heads, lines)}")
    return "\n\n".join(parts)


def _change(run: Run) -> str:
    heads = ["", *(row.peer for row in run.change)]
    lines = [
        ["messages of the controller", *(f"{row.messages.median:,.0f}" for row in run.change)],
        ["of which", *(_kinds(row.kinds) for row in run.change)],
        ["from asking to the last confirmation", *(_seconds(row.seconds) for row in run.change)],
        ["from the first message to the last confirmation", *(_seconds(row.sending) for row in run.change)],
        ["CPU of the controller", *(_seconds(row.controller_cpu) for row in run.change)],
        ["rules before", *(f"{row.rules:,}" for row in run.change)],
        ["fewest rules during the change", *(f"{row.lowest:,}" for row in run.change)],
        ["permitted packets: lost of sent", *(f"{row.lost:,} of {row.permitted:,}" for row in run.change)],
        ["blocked packets: leaked of sent", *(f"{row.leaked:,} of {row.blocked:,}" for row in run.change)],
        ["changes", *(f"{row.seconds.values}" for row in run.change)],
    ]
    return table(heads, lines)


def _kinds(kinds: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in sorted(kinds.items(), key=lambda pair: -pair[1]))


def _switches(run: Run) -> str:
    heads = [
        "way",
        "switches",
        "rules on each",
        "until confirmed",
        "CPU",
        "until proven",
        "CPU",
        "connected again, until proven",
        "CPU",
        "memory, MB",
        "idle, % of a core",
        "longest lag of the event loop",
        "runs",
    ]
    lines = []
    for row in run.switches:
        if row.idle is None or row.peak is None:
            lines.append([row.peer, f"{row.switches:,}", f"{row.rules:,}", row.failure, *[_NONE] * 9])
            continue
        times = (
            row.confirmed_seconds,
            row.confirmed_cpu,
            row.proven_seconds,
            row.proven_cpu,
            row.again_seconds,
            row.again_cpu,
        )
        idle = _spread(row.idle, lambda value: f"{100 * value:.1f}")
        cells = [*map(_seconds, times), f"{row.peak.median:,.0f}", idle, _seconds(row.lag)]
        lines.append([row.peer, f"{row.switches:,}", f"{row.rules:,}", *cells, f"{row.idle.values}"])
    return table(heads, lines)


def _flow_cache(run: Run) -> str:
    workloads = _each(row.workload for row in run.flow_cache)
    return "\n\n".join(_cache_sizes(run.flow_cache, workload) for workload in workloads)


def _cache_sizes(rows: Sequence[CacheSize], workload: str) -> str:
    """A line per filter, a column per address space."""
    cells = {(row.filter, row.space): row for row in rows if row.workload == workload}
    filters, spaces = _each(name for name, _ in cells), _each(space for _, space in cells)
    lines = []
    for name in filters:
        found = [cells[name, space] for space in spaces]
        compared = [cells[_COMPARED_CACHE, space] for space in spaces]
        pairs = list(zip(found, compared, strict=True))
        megaflows = max(row.megaflows / other.megaflows for row, other in pairs)
        masks = max(row.masks / other.masks for row, other in pairs)
        counts = [f"{row.megaflows:,} / {row.masks:,}" for row in found]
        lines.append([name, *counts, f"{megaflows:.2f} / {masks:.2f}"])
    heads = ["filter", *spaces, f"at most, {_COMPARED_CACHE} = 1"]
    return f"Megaflows / masks after {workload}:\n\n{table(heads, lines)}"


def _processor_rows(run: Run, traffic: str) -> list[ProcessorTime]:
    return [row for row in run.processor if row.workload.startswith(traffic)]


def _processor(run: Run, traffic: str) -> str:
    rows = _processor_rows(run, traffic)
    workloads = _each((row.workload, row.prefixes) for row in rows)
    return "\n\n".join(_processor_times(rows, *workload) for workload in workloads)


def _processor_times(rows: Sequence[ProcessorTime], workload: str, prefixes: int) -> str:
    lines = []
    for row in rows:
        if (row.workload, row.prefixes) != (workload, prefixes):
            continue
        nanoseconds = _spread(row.nanoseconds, lambda value: f"{value:,.0f}")
        cells = [nanoseconds, _times(row.ratio), f"{row.lookups:.2f}", f"{row.upcalls:.3f}"]
        lines.append([row.filter, *cells])
        rounds = row.ratio.values
    heads = ["filter", "ns (quartiles)", "no filter = 1 (quartiles)", "lookups", "upcalls"]
    title = f"CPU time, {workload} ({prefixes:,} prefixes, {rounds} rounds):"
    return f"{title}\n\n{table(heads, lines)}"


def _proof(run: Run) -> str:
    lines = [
        [
            row.space,
            row.filter,
            f"{row.rules:,}",
            f"{row.classes:,}",
            f"{row.seconds:.1f}",
            f"{row.cpu:.1f}",
            f"{row.peak:,.0f}",
            f"{row.inside:.1f}",
        ]
        for row in run.proof
    ]
    heads = [
        "space",
        "hardening",
        "rules",
        "classes",
        "s",
        "CPU s",
        "peak MB",
        "of which dump and proof, CPU s",
    ]
    return f"`op25b prove` of a dump:\n\n{table(heads, lines)}"


def readable_seconds(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f} s"
    if value >= 1:
        return f"{value:.2g} s" if value < 10 else f"{value:.0f} s"
    return f"{value * 1000:.2g} ms" if value < 0.1 else f"{value * 1000:.0f} ms"


def _seconds(spread: Spread | None) -> str:
    return _NONE if spread is None else _spread(spread, readable_seconds)


def _times(spread: Spread) -> str:
    return _spread(spread, lambda value: f"{value:.2f}" if value < 10 else f"{value:,.0f}")


def _spread(spread: Spread, form: Callable[[float], str]) -> str:
    if spread.values == 1:
        return form(spread.median)
    return f"{form(spread.median)} ({form(spread.lower)} to {form(spread.upper)})"


def _each(names: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(names))
