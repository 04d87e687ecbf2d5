"""Commands see the policy as it is in effect: with the lines that a controller has learned and kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from op25b_app.cli.main import main
from op25b_app.lines.line_table import Claim, ClaimNews
from op25b_app.net.prefix import Prefix
from op25b_app.operate.line_store import LineStore, line_store_path
from op25b_app.policy.model import SubscriberPort
from tests.unit.operate.test_line_learning import POLICY

ADDRESS = Prefix.parse("100.64.0.1")


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OP25B_STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setenv("OP25B_CACHE_DIRECTORY", str(tmp_path / "cache"))
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    return path


@pytest.fixture
def store(policy: Path, tmp_path: Path) -> LineStore:
    store = LineStore(line_store_path(tmp_path / "state", policy))
    claim = Claim(ADDRESS, SubscriberPort("a", 2), None, 1_700_000_000.0, None, "leases.csv", 2)
    store.keep([ClaimNews(claim, ended=False)], 1_700_000_000.0)
    return store


def run(*arguments: str) -> tuple[str, str]:
    result = CliRunner().invoke(main, list(arguments))
    return result.stdout, result.stderr


def test_explain_finds_the_line_that_has_the_address(policy: Path, store: LineStore) -> None:
    out, err = run("explain", str(policy), "--src", "100.64.0.1", "--dst", "203.0.113.9", "--dport", "587")
    assert "permit" in out
    assert "port 2" in out
    assert f"op25b: with 1 learned addresses of {store.path}" in err


def test_explain_finds_who_had_the_address(policy: Path, store: LineStore) -> None:
    claim = store.recall()[0]
    moved = claim._replace(line=SubscriberPort("a", 1), since=1_750_000_000.0)
    store.keep([ClaimNews(claim, ended=True), ClaimNews(moved, ended=False)], 1_750_000_000.0)
    asked = ("explain", str(policy), "--src", "100.64.0.1", "--dst", "203.0.113.9", "--dport", "587")
    assert "port 1" in run(*asked)[0]
    assert "port 2" in run(*asked, "--at", "2025-01-01T00:00:00Z")[0]


def test_rules_are_those_that_the_controller_wants(policy: Path, store: LineStore) -> None:
    assert "100.64.0.1" in run("rules", str(policy), "--switch", "a")[0]
    assert "100.64.0.1" not in run("rules", str(policy), "--switch", "b")[0]


def test_that_no_lines_are_kept_is_said(policy: Path, tmp_path: Path) -> None:
    out, err = run("rules", str(policy), "--switch", "a")
    assert "100.64.0.1" not in out
    assert "op25b: learned lines are left out: none are kept in" in err
    place = line_store_path(tmp_path / "state", policy)
    place.parent.mkdir()
    place.write_bytes(b"no database" * 500)
    assert (
        "learned lines are left out: cannot keep learned lines"
        in run("rules", str(policy), "--switch", "a")[1]
    )
