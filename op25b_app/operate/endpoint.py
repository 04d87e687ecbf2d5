"""Where a running controller listens for questions of its own machine, and how to ask it."""

from __future__ import annotations

import http.client
import json
import os
import socket
from pathlib import Path
from typing import Any, NamedTuple

VARIABLE = "OP25B_CONTROL_SOCKET"
"""The environment variable that names the control socket."""
ANSWER_SECONDS = 60.0


class NoControllerError(Exception):
    """Nobody answers on a control socket; the text says where and what to do."""


class Answer(NamedTuple):
    """HTTP status and the JSON that came with it."""

    status: int
    body: dict[str, Any]


def control_socket(chosen: Path | None = None, *, configured: str | None = None) -> Path:
    """The control socket's path: as chosen, else by the environment, as configured, or this user's own."""
    if told := chosen or os.environ.get(VARIABLE) or configured:
        return Path(told)
    if os.geteuid() == 0:
        return Path("/run/op25b/control.sock")
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(runtime, "op25b", "control.sock")
    return Path(f"/tmp/op25b-{os.geteuid()}", "control.sock")


def ask(path: Path, method: str, target: str, seconds: float = ANSWER_SECONDS) -> Answer:
    """Send a request to the controller that listens on ``path``; NoControllerError when there is none."""
    connection = _UnixConnection(path, seconds)
    try:
        connection.request(method, target)
        response = connection.getresponse()
        return Answer(response.status, json.loads(response.read()))
    except PermissionError:
        raise NoControllerError(
            f"no permission to use {path}: run this as the user that runs the controller"
        ) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise NoControllerError(
            f"no controller answers on {path} ({reason}): start one with 'op25b run --policy FILE', "
            f"or name its socket with --socket or {VARIABLE}"
        ) from None
    finally:
        connection.close()


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a socket of the file system."""

    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
