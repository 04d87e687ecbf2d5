"""In a terminal, ``op25b lab`` opens the Mininet prompt after its table."""

from __future__ import annotations

import select
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from testing.patience import HANG_SECONDS
from tests.lab.lab_command import LAB_SOURCES, OP25B

pytestmark = pytest.mark.slow


class Terminal:
    """``op25b lab`` on the pseudo-terminal that script(1) makes.

    In a private world, since a chroot may have no pseudo-terminals to give.
    """

    def __init__(self) -> None:
        command = ["script", "--quiet", "--flush", "--return", "--command", f"{OP25B} lab", "/dev/null"]
        self.process = subprocess.Popen(
            [sys.executable, str(LAB_SOURCES / "isolation.py"), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
        )

    def ask(self, line: str) -> str:
        """Type a line at the prompt; what appears until the next prompt."""
        self.type(line)
        return self.read_until("mininet> ")

    def type(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())

    def read_until(self, text: str, seconds: float = HANG_SECONDS) -> str:
        """Everything that appears up to and with the text."""
        assert self.process.stdout is not None
        seen = ""
        deadline = time.monotonic() + seconds
        while text not in seen:
            left = deadline - time.monotonic()
            assert left > 0, f"{text!r} did not appear: {seen}"
            if select.select([self.process.stdout], [], [], left)[0]:
                byte = self.process.stdout.read(1)
                assert byte, f"{text!r} did not appear before the end: {seen}"
                seen += byte.decode(errors="replace")
        return seen

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def terminal() -> Iterator[Terminal]:
    lab = Terminal()
    try:
        lab.read_until("rows as expected")
        lab.read_until("mininet> ")
        yield lab
    finally:
        lab.close()


def test_mail_tells_what_happened(terminal: Terminal) -> None:
    assert "timed out after 3" in terminal.ask("mail spammer extmail")
    assert "delivered after " in terminal.ask("mail spammer office 587")


def test_mail_explains_itself(terminal: Terminal) -> None:
    assert "usage: mail HOST SERVER [25|465|587]" in terminal.ask("mail spammer")
    assert "usage: mail HOST SERVER [25|465|587]" in terminal.ask("mail spammer extmail 26")
    assert "servers: company, extmail, ispmail, office, selfhost" in terminal.ask("mail nobody extmail")


def test_a_scenario_again(terminal: Terminal) -> None:
    assert "All 1 rows as expected" in terminal.ask("scenario mail-in")
    assert "scenarios: spammer, infected-pc," in terminal.ask("scenario nothing")


def test_it_is_mininet_and_ends_with_exit(terminal: Terminal) -> None:
    assert "1 packets transmitted, 1 received" in terminal.ask("spammer ping -c 1 extmail")
    terminal.type("exit")
    assert terminal.process.wait(timeout=HANG_SECONDS) == 0
