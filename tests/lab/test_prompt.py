"""In a terminal, ``op25b lab`` opens the Mininet prompt after its table."""

from __future__ import annotations

import select
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.lab.lab_command import LAB_SOURCES, OP25B


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

    def type(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode())

    def read_until(self, text: str, seconds: float = 60) -> str:
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
    terminal.type("mail spammer extmail\n")
    terminal.read_until("timed out after ")
    terminal.read_until("mininet> ")
    terminal.type("mail spammer office 587\n")
    terminal.read_until("delivered after ")
    terminal.read_until("mininet> ")


def test_mail_explains_itself(terminal: Terminal) -> None:
    terminal.type("mail spammer\n")
    terminal.read_until("usage: mail HOST SERVER [25|465|587]", 5)
    terminal.read_until("mininet> ")
    terminal.type("mail nobody extmail\n")
    terminal.read_until("servers: company, extmail, ispmail, office, selfhost", 5)
    terminal.read_until("mininet> ")


def test_a_scenario_again(terminal: Terminal) -> None:
    terminal.type("scenario mail-in\n")
    terminal.read_until("All 1 rows as expected")
    terminal.read_until("mininet> ")


def test_it_is_mininet_and_ends_with_exit(terminal: Terminal) -> None:
    terminal.type("spammer ping -c 1 extmail\n")
    terminal.read_until("1 packets transmitted, 1 received", 20)
    terminal.read_until("mininet> ")
    terminal.type("exit\n")
    assert terminal.process.wait(timeout=10) == 0
