"""Plots of a run, as SVG."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.run import Run

_SIZE_INCHES = (7.6, 4.0)


def write_plots(run: Run, folder: Path) -> None:
    """``install.svg``, ``change.svg``, ``flow-cache.svg`` and ``processor.svg``, of what was measured."""
    if run.install:
        _install(run, folder / "install.svg")
    if run.change:
        _change(run, folder / "change.svg")
    if run.flow_cache:
        _flow_cache(run, folder / "flow-cache.svg")
    if run.processor:
        _processor(run, folder / "processor.svg")


def _install(run: Run, path: Path) -> None:
    for axes in _axes(path, "Rules on one switch, connect to barrier", "rules", "seconds"):
        for peer in dict.fromkeys(row.peer for row in run.install):
            rows = [row for row in run.install if row.peer == peer]
            points = [(row.size, row.seconds.median) for row in rows if row.seconds is not None]
            if points:
                axes.loglog(*zip(*points, strict=True), marker="o", label=peer)


def _change(run: Run, path: Path) -> None:
    for axes in _axes(path, "Rules in the table while one prefix changes", "seconds", "rules"):
        for row in run.change:
            axes.step(*zip(*row.timeline, strict=True), where="post", label=row.peer)
        axes.set_ylim(bottom=0)


def _flow_cache(run: Run, path: Path) -> None:
    workload = run.flow_cache[0].workload
    for axes in _axes(path, f"Flow cache after {workload}", "prefixes", "megaflows"):
        rows = [row for row in run.flow_cache if row.workload == workload and "AS" not in row.space]
        for name in dict.fromkeys(row.filter for row in rows):
            points = [(row.prefixes, row.megaflows) for row in rows if row.filter == name]
            axes.loglog(*zip(*points, strict=True), marker="o", label=name)


def _processor(run: Run, path: Path) -> None:
    workload = run.processor[0].workload
    for axes in _axes(path, f"CPU time, {workload}", "prefixes", "no filter = 1"):
        rows = [row for row in run.processor if row.workload == workload]
        for name in dict.fromkeys(row.filter for row in rows):
            points = [(row.prefixes, row.ratio.median) for row in rows if row.filter == name]
            axes.semilogx(*zip(*points, strict=True), marker="o", label=name)


def _axes(path: Path, title: str, x: str, y: str) -> Iterator[Any]:
    """One pair of axes to draw on; afterwards they are written to ``path``."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
    axes = figure.subplots()
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.grid(alpha=0.3)
    yield axes
    axes.legend(bbox_to_anchor=(1.02, 1), loc="upper left", frameon=False)
    figure.savefig(path, metadata={"Date": None})
