"""Measures the way from a policy file to rules: ``.venv/bin/python -m benchmarks.compile``.

Each measurement has a process of its own, without the collector of cyclic garbage, as in the controller.
"""

from __future__ import annotations

import gc
import ipaddress
import json
import math
import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, TypeVar

import click
import netaddr  # type: ignore[import-untyped]

from benchmarks.markdown_table import table
from benchmarks.policies import AT, SWITCH, VERSIONS, generated_space, scattered_space, write_policy
from benchmarks.processes import apart, peak_megabytes
from benchmarks.results import Spread, spread_of
from op25b_app.compiler.compiler import Compiler
from op25b_app.net.prefix import Prefix
from op25b_app.net.prefix_set import Key, cover, keys_of, prefix_of
from op25b_app.openflow.flow_rule import FlowRule
from op25b_app.policy.loader import Loaded, load

SIZES = (1_000, 3_000, 10_000, 30_000, 100_000, 200_000, 500_000)
SPACES = (generated_space, scattered_space)
COVERED = 100_000
RELOADS = 5
"""Changes of one prefix in each process."""

Rules = tuple[FlowRule, ...]
Result = TypeVar("Result")


@dataclass(frozen=True)
class CompileCost:
    """From files to the rules of a switch, in seconds of CPU; ``peak`` memory in MB.

    ``reload`` is what reading, checking and compiling take after a change of one prefix, ``changed`` how many
    rules come and go then.
    """

    space: str
    prefixes: int
    rules: int
    load: Spread
    compile: Spread
    peak: Spread
    reload: Spread
    changed: float

    @property
    def cpu(self) -> float:
        return self.load.median + self.compile.median


@dataclass(frozen=True)
class CoverCost:
    """To the fewest prefixes that hold the same, in seconds of CPU; ratios are to op25b in the same round.

    ``read`` is from text to what a way works on, ``cover`` from there to ``covers`` prefixes.
    """

    space: str
    way: str
    covers: int
    read: Spread
    cover: Spread
    cover_ratio: Spread
    whole_ratio: Spread
    peak: Spread


def compile_costs(sizes: Sequence[int], rounds: int) -> Iterator[CompileCost]:
    """Of each kind of address space and each number of prefixes, from the policy file to rules."""
    for space in (make(size) for make in SPACES for size in sizes):
        with TemporaryDirectory() as folder:
            path = write_policy(Path(folder), space, "defaults")
            found = [_apart(_compile, path) for _ in range(rounds)]
        yield CompileCost(
            space.name,
            len(space),
            found[0]["rules"],
            load=_spread(found, "load"),
            compile=_spread(found, "compile"),
            peak=_spread(found, "peak"),
            reload=_spread(found, "reload"),
            changed=statistics.median(each["changed"] for each in found),
        )


def cover_costs(size: int, rounds: int) -> Iterator[CoverCost]:
    """The same lines by each way, by turns; all must find the same."""
    for space in (make(size) for make in SPACES):
        with TemporaryDirectory() as folder:
            path = Path(folder) / "prefixes.txt"
            path.write_text("".join(f"{prefix}\n" for prefix in (*space.dynamic, *space.static)))
            found = [{way: _apart(_cover, path, way) for way in _WAYS} for _ in range(rounds)]
        (covers,) = {each["covers"] for taken in found for each in taken.values()}
        ours = [taken["op25b"] for taken in found]
        for way in _WAYS:
            theirs = [taken[way] for taken in found]
            pairs = [*zip(theirs, ours, strict=True)]
            yield CoverCost(
                space.name,
                way,
                len(covers),
                read=_spread(theirs, "read"),
                cover=_spread(theirs, "cover"),
                cover_ratio=spread_of([other["cover"] / own["cover"] for other, own in pairs]),
                whole_ratio=spread_of([_whole(other) / _whole(own) for other, own in pairs]),
                peak=_spread(theirs, "peak"),
            )


def _spread(found: Iterable[Mapping[str, float]], name: str) -> Spread:
    return spread_of([each[name] for each in found])


def _whole(taken: Mapping[str, float]) -> float:
    return taken["read"] + taken["cover"]


def exponent(points: Iterable[tuple[float, float]]) -> float:
    """The k of the power of x that fits y best (least squares of logarithms)."""
    logarithms = [(math.log(x), math.log(y)) for x, y in points]
    return statistics.linear_regression(*zip(*logarithms, strict=True)).slope


def _apart(work: Callable[..., dict[str, Any]], *arguments: object) -> dict[str, Any]:
    """What ``work`` finds in a fresh process, and the most memory that this has held."""
    return apart(_without_collector, work, arguments)


def _without_collector(work: Callable[..., dict[str, Any]], arguments: tuple[object, ...]) -> dict[str, Any]:
    gc.disable()
    return {**work(*arguments), "peak": peak_megabytes(os.getpid())}


def _compile(path: Path) -> dict[str, Any]:
    static = path.parent / "static.txt"
    lines = static.read_text().split("\n")
    loading, loaded = _timed(lambda: load(path, AT))
    compiling, (compiler, rules) = _timed(lambda: _compiled(loaded))
    reloads, changed = [], []
    for number in range(RELOADS):
        position = len(lines) * (number + 1) // (RELOADS + 1)
        lines[position : position + number % 2] = [f"203.0.113.{16 * number}/29"]
        contents = {static: "\n".join(lines).encode()}
        seconds, (loaded, compiler, after) = _timed(partial(_reloaded, path, contents, loaded, compiler))
        reloads.append(seconds)
        changed.append(len({*map(id, rules)} ^ {*map(id, after)}))
        rules = after
    return {
        "rules": len(rules),
        "load": loading,
        "compile": compiling,
        "reload": statistics.median(reloads),
        "changed": statistics.median(changed),
    }


def _reloaded(
    path: Path, contents: Mapping[Path, bytes], loaded: Loaded, compiler: Compiler
) -> tuple[Loaded, Compiler, Rules]:
    """Files that have changed hold ``contents``."""
    again = load(path, AT, lambda file: contents.get(file) or file.read_bytes(), loaded)
    return (again, *_compiled(again, compiler))


def _compiled(loaded: Loaded, previous: Compiler | None = None) -> tuple[Compiler, Rules]:
    assert loaded.policy is not None, loaded.errors
    compiler = Compiler(loaded.policy, previous)
    return compiler, compiler.rules(loaded.policy.switches[SWITCH], AT)


class Way(NamedTuple):
    """How a library goes from text to the fewest prefixes, in two steps; ``text`` writes what it finds."""

    read: Callable[[str], Any]
    cover: Callable[[list[Any]], list[Any]]
    text: Callable[[Any], str] = str


def _keys(prefixes: list[Prefix]) -> list[tuple[int, Key]]:
    return [(version, key) for version in VERSIONS for key in cover(version, keys_of(version, prefixes))]


def _collapsed(networks: list[Any]) -> list[Any]:
    by_version = ([net for net in networks if net.version == version] for version in VERSIONS)
    return [found for nets in by_version for found in ipaddress.collapse_addresses(nets)]


_WAYS = {
    "op25b": Way(Prefix.parse, _keys, lambda found: str(prefix_of(*found))),
    "netaddr": Way(netaddr.IPNetwork, netaddr.cidr_merge),
    "ipaddress": Way(ipaddress.ip_network, _collapsed),
}


def _cover(path: Path, name: str) -> dict[str, Any]:
    lines, way = path.read_text().split(), _WAYS[name]
    reading, prefixes = _timed(lambda: [way.read(line) for line in lines])
    covering, found = _timed(lambda: way.cover(prefixes))
    return {"read": reading, "cover": covering, "covers": tuple(sorted(map(way.text, found)))}


def _timed(work: Callable[[], Result]) -> tuple[float, Result]:
    """Seconds of CPU, and the result."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def markdown(compiled: Sequence[CompileCost], covered: Sequence[CoverCost]) -> str:
    """The tables, and how cost grows with size beside n log n over the same sizes."""
    parts = []
    if compiled:
        heads = [
            "space",
            "rules",
            "load, s",
            "compile, s",
            "peak, MB",
            "one prefix changed, s",
            "rules changed",
        ]
        rows = [
            [
                row.space,
                f"{row.rules:,}",
                *(f"{each.median:.3f}" for each in (row.load, row.compile)),
                f"{row.peak.median:.0f}",
                f"{row.reload.median:.3f}",
                f"{row.changed:g}",
            ]
            for row in compiled
        ]
        parts.append(f"From a policy file to the rules of a switch, CPU:\n\n{table(heads, rows)}")
        parts += _growth(compiled)
    if covered:
        heads = ["space", "way", "covers", "read, s", "cover, s", "op25b = 1", "both", "peak, MB"]
        rows = [
            [
                row.space,
                row.way,
                f"{row.covers:,}",
                *(f"{each.median:.3f}" for each in (row.read, row.cover)),
                *(f"{each.median:.1f}" for each in (row.cover_ratio, row.whole_ratio)),
                f"{row.peak.median:.0f}",
            ]
            for row in covered
        ]
        parts.append(f"From text to the fewest prefixes, CPU:\n\n{table(heads, rows)}")
    return "\n\n".join(parts) + "\n"


def _growth(compiled: Sequence[CompileCost]) -> Iterator[str]:
    for kind in dict.fromkeys(_kind(row) for row in compiled):
        rows = [row for row in compiled if _kind(row) == kind]
        if len(rows) > 1:
            grows = exponent((row.prefixes, row.cpu) for row in rows)
            compared = exponent((row.prefixes, row.prefixes * math.log(row.prefixes)) for row in rows)
            yield f"CPU for n {kind} grows as n^{grows:.2f}; n log n does as n^{compared:.2f}."


def _kind(row: CompileCost) -> str:
    return row.space.partition(" ")[2]


@click.command()
@click.option("--size", "sizes", multiple=True, type=click.IntRange(10), default=SIZES, show_default=True)
@click.option("--covered", default=COVERED, show_default=True, help="Prefixes to cover; 0 for none.")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1))
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("build/compile"),
    show_default=True,
    help="Where compile.md and compile.json are written.",
)
def main(sizes: tuple[int, ...], covered: int, rounds: int, out: Path) -> None:
    """CPU time and memory from a policy file to rules, by size, and beside netaddr and ipaddress."""
    compiled = []
    for cost in compile_costs(sizes, rounds):
        click.echo(f"{cost.space}: {cost.cpu:.3f} s", err=True)
        compiled.append(cost)
    covers = [*cover_costs(covered, rounds)] if covered else []
    out.mkdir(parents=True, exist_ok=True)
    raw = {"compile": [asdict(cost) for cost in compiled], "cover": [asdict(cost) for cost in covers]}
    (out / "compile.json").write_text(json.dumps(raw, indent=1) + "\n")
    (out / "compile.md").write_text(markdown(compiled, covers))
    click.echo(markdown(compiled, covers))


if __name__ == "__main__":
    main()
