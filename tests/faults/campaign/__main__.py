"""``python -m tests.faults.campaign``: exits with 1 where a promise is broken."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from benchmarks.convergence.page import put_into
from tests.faults.campaign.campaign import Settings, campaign
from tests.faults.campaign.hostile import KINDS
from tests.faults.campaign.report import as_json, as_markdown, as_text


@click.command()
@click.option("--seconds", default=600.0, show_default=True, help="How long the attack lasts.")
@click.option("--hostile", default=100, show_default=True, help="Connections at once, all kinds at least.")
@click.option("--switches", default=10, show_default=True, type=click.IntRange(1), help="Honest ones.")
@click.option("--seed", default=25, show_default=True)
@click.option("--tls", is_flag=True, help="With TLS; the hostile have a switch's certificate, too.")
@click.option("--kind", "kinds", multiple=True, type=click.Choice([*KINDS]), help="Only these, else all.")
@click.option("--quiet", is_flag=True, help="No hostile connection at all, for comparison.")
@click.option("--json", "path", type=click.Path(dir_okay=False, path_type=Path), help="For all figures.")
@click.option(
    "--document", type=click.Path(dir_okay=False, path_type=Path), help="Put the figures into this page."
)
def main(
    seconds: float,
    hostile: int,
    switches: int,
    seed: int,
    tls: bool,
    kinds: tuple[str, ...],
    quiet: bool,
    path: Path | None,
    document: Path | None,
) -> None:
    """Attack a controller of honest switches in every way at once, and see whether it keeps its promises."""
    chosen = () if quiet else kinds or tuple(KINDS)
    found = campaign(Settings(seconds, hostile, switches, seed, tls, chosen))
    reported = as_json(found)
    if path is not None:
        path.write_text(json.dumps(reported, indent=1) + "\n")
    if document is not None:
        put_into(document, "campaign", as_markdown(found))
    click.echo(as_text(found))
    sys.exit(0 if reported["kept"] else 1)


if __name__ == "__main__":
    main(prog_name="python -m tests.faults.campaign")
