"""Where a controller keeps its state, by environment, configuration and user."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PROGRAM = """
import json, os, sys
user, configured = json.loads(sys.argv[1])
os.geteuid = lambda: user
from ryu import cfg
from op25b_app.controller import settings
cfg.CONF([], project="op25b", default_config_files=[configured] if configured else [])
settings.check()
print(settings.state_directory(), settings.reload_on_change(), settings.may_stop_blocking(), end=" ")
print(settings.audit_seconds(), end=" ")
print(settings.socket_path())
"""


def run(
    environment: dict[str, str], user: int = 0, configured: Path | None = None
) -> subprocess.CompletedProcess[str]:
    arguments = json.dumps([user, str(configured) if configured else None])
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, arguments],
        env={"HOME": "/home/operator", **environment},
        capture_output=True,
        text=True,
    )


def settings(environment: dict[str, str], user: int = 0, configured: Path | None = None) -> str:
    done = run(environment, user, configured)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().removesuffix(" 300.0 /run/op25b/control.sock")


def test_the_place_of_the_state(tmp_path: Path) -> None:
    configured = tmp_path / "ryu.conf"
    configured.write_text("[op25b]\nstate_directory = /configured\n")
    systemd = {"STATE_DIRECTORY": "/var/lib/private/op25b:/var/lib/second"}
    assert settings({}) == "/var/lib/op25b False False"
    assert settings({}, user=1000).startswith("/home/operator/.local/state/op25b ")
    assert settings({"XDG_STATE_HOME": "/state"}, user=1000).startswith("/state/op25b ")
    assert settings(systemd).startswith("/var/lib/private/op25b ")
    assert settings(systemd, configured=configured).startswith("/configured ")
    reported = {"OP25B_STATE_DIRECTORY": "/told"}
    assert settings(systemd | reported, configured=configured).startswith("/told ")


ON, OFF = ["true", "TRUE", "1", "on", "yes"], ["false", "0", "off", "no"]
WORDS = "write one of true, false, 1, 0, on, off, yes, no"


@pytest.mark.parametrize(
    ("word", "is_on"), [*((word, True) for word in ON), *((word, False) for word in OFF)]
)
def test_the_words_for_on_and_off_are_the_same_everywhere(tmp_path: Path, word: str, is_on: bool) -> None:
    configured = tmp_path / "ryu.conf"
    configured.write_text(f"[op25b]\nreload_on_change = {word}\nyes = {word}\n")
    assert settings({}, configured=configured).endswith(f" {is_on} {is_on}")
    assert settings({"OP25B_RELOAD_ON_CHANGE": word, "OP25B_YES": word}).endswith(f" {is_on} {is_on}")


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    configured = tmp_path / "ryu.conf"
    configured.write_text("[op25b]\nreload_on_change = on\nyes = on\n")
    reported = {"OP25B_RELOAD_ON_CHANGE": "off", "OP25B_YES": ""}
    assert settings(reported, configured=configured).endswith(" False True")


def test_the_control_socket_is_that_of_the_environment_or_the_file(tmp_path: Path) -> None:
    configured = tmp_path / "ryu.conf"
    configured.write_text("[op25b]\ncontrol_socket = /configured\n")
    assert run({}, configured=configured).stdout.split()[-1] == "/configured"
    given = {"OP25B_CONTROL_SOCKET": "/given"}
    assert run(given, configured=configured).stdout.split()[-1] == "/given"
    assert (
        run({"XDG_RUNTIME_DIR": "/run/user/7"}, user=7).stdout.split()[-1] == "/run/user/7/op25b/control.sock"
    )


def test_all_that_is_wrong_is_reported_at_once(tmp_path: Path) -> None:
    configured = tmp_path / "ryu.conf"
    configured.write_text(
        "[op25b]\naudit_secs = 5\nreload_on_change = maybe\naudit_seconds = foo\ncolour = red\n"
    )
    done = run({"OP25B_YES": "perhaps", "OP25B_AUDIT_SECONDS": "0"}, configured=configured)
    assert done.returncode == 1
    place = f"in section [op25b] of {configured}"
    seconds = "not a number of seconds from 1 on: write one, such as"
    keys = "policy, control_socket, state_directory, reload_on_change, audit_seconds, yes"
    assert done.stderr.splitlines() == [
        f"OP25B_YES=perhaps is neither on nor off: {WORDS}",
        f"OP25B_AUDIT_SECONDS=0 is {seconds} OP25B_AUDIT_SECONDS=300",
        f"audit_secs = 5 {place}: there is no such setting: did you mean audit_seconds?",
        f"reload_on_change = maybe {place} is neither on nor off: {WORDS}",
        f"audit_seconds = foo {place} is {seconds} audit_seconds = 300",
        f"colour = red {place}: there is no such setting: settings are {keys}",
    ]


NOBODY = 987654
"""A user of whom the system knows nothing."""


@pytest.mark.parametrize("section", ["op25", "op25-b", "OP25"])
def test_a_mistyped_section_is_named(tmp_path: Path, section: str) -> None:
    configured = tmp_path / "ryu.conf"
    configured.write_text(f"[{section}]\naudit_seconds = 5\n[neighbours]\ncolour = red\n")
    done = run({}, configured=configured)
    assert done.returncode == 1
    assert done.stderr == f"section [{section}] of {configured}: did you mean [op25b]?\n"


@pytest.mark.parametrize("seconds", ["often", "0", "0.5", "nan", "inf"])
def test_seconds_are_from_1_on(tmp_path: Path, seconds: str) -> None:
    configured = tmp_path / "ryu.conf"
    configured.write_text(f"[op25b]\naudit_seconds = {seconds}\n")
    for done in (run({"OP25B_AUDIT_SECONDS": seconds}), run({}, configured=configured)):
        assert done.returncode == 1
        assert "is not a number of seconds from 1 on" in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_without_a_home_it_says_what_to_name(tmp_path: Path) -> None:
    """The process that asks runs as that user: os.getuid and not HOME decides then."""
    program = f"import os; os.setuid({NOBODY})\n{PROGRAM}"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, json.dumps([NOBODY, None])],
        env={},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    assert f"HOME is not set, and user {NOBODY} has no home" in done.stderr
    assert "OP25B_STATE_DIRECTORY" in done.stderr
    assert "Traceback" not in done.stderr
