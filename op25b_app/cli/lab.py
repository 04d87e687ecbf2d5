"""``op25b lab``: run the lab in the folder ``mininet`` of the source tree."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

import op25b_app


@click.command(
    context_settings={"ignore_unknown_options": True},
    add_help_option=False,
    short_help="The Mininet lab: real mail through real switches.",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> None:
    """Build a Mininet network, send real mail through it and show who could reach whom."""
    entry = Path(op25b_app.__file__).parent.parent / "mininet" / "lab.py"
    if not entry.exists():
        raise click.ClickException(f"the lab belongs to the source tree, and there is no {entry}")
    # The same process goes on: signals, terminal and exit code are the lab's own.
    os.execv(sys.executable, [sys.executable, str(entry), *arguments])
