"""Where a controller keeps its state, by environment, configuration and user."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import json, os, sys
user, configured = json.loads(sys.argv[1])
os.geteuid = lambda: user
from ryu import cfg
from op25b_app import settings
cfg.CONF([], project="op25b", default_config_files=[configured] if configured else [])
settings.audit_seconds()
print(settings.state_directory(), settings.reload_on_change(), settings.may_stop_blocking())
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
    return done.stdout.strip()


def test_the_place_of_the_state(tmp_path: Path) -> None:
    configured = tmp_path / "ryu.conf"
    configured.write_text("[op25b]\nstate_directory = /configured\n")
    systemd = {"STATE_DIRECTORY": "/var/lib/private/op25b:/var/lib/second"}
    assert settings({}) == "/var/lib/op25b False False"
    assert settings({}, user=1000).startswith("/home/operator/.local/state/op25b ")
    assert settings({"XDG_STATE_HOME": "/state"}, user=1000).startswith("/state/op25b ")
    assert settings(systemd).startswith("/var/lib/private/op25b ")
    assert settings(systemd, configured=configured).startswith("/configured ")
    told = {"OP25B_STATE_DIRECTORY": "/told"}
    assert settings(systemd | told, configured=configured).startswith("/told ")


@pytest.mark.parametrize("written", ["reload_on_change = true", "yes = true", "yes = false"])
def test_what_can_be_switched_on(tmp_path: Path, written: str) -> None:
    configured = tmp_path / "ryu.conf"
    configured.write_text(f"[op25b]\n{written}\n")
    expected = {
        "reload_on_change = true": "True False",
        "yes = true": "False True",
        "yes = false": "False False",
    }
    assert settings({}, configured=configured).endswith(expected[written])


def test_the_environment_can_switch_on_as_well() -> None:
    assert settings({"OP25B_RELOAD_ON_CHANGE": "1", "OP25B_YES": "1"}).endswith("True True")
    assert settings({"OP25B_RELOAD_ON_CHANGE": "0", "OP25B_YES": ""}).endswith("False False")


NOBODY = 987654
"""A user of whom the system knows nothing."""


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("audit_seconds = often", "audit_seconds in section [op25b] of --config-file: could not convert"),
        ("audit_seconds = 0.5", "audit_seconds in section [op25b] of --config-file: Should be greater than"),
        ("yes = maybe", "yes in section [op25b] of --config-file: Unexpected boolean value 'maybe'"),
        (
            "reload_on_change = x",
            "reload_on_change in section [op25b] of --config-file: Unexpected boolean value 'x'",
        ),
    ],
)
def test_a_value_that_cannot_be_is_told_by_its_name(tmp_path: Path, written: str, said: str) -> None:
    configured = tmp_path / "ryu.conf"
    configured.write_text(f"[op25b]\n{written}\n")
    done = run({}, configured=configured)
    assert done.returncode == 1
    assert done.stderr.startswith(said)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("seconds", ["often", "0", "nan", "inf"])
def test_so_it_is_in_the_environment(seconds: str) -> None:
    done = run({"OP25B_AUDIT_SECONDS": seconds})
    assert done.returncode == 1
    assert done.stderr == f"OP25B_AUDIT_SECONDS={seconds} is not a number of seconds from 1 on\n"


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
