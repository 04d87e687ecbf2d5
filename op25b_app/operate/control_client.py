"""Find the control socket of the controller on this machine, and send requests to it."""

from __future__ import annotations

import http.client
import json
import os
import pwd
import socket
import stat
import struct
from pathlib import Path
from typing import Any

VARIABLE = "OP25B_CONTROL_SOCKET"
"""The environment variable that names the control socket."""
ANSWER_SECONDS = 60.0
_CREDENTIALS = struct.Struct("3i")
"""Process, user and group of the listener: unix(7), SO_PEERCRED."""


class NoControllerError(Exception):
    """No controller answers on a control socket; the text says where and what to do."""


def control_socket(chosen: Path | str | None = None) -> Path:
    """Return the control socket's path: chosen, else of the environment, or this user's own."""
    if given := chosen or os.environ.get(VARIABLE):
        return Path(given)
    if os.geteuid() == 0:
        return Path("/run/op25b/control.sock")
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(runtime, "op25b", "control.sock")
    return Path(f"/tmp/op25b-{os.geteuid()}", "control.sock")


def ask(
    path: Path, method: str, target: str, seconds: float = ANSWER_SECONDS, body: str | None = None
) -> dict[str, Any]:
    """Send a request to the controller that listens on ``path``, and return the JSON values of its answer.

    ``body`` is that of the request. Raises NoControllerError where there is none, where it does not answer
    within ``seconds``, or where another user may pose as one.
    """
    connection = _UnixConnection(path, seconds)
    try:
        _check_directory(path)
        connection.request(method, target, body)
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
        return answer
    except PermissionError:
        raise NoControllerError(
            f"no permission to use {path}: run this as the user that runs the controller"
        ) from None
    except (TimeoutError, BlockingIOError):  # the latter where too many requests wait already
        raise NoControllerError(_no_answer(path, connection.listener, seconds)) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise NoControllerError(
            f"no controller answers on {path} ({reason}): start one with 'op25b run --policy FILE', "
            f"or name its socket with --socket or {VARIABLE}"
        ) from None
    finally:
        connection.close()


def _no_answer(path: Path, listener: int | None, seconds: float) -> str:
    """Return the message for a listener that does not answer."""
    if listener is None:
        return (
            f"a controller holds {path} and did not answer within {seconds:g} s: it is stopped or very busy; "
            "ask again, and see its log"
        )
    return (
        f"the controller that holds {path} (process {listener}) did not answer within {seconds:g} s: "
        f"'ps -o stat,time,args -p {listener}' shows whether it is stopped (T; then 'kill -CONT {listener}') "
        "or busy; its log says more"
    )


def _posing(what: str) -> NoControllerError:
    """Return the error for a listener whose user is neither this one nor root; ``what`` names that user."""
    return NoControllerError(
        f"{what}, who may pose as a controller: run this as that user, or name another socket with "
        f"--socket or {VARIABLE}"
    )


def _is_shared(path: Path) -> bool:
    """Return whether a path is in a place where every user may make files, such as /tmp."""
    return any(each.stat().st_mode & stat.S_ISVTX for each in path.absolute().parents if each.exists())


def _check_directory(path: Path) -> None:
    """Raise NoControllerError where a socket in a shared place is in another user's directory."""
    if not _is_shared(path):
        return
    about = path.parent.lstat()
    if about.st_uid not in (0, os.geteuid()):
        raise _posing(f"{path.parent} belongs to {_user(about.st_uid)}")


def _check_peer(path: Path, user: int) -> None:
    """Raise NoControllerError where the user who listens there must not be trusted.

    Root may ask controllers of other users, where their sockets are not in a shared place.
    """
    if user in (0, os.geteuid()) or (os.geteuid() == 0 and not _is_shared(path)):
        return
    raise _posing(f"{path} is a socket of {_user(user)}")


def _user(number: int) -> str:
    try:
        return f"user {pwd.getpwuid(number).pw_name}"
    except KeyError:
        return f"user {number}"


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a socket of the file system, with this user's or root's controller."""

    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path
        self.listener: int | None = None
        """Id of the process that listens there, once it is known."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
        credentials = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        process, user, _ = _CREDENTIALS.unpack(credentials)
        self.listener = process or None  # 0 is a process that cannot be seen from here
        _check_peer(self._path, user)
