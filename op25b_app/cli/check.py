"""``op25b check``: is a policy file right?"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from op25b_app.cli.arguments import at_option, json_option, policy_argument


@click.command(short_help="Tell everything that is wrong with a policy file.")
@policy_argument
@at_option
@json_option
def command(path: Path, at: float, as_json: bool) -> None:
    """Tell everything that is wrong with POLICY, each line with its place and the remedy.

    Exits with 0 where there is no error, warnings or not.
    """
    from op25b_app.policy.loader import load

    loaded = load(path, at)
    if as_json:
        problems = [
            {**problem.place._asdict(), "severity": problem.severity, "message": problem.message}
            for problem in loaded.problems
        ]
        click.echo(json.dumps({"valid": loaded.policy is not None, "problems": problems}, indent=2))
    else:
        for problem in loaded.problems:
            click.echo(problem)
        if loaded.policy is not None:
            names = ", ".join(loaded.policy.switches) or "none"
            click.echo(f"{path}: valid; switches: {names}")
    sys.exit(0 if loaded.policy is not None else 1)
