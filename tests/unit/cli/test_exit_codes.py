"""What exit codes mean is said of every command, in its help and in README."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from op25b_app.cli.main import main

ROOT = Path(__file__).parents[3]
COMMANDS = sorted(main.list_commands(None))  # type: ignore[arg-type]
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_says_when_it_is_0(command: str) -> None:
    if command == "lab":
        text = (ROOT / "mininet" / "lab.py").read_text()
    else:
        text = CliRunner().invoke(main, [command, "--help"]).stdout
    assert re.search(r"Exits\s+with\s+0", text)


@pytest.mark.parametrize("command", COMMANDS)
def test_readme_has_a_row(command: str) -> None:
    rows = [line.split("|")[1] for line in README.splitlines() if line.startswith("| `")]
    assert any(f"`{command}`" in row for row in rows)


def test_a_block_is_an_answer_as_a_permit_is() -> None:
    packet = ["--switch", "access-1", "--in-port", "1", "--src", "100.64.0.1", "--dst", "203.0.113.5"]
    for port, verdict in (("25", "block"), ("587", "permit")):
        done = CliRunner().invoke(
            main,
            ["explain", str(ROOT / "example.yaml"), *packet, "--dport", port, "--at", "2027-01-15T08:00:00Z"],
        )
        assert done.exit_code == 0
        assert done.stdout.startswith(f"{verdict}: ")
