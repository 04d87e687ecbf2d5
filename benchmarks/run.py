"""One run of the benchmarks, and its JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

from benchmarks.compile import CompileCost, CoverCost
from benchmarks.results import CacheSize, Change, Install, ProcessorTime, ProofCost, Switches


@dataclass(frozen=True)
class Run:
    """One run, part by part; a part that was not run is empty."""

    about: dict[str, str]
    install: list[Install] = field(default_factory=list)
    change: list[Change] = field(default_factory=list)
    switches: list[Switches] = field(default_factory=list)
    flow_cache: list[CacheSize] = field(default_factory=list)
    processor: list[ProcessorTime] = field(default_factory=list)
    proof: list[ProofCost] = field(default_factory=list)
    compile: list[CompileCost] = field(default_factory=list)
    cover: list[CoverCost] = field(default_factory=list)

    @property
    def largest_crowd(self) -> Switches | None:
        """The most switches that op25b was measured with until all were proven, if any."""
        crowds = [row for row in self.switches if row.peer == "op25b" and row.proven_seconds]
        return max(crowds, key=lambda row: row.switches, default=None)


_ADAPTER = TypeAdapter(Run)


def read_run(path: Path) -> Run:
    return _ADAPTER.validate_json(path.read_bytes())


def write_run(run: Run, path: Path) -> None:
    path.write_bytes(_ADAPTER.dump_json(run, indent=1) + b"\n")
