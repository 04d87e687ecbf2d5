"""Every row of the lab's table, in every topology."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.lab.lab_command import ROOT, TOPOLOGIES, lab, whole_table

pytestmark = pytest.mark.slow

# Scenario, who, to whom, port, where the server brings it, what has to come of it.
ROWS = (
    ("spammer", "spammer", "extmail", 25, None, "blocked"),
    ("spammer", "spammer", "office", 25, None, "blocked"),
    ("infected-pc", "infected", "extmail", 25, None, "blocked"),
    ("infected-pc", "infected", "ispmail", 587, "extmail", "delivered"),
    ("office-worker", "worker", "office", 25, None, "blocked"),
    ("office-worker", "worker", "office", 587, None, "delivered"),
    ("office-worker", "worker", "office", 465, None, "delivered"),
    ("customer", "customer", "ispmail", 25, None, "delivered"),
    ("customer", "customer", "ispmail", 465, None, "delivered"),
    ("customer", "customer", "ispmail", 587, "extmail", "delivered"),
    ("neighbours", "customer", "selfhost", 25, None, "blocked"),
    ("neighbours", "customer", "company", 25, None, "blocked"),
    ("static-server", "company", "extmail", 25, None, "delivered"),
    ("static-server", "extmail", "company", 25, None, "delivered"),
    ("self-hoster", "sender", "selfhost", 25, None, "delivered"),
    ("self-hoster", "selfhost", "extmail", 25, None, "blocked"),
    ("self-hoster", "selfhost", "ispmail", 25, None, "delivered"),
    ("unlisted-pool", "newpool", "extmail", 25, None, "blocked"),
    ("unlisted-pool", "newpool", "office", 587, None, "delivered"),
    ("unlisted-pool", "newpool", "ispmail", 25, None, "delivered"),
    ("mail-in", "sender", "ispmail", 25, None, "delivered"),
    ("mail-out", "ispmail", "extmail", 25, None, "delivered"),
)
BORROWED = (
    ("neighbours-address", "borrower", "extmail", 25, None, "blocked"),
    ("neighbours-address", "borrower", "office", 587, None, "blocked"),
)
"""Where lines are bound apart, there is a subscriber with an address of his neighbour."""
VERSIONS = {"single": (4,), "dual-stack": (4, 6), "metro": (4, 6), "tagged": (4, 6)}
ROWS_OF = {topology: (*ROWS, *BORROWED) if topology == "tagged" else ROWS for topology in TOPOLOGIES}
ALL = [
    (topology, version, row)
    for topology in TOPOLOGIES
    for version in VERSIONS[topology]
    for row in ROWS_OF[topology]
]
HAPPENS = {"delivered": "delivered", "blocked": "timed out", "would-block": "delivered"}


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("ip_version", "scenario", "who", "to", "port", "onward"))


@pytest.mark.parametrize(
    ("topology", "version", "row"),
    ALL,
    ids=[f"{topology}-ipv{version}-{row[1]}-{row[2]}-{row[3]}" for topology, version, row in ALL],
)
def test_row(topology: str, version: int, row: tuple[Any, ...]) -> None:
    _, result = whole_table(topology)
    *what, expected = row
    (found,) = [each for each in result["rows"] if _key(each) == (version, *what)]
    assert (found["expected"], found["happened"]) == (expected, HAPPENS[expected]), found["detail"]
    assert found["as_expected"] is True


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_nothing_but_these_rows_and_every_dropped_packet_is_accounted_for(topology: str) -> None:
    code, result = whole_table(topology)
    assert sorted(map(_key, result["rows"]), key=str) == sorted(
        ((version, *row[:-1]) for version in VERSIONS[topology] for row in ROWS_OF[topology]), key=str
    )
    blocked = sum(row[-1] == "blocked" for row in ROWS_OF[topology]) * len(VERSIONS[topology])
    # Each blocked connection is a SYN and its repetition.
    assert result["block_rules"] == {"counted_packets": 2 * blocked, "required_packets": 2 * blocked}
    assert (code, result["as_expected"]) == (0, True)


def test_one_scenario_is_a_table_a_person_reads() -> None:
    done = lab("--scenario", "office-worker")
    assert done.returncode == 0, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "office-worker worker (dynamic) office (outside) 25 blocked no connection ✔" in lines
    assert "worker (dynamic) office (outside) 587 STARTTLS delivered delivered ✔" in lines
    assert "worker (dynamic) office (outside) 465 TLS delivered delivered ✔" in lines
    assert "All 3 rows as expected" in done.stdout


def test_monitor_mode_counts_and_delivers() -> None:
    done = lab("--monitor", "--scenario", "spammer")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("would-block") == 2
    assert "2 messages are in their mailboxes, and the switches would have dropped" in done.stdout


@pytest.mark.parametrize(
    ("scenario", "change", "what"),
    [
        pytest.param(
            "spammer",
            (
                "address_space:",
                "exceptions: [{name: leak, source: 100.64.0.0/22, reason: test}]\naddress_space:",
            ),
            "spammer to extmail:25, IPv4: in the mailbox of extmail",
            id="a leak",
        ),
        pytest.param(
            "customer",
            ("[192.0.2.25]", "[192.0.2.26]"),
            "customer to ispmail:25, IPv4: [Errno 110] Connection timed out",
            id="mail that should pass",
        ),
    ],
)
def test_a_wrong_policy_shows(scenario: str, change: tuple[str, str], what: str, tmp_path: Path) -> None:
    policy = (ROOT / "topologies" / "single.yaml").read_text()
    assert change[0] in policy
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(policy.replace(*change))
    done = lab("--scenario", scenario, "--policy", str(wrong))
    assert done.returncode == 1, done.stderr
    assert "rows are NOT as expected" in done.stdout
    assert what in done.stdout
