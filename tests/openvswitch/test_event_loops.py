"""One event loop, in one thread: work in other threads makes none, whichever files it reads and writes."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from testing.running import Op25bController, policy_text
from tests.controller.hub_watch import MADE

pytestmark = pytest.mark.slow

WATCH = str(Path(__file__).parents[1] / "controller" / "hub_watch.py")


def test_reading_keeping_and_watching_a_policy_makes_no_event_loop_of_their_threads(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    (tmp_path / "pools.txt").write_text("198.51.100.0/24\n")
    text = policy_text("s1 0x1").replace("static: [", "static: [{file: pools.txt}, ")
    policy.write_text(text)
    options = {"OP25B_RELOAD_ON_CHANGE": "1"}
    with Op25bController(
        tmp_path, policy, socket=tmp_path / "sock", applications=[WATCH], environment=options
    ) as controller:
        controller.wait_for("in force")
        os.kill(controller.process.pid, signal.SIGHUP)
        controller.wait_for("in force", times=2)
        policy.write_text(text.replace("Example ISP", "Another ISP"))
        controller.wait_for("in force", times=3)
        controller.command("doctor")
        assert MADE not in controller.log
    # Now from what is kept.
    policy.write_text("broken")
    with Op25bController(tmp_path, policy, socket=tmp_path / "sock", applications=[WATCH]) as controller:
        controller.wait_for("in force")
        assert MADE not in controller.log
