"""However the lab ends, nothing of it is left on the machine."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from testing.patience import HANG_SECONDS
from tests.lab.lab_command import OP25B, lab

pytestmark = pytest.mark.slow


class Process(NamedTuple):
    """A process of the lab, as seen from here; the start time tells it from a later one with its number."""

    number: int
    started: str
    command: str


def _processes() -> Iterator[tuple[Process, str]]:
    """Every process with its PID namespace."""
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit():
                # proc(5): the 22nd field, counted from behind the command's name in parentheses.
                started = (folder / "stat").read_text().rpartition(") ")[2].split()[19]
                command = (folder / "cmdline").read_text().replace("\0", " ")
                yield Process(int(folder.name), started, command), os.readlink(folder / "ns" / "pid")
        except OSError:
            continue


def _inside(lab_process: int) -> set[Process]:
    """The processes of a lab's private world, by the first of them: the one child of the lab's process."""
    children = Path(f"/proc/{lab_process}/task/{lab_process}/children").read_text().split()
    (namespace,) = (os.readlink(f"/proc/{child}/ns/pid") for child in children)
    return {process for process, its_namespace in _processes() if its_namespace == namespace}


def _machine() -> tuple[set[str], str, set[str]]:
    """What a lab could leave behind: interfaces, mounts, files in the usual places."""
    interfaces = set(os.listdir("/sys/class/net"))
    files = {str(path) for folder in ("/tmp", "/run", "/var/tmp") for path in Path(folder).glob("*lab*")}
    files |= {str(path) for folder in ("/run", "/run/openvswitch") for path in Path(folder).glob("*.pid")}
    return interfaces, Path("/proc/self/mounts").read_text(), files


@contextmanager
def _running_lab() -> Iterator[subprocess.Popen[str]]:
    """A lab in the middle of its attempts."""
    process = subprocess.Popen(
        [str(OP25B), "lab", "--scripted"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    try:
        said = ""
        while "messages are being sent" not in said:
            line = process.stderr.readline()
            assert line, f"the lab did not come up: {said}"
            said += line
        yield process
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def _in_full_swing(lab_process: int) -> set[Process]:
    """The lab's processes, at a moment when it has all kinds of them."""
    deadline = time.monotonic() + HANG_SECONDS
    wanted = {"ovs-vswitchd ", "mininet:spammer", "op25b run ", "postfix/sbin/master ", "mail_client.py "}
    while time.monotonic() < deadline:
        processes = _inside(lab_process)
        missing = {each for each in wanted if not any(each in process.command for process in processes)}
        if not missing:
            return processes
    raise AssertionError(f"not running: {missing}")


def _wait_until_gone(processes: set[Process]) -> None:
    deadline = time.monotonic() + HANG_SECONDS
    while (left := {process for process, _ in _processes()} & processes) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left


@pytest.mark.parametrize(
    ("number", "to_group", "code"),
    [
        pytest.param(signal.SIGINT, True, 130, id="Ctrl-C"),
        pytest.param(signal.SIGTERM, False, 143, id="SIGTERM"),
        pytest.param(signal.SIGKILL, False, -9, id="kill -9"),
    ],
)
def test_interrupted(number: signal.Signals, to_group: bool, code: int) -> None:
    before = _machine()
    with _running_lab() as process:
        processes = _in_full_swing(process.pid)
        assert _machine() == before
        if to_group:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        assert process.wait(timeout=HANG_SECONDS) == code
        _wait_until_gone(processes)
    assert _machine() == before


def test_two_labs_at_once_do_not_meet() -> None:
    before = _machine()
    with _running_lab() as process:
        processes = _in_full_swing(process.pid)
        done = lab("--scenario", "mail-in")
        assert done.returncode == 0, done.stderr
        assert process.wait(timeout=HANG_SECONDS) == 0
        _wait_until_gone(processes)
    assert _machine() == before
