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
from op25b_app.operate import endpoint
from op25b_app.operate.endpoint import NoControllerError, ask

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
        assert ask(path, "GET", "/status") == (200, {})


def test_root_may_ask_where_nobody_else_can_make_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(endpoint, "_is_shared", lambda path: False)
    endpoint._check_peer(Path("/run/user/1000/op25b/control.sock"), 1000)
    monkeypatch.setattr(os, "geteuid", lambda: 1001)
    with pytest.raises(endpoint._StrangerError):
        endpoint._check_peer(Path("/run/user/1000/op25b/control.sock"), 1000)
