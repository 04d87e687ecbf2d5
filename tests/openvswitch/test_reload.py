"""A new policy: examined, told, refused or taken, and confirmed by each switch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from testing.private_ovs import PrivateOvs
from testing.process import COMMANDS
from testing.running import Op25bController, policy_text, rules_on, wait_until

pytestmark = pytest.mark.slow

SWITCHES = ("first 0x71", "second 0x72", "away 0x73")
DYNAMIC = 'dynamic: [100.64.0.0/10, "2001:db8:1000::/36"]'
WIDER = 'dynamic: [100.64.0.0/10, 198.51.100.0/24, "2001:db8:1000::/36"]'
OPENING = "mode: monitor\nswitches:"


@pytest.fixture
def controller(ovs: PrivateOvs, tmp_path: Path) -> Iterator[Op25bController]:
    """A controller with two switches that are connected and one that is not."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(policy_text(*SWITCHES))
    with Op25bController(tmp_path, policy, socket=ovs.directory / "reload.sock") as controller:
        controller.wait_for("in force")
        for name, dpid in (("first", 0x71), ("second", 0x72)):
            ovs.add_bridge(name, range(1, 5), dpid=dpid, controllers=[controller.target])
        for name in ("first", "second"):
            controller.wait_for_state(name, "protected")
        yield controller
    for name in ("first", "second"):
        ovs.vsctl("--if-exists", "del-br", name)


def rewrite(controller: Op25bController, old: str, new: str) -> None:
    text = controller.policy_path.read_text()
    assert old in text
    controller.policy_path.write_text(text.replace(old, new))


def test_a_reload_tells_what_changes_and_waits_for_every_switch(
    ovs: PrivateOvs, controller: Op25bController
) -> None:
    rewrite(controller, DYNAMIC, WIDER)
    before = rules_on(ovs, "first")
    done = controller.command("reload", "--dry-run")
    assert done.returncode == 0
    assert "198.51.100.0/24" in done.stdout
    assert "op25b: the policy would be accepted" in done.stdout
    assert "first:" not in done.stdout
    assert controller.log.count("in force for") == 1
    assert rules_on(ovs, "first") == before

    done = controller.command("reload")
    assert done.returncode == 0, done.stdout
    assert "198.51.100.0/24" in done.stdout
    lines = done.stdout.splitlines()
    headline = next(line for line in lines if "keep their traffic" in line)
    assert f"in force for first, second, away; {headline}" in controller.log
    count = len(controller.wanted("first"))
    assert f"first: protected: {count} rules read back as wanted and proven" in lines
    assert f"second: protected: {count} rules read back as wanted and proven" in lines
    assert "away: not connected; it gets the policy when it connects" in lines
    for name in ("first", "second"):
        assert rules_on(ovs, name) == controller.wanted(name), "confirmed means that the rules are there"
    assert controller.status()["policy"]["kept"] is False


def test_a_switch_that_does_not_follow_is_named(ovs: PrivateOvs, controller: Op25bController) -> None:
    ovs.add_flows("second", "cookie=0x7,table=2,priority=999,tcp,tp_dst=25,actions=NORMAL")
    done = controller.command("reload")
    assert done.returncode == 1
    assert "first: protected: " in done.stdout
    assert "second: degraded: not proven: a rule of another application" in done.stdout

    ovs.ofctl("del-flows", "second", "cookie=0x7/-1")
    done = controller.command("reload", "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["applied"], answer["refused"]) == (0, True, None)
    assert {name: switch["state"] for name, switch in answer["switches"].items()} == {
        "first": "protected",
        "second": "protected",
        "away": "lost",
    }

    stopped = ovs.switch_pid
    os.kill(stopped, signal.SIGSTOP)
    try:
        done = controller.command("reload", "--wait", "1")
    finally:
        os.kill(stopped, signal.SIGCONT)
    assert done.returncode == 1
    assert done.stdout.count("not confirmed within 1 s") == 2


def test_a_policy_that_stops_blocking_needs_yes(ovs: PrivateOvs, controller: Op25bController) -> None:
    before = rules_on(ovs, "first")
    good = controller.policy_path.read_text()
    rewrite(controller, "switches:", OPENING)

    for way in (["reload"], ["reload", "--dry-run"]):
        done = controller.command(*way)
        assert done.returncode == 1
        assert "would block nothing: it is in monitor mode" in done.stdout
        assert "refused; the policy in force stays in force" in done.stdout
        assert "op25b reload --yes" in done.stdout
        assert done.stdout.count("would block nothing: it is in monitor mode") == 1
    answer = json.loads(controller.command("reload", "--json").stdout)
    assert (answer["applied"], answer["refused"], answer["switches"]) == (False, "stops blocking", {})

    refused = controller.status()["policy"]["refused"]
    assert "would block nothing: it is in monitor mode" in refused["because"]
    assert refused["sha256"] == answer["sha256"] != controller.status()["policy"]["sha256"]
    reported = controller.log.count("would block nothing")
    controller.process.send_signal(signal.SIGHUP)
    wait_until(lambda: controller.log.count("would block nothing") > reported, lambda: controller.log)
    assert "to accept it: 'op25b reload --yes'" in controller.log
    assert controller.wait_for_state("first", "protected")
    assert rules_on(ovs, "first") == before

    done = controller.command("reload", "--yes")
    assert done.returncode == 0, done.stdout
    assert "first: monitoring: " in done.stdout
    assert rules_on(ovs, "first") == controller.wanted("first") != before

    controller.policy_path.write_text(good)
    assert controller.command("reload").returncode == 0
    assert rules_on(ovs, "first") == before
    assert "Traceback" not in controller.log


def test_events_tell_states_reloads_and_refusals(ovs: PrivateOvs, controller: Op25bController) -> None:
    follower = subprocess.Popen(
        [COMMANDS / "op25b", "events", "--follow", "--json"],
        env={**os.environ, **controller.environment, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert follower.stdout is not None
    try:
        reported = [json.loads(follower.stdout.readline())]
        assert (reported[0]["kind"], reported[0]["switch"]) == ("policy", None)
        rewrite(controller, "switches:", "modes: x\nswitches:")
        assert controller.command("reload").returncode == 1
        while reported[-1]["kind"] != "refused":
            reported.append(json.loads(follower.stdout.readline()))
        reason = f"{controller.policy_path}:8:1: error: unknown key 'modes'; did you mean 'mode'?"
        assert reported[-1]["text"].endswith(f"refused: the one in force stays in force; {reason}")
        assert controller.log.count(reason) == 1
        assert "\nthe file was refused at " in controller.command("status").stdout
        assert f": {reason}" in controller.command("status").stdout
        rewrite(controller, "modes: x\n", "")
        rewrite(controller, DYNAMIC, WIDER)
        assert controller.command("reload").returncode == 0
        assert controller.status()["policy"]["refused"] is None
        assert "refused" not in controller.command("status").stdout
        while not ("protected" in reported[-1]["text"] and reported[-1]["number"] > told_refused(reported)):
            reported.append(json.loads(follower.stdout.readline()))
    finally:
        follower.kill()
        follower.wait()
    numbers = [event["number"] for event in reported]
    assert numbers == list(range(1, len(reported) + 1)), "each once, none missing"
    assert {event["switch"] for event in reported if event["kind"] == "state"} >= {"first", "second"}
    assert told_policies(reported) == 2
    text = controller.command("events").stdout
    assert " state    first: protected: " in text
    assert " refused  policy " in text
    after = json.loads(controller.command("events", "--json").stdout.splitlines()[0])
    assert after == reported[0]


def told_refused(reported: list[dict[str, object]]) -> int:
    return max(int(str(event["number"])) for event in reported if event["kind"] == "refused")


def told_policies(reported: list[dict[str, object]]) -> int:
    return sum(event["kind"] == "policy" for event in reported)


def test_files_that_change_are_read_again_when_that_is_wanted(ovs: PrivateOvs, tmp_path: Path) -> None:
    policy, pools = tmp_path / "policy.yaml", tmp_path / "pools.txt"
    pools.write_text("198.51.100.0/25\n")
    text = policy_text("changing 0x74").replace("dynamic: [", "dynamic: [{file: pools.txt}, ")
    policy.write_text(text)
    controller = Op25bController(
        tmp_path,
        policy,
        socket=ovs.directory / "change.sock",
        environment={"OP25B_RELOAD_ON_CHANGE": "1"},
    )
    with controller:
        controller.wait_for("in force")
        time.sleep(5)
        assert controller.log.count("in force for") == 1, "nothing has changed"
        pools.write_text("198.51.100.0/24\n")
        controller.wait_for("in force for", times=2)
        policy.write_text(text + "modus: x\n")
        controller.wait_for("refused: the one in force stays in force")
        policy.write_text(text)
        time.sleep(5)
        assert controller.log.count("in force for") == 2, "the same as before"
        assert controller.log.count("refused") == 1
        assert "Traceback" not in controller.log


def test_an_exception_that_ends_is_an_event(ovs: PrivateOvs, controller: Op25bController) -> None:
    ends = datetime.fromtimestamp(time.time() + 20, timezone.utc).isoformat(timespec="seconds")
    exception = (
        f"{{name: ticket-1, source: 100.64.3.7, destination: 203.0.113.5, expires: '{ends}', reason: x}}"
    )
    rewrite(controller, "switches:", f"exceptions: [{exception}]\nswitches:")
    assert controller.command("reload").returncode == 0

    def reported() -> list[dict[str, object]]:
        lines = controller.command("events", "--json").stdout.splitlines()
        return [event for event in map(json.loads, lines) if event["kind"] == "exception"]

    wait_until(lambda: bool(reported()), lambda: controller.log)
    time.sleep(3)
    (event,) = reported()
    text = "exception 'ticket-1' has ended: 100.64.3.7 to 203.0.113.5 ("
    assert str(event["text"]).startswith(f"{text}{controller.policy_path}:")
    assert event["switch"] is None
    assert datetime.fromisoformat(str(event["time"])) >= datetime.fromisoformat(ends)


def test_a_policy_that_cuts_off_lines_needs_yes(ovs: PrivateOvs, controller: Op25bController) -> None:
    before = rules_on(ovs, "first")
    rewrite(controller, "switches:", "hardening: {source_validation: binding}\nswitches:")
    answers = [
        json.loads(controller.command("reload", "--json", *more).stdout) for more in ([], ["--no-effect"])
    ]
    assert {(answer["applied"], answer["refused"]) for answer in answers} == {(False, "cuts off")}
    (reason,) = answers[0]["cuts_off"]
    assert "lines would lose all traffic, because nothing is bound there: port" in reason
    assert answers[1]["cuts_off"] == [reason]

    reported = controller.log.count(reason)
    controller.process.send_signal(signal.SIGHUP)
    wait_until(lambda: controller.log.count(reason) > reported, lambda: controller.log)
    assert rules_on(ovs, "first") == before
    done = controller.command("reload", "--yes")
    assert done.returncode == 0, done.stdout
    assert rules_on(ovs, "first") == controller.wanted("first") != before
