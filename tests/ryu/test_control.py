"""The socket on which a controller answers commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from eventlet.green import socket
from ryu.lib import hub

from op25b_app.operate import accepting
from op25b_app.operate.control import ControlEndpoint
from op25b_app.operate.query import Query
from tests.patience import HANG_SECONDS
from tests.ryu.test_listening import out_of_files_twice


def answer_of(path: Path, target: str) -> bytes:
    with hub.Timeout(HANG_SECONDS), socket.socket(socket.AF_UNIX) as asking:
        asking.connect(str(path))
        asking.sendall(b"GET %s HTTP/1.0\r\n\r\n" % target.encode())
        answer = asking.recv(4096)
        while more := asking.recv(4096):
            answer += more
        return bytes(answer)


def test_a_query_that_cannot_be_understood_is_a_bad_request(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def events(query: Query) -> tuple[str, dict[str, int]]:
        return "200 OK", {"after": query.number("after", 0)}

    path = tmp_path / "control.sock"
    endpoint = ControlEndpoint(path, {("GET", "/events"): (events, ("after",))})
    answers = [answer_of(path, f"/events{query}") for query in ("?after=3", "?after=abc", "?aftr=3")]
    endpoint.close()
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
    monkeypatch.setattr(accepting, "AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(socket.socket, "accept", out_of_files_twice(socket.socket.accept))
    path = tmp_path / "control.sock"
    endpoint = ControlEndpoint(path, {("GET", "/status"): (lambda query: ("200 OK", {"state": "here"}), ())})
    answer = answer_of(path, "/status")
    endpoint.close()
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(b'{\n  "state": "here"\n}\n')
    (message,) = caplog.messages
    assert message.startswith("this controller answers no command now: [Errno 24] Too many open files: ")
