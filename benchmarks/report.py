"""Measurements as tables (Markdown), as raw numbers (JSON) and as a plot (SVG)."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import time
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from benchmarks.filters import UNHARDENED
from benchmarks.flow_cache import CacheSize
from benchmarks.plot import Line, line_chart
from benchmarks.processor import ProcessorTime, Spread
from benchmarks.proof import ProofCost


class Measurements(NamedTuple):
    about: dict[str, str]
    flow_cache: list[CacheSize]
    processor: list[ProcessorTime]
    proof: list[ProofCost]


def about() -> dict[str, str]:
    """Where and when this is measured."""
    switch = subprocess.run(["ovs-vswitchd", "--version"], check=True, capture_output=True, text=True).stdout
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "op25b": version("op25b"),
        "Python": platform.python_version(),
        "Open vSwitch": switch.split("\n")[0].rpartition(" ")[2],
        "Linux": platform.release(),
        "processor": f"{os.cpu_count()} cores of {model[1] if model else platform.machine()}",
        "load before": f"{os.getloadavg()[0]:.1f}",
    }


def write(measured: Measurements, folder: Path) -> Path:
    """Writes cost.md, cost.json and cost.svg; returns the path of the first."""
    folder.mkdir(parents=True, exist_ok=True)
    raw = {
        "about": measured.about,
        **{name: [row._asdict() for row in getattr(measured, name)] for name in measured._fields[1:]},
    }
    (folder / "cost.json").write_text(json.dumps(raw, indent=1, default=list) + "\n")
    if measured.flow_cache:
        (folder / "cost.svg").write_text(_plot(measured.flow_cache))
    (folder / "cost.md").write_text(markdown(measured))
    return folder / "cost.md"


def markdown(measured: Measurements) -> str:
    cache, processor = measured.flow_cache, measured.processor
    parts = [
        *(_flow_cache(cache, workload) for workload in _each(row.workload for row in cache)),
        *(_processor(processor, workload) for workload in _each(row.workload for row in processor)),
        *([_proof(measured.proof)] if measured.proof else []),
        "Measured: " + "; ".join(f"{name} {value}" for name, value in measured.about.items()) + ".",
    ]
    return "\n\n".join(parts) + "\n"


def _flow_cache(rows: Sequence[CacheSize], workload: str) -> str:
    """A line per filter, a column per address space."""
    cells = {(row.filter, row.space): row for row in rows if row.workload == workload}
    filters, spaces = _each(name for name, _ in cells), _each(space for _, space in cells)
    lines = []
    for name in filters:
        found = [cells[name, space] for space in spaces]
        compared = [cells[UNHARDENED.name, space] for space in spaces]
        pairs = list(zip(found, compared, strict=True))
        megaflows = max(row.megaflows / other.megaflows for row, other in pairs)
        masks = max(row.masks / other.masks for row, other in pairs)
        counts = [f"{row.megaflows:,} / {row.masks:,}" for row in found]
        lines.append([name, *counts, f"{megaflows:.2f} / {masks:.2f}"])
    heads = ["filter", *spaces, "at most, unhardened = 1"]
    return f"Megaflows / masks after {workload}:\n\n{_table(heads, lines)}"


def _processor(rows: Sequence[ProcessorTime], workload: str) -> str:
    chosen = [row for row in rows if row.workload == workload]
    prefixes, rounds = chosen[0].prefixes, chosen[0].rounds
    lines = [
        [
            row.filter,
            _spread(row.nanoseconds, ",.0f"),
            _spread(row.ratio, ".2f"),
            f"{row.lookups:.2f}",
            f"{row.upcalls:.3f}",
        ]
        for row in chosen
    ]
    title = f"CPU time of ovs-vswitchd, {workload} ({prefixes:,} prefixes, {rounds} rounds):"
    heads = ["filter", "ns (quartiles)", "no filter = 1 (quartiles)", "lookups", "upcalls"]
    return f"{title}\n\n{_table(heads, lines)}"


def _proof(rows: Sequence[ProofCost]) -> str:
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
        for row in rows
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
    return f"`op25b prove` of a dump:\n\n{_table(heads, lines)}"


def _plot(rows: Sequence[CacheSize]) -> str:
    """Megaflows of the first workload by the number of prefixes."""
    chosen = [row for row in rows if row.workload == rows[0].workload and "prefixes" in row.space]
    lines = [
        Line(name, [(row.prefixes, row.megaflows) for row in chosen if row.filter == name])
        for name in _each(row.filter for row in chosen)
    ]
    return line_chart(f"Megaflows after {rows[0].workload}", "prefixes", "megaflows", lines)


def _spread(spread: Spread, form: str) -> str:
    median, lower, upper = (format(value, form) for value in spread)
    return f"{median} ({lower} to {upper})"


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rule = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heads, rule, *lines))


def _each(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
