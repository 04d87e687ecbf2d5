"""``op25b events``: print the last events of switches and policy."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from op25b_app.cli.arguments import json_option
from op25b_app.cli.controller import ASK_SECONDS, ask_or_exit, socket_option

POLL_SECONDS = 0.5


@click.command(short_help="Show the last events: states, reloads, refusals.")
@click.option("--follow", "-f", is_flag=True, help="Go on with new events.")
@socket_option
@json_option
def command(follow: bool, path: Path | None, as_json: bool) -> None:
    """Show the last events of the controller on this machine, the oldest first.

    With --json, each event is a line. With --follow, the command goes on until the controller ends.

    Exits with 0 where the events are shown; with 1 where no controller answers, or no longer.
    """
    for report in _reports(path, follow=follow):
        if report["missed"]:
            click.echo(f"op25b: {report['missed']} earlier events are no longer kept", err=True)
        for event in report["events"]:
            click.echo(json.dumps(event) if as_json else _line(event))


def _reports(path: Path | None, *, follow: bool) -> Iterator[dict[str, Any]]:
    journal, last = None, 0
    while True:
        report = ask_or_exit(path, "GET", f"/events?after={last}", seconds=ASK_SECONDS)
        if journal not in (None, report["journal"]):  # of another controller, whose numbers start anew
            report = ask_or_exit(path, "GET", "/events", seconds=ASK_SECONDS)
        journal, last = report["journal"], report["last"]
        yield report
        if not follow:
            return
        time.sleep(POLL_SECONDS)


def _line(event: dict[str, Any]) -> str:
    moment = event["time"].removesuffix("+00:00").replace("T", " ")
    where = f"{event['switch']}: " if event["switch"] else ""
    return f"{moment} {event['kind']:<8} {where}{event['text']}"
