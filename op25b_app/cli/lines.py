"""``op25b lines``: print the addresses that a running controller has learned for its lines."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from op25b_app.cli.arguments import json_option, print_json
from op25b_app.cli.controller import ASK_SECONDS, ask_or_exit, socket_option

_HEADINGS = ("switch", "port", "VLAN", "address", "MAC address", "since (UTC)", "until (UTC)", "source")


@click.command(short_help="Show which line has which address, as it was learned.")
@click.option("--switch", metavar="NAME", help="Only the lines of this switch.")
@click.option("--address", metavar="ADDRESS", help="Only the line that has this address.")
@click.option(
    "--at", metavar="MOMENT", help="Who had the address then, such as 2027-03-31T12:00:00Z; needs --address."
)
@socket_option
@json_option
def command(
    switch: str | None, address: str | None, at: str | None, path: Path | None, as_json: bool
) -> None:
    """Show the addresses that the controller on this machine has learned for its lines.

    They come from the sources under 'lines' in the policy. What stands under 'bindings' is not shown. Ended
    ones are kept for 90 days: --at finds them.

    Exits with 0 where a line is shown; with 1 where there is none, and where no controller answers.
    """
    if at is not None and address is None:
        raise click.UsageError("--at needs --address: write the address that somebody had then")
    given = {"switch": switch, "address": address, "at": at}
    query = urlencode({name: value for name, value in given.items() if value is not None})
    answer = ask_or_exit(path, "GET", f"/v1/lines?{query}", seconds=ASK_SECONDS)
    if "error" in answer:
        raise click.ClickException(answer["error"])
    if as_json:
        print_json(answer)
    else:
        _print_table(answer)
    sys.exit(0 if answer["count"] else 1)


def _print_table(answer: dict[str, Any]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not answer["count"]:
        click.echo(
            "op25b: no line has it" if answer["asked"] else "op25b: nothing is learned of any line", err=True
        )
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in (
        "switch",
        "port",
        "VLAN",
        "address",
        "MAC address",
        "since (UTC)",
        "until (UTC)",
        "source",
    ):
        table.add_column(heading, overflow="fold")
    for line in answer["lines"]:
        vlan = "" if line["vlan"] is None else str(line["vlan"])
        cells = (line["switch"], line["port"], vlan, line["address"], line["mac"] or "any")
        table.add_row(*map(Text, (*cells, _moment(line["since"]), _moment(line["until"]), line["source"])))
    Console().print(table)
    if more := answer["count"] - len(answer["lines"]):
        click.echo(f"and {more:,} more; name a switch or an address")


def _moment(text: str | None) -> str:
    return "" if text is None else text.removesuffix("+00:00").replace("T", " ")
