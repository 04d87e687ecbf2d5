"""How fast a table converges, and that it does so without a wrong moment.

``.venv/bin/python -m benchmarks.convergence repair``, ``reload`` or ``kills``. All need root, for a network
namespace of their own; the machine's network and Open vSwitch are not touched.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from benchmarks.convergence.figures import (
    RepairRun,
    about,
    kills_page,
    reload_tables,
    repairs_table,
    repairs_text,
)
from benchmarks.convergence.interference import Kind
from benchmarks.convergence.kills import kills
from benchmarks.convergence.page import put_into
from benchmarks.convergence.plans import Variant, two_plans
from benchmarks.convergence.reload import hardening_variants, reloads
from benchmarks.convergence.repair import Repairs, repairs, repairs_of
from benchmarks.convergence.world import BUNDLES_13, BUNDLES_14, BUNDLES_15, CROWDED, PLAIN, PLAIN_15
from benchmarks.policies import scattered_space

EXAMPLE = Path(__file__).parents[2] / "example.yaml"
LISTS = click.option(
    "--lists",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder of AS*.txt, lists of prefixes of real networks; without it plans are generated.",
)
DOCUMENT = click.option(
    "--document", type=click.Path(dir_okay=False, path_type=Path), help="Put the figures into this page."
)
PREFIXES = {55: None, 1_000: 330, 10_000: 3_300, 100_000: 33_000}
"""By about how many rules come of it, of how many prefixes an address plan is; None is example.yaml."""
LARGE_RULES = 100_000
LARGE, MIDDLE, SMALL = ("AS7922", "AS7018"), ("AS17676", "AS2516"), ("AS2518", "AS2527")


@click.group()
def main() -> None:
    """Repairs, reloads and restarts on a real Open vSwitch."""


@main.command()
@click.option("--count", default=50, show_default=True, type=click.IntRange(2), help="Of each kind.")
@click.option(
    "--large-count",
    default=10,
    show_default=True,
    type=click.IntRange(2),
    help=f"The same from {LARGE_RULES:,} rules on.",
)
@click.option(
    "--rules",
    "sizes",
    multiple=True,
    type=click.IntRange(1),
    default=tuple(PREFIXES),
    show_default=True,
    help="About how many a table has: one of these.",
)
@click.option(
    "--json",
    "record",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep the raw numbers there.",
)
@DOCUMENT
def repair(
    count: int, large_count: int, sizes: tuple[int, ...], record: Path | None, document: Path | None
) -> None:
    """Harm drop rules at random moments; how long it takes until each is back."""
    if unknown := {*sizes} - {*PREFIXES}:
        raise click.BadParameter(f"{sorted(unknown)}: take of {sorted(PREFIXES)}", param_hint="--rules")
    kept = RepairRun.read(record) if record is not None and record.exists() else RepairRun(about(), ())
    for size in sizes:
        counts = dict.fromkeys(Kind, large_count if size >= LARGE_RULES else count)
        found = _repairs_of_size(size, counts)
        click.echo(repairs_table(found), err=True)
        kept = kept.with_measured(about(), found)
        if record is not None:
            kept.write(record)
    if document is not None:
        put_into(document, "repair", repairs_text(kept))
    click.echo(repairs_text(kept))


def _repairs_of_size(size: int, counts: dict[Kind, int]) -> list[Repairs]:
    prefixes = PREFIXES[size]
    with TemporaryDirectory() as folder:
        if prefixes is None:
            return repairs("example.yaml", EXAMPLE, "access-1", Path(folder), counts, 25, range(1, 27))
        variant = Variant(f"{prefixes:,} prefixes", scattered_space(prefixes))
        return repairs_of(variant, Path(folder), counts)


@main.command()
@LISTS
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1), help="There and back.")
@click.option("--rate", default=400.0, show_default=True, help="Packets a second on each switch.")
@click.option("--size", default="large", type=click.Choice(["large", "middle", "small"]), show_default=True)
def reload(lists: Path | None, rounds: int, rate: float, size: str) -> None:
    """From one address plan to another and back, and through every hardening, under traffic."""
    names = {"large": LARGE, "middle": MIDDLE, "small": SMALL}[size]
    plans = [Variant(space.name, space) for space in two_plans(lists, names)]
    sites = (BUNDLES_13, BUNDLES_14, PLAIN, CROWDED)
    with TemporaryDirectory() as folder:
        between = reloads(sites, [*plans * rounds, plans[0]], Path(folder), rate=rate, count=1500)
    click.echo(f"{reload_tables(between)}\n")
    variants = hardening_variants(two_plans(lists, SMALL)[0])
    with TemporaryDirectory() as folder:
        hardened = reloads((BUNDLES_15, PLAIN_15), variants, Path(folder), rate=rate, count=1500)
    click.echo(f"{reload_tables(hardened)}\n\n{about()}")
    for each in (*between, *hardened):
        total = each.total
        if total.leaked or (total.lost and each.switch != CROWDED.name):
            sys.exit(1)


@main.command("kills")
@LISTS
@click.option("--rounds", default=200, show_default=True, type=click.IntRange(1))
@click.option("--rate", default=200.0, show_default=True, help="Packets a second on each switch.")
@DOCUMENT
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def kill(lists: Path | None, rounds: int, rate: float, document: Path | None, as_json: bool) -> None:
    """Kill the controller at random moments while it installs, reloads and repairs, under traffic.

    Exits with 0 if nothing leaked and nothing stopped.
    """
    first, second = (Variant(space.name, space) for space in two_plans(lists, MIDDLE))
    with TemporaryDirectory() as folder:
        found = kills((first, second), Path(folder), rounds, rate=rate, count=900)
    if document is not None:
        put_into(document, "kills", kills_page(found))
    click.echo(json.dumps(asdict(found), indent=1) if as_json else kills_page(found))
    sys.exit(0 if found.as_expected else 1)


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.convergence")
