"""A thousand switches that connect at once, and all at once again, beside one that is served meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from testing.patience import HANG_SECONDS
from tests.faults.probe import Probe
from tests.faults.rig import Rig

SWITCHES = 1000
PROBE_SECONDS = 5.0
"""Open vSwitch's inactivity probe: an echo request that is not answered for so long ends the connection.

Of CPU time here: what the controller does before it answers takes less, whatever else the machine does.
"""
GROWTH_KIB = 100_000

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with Rig(SWITCHES + 1) as rig:
        yield rig


@pytest.fixture
def crowd(rig: Rig) -> Iterator[subprocess.Popen[str]]:
    """Connects, then all at once again; its switches keep their rules."""
    command = [sys.executable, "-m", "testing.fake_switch.crowd", "--port", str(rig.controller.port)]
    options = ["--switches", str(SWITCHES), "--tables", "8", "--rounds", "2", "--hold"]
    options += ["--seconds", str(HANG_SECONDS)]
    with subprocess.Popen(
        [*command, *options],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.communicate(timeout=HANG_SECONDS)


def test_a_thousand_at_once(rig: Rig, crowd: subprocess.Popen[str]) -> None:
    probe = Probe(rig)
    before = rig.memory
    assert crowd.stdout is not None
    with ThreadPoolExecutor(1) as reader:
        line = reader.submit(crowd.stdout.readline)
        while not line.done():
            probe.ask()
            time.sleep(0.1)
    first, again = json.loads(line.result())["rounds"]
    wanted = len(rig.controller.wanted("s1"))
    assert first["settled"]
    # The rules and the marker, and one that blocks at first in the place of the uplink's.
    assert {member["flow_mods"] for member in first["switches"]} == {wanted + 2}
    assert again["settled"]
    assert {member["flow_mods"] for member in again["switches"]} == {0}, "they had their rules"
    rig.wait_until(
        lambda: Counter(state for state, _ in rig.states().values()) == {"protected": SWITCHES + 1},
        lambda: str(Counter(rig.states().values())),
    )
    assert max(probe.cpu_seconds) < PROBE_SECONDS
    assert rig.memory - before < GROWTH_KIB
    rig.assert_undisturbed()
