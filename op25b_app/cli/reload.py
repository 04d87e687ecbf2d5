"""``op25b reload``: put the policy file in force as it is now."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from op25b_app.cli.arguments import json_option
from op25b_app.cli.controller import ask_or_exit, socket_option


@click.command(short_help="Have a running controller read its policy again.")
@socket_option
@json_option
def command(path: Path | None, as_json: bool) -> None:
    """Have the controller that runs on this machine read its policy file again, as SIGHUP does.

    A policy with errors leaves the one in force as it is: its problems are told and the exit code is 1.
    `op25b status` tells when the switches hold the new one.
    """
    answer = ask_or_exit(path, "POST", "/reload", as_json=as_json)
    if as_json:
        click.echo(json.dumps(answer, indent=2))
    else:
        for problem in answer["problems"]:
            click.echo(problem)
        outcome = (
            "the policy is in force" if answer["applied"] else "refused; the policy in force stays in force"
        )
        click.echo(f"op25b: {outcome}")
    sys.exit(0 if answer["applied"] else 1)
