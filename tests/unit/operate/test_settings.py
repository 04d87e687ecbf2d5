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
print(settings.state_directory(), settings.reload_on_change(), settings.may_stop_blocking())
"""


def settings(environment: dict[str, str], user: int = 0, configured: Path | None = None) -> str:
    arguments = json.dumps([user, str(configured) if configured else None])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, arguments],
        env={"HOME": "/home/operator", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
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
