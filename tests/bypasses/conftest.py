"""The campaign, run once in a private world for all tests that look at its findings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from testing.patience import HANG_SECONDS

ROOT = Path(__file__).parents[2]


def in_private_world(module: str, *arguments: str) -> Any:
    """Run a module of this folder in a world of its own (mininet/isolation.py); what it prints, as JSON."""
    folders = (ROOT, ROOT / "mininet", ROOT / "topologies")
    done = subprocess.run(
        [
            sys.executable,
            folders[1] / "isolation.py",
            sys.executable,
            "-m",
            f"tests.bypasses.{module}",
            *arguments,
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS * 10,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="session")
def campaign() -> Any:
    """What came of every attempt, by set of rules."""
    return in_private_world("campaign")


@pytest.fixture(scope="session")
def moments() -> Any:
    """How many frames got past the switch at which moment, and what came of mail then."""
    return in_private_world("moments")
