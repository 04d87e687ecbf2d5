"""Signals to a controller that idles or works: plain ``ryu-manager`` and our launcher, as real processes."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import eventlet
import eventlet.event
import pytest

from op25b_app.controller.signals import STOP_SECONDS, ReloadQueue
from testing.patience import HANG_SECONDS
from testing.process import COMMANDS, Controller

pytestmark = pytest.mark.slow

LAUNCHER = (
    "from op25b_app.controller import launcher; "
    "launcher.APPLICATION = 'probe_app'; exit(launcher.run(None, {}))"
)
OTHER = "ryu.controller.ofp_handler"
RUNNERS: dict[str, list[str | Path]] = {
    "ryu-manager": [COMMANDS / "ryu-manager", "probe_app", OTHER],
    "launcher": [sys.executable, "-c", LAUNCHER.format("__import__('sys').argv[1:]"), OTHER],
}

Start = Callable[..., Controller]


@pytest.fixture(params=RUNNERS)
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Start:
    """Start the probe under a load (see probe_app); ``unhurried`` it may take as long as it needs to stop."""

    def start(load: str, *, unhurried: bool = True) -> Controller:
        environment = {"PROBE_STOP_SECONDS": str(HANG_SECONDS)} if unhurried else {}
        return Controller(tmp_path, RUNNERS[request.param], {"PROBE_LOAD": load, **environment})

    return start


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("load", ["idle", "busy", "thread"])
def test_stops_cleanly_with_little_work(start: Start, load: str, number: signal.Signals) -> None:
    with start(load) as controller:
        controller.wait_for("probe: ready")
        code, cpu_seconds = controller.stop(number)
        assert code == 0
        assert cpu_seconds < 1
        assert "probe: closed" in controller.log
        assert f"{number.name}: stopping" in controller.log
        assert "Traceback" not in controller.log


@pytest.mark.parametrize("load", ["stuck", "stubborn"])
def test_an_application_that_does_not_close_cannot_hold_the_process(start: Start, load: str) -> None:
    """The limit is one of real time: of a process that computes all the while, no less than its CPU time."""
    with start(load, unhurried=False) as controller:
        controller.wait_for("probe: ready")
        code, cpu_seconds = controller.stop(signal.SIGTERM)
        assert code == 1
        assert cpu_seconds < 1
        assert f"did not close within {STOP_SECONDS} s" in controller.log
        assert STOP_SECONDS < 1


def test_a_second_signal_ends_at_once(start: Start) -> None:
    with start("stubborn") as controller:
        controller.wait_for("probe: ready")
        controller.process.send_signal(signal.SIGINT)
        controller.wait_for("probe: closed")
        code, _ = controller.stop(signal.SIGINT)
        assert code == -signal.SIGINT


def test_hangups_during_a_reload_make_one_more() -> None:
    """A file that does not answer takes ten seconds; nobody waits for one reload after the other then."""
    begun: list[eventlet.event.Event] = []

    def reload() -> None:
        begun.append(eventlet.event.Event())
        begun[-1].wait()

    reloads = ReloadQueue(reload)
    for times in (1, 2):
        for _ in range(5):
            reloads.ask()
            eventlet.sleep(0)
        assert len(begun) == times
        begun[-1].send()
        eventlet.sleep(0)
    assert len(begun) == 3, "what was asked for during the second one"
    begun[-1].send()
    eventlet.sleep(0)
    assert len(begun) == 3


@pytest.mark.parametrize("load", ["idle", "busy"])
def test_hangup_reloads_and_goes_on(start: Start, load: str) -> None:
    with start(load) as controller:
        controller.wait_for("probe: ready")
        for times in (1, 2):
            controller.process.send_signal(signal.SIGHUP)
            controller.wait_for("probe: reload", times=times)
        assert controller.stop(signal.SIGTERM)[0] == 0


def test_a_reload_that_fails_is_logged_and_changes_nothing(start: Start) -> None:
    with start("broken reload") as controller:
        controller.wait_for("probe: ready")
        for times in (1, 2):
            controller.process.send_signal(signal.SIGHUP)
            controller.wait_for("ValueError: a reload that fails", times=times)
        assert controller.stop(signal.SIGTERM)[0] == 0
