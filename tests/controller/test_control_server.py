"""The socket on which a controller answers commands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from eventlet.green import socket
from ryu.lib import hub

from op25b_app.controller import listening
from op25b_app.controller.control_server import ControlServer
from op25b_app.operate.query import Query
from testing.patience import HANG_SECONDS
from tests.controller.test_listening import out_of_files_twice


@pytest.fixture
def status_socket(tmp_path: Path) -> Iterator[Path]:
    """The control socket of a server that answers ``GET /status``."""
    path = tmp_path / "control.sock"
    server = ControlServer(path, {("GET", "/status"): (lambda query: ("200 OK", {"state": "here"}), ())})
    yield path
    server.close()


def answer_of(path: Path, target: str) -> bytes:
    return answer_to(path, b"GET %s HTTP/1.0\r\n\r\n" % target.encode())


def answer_to(path: Path, request: bytes) -> bytes:
    """What comes until the connection ends, be it before all of the request is read."""
    with hub.Timeout(HANG_SECONDS), socket.socket(socket.AF_UNIX) as asking:
        asking.connect(str(path))
        with suppress(BrokenPipeError):
            asking.sendall(request)
            asking.shutdown(socket.SHUT_WR)
        answer = b""
        with suppress(ConnectionResetError):
            while more := asking.recv(4096):
                answer += more
        return bytes(answer)


def test_a_query_that_cannot_be_understood_is_a_bad_request(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def events(query: Query) -> tuple[str, dict[str, int]]:
        return "200 OK", {"after": query.number("after", 0)}

    path = tmp_path / "control.sock"
    server = ControlServer(path, {("GET", "/events"): (events, ("after",))})
    answers = [answer_of(path, f"/events{query}") for query in ("?after=3", "?after=abc", "?aftr=3")]
    server.close()
    assert [answer.split(b"\r\n")[0] for answer in answers] == [
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 400 Bad Request",
        b"HTTP/1.1 400 Bad Request",
    ]
    assert b"after is 'abc'; write a number from 0 on" in answers[1]
    assert b"no parameter is called 'aftr'; there are after" in answers[2]
    assert caplog.messages == []


def test_commands_are_answered_again_after_there_was_no_file_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listening, "AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(socket.socket, "accept", out_of_files_twice(socket.socket.accept))
    path = tmp_path / "control.sock"
    server = ControlServer(path, {("GET", "/status"): (lambda query: ("200 OK", {"state": "here"}), ())})
    answer = answer_of(path, "/status")
    server.close()
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(b'{\n  "state": "here"\n}\n')
    (message,) = caplog.messages
    assert message.startswith("this controller answers no command now: [Errno 24] Too many open files: ")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GARBAGE\r\n\r\n", b"400 Bad Request"),
        (b"\xff\x00\"'\r\n\r\n", b"400 Bad Request"),
        (b"POST /status\r\n\r\n", b"400 Bad Request"),
        (b"GET /status and more HTTP/1.1\r\n\r\n", b"400 Bad Request"),
        (b"GET /status HTTP/1\r\n\r\n", b"400 Bad Request"),
        (b"GET /status HTTP/1.%s\r\n\r\n" % (b"9" * 5000), b"400 Bad Request"),
        (b"GET /status HTTP/9.9\r\n\r\n", b"505 HTTP Version Not Supported"),
        (b"GET /status HTTP/1.1\r\n%s\r\n" % (b"A: b\r\n" * 101), b"431 Request Header Fields Too Large"),
    ],
)  # fmt: skip
def test_what_is_no_request_is_answered_and_logged_nowhere(
    status_socket: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    request_: bytes,
    status: bytes,
) -> None:
    head, _, body = answer_to(status_socket, request_).partition(b"\r\n\r\n")
    after = answer_of(status_socket, "/status")
    assert head.split(b"\r\n")[0] == b"HTTP/1.1 " + status
    assert b"Content-Type: application/json" in head
    assert json.loads(body)["error"].startswith("not a request that can be answered: ")
    assert after.startswith(b"HTTP/1.1 200 OK")
    assert caplog.messages == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /status HTTP/1.1\r\n%s\r\n" % (b"A: b\r\n" * 30_000), b" 431 "),
        (b"GET /status HTTP/1.1\r\nA: %s\r\n\r\n" % (b"b" * 300_000), b" 400 "),
        (b"GET /%s HTTP/1.1\r\n\r\n" % (b"b" * 300_000), b" 414 "),
        (b"GET /status HTTP/1.1\r\nContent-Length: %s\r\n\r\n" % (b"9" * 5000), b" 400 "),
        (b"GET /status HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b" 400 "),
        (b"GET /status HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b" 200 "),
        (b"GET /status HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", b" 200 "),
        (b"GET /status HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\na", b" 200 "),
        (b"GET /status HTTP/1.1\r\nContent-Length: 5\r\n\r\na", b" 200 "),
        (b"GET /status HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\na", b" 200 "),
        (b"GET /status\r\n\r\n", b" 200 "),
        (b"GET /\xff%ff HTTP/1.0\r\n\r\n", b" 404 "),
        (b"GET /status HTTP/1.0\r\nA\xff\r\n: \r\n\x00: _\r\n\r\n", b" 200 "),
    ],
    ids=range(13),
)  # fmt: skip
def test_odd_requests_have_an_answer_and_no_traceback(
    status_socket: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    request_: bytes,
    status: bytes,
) -> None:
    answer = answer_to(status_socket, request_)
    assert status in answer.split(b"\r\n")[0]
    assert caplog.messages == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("size", "body", "said"),
    [
        ("2", b"{}", b"200 OK"),
        ("", b"{}", b"a body needs a Content-Length of at most 64 MiB"),
        ("-1", b"{}", b"400 Bad Request"),
        (f"{(64 << 20) + 1}", b"{}", b"a body needs a Content-Length"),
        ("000000000001" + "9" * 10, b"{}", b"a body needs a Content-Length"),
        ("3", b"{}", b"the body is not complete"),
    ],
)
def test_a_body_has_a_size_that_is_known_and_bounded(
    tmp_path: Path, size: str, body: bytes, said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "control.sock"
    taken: list[bytes] = []

    def put(query: Query) -> tuple[str, dict[str, str]]:
        taken.append(query.body)
        return "200 OK", {}

    server = ControlServer(path, {("PUT", "/v1/lines"): (put, ())})
    head = f"Content-Length: {size}\r\n" if size else ""
    answer = answer_to(path, f"PUT /v1/lines HTTP/1.0\r\n{head}\r\n".encode() + body)
    server.close()
    assert said in answer
    assert taken == ([body] if said == b"200 OK" else [])
    assert caplog.messages == []
