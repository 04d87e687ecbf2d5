"""Measures op25b beside its peers: ``.venv/bin/python -m benchmarks``.

Needs root, for a network namespace of its own; the machine's network and Open vSwitch are not touched.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from benchmarks.about import about
from benchmarks.change import changes
from benchmarks.compile import COVERED, compile_costs, cover_costs
from benchmarks.compile import SIZES as COMPILED_PREFIXES
from benchmarks.flow_cache import cache_sizes
from benchmarks.install import install_times
from benchmarks.network import enter_new_network
from benchmarks.peers.environments import ENVIRONMENTS, PeerError
from benchmarks.policies import Space, generated_space, listed_space
from benchmarks.processor import MIXED, PLAIN, connection_times, packet_times
from benchmarks.proof import proof_costs
from benchmarks.report import fill, markdown, write_report
from benchmarks.requirements import missing
from benchmarks.results import CacheSize, ProcessorTime, ProofCost
from benchmarks.run import Run, read_run, write_run
from benchmarks.switches import switch_times
from testing.private_ovs import PrivateOvs

ROOT = Path(__file__).parents[1]
DOCUMENTS = tuple(ROOT / name for name in ("README.md", "docs/speed.md", "docs/cost.md", "docs/scale.md"))
DOCUMENTED_RUN = ROOT / "docs/speed.json"
"""What those pages show."""
LISTED_SPACES = 4
MIXED_PREFIXES = 10_000
PROVEN_PREFIXES = (10_000, 100_000)
PROOF_REPETITIONS = 5


@dataclass(frozen=True)
class Settings:
    rules: tuple[int, ...]
    prefixes: tuple[int, ...]
    lists: Path | None
    rounds: int
    processor_rounds: int


def _install(settings: Settings) -> Iterator[Any]:
    return install_times(settings.rules, settings.rounds)


def _change(settings: Settings) -> Iterator[Any]:
    return changes(settings.rounds)


def _switches(settings: Settings) -> Iterator[Any]:
    return switch_times(settings.rounds)


def _flow_cache(settings: Settings) -> Iterator[CacheSize]:
    spaces = [*(generated_space(size) for size in settings.prefixes), *_listed(settings.lists)]
    with PrivateOvs() as ovs:
        for space in spaces:
            click.echo(f"flow cache: {space.name}", err=True)
            yield from cache_sizes(ovs, space)


def _processor(settings: Settings) -> Iterator[ProcessorTime]:
    rounds = settings.processor_rounds
    for size, traffic in (*((size, PLAIN) for size in settings.prefixes), (MIXED_PREFIXES, MIXED)):
        click.echo(f"processor: {traffic.name} traffic, {size:,} prefixes", err=True)
        yield from packet_times(size, traffic, rounds, exact_match_cache=True)
        if traffic is MIXED:
            yield from packet_times(size, traffic, rounds, exact_match_cache=False)
        yield from connection_times(size, traffic, rounds)


def _proof(settings: Settings) -> Iterator[ProofCost]:
    with PrivateOvs() as ovs:
        for size in PROVEN_PREFIXES:
            click.echo(f"proof: {size:,} prefixes", err=True)
            yield from proof_costs(ovs, generated_space(size), PROOF_REPETITIONS)


def _compile(settings: Settings) -> Iterator[Any]:
    return compile_costs(COMPILED_PREFIXES, settings.rounds)


def _cover(settings: Settings) -> Iterator[Any]:
    return cover_costs(COVERED, settings.rounds)


PARTS: dict[str, Callable[[Settings], Iterator[Any]]] = {
    "install": _install,
    "change": _change,
    "switches": _switches,
    "flow-cache": _flow_cache,
    "processor": _processor,
    "proof": _proof,
    "compile": _compile,
    "cover": _cover,
}


@click.command()
@click.option("--only", "parts", multiple=True, type=click.Choice([*PARTS]), help="Run only this part.")
@click.option(
    "--rules",
    multiple=True,
    type=click.IntRange(min=1_000),
    default=(1_000, 10_000, 100_000),
    show_default=True,
    help="Numbers of rules to install.",
)
@click.option(
    "--prefixes",
    multiple=True,
    type=click.IntRange(min=10),
    default=(10, 1_000, 10_000, 100_000),
    show_default=True,
    help="Sizes of the address space under which packets are sent.",
)
@click.option(
    "--lists",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder of AS*.txt, prefixes of real networks: the flow cache is counted under them, too.",
)
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1), help="To install and change.")
@click.option("--processor-rounds", default=60, show_default=True, type=click.IntRange(5))
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=ROOT / "build/benchmarks",
    help="Where benchmarks.md, benchmarks.json and plots are written.  [default: build/benchmarks]",
)
@click.option(
    "--keep",
    is_flag=True,
    help="With --only: keep the other parts of the run that is there, or of docs/speed.json, and say so.",
)
@click.option(
    "--document",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Measure nothing: put what this benchmarks.json holds into README.md and docs/, and it beside them.",
)
def main(parts: tuple[str, ...], out: Path, keep: bool, document: Path | None, **settings: Any) -> None:
    """Rules, changes, many switches, packets, proofs and compiling: op25b beside its peers, in one run."""
    if document is not None:
        run = read_run(document)
        for page in DOCUMENTS:
            page.write_text(fill(page.read_text(), run))
        write_run(run, DOCUMENTED_RUN)
        return
    if lacks := missing():
        click.echo("\n".join(["these are missing:", *(f"  {each}" for each in lacks)]), err=True)
        sys.exit(2)
    try:
        for environment in ENVIRONMENTS:
            environment.install()
        enter_new_network()
        run = _run(parts or tuple(PARTS), Settings(**settings), out, keep=keep)
    except PeerError as error:
        raise click.ClickException(str(error)) from None
    click.echo(markdown(run))


def _run(parts: tuple[str, ...], settings: Settings, out: Path, *, keep: bool) -> Run:
    """Each part is written down as soon as it is there."""
    before = out / "benchmarks.json"
    run = _kept(read_run(before if before.exists() else DOCUMENTED_RUN), parts) if keep else Run(about())
    for name in PARTS:
        if name in parts:
            rows: dict[str, Any] = {name.replace("-", "_"): list(PARTS[name](settings))}
            run = replace(run, **rows)
            path = write_report(run, out)
            click.echo(f"{name}: {path}", err=True)
    return run


def _kept(run: Run, parts: tuple[str, ...]) -> Run:
    """A run without the parts that are about to be run again; it tells when each of the others was."""
    others = [name for name in PARTS if name not in parts and getattr(run, name.replace("-", "_"))]
    this_run = f"{run.about['date']}, {run.about['op25b']}"
    reported = {f"kept {name}": run.about.get(f"kept {name}", this_run) for name in others}
    empty: dict[str, Any] = {name.replace("-", "_"): [] for name in parts}
    return replace(run, about={**about(), **reported}, **empty)


def _listed(folder: Path | None) -> list[Space]:
    """The largest of the lists."""
    if folder is None:
        return []
    spaces = sorted((listed_space(path) for path in folder.glob("AS*.txt")), key=len)
    return spaces[-LISTED_SPACES:]


if __name__ == "__main__":
    main()
