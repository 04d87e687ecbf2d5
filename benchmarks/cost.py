"""Measures what filtering costs a switch, and what proving costs: ``.venv/bin/python -m benchmarks.cost``.

Needs root, for network namespaces of its own; the machine's own network and Open vSwitch are not touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from benchmarks.flow_cache import CacheSize, cache_sizes
from benchmarks.policies import Space, generated_space, listed_space
from benchmarks.processor import ProcessorTime, connection_times, packet_times
from benchmarks.proof import ProofCost, proof_costs
from benchmarks.report import Measurements, about, write
from tests.openvswitch.private_ovs import PrivateOvs

ROOT = Path(__file__).parents[1]
LISTED_SPACES = 4
PROCESSOR_PREFIXES = 10_000
PROVEN_PREFIXES = (10_000, 100_000)
PROOF_REPETITIONS = 5
PARTS = ("flow-cache", "processor", "proof")


@click.command()
@click.option("--part", "parts", multiple=True, type=click.Choice(PARTS), help="Measure only this part.")
@click.option(
    "--prefixes",
    "sizes",
    multiple=True,
    type=click.IntRange(min=10),
    default=(10, 1_000, 10_000),
    show_default=True,
    help="Sizes of the address space under which the flow cache is counted.",
)
@click.option(
    "--lists",
    type=click.Path(file_okay=False, path_type=Path),
    default=ROOT.parent / "shared/data/isp-prefixes",
    help="A folder of AS*.txt, lists of prefixes of real networks; if it is there, the largest are used too.",
)
@click.option("--rounds", default=60, show_default=True, type=click.IntRange(5), help="For CPU time.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("build/cost"),
    show_default=True,
    help="Where cost.md, cost.json and cost.svg are written.",
)
def main(parts: tuple[str, ...], sizes: tuple[int, ...], lists: Path, rounds: int, out: Path) -> None:
    """Megaflows and masks, CPU time of ovs-vswitchd, and time and memory of `op25b prove`, in one run."""
    wanted = parts or PARTS
    spaces = [*(generated_space(size) for size in sizes), *_listed(lists)]
    measured = Measurements(
        about(),
        list(_flow_cache(spaces)) if "flow-cache" in wanted else [],
        list(_processor(rounds)) if "processor" in wanted else [],
        list(_proof()) if "proof" in wanted else [],
    )
    path = write(measured, out)
    click.echo(path.read_text())
    click.echo(f"raw numbers: {path.with_suffix('.json')}", err=True)


def _flow_cache(spaces: list[Space]) -> Iterator[CacheSize]:
    with PrivateOvs() as ovs:
        for space in spaces:
            click.echo(f"flow cache: {space.name}", err=True)
            yield from cache_sizes(ovs, space)


def _processor(rounds: int) -> Iterator[ProcessorTime]:
    for exact_match_cache in (True, False):
        click.echo(f"processor: packets, exact-match cache {exact_match_cache}", err=True)
        yield from packet_times(PROCESSOR_PREFIXES, rounds, exact_match_cache=exact_match_cache)
    click.echo("processor: new connections", err=True)
    yield from connection_times(PROCESSOR_PREFIXES, rounds)


def _proof() -> Iterator[ProofCost]:
    with PrivateOvs() as ovs:
        for size in PROVEN_PREFIXES:
            click.echo(f"proof: {size:,} prefixes", err=True)
            yield from proof_costs(ovs, generated_space(size), PROOF_REPETITIONS)


def _listed(folder: Path) -> list[Space]:
    """The largest of the lists; none where the folder is not there."""
    spaces = sorted((listed_space(path) for path in folder.glob("AS*.txt")), key=len)
    return spaces[-LISTED_SPACES:]


if __name__ == "__main__":
    main()
