"""How many controllers a network needs, from what one of them was measured to do.

``python -m benchmarks.fleet --help``
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import click

from benchmarks.markdown_table import table
from benchmarks.results import Switches
from benchmarks.run import Run, read_run

SWITCHES, SUBSCRIBERS = 100_000, 100


class Need(NamedTuple):
    """``controllers`` by one measure: the whole network takes ``all_take``, one controller ``each_may``."""

    what: str
    all_take: str
    each_may: str
    controllers: int


class Limits(NamedTuple):
    """Of a controller: ``seconds`` until all switches are proven, ``megabytes``, and ``share`` of a core."""

    seconds: float
    megabytes: float
    share: float


DEFAULTS = Limits(seconds=60.0, megabytes=2_000.0, share=0.5)


def needs(measured: Switches, switches: int, limits: Limits) -> list[Need]:
    """By each measure. ValueError where ``measured`` lacks a number.

    A controller has one core. What it takes is proportional to its switches.
    """
    spreads = measured.proven_cpu, measured.again_cpu, measured.idle, measured.peak
    values = [each.median for each in spreads if each is not None]
    if len(values) < len(spreads):
        raise ValueError(f"the run has no times of {measured.peer} for {measured.switches:,} switches")
    filled, again, idle, peak = (value * switches / measured.switches for value in values)
    core = f"{limits.seconds:.0f} s of CPU in {limits.seconds:.0f} s"
    return [
        _need(
            "all empty switches filled and proven", filled, limits.seconds, f"{filled:,.0f} s of CPU", core
        ),
        _need(
            "all connections lost, and proven again", again, limits.seconds, f"{again:,.0f} s of CPU", core
        ),
        _need("all at rest", idle, limits.share, f"{idle:.1f} cores", f"{limits.share:.0%} of a core"),
        _need("memory", peak, limits.megabytes, f"{peak:,.0f} MB", f"{limits.megabytes:,.0f} MB"),
    ]


def _need(what: str, total: float, limit: float, all_take: str, each_may: str) -> Need:
    return Need(what, all_take, each_may, math.ceil(total / limit))


def fleet_table(
    run: Run, switches: int = SWITCHES, subscribers: int = SUBSCRIBERS, limits: Limits = DEFAULTS
) -> str:
    """Markdown, with so many subscribers on each switch; empty where the run has no crowd of switches."""
    measured = run.largest_crowd
    if measured is None:
        return ""
    found = needs(measured, switches, limits)
    lines = [[each.what, each.all_take, each.each_may, f"{each.controllers:,}"] for each in found]
    most = max(each.controllers for each in found)
    return "\n\n".join(
        (
            f"{switches:,} switches with {measured.rules:,} rules and {subscribers:,} subscribers each, "
            f"{switches * subscribers:,} in all, by what {measured.switches:,} such switches take:",
            table(["so that", "all take", "a controller may", "controllers"], lines),
            f"**{most:,} controllers** of one core each, and as many again to stand by, one for each: "
            f"{switches / most:,.0f} switches, {switches * subscribers / most:,.0f} subscribers each.",
        )
    )


@click.command()
@click.argument("run", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--switches", default=SWITCHES, show_default=True, type=click.IntRange(1))
@click.option(
    "--subscribers", default=SUBSCRIBERS, show_default=True, type=click.IntRange(1), help="On each switch."
)
@click.option("--seconds", default=DEFAULTS.seconds, show_default=True, help="Until all switches are proven.")
@click.option(
    "--megabytes", default=DEFAULTS.megabytes, show_default=True, help="Of memory for one controller."
)
@click.option(
    "--share", default=DEFAULTS.share, show_default=True, help="Of a core for one controller at rest."
)
def main(run: Path, switches: int, subscribers: int, **limits: float) -> None:
    """How many controllers a network needs, by the crowd of switches in RUN, a benchmarks.json."""
    if not (text := fleet_table(read_run(run), switches, subscribers, Limits(**limits))):
        raise click.ClickException(f"{run}: it has no crowd of switches: run 'benchmarks --only switches'")
    click.echo(text)


if __name__ == "__main__":
    main()
