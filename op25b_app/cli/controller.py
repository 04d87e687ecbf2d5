"""Options and requests of the commands that ask a running controller."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from op25b_app.cli.arguments import exit_with_problem

COLOURS = {
    "connecting": None,
    "installing": None,
    "protected": "green",
    "monitoring": "cyan",
    "checking": "yellow",
    "degraded": "red",
    "lost": "red",
    "unknown": "yellow",
}
"""Colours by state of a switch."""

ASK_SECONDS = 10.0
"""Seconds to wait for an answer that a controller gives at once unless it is stopped."""

socket_option = click.option(
    "--socket",
    "path",
    type=click.Path(path_type=Path),
    help="The controller's control socket [OP25B_CONTROL_SOCKET, else this user's usual place].",
)


def ask_or_exit(
    path: Path | None,
    method: str,
    target: str,
    *,
    seconds: float = 60.0,
    has: str | None = None,
) -> dict[str, Any]:
    """Return the controller's answer; print a message and exit with 1 where there is none, or an error.

    ``has`` is a key in the answer of a controller of this version: an upgraded command may ask an older one.
    """
    from op25b_app.operate.control_client import NoControllerError, ask, control_socket

    try:
        answer = ask(control_socket(path), method, target, seconds)
    except NoControllerError as error:
        exit_with_problem(str(error))
    if "error" in answer:
        exit_with_problem(f"the controller says: {answer['error']}")
    if has is not None and has not in answer:
        exit_with_problem("the running controller has an older version of op25b: start it again")
    return answer
