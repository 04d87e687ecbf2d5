"""Topologies that a user adds, with mistakes and other hosts; a lab keeps away from other controllers."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from testing.patience import HANG_SECONDS
from tests.lab.lab_command import LAB_SOURCES, ROOT, lab

pytestmark = pytest.mark.slow

OWN = """\
import sys
sys.path.insert(0, {topologies!r})
from isp import DYNAMIC, LINK_A, MAIL_OUTSIDE, SERVERS, IspTopo

class OwnTopo(IspTopo):
    ipv6 = False

    def build(self):
        self.add_access_switch("access-1", 0x1)
        self.add_station("{bot}", DYNAMIC, 11)
        self.add_station("ispmail", SERVERS, 25, mail_domain="isp.example")
        self.add_edge_router([(LINK_A, ())])
        self.connect("access-1", {{1: "{bot}", 26: "edge", 27: "ispmail"}})
        self.add_transit_router("transit", LINK_A, (MAIL_OUTSIDE,))
        self.connect("access-1", {{25: "transit"}})
        self.add_station("extmail", MAIL_OUTSIDE, 25, mail_domain="external.example")
        self.addLink("transit", "extmail", port1=1, port2=0)

topos = {{"own": OwnTopo}}
"""
START = """
import sys
from pathlib import Path
import network
network.TOPOLOGIES = Path(sys.argv.pop(1))
import lab
lab.main()
"""


@pytest.fixture
def topologies(tmp_path: Path) -> Path:
    """A folder of topologies with the single one and a user's own."""
    folder = tmp_path / "topologies"
    folder.mkdir()
    for name in ("isp.py", "single.py", "single.yaml"):
        (folder / name).write_text((ROOT / "topologies" / name).read_text())
    write_own(folder, "infected")
    return folder


def write_own(folder: Path, bot: str) -> None:
    (folder / "own.py").write_text(OWN.format(topologies=str(folder), bot=bot))
    (folder / "own.yaml").write_text((folder / "single.yaml").read_text())


def lab_of(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", START, str(folder), *arguments],
        env={**os.environ, "PYTHONPATH": f"{LAB_SOURCES}:{ROOT}"},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=HANG_SECONDS,
    )


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("topos = {\n", "own.py:1:", "'{' was never closed"),
        ("import nothing_of_this_name\ntopos = {}\n", "own.py:1: ", "ModuleNotFoundError"),
        ("x = 1\n", "own.py: ", "it names no topology; write topos = {NAME: CLASS}"),
    ],
)
def test_a_topology_with_a_mistake_breaks_no_other(
    topologies: Path, text: str, where: str, what: str
) -> None:
    (topologies / "own.py").write_text(text)
    done = lab_of(topologies, "--list")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == "topologies: single"
    assert f"a topology cannot be loaded: {topologies}/{where}" in done.stderr
    assert what in done.stderr
    chosen = lab_of(topologies, "--topology", "own")
    assert chosen.returncode == 2
    assert f"{topologies}/{where}" in chosen.stderr
    assert "Traceback" not in chosen.stderr


def test_a_topology_that_fails_while_it_is_built_says_where(topologies: Path) -> None:
    text = (topologies / "own.py").read_text()
    (topologies / "own.py").write_text(text.replace('"access-1", 0x1)', '"access-1", dpid)'))
    done = lab_of(topologies, "--topology", "own")
    assert done.returncode == 1
    line = text[: text.index('"access-1", 0x1)')].count("\n") + 1
    assert f"Error: {topologies}/own.py:{line}: NameError: name 'dpid' is not defined" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_own_topology_is_tried_with_the_scenarios_that_fit_it(topologies: Path) -> None:
    done = lab_of(topologies, "--topology", "own", "--json")
    assert done.returncode == 0, done.stderr
    reported = json.loads(done.stdout)
    assert {row["scenario"] for row in reported["rows"]} == {"infected-pc", "mail-out"}
    assert "left out: scenario spammer needs host spammer, mail server office" in done.stderr


def test_an_own_topology_that_no_scenario_fits_says_what_is_missing(topologies: Path) -> None:
    done = lab_of(topologies, "--topology", "own", "--scenario", "spammer")
    assert done.returncode == 1
    assert "no scenario fits this topology" in done.stderr
    assert "scenario spammer needs host spammer, mail server office" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_lab_never_talks_to_another_controller(tmp_path: Path) -> None:
    """Everything of the environment leads to one that is not the lab's."""
    path = tmp_path / "production.sock"
    asked: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as production:
        production.bind(str(path))
        production.listen()
        threading.Thread(target=_note, args=(production, asked), daemon=True).start()
        outside = {
            "OP25B_CONTROL_SOCKET": str(path),
            "OP25B_POLICY": "/nonexistent.yaml",
            "OP25B_STATE_DIRECTORY": str(tmp_path / "state"),
            "OP25B_RELOAD_ON_CHANGE": "1",
            "OP25B_AUDIT_SECONDS": "never",
            "OP25B_YES": "1",
            "OP25B_OF_A_LATER_VERSION": "1",
            "STATE_DIRECTORY": str(tmp_path / "state"),
            "XDG_RUNTIME_DIR": str(tmp_path),
            "XDG_STATE_HOME": str(tmp_path / "state"),
        }
        done = lab("--scenario", "mail-in", "--json", env={**os.environ, **outside})
    assert done.returncode == 0, done.stderr
    assert asked == []
    assert not (tmp_path / "state").exists()


def _note(production: socket.socket, asked: list[bytes]) -> None:
    while True:
        try:
            connection, _ = production.accept()
        except OSError:
            return
        with connection:
            asked.append(connection.recv(100))


def test_the_environment_of_a_lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(LAB_SOURCES))
    import environment

    outside = {"PATH": "/bin", "OP25B_POLICY": "x", "OP25B_LATER": "y", "STATE_DIRECTORY": "z"}
    assert environment.own_environment(outside, tmp_path) == {
        "PATH": "/bin",
        "OP25B_CONTROL_SOCKET": f"{tmp_path}/control.sock",
        "OP25B_STATE_DIRECTORY": f"{tmp_path}/state",
    }
