"""``op25b schema``: print the JSON Schema of a policy file, for editors."""

from __future__ import annotations

import click

from op25b_app.cli.arguments import print_json


@click.command(short_help="Print the JSON Schema of a policy file, for editors.")
def command() -> None:
    """Print the JSON Schema (2020-12) of a policy file, for editors that complete and check YAML.

    Exits with 0.
    """
    from op25b_app.policy.schema import json_schema

    print_json(json_schema())
