"""What the commands share that ask a running controller."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

socket_option = click.option(
    "--socket",
    "path",
    type=click.Path(path_type=Path),
    help="The controller's control socket [OP25B_CONTROL_SOCKET, else this user's usual place].",
)


def ask_or_exit(path: Path | None, method: str, target: str, *, as_json: bool) -> dict[str, Any]:
    """What the controller answers; a message and exit code 1 where there is none."""
    from op25b_app.operate.endpoint import NoControllerError, ask, control_socket

    try:
        return ask(control_socket(path), method, target).body
    except NoControllerError as error:
        click.echo(f"op25b: {error}", err=True)
        if as_json:
            click.echo(json.dumps({"error": str(error)}, indent=2))
        sys.exit(1)
