"""Starts with a file that is broken, missing or opens port 25: the last policy in force goes on."""

from __future__ import annotations

import json
import signal
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from testing.patience import HANG_SECONDS
from testing.private_ovs import PrivateOvs
from testing.process import COMMANDS, Controller
from testing.running import Op25bController, policy_text, rules_on, wait_until

pytestmark = pytest.mark.slow

BRIDGE, NAME, DPID = "kept", "access-1", 0x81
Start = Callable[..., AbstractContextManager[Op25bController]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A policy whose address space is in a file of its own."""
    (tmp_path / "pools.txt").write_text("198.51.100.0/24\n")
    text = policy_text(f"{NAME} {DPID:#x}").replace("dynamic: [", "dynamic: [{file: pools.txt}, ")
    (tmp_path / "policy.yaml").write_text(text)
    return tmp_path


@pytest.fixture
def start(ovs: PrivateOvs, folder: Path) -> Iterator[Start]:
    """Controllers one after the other, with one state directory."""

    def start(**environment: str) -> Op25bController:
        policy, socket = folder / "policy.yaml", ovs.directory / "kept.sock"
        return Op25bController(folder, policy, socket=socket, environment=environment)

    yield start
    ovs.vsctl("--if-exists", "del-br", BRIDGE)


def protect(ovs: PrivateOvs, start: Start) -> str:
    """Let a controller protect the bridge, and go; what it calls the policy."""
    with start() as controller:
        controller.wait_for("in force")
        ovs.add_bridge(BRIDGE, range(1, 5), dpid=DPID, controllers=[controller.target])
        controller.wait_for_state(NAME, "protected")
        policy = controller.status()["policy"]
        assert policy["kept"] is False
        controller.stop(signal.SIGTERM)
    return str(policy["sha256"])


def goes_on(ovs: PrivateOvs, controller: Op25bController, digest: str) -> None:
    """The bridge is protected by the policy of that digest, without a rule sent."""
    controller.wait_for("in force")
    ovs.vsctl("set-controller", BRIDGE, controller.target)
    controller.wait_for_state(NAME, "protected")
    status = controller.status()
    assert status["policy"]["sha256"] == digest
    assert status["policy"]["kept"] is True
    assert "kept from before: the file was refused at the start" in controller.command("status").stdout
    assert "installing: sending" not in controller.log


@pytest.mark.parametrize("fault", ["broken", "missing", "a file of it missing"])
def test_a_start_with_a_broken_file_goes_on_with_the_last_policy(
    ovs: PrivateOvs, start: Start, folder: Path, fault: str
) -> None:
    digest = protect(ovs, start)
    rules = rules_on(ovs, BRIDGE)
    policy, pools = folder / "policy.yaml", folder / "pools.txt"
    good = policy.read_text()
    if fault == "broken":
        policy.write_text(good + "modus: x\n")
    else:
        (policy if fault == "missing" else pools).unlink()
    with start() as controller:
        goes_on(ovs, controller, digest)
        assert rules_on(ovs, BRIDGE) == rules
        assert (
            f"policy {policy} refused: the last one in force goes on, kept in {folder}/state/"
            in controller.log
        )
        assert {"broken": "error: unknown key 'modus'"}.get(fault, "error: cannot read") in controller.log
        assert controller.command("reload").returncode == 1
        assert controller.status()["policy"]["kept"] is True

        policy.write_text(good)
        pools.write_text("198.51.100.0/24\n")
        assert controller.command("reload").returncode == 0
        assert controller.status()["policy"] | {"since": ""} == {
            "file": str(policy),
            "sha256": digest,
            "since": "",
            "kept": False,
            "keep_error": None,
            "refused": None,
        }
        assert "Traceback" not in controller.log


def test_a_start_that_would_stop_blocking_needs_yes(ovs: PrivateOvs, start: Start, folder: Path) -> None:
    digest = protect(ovs, start)
    policy = folder / "policy.yaml"
    policy.write_text(policy.read_text().replace("switches:", "mode: monitor\nswitches:"))
    with start() as controller:
        goes_on(ovs, controller, digest)
        assert "would block nothing: it is in monitor mode" in controller.log
        assert "to accept it: 'op25b reload --yes'" in controller.log
    with start(OP25B_YES="1") as controller:
        controller.wait_for("in force")
        ovs.vsctl("set-controller", BRIDGE, controller.target)
        controller.wait_for_state(NAME, "monitoring")
        assert controller.status()["policy"]["kept"] is False
    with start() as controller:
        controller.wait_for("in force")
        assert "refused" not in controller.log, "what was in force last is the measure"


def test_the_options_of_op25b_run(ovs: PrivateOvs, start: Start, folder: Path) -> None:
    protect(ovs, start)
    policy = folder / "policy.yaml"
    policy.write_text(policy.read_text().replace("switches:", "mode: monitor\nswitches:"))
    flags = ["--yes", "--reload-on-change"]
    command: list[str | Path] = [COMMANDS / "op25b", "run", "--policy", policy, *flags]
    environment = {"OP25B_CONTROL_SOCKET": str(ovs.directory / "kept.sock")}
    with Controller(folder, command, environment) as controller:
        controller.wait_for("in force")
        assert "refused" not in controller.log
        (folder / "pools.txt").write_text("198.51.100.0/25\n")
        controller.wait_for("in force", times=2)
        policy.unlink()
        controller.wait_for("refused: the one in force stays in force")
        assert "Traceback" not in controller.log


def test_what_is_kept_is_whole_and_private(ovs: PrivateOvs, start: Start, folder: Path) -> None:
    digest = protect(ovs, start)
    (kept,) = (folder / "state").iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    body = json.loads(kept.read_text())
    assert body["sha256"] == digest
    assert {file["path"]: file["text"] for file in body["files"]} == {
        str(folder / name): (folder / name).read_text() for name in ("policy.yaml", "pools.txt")
    }
    since = body["since"]
    with start() as controller:
        controller.wait_for("in force")
        controller.stop(signal.SIGTERM)
    assert json.loads(kept.read_text())["since"] == since, "in force since then, across restarts"


def test_a_damaged_or_unwritable_store_is_a_warning(start: Start, folder: Path) -> None:
    (folder / "state").write_text("in the way")
    with start() as controller:
        controller.wait_for("in force")
        reported = f"cannot keep the policy in {folder}/state/policy-"
        assert reported in controller.log
        wait_until(Path(controller.environment["OP25B_CONTROL_SOCKET"]).exists, lambda: controller.log)
        reloaded = controller.command("reload")
        assert reloaded.returncode == 0
        assert (
            f"op25b: warning: the policy in force is not kept for the next start: {reported}"
            in reloaded.stdout
        )
        controller.wait_for(reported, times=2)
        assert controller.log.count(reported) == 2
        assert reported in controller.status()["policy"]["keep_error"]
        assert f"warning: the policy in force is not kept for the next start: {reported}" in (
            controller.command("status").stdout
        )
        assert f" not kept the policy in force is not kept for the next start: {reported}" in (
            controller.command("events").stdout
        )
        (folder / "state").unlink()
        assert json.loads(controller.command("reload", "--json").stdout)["keep_error"] is None
        assert controller.status()["policy"]["keep_error"] is None
        kept = next((folder / "state").iterdir())
        kept.unlink()
        (folder / "state").rmdir()
        (folder / "state").write_text("in the way")
    (folder / "state").unlink()
    with start() as controller:
        controller.wait_for("in force")
    (kept,) = (folder / "state").iterdir()
    kept.write_bytes(kept.read_bytes()[:-40])
    (folder / "policy.yaml").write_text("isp: {}\n")
    with start() as controller:
        assert controller.process.wait(timeout=HANG_SECONDS) == 1
        assert "is damaged, or of another version of op25b" in controller.log
        assert "refused: nothing is started" in controller.log
        assert "Traceback" not in controller.log
