"""Files of a policy that do not answer: repairs go on meanwhile, and the policy in force stays in force."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from benchmarks.convergence.repair import delete
from op25b_app.openflow.flow_rule import FlowRule, RuleRole
from testing.patience import HANG_SECONDS
from testing.private_ovs import PrivateOvs
from testing.process import COMMANDS
from testing.running import Op25bController, policy_text, rules_on, wait_until
from tests.openvswitch.silent_files import GONE, VARIABLE

pytestmark = pytest.mark.slow

BRIDGE, NAME, DPID = "silent", "access-1", 0x85
SILENT_FILES = str(Path(__file__).parent / "silent_files.py")
ANSWER_SECONDS = 30.0
"""How long a file may take to answer here: so long that a loaded machine repairs a rule meanwhile."""

Start = Callable[..., AbstractContextManager[Op25bController]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "pools").mkdir()
    (tmp_path / "pools" / "pools.txt").write_text("198.51.100.0/24\n")
    text = policy_text(f"{NAME} {DPID:#x}").replace("dynamic: [", "dynamic: [{file: ../pools/pools.txt}, ")
    (tmp_path / "etc" / "policy.yaml").write_text(text)
    return tmp_path


@pytest.fixture
def start(ovs: PrivateOvs, folder: Path) -> Iterator[Start]:
    def start(**environment: str) -> Op25bController:
        return Op25bController(
            folder,
            folder / "etc" / "policy.yaml",
            socket=ovs.directory / "silent.sock",
            applications=[SILENT_FILES],
            environment={VARIABLE: f"{ANSWER_SECONDS:g}", **environment},
        )

    yield start
    ovs.vsctl("--if-exists", "del-br", BRIDGE)


def protect(ovs: PrivateOvs, controller: Op25bController) -> None:
    controller.wait_for("in force")
    ovs.add_bridge(BRIDGE, range(1, 5), dpid=DPID, controllers=[controller.target])
    controller.wait_for_state(NAME, "protected")


def is_repaired(ovs: PrivateOvs, controller: Op25bController, wanted: set[FlowRule]) -> None:
    """A block rule that somebody deletes comes back at once."""
    victim = next(rule for rule in rules_on(ovs, BRIDGE) if rule.role is RuleRole.BLOCK and rule.table == 2)
    delete(ovs, BRIDGE, victim)
    wait_until(lambda: rules_on(ovs, BRIDGE) == wanted, lambda: controller.log)


def replace_by_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def make_silent(path: Path) -> None:
    path.with_name(GONE).touch()


FILES = pytest.mark.parametrize("name", ["etc/policy.yaml", "pools/pools.txt"])


@FILES
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (replace_by_fifo, "it is a FIFO, not a regular file; name a file that can be read"),
        (make_silent, f"it does not answer within {ANSWER_SECONDS:g} s; name a file that can be read"),
    ],
)
def test_repairs_go_on_while_a_file_does_not_answer(
    ovs: PrivateOvs,
    start: Start,
    folder: Path,
    name: str,
    make: Callable[[Path], None],
    said: str,
) -> None:
    path = folder / name
    good = path.read_text()
    with start() as controller:
        protect(ovs, controller)
        wanted = rules_on(ovs, BRIDGE)
        digest = controller.status()["policy"]["sha256"]
        make(path)

        asking = subprocess.Popen(
            [COMMANDS / "op25b", "reload"],
            env={**os.environ, **controller.environment},
            stdout=subprocess.PIPE,
            text=True,
        )
        is_repaired(ovs, controller, wanted)
        assert make is replace_by_fifo or asking.poll() is None, "the file has answered before the repair"
        answer, _ = asking.communicate(timeout=HANG_SECONDS)
        assert asking.returncode == 1
        assert f"/{path.name}: {said}" in answer
        assert "op25b: refused; the policy in force stays in force" in answer

        controller.process.send_signal(signal.SIGHUP)
        is_repaired(ovs, controller, wanted)
        controller.wait_for("refused: the one in force stays in force", times=2)
        assert controller.status()["policy"]["sha256"] == digest

        path.with_name(GONE).unlink(missing_ok=True)
        path.unlink()
        path.write_text(good)
        wait_until(lambda: controller.command("reload").returncode == 0, lambda: controller.log)
        assert "Traceback" not in controller.log


@FILES
def test_a_start_goes_on_with_the_last_policy(ovs: PrivateOvs, start: Start, folder: Path, name: str) -> None:
    with start() as controller:
        protect(ovs, controller)
        digest = controller.status()["policy"]["sha256"]
        wanted = rules_on(ovs, BRIDGE)
        controller.stop(signal.SIGTERM)
    make_silent(folder / name)
    with start() as controller:
        controller.wait_for("in force for")
        policy = controller.status()["policy"]
        assert (policy["kept"], policy["sha256"]) == (True, digest)
        assert f"does not answer within {ANSWER_SECONDS:g} s" in controller.log
        ovs.vsctl("set-controller", BRIDGE, controller.target)
        controller.wait_for_state(NAME, "protected")
        is_repaired(ovs, controller, wanted)


@FILES
def test_a_change_to_such_a_file_holds_up_nothing(
    ovs: PrivateOvs, start: Start, folder: Path, name: str
) -> None:
    with start(OP25B_RELOAD_ON_CHANGE="1") as controller:
        protect(ovs, controller)
        wanted = rules_on(ovs, BRIDGE)
        time.sleep(5)
        replace_by_fifo(folder / name)
        controller.wait_for("it is a FIFO, not a regular file")
        is_repaired(ovs, controller, wanted)
        controller.wait_for("refused: the one in force stays in force")


def test_looking_at_files_that_do_not_answer_holds_up_nothing(
    ovs: PrivateOvs, start: Start, folder: Path
) -> None:
    with start(OP25B_RELOAD_ON_CHANGE="1") as controller:
        protect(ovs, controller)
        wanted = rules_on(ovs, BRIDGE)
        make_silent(folder / "pools" / "pools.txt")
        time.sleep(3)
        is_repaired(ovs, controller, wanted)
        assert "cannot see" not in controller.log
        reported = "cannot see whether files of the policy change: it does not answer within"
        controller.wait_for(f"{reported} {ANSWER_SECONDS:g} s")
        is_repaired(ovs, controller, wanted)
        (folder / "pools" / GONE).unlink()
        (folder / "pools" / "pools.txt").write_text("198.51.100.0/25\n")
        controller.wait_for("in force for", times=2)
        assert controller.log.count("cannot see whether") == 1
        assert "Traceback" not in controller.log


def test_a_file_that_is_replaced_again_and_again_is_read(ovs: PrivateOvs, start: Start, folder: Path) -> None:
    """As a lease file is, every 1.5 s: it never stands still from one look to the next."""
    pools = folder / "pools" / "pools.txt"
    with start(OP25B_RELOAD_ON_CHANGE="1") as controller:
        controller.wait_for("in force for")
        end, number = time.monotonic() + HANG_SECONDS, 0
        while controller.log.count("in force for") < 2 and time.monotonic() < end:
            number += 1
            new = pools.with_suffix(".new")
            new.write_text(f"198.51.100.0/24\n203.0.113.{number}/32\n")
            new.replace(pools)
            time.sleep(1.5)
        assert controller.log.count("in force for") >= 2, controller.log
