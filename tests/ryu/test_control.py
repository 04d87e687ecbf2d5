"""The socket on which a controller answers commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from eventlet.green import socket
from ryu.lib import hub

from op25b_app.operate import accepting
from op25b_app.operate.control import ControlEndpoint
from tests.patience import HANG_SECONDS
from tests.ryu.test_listening import out_of_files_twice


def test_commands_are_answered_again_after_there_was_no_file_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(accepting, "AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(socket.socket, "accept", out_of_files_twice(socket.socket.accept))
    path = tmp_path / "control.sock"
    endpoint = ControlEndpoint(path, {("GET", "/status"): lambda query: ("200 OK", {"state": "here"})})
    with hub.Timeout(HANG_SECONDS), socket.socket(socket.AF_UNIX) as asking:
        asking.connect(str(path))
        asking.sendall(b"GET /status HTTP/1.0\r\n\r\n")
        answer = asking.recv(4096)
        while more := asking.recv(4096):
            answer += more
    endpoint.close()
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(b'{\n  "state": "here"\n}\n')
    (message,) = caplog.messages
    assert message.startswith("this controller answers no command now: [Errno 24] Too many open files: ")
