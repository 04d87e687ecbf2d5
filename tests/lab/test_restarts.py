"""The controller is killed and started again while mail flows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from testing.patience import HANG_SECONDS
from tests.lab.lab_command import LAB_SOURCES

pytestmark = pytest.mark.slow

CAMPAIGN = [sys.executable, str(LAB_SOURCES / "campaign.py")]


def test_nothing_leaks_and_nothing_stops_while_the_controller_is_gone(tmp_path: Path) -> None:
    report = tmp_path / "report.md"
    done = subprocess.run(
        [*CAMPAIGN, "--rounds", "2", "--json", "--output", str(report)],
        check=False,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )
    assert done.stdout, done.stderr
    figures = json.loads(done.stdout)
    assert len(figures["recoveries"]) == 2
    assert figures["seconds"] > 8
    for stream in figures["legitimate"]:
        assert stream["failures"] == []
        assert stream["attempts"] == stream["in_mailbox"] > figures["seconds"]
    for stream in figures["forbidden"]:
        assert (stream["failures"], stream["in_mailbox"]) == ([], 0)
        assert stream["attempts"] == stream["timed_out"] > 2 * figures["seconds"]
    syns = 2 * sum(stream["attempts"] for stream in figures["forbidden"])
    assert figures["block_packets"] == syns
    assert done.returncode == 0
    assert "nothing leaked, nothing stopped" in report.read_text()
