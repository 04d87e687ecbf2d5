"""``op25b rules --single-table``, called as a person calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from op25b_app.cli.main import main

EXAMPLE = Path(__file__).parents[3] / "example.yaml"
AT = "2027-01-15T08:00:00Z"


def single_table(policy: Path, *arguments: str) -> Result:
    command = ("rules", str(policy), "--switch", "access-1", "--at", AT, "--single-table", *arguments)
    return CliRunner().invoke(main, command)


def test_json_and_lines_are_the_same_rules_of_one_table() -> None:
    rules = json.loads(single_table(EXAMPLE, "--format", "json").stdout)
    assert single_table(EXAMPLE, "--format", "ofctl").stdout.splitlines() == [rule["ofctl"] for rule in rules]
    assert {(rule["table"], rule["table_name"]) for rule in rules} == {(0, "single_table")}
    assert {rule["action"] for rule in rules} == {"drop", "NORMAL"}


def test_a_table_for_people() -> None:
    result = single_table(EXAMPLE)
    assert result.exit_code == 0
    heading, *rows, _, count = result.stdout.splitlines()
    assert heading == "0 single_table"
    assert count == f"{len(rows)} rules"
    priorities = [int(row.split()[0]) for row in rows]
    assert priorities == sorted(priorities, reverse=True)


def test_what_is_printed_is_proven(tmp_path: Path) -> None:
    flows = tmp_path / "flows"
    flows.write_text(single_table(EXAMPLE, "--format", "ofctl").stdout)
    command = ("prove", str(EXAMPLE), "--switch", "access-1", "--at", AT, "--flows", str(flows))
    result = CliRunner().invoke(main, command)
    assert (result.exit_code, result.stdout[:8]) == (0, "proven: ")


@pytest.mark.parametrize("form", ["table", "ofctl", "json"])
def test_what_one_table_cannot_say_is_told_on_stderr_and_exits_1(tmp_path: Path, form: str) -> None:
    policy = tmp_path / "policy.yaml"
    text = EXAMPLE.read_text().replace("dpid: 0x1", "dpid: 0x1\n    forwarding: {table: 10}")
    policy.write_text(f"{text}hardening: {{source_validation: binding}}\n")
    result = single_table(policy, "--format", form)
    assert result.exit_code == 1
    assert bool(result.stdout) is (form == "json")
    forwarding, binding = result.stderr.splitlines()
    assert forwarding.startswith(f"{policy}:14:3: error: forwarding of access-1 hands over to table 10, ")
    assert binding.startswith(f"{policy}:22:13: error: source_validation: binding ")
