"""``op25b status``: print the state of every switch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from op25b_app.cli.arguments import json_option, print_json
from op25b_app.cli.controller import ASK_SECONDS, COLOURS, ask_or_exit, socket_option


@click.command(short_help="Show the state of every switch of a running controller.")
@socket_option
@json_option
def command(path: Path | None, as_json: bool) -> None:
    """Show the state of every switch of the controller on this machine.

    Exits with 0 where every switch of the policy is protected or, in monitor mode, monitoring. Exits with 1
    otherwise, and where no controller answers. With --json, all_as_wanted says the same as the exit code;
    all_protected is true only where every switch is protected, and none in monitor mode.
    """
    status = ask_or_exit(path, "GET", "/status", seconds=ASK_SECONDS, has="all_as_wanted")
    if as_json:
        print_json(status)
    else:
        _print_table(status)
    sys.exit(0 if status["all_as_wanted"] else 1)


def _print_table(status: dict[str, Any]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("switch", "dpid", "state", "since (UTC)", "reason"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("dpid", "state"))
    for name, switch in status["switches"].items():
        state = Text(switch["state"], COLOURS.get(switch["state"]) or "")
        since = switch["since"].removesuffix("+00:00").replace("T", " ")
        table.add_row(Text(name), switch["dpid"], state, since, Text(switch["reason"]))
    console = Console()
    console.print(table)
    console.print(_policy_line(status["policy"]), markup=False, highlight=False, soft_wrap=True)


def _policy_line(policy: dict[str, Any]) -> str:
    since = policy["since"].removesuffix("+00:00").replace("T", " ")
    line = f"policy {policy['file']} (sha256 {policy['sha256'][:12]}), in force since {since}"
    if policy["kept"]:
        line += "\nkept from before: the file was refused at the start; op25b reload --dry-run shows why"
    if refused := policy["refused"]:
        at = refused["at"].removesuffix("+00:00").replace("T", " ")
        line += f"\nthe file was refused at {at}: {refused['because']}"
    if policy["keep_error"]:
        line += f"\nwarning: {policy['keep_error']}"
    return line
