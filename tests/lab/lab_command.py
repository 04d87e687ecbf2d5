"""Runs the lab as a person does, and what the tests of its folder share."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from testing.patience import HANG_SECONDS

ROOT = Path(__file__).parent.parent.parent
LAB_SOURCES = ROOT / "mininet"
OP25B = Path(sys.executable).with_name("op25b")
TOPOLOGIES = ("single", "dual-stack", "metro", "tagged")


def lab(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run ``op25b lab`` without a terminal."""
    command = [str(OP25B), "lab", *arguments]
    return subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=HANG_SECONDS,
        **options,
    )


@functools.cache
def whole_table(topology: str) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON of all scenarios in one topology, built once for all tests that look at it."""
    done = lab("--topology", topology, "--json")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def in_private_world(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a private world of the lab's kind, with Open vSwitch running in it."""
    start = "import os, sys, open_vswitch; open_vswitch.start(); os.execvp(sys.argv[1], sys.argv[1:])"
    environment = {**os.environ, "PYTHONPATH": str(LAB_SOURCES)}
    return subprocess.run(
        [sys.executable, str(LAB_SOURCES / "isolation.py"), sys.executable, "-c", start, *command],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=environment,
        timeout=HANG_SECONDS,
    )
