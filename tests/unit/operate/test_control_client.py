"""Only a controller of this user, or of root, is believed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from op25b_app.cli.main import main
from op25b_app.operate import control_client
from op25b_app.operate.control_client import NoControllerError, ask
from op25b_app.operate.doctor.examination import examine

STRANGER = 65533
FORGED = b'{"all_as_wanted": true}'
FORGER = """
import contextlib, os, socket, sys
path, user, answer = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode()
os.setuid(user)
with socket.socket(socket.AF_UNIX) as listening:
    listening.bind(path)
    os.chmod(path, 0o777)
    listening.listen()
    print("listening", flush=True)
    while True:
        connection, _ = listening.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(1000)
            head = f"HTTP/1.1 200 OK\\r\\nContent-Length: {len(answer)}\\r\\n\\r\\n"
            connection.sendall(head.encode() + answer)
"""


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """A directory in which everybody may make files, as /tmp is."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    directory.chmod(0o1777)
    for parent in (tmp_path, *tmp_path.parents):
        mode = parent.stat().st_mode
        if not mode & 0o001:
            parent.chmod(mode | 0o011)
    return directory


@pytest.fixture
def forged(temporary: Path) -> Iterator[Path]:
    """A socket of another user, who got there first."""
    if os.geteuid() != 0:
        pytest.skip("only root can be two users")
    directory = temporary / f"op25b-{os.geteuid()}"
    directory.mkdir()
    os.chown(directory, STRANGER, STRANGER)
    path = directory / "control.sock"
    command = [sys.executable, "-c", FORGER, str(path), str(STRANGER), FORGED.decode()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as forger:
        assert forger.stdout is not None
        assert forger.stdout.readline() == "listening\n"
        yield path
        forger.kill()


@pytest.mark.parametrize("directory_of", ["stranger", "own"])
def test_a_stranger_in_the_temporary_directory_is_not_believed(forged: Path, directory_of: str) -> None:
    if directory_of == "own":
        os.chown(forged.parent, 0, 0)
    with pytest.raises(NoControllerError, match=r"who may pose as a controller: run this as that user"):
        ask(forged, "GET", "/status")
    done = CliRunner().invoke(main, ["status", "--socket", str(forged)])
    assert done.exit_code == 1
    what = f"{forged} is a socket of" if directory_of == "own" else f"{forged.parent} belongs to"
    assert f"op25b: {what} user" in done.stderr


def test_the_directory_of_a_stranger_is_enough(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever socket a link in there leads to. To another user, this one is a stranger."""
    directory = temporary / "op25b-7"
    directory.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: 7)
    if directory.stat().st_uid == 0:
        os.chown(directory, STRANGER, STRANGER)
    with pytest.raises(NoControllerError, match=f"{directory} belongs to user"):
        ask(directory / "control.sock", "GET", "/status")


def test_a_controller_of_this_user_is_believed(temporary: Path) -> None:
    path = temporary / "control.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

        threading.Thread(target=answer, daemon=True).start()
        assert ask(path, "GET", "/status") == {}


def test_root_may_ask_where_nobody_else_can_make_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(control_client, "_is_shared", lambda path: False)
    control_client._check_peer(Path("/run/user/1000/op25b/control.sock"), 1000)
    monkeypatch.setattr(os, "geteuid", lambda: 1001)
    with pytest.raises(NoControllerError, match="who may pose as a controller"):
        control_client._check_peer(Path("/run/user/1000/op25b/control.sock"), 1000)


@pytest.fixture
def silent(temporary: Path) -> Iterator[Path]:
    """A socket on which somebody listens and never answers, as a controller that is stopped."""
    path = temporary / "control.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen(0)
        yield path


def test_who_holds_the_socket_and_does_not_answer_is_named(silent: Path) -> None:
    with pytest.raises(NoControllerError) as raised:
        ask(silent, "GET", "/status", 0.1)
    assert str(raised.value).startswith(
        f"the controller that holds {silent} (process {os.getpid()}) did not answer within 0.1 s: "
    )
    assert "op25b run" not in str(raised.value), "one runs already"


def test_a_socket_at_which_too_many_wait_is_held_too(silent: Path) -> None:
    with socket.socket(socket.AF_UNIX) as waiting:
        waiting.connect(str(silent))
        with pytest.raises(
            NoControllerError, match=r"a controller holds .* and did not answer within 0.1 s: "
        ):
            ask(silent, "GET", "/status", 0.1)


@pytest.mark.parametrize("command", ["status", "events"])
def test_status_and_events_wait_ten_seconds(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    waited = []

    def ask_nobody(path: Path, method: str, target: str, seconds: float) -> dict[str, object]:
        waited.append(seconds)
        raise NoControllerError("nobody")

    monkeypatch.setattr(control_client, "ask", ask_nobody)
    assert CliRunner().invoke(main, [command]).exit_code == 1
    assert waited == [10.0]


def test_the_doctor_tells_what_to_do_with_one_that_does_not_answer() -> None:
    text = control_client._no_answer(Path("/run/op25b/control.sock"), 123, 60.0)
    (finding,) = [each for each in examine("gone", text, ()) if each.where == "controller"]
    assert finding.what.endswith("(process 123) did not answer within 60 s")
    assert "kill -CONT 123" in finding.remedy
