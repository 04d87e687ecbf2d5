"""Commands that ask a controller, where there is none, and where it is sought."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from op25b_app.cli.main import main
from op25b_app.operate import control_client
from op25b_app.operate.control_client import control_socket


@pytest.mark.parametrize("command", ["status", "reload", "events"])
def test_the_option_wins_over_the_environment(command: str, tmp_path: Path) -> None:
    environment = {"OP25B_CONTROL_SOCKET": str(tmp_path / "environment.sock")}
    done = CliRunner().invoke(main, [command, "--socket", str(tmp_path / "option.sock")], env=environment)
    assert done.exit_code == 1
    assert (
        f"op25b: no controller answers on {tmp_path}/option.sock (No such file or directory)" in done.stderr
    )
    done = CliRunner().invoke(main, [command], env=environment)
    assert f"no controller answers on {tmp_path}/environment.sock" in done.stderr


def test_the_environment_wins_over_the_place_of_this_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OP25B_CONTROL_SOCKET", "/environment/socket")
    assert control_socket() == Path("/environment/socket")
    assert control_socket(Path("/option/socket")) == Path("/option/socket")


@pytest.mark.parametrize("command", ["status", "reload"])
def test_json_is_json_without_a_controller_too(command: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(main, [command, "--json", "--socket", str(tmp_path / "none.sock")])
    assert done.exit_code == 1
    assert "no controller answers" in json.loads(done.stdout)["error"]


def test_a_controller_of_an_older_version_is_told_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command was upgraded, and the controller still runs as it was started."""
    old = {"policy": {"file": "policy.yaml"}, "all_protected": True, "switches": {}}
    monkeypatch.setattr(control_client, "ask", lambda *_: old)
    done = CliRunner().invoke(main, ["status"])
    assert done.exit_code == 1
    assert done.stderr == "op25b: the running controller has an older version of op25b: start it again\n"
