"""Control server of a running controller: a small web application on a Unix domain socket.

Answers are JSON. Only the user that runs the controller may connect.
"""

from __future__ import annotations

import json
import logging
import os
import stat
from collections.abc import Callable, Collection, Iterable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import eventlet
import eventlet.wsgi
from eventlet.green import socket

from op25b_app.controller.listening import accepted
from op25b_app.operate.query import BadQueryError, Query

Handler = Callable[[Query], tuple[str, dict[str, Any]]]
"""Answers a query with the HTTP status line without the protocol, and the values of the JSON body."""
Routes = Mapping[tuple[str, str], tuple[Handler, Collection[str]]]
"""By method and path, the handler, and the names that a query may hold."""
StartResponse = Callable[[str, list[tuple[str, str]]], object]

MAX_BODY = 64 << 20
"""Maximum size of the body of a request, in bytes."""
MAX_SIZE_DIGITS = 12
MAX_WORDS = 200
"""Most characters of the reason in the answer to a malformed request."""

log = logging.getLogger("op25b")


class _Listening(socket.socket):
    def accept(self) -> tuple[Any, Any]:
        return accepted(super().accept, "this controller answers no command")


class _Requests(eventlet.wsgi.HttpProtocol):
    """Answers malformed requests with JSON, too, and logs nothing of them."""

    default_request_version = "HTTP/1.0"
    """Version of a request that names none, so that its answer has a status line: HTTP/0.9 has none."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        said = message or explain or HTTPStatus(code).phrase
        body = _as_json({"error": f"not a request that can be answered: {said[:MAX_WORDS]}"})
        self.send_response(code)
        for name, value in (*_headers(body), ("Connection", "close")):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing: Python's method names the peer's address, and on this socket there is none."""


class SocketUnavailableError(Exception):
    """The control socket is not available; the text says why."""


class ControlServer:
    """Serves ``routes`` (method and path) on the socket ``path`` until closed."""

    def __init__(self, path: Path, routes: Routes) -> None:
        """Listen on ``path``. Raises SocketUnavailableError where that is in use or not possible."""
        self._path = path
        self._routes = routes
        try:
            self._socket = _listen(path)
        except OSError as error:
            raise SocketUnavailableError(f"cannot listen on {path}: {error.strerror or error}") from None
        self._identity = _identity(path)
        self._server = eventlet.spawn(
            eventlet.wsgi.server, self._socket, self._answer, log_output=False, protocol=_Requests
        )

    def close(self) -> None:
        """Stop serving; remove the socket unless another one is at its path."""
        self._server.kill()
        self._socket.close()
        if _identity(self._path) == self._identity:
            self._path.unlink(missing_ok=True)

    def _answer(self, environ: Mapping[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        method, target = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        status, answer = "404 Not Found", {"error": f"nothing answers {method} {target}"}
        if route := self._routes.get((method, target)):
            handler, names = route
            try:
                request = _body(environ) if method == "PUT" else b""
                status, answer = handler(Query(environ.get("QUERY_STRING", ""), names, request))
            except BadQueryError as error:
                status, answer = "400 Bad Request", {"error": str(error)}
            except Exception:
                log.exception("%s %s: internal error", method, target)
                status, answer = "500 Internal Server Error", {"error": "internal error; the log says more"}
        body = _as_json(answer)
        start_response(status, _headers(body))
        return [body]


def _body(environ: Mapping[str, Any]) -> bytes:
    """Return the body of a request. Raises BadQueryError where it is too large, or of unknown size."""
    size = environ.get("CONTENT_LENGTH") or ""
    is_number = size.isascii() and size.isdecimal() and len(size) <= MAX_SIZE_DIGITS
    if not is_number or int(size) > MAX_BODY:
        raise BadQueryError(f"a body needs a Content-Length of at most {MAX_BODY >> 20} MiB")
    body: bytes = environ["wsgi.input"].read(int(size))
    if len(body) != int(size):
        raise BadQueryError("the body is not complete")
    return body


def _as_json(answer: Mapping[str, Any]) -> bytes:
    return json.dumps(answer, indent=2).encode() + b"\n"


def _headers(body: bytes) -> list[tuple[str, str]]:
    return [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]


def _listen(path: Path) -> Any:
    """Return a listening socket at ``path``, in place of one that a controller left behind."""
    _make_private_directory(path.parent)
    if _somebody_listens(path):
        raise SocketUnavailableError(f"another controller listens on {path}")
    path.unlink(missing_ok=True)
    listening = _Listening(socket.AF_UNIX)
    mask = os.umask(0o177)
    try:
        listening.bind(str(path))
    finally:
        os.umask(mask)
    listening.listen(16)
    return listening


def _make_private_directory(directory: Path) -> None:
    """Make the directory if it is missing. In a shared place, it must be this user's own."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    about = directory.stat()
    shared = bool(directory.parent.stat().st_mode & stat.S_ISVTX)
    if shared and about.st_uid != os.geteuid():
        raise SocketUnavailableError(f"{directory} belongs to another user")


def _somebody_listens(path: Path) -> bool:
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise SocketUnavailableError(f"{path} is there and is not a socket")
    except FileNotFoundError:
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
    return True


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_dev, about.st_ino
