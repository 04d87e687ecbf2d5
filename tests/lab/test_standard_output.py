"""What a program's children print is no part of what the program prints."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from errors import LabError
from mail_server import MailExchanger, MailServer, make_credentials

from tests.lab.lab_command import LAB_SOURCES

PROGRAM = """
import subprocess
from standard_output import claim_standard_output

print("before")
claim_standard_output()
subprocess.run(["echo", "a line of the child"], check=True)
print("own")
"""


def test_children_print_to_standard_error() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=LAB_SOURCES, capture_output=True, text=True, check=True
    )
    assert done.stdout == "before\nown\n"
    assert done.stderr == "a line of the child\n"


class Node:
    """A host whose Postfix is another program; its ``popen`` leaves standard output alone."""

    name = "mail-host"

    def __init__(self, program: str) -> None:
        self._program = program

    def popen(self, command: list[str], **options: Any) -> subprocess.Popen[Any]:
        return subprocess.Popen(["sh", "-c", self._program], **options)


def start_mail_server(directory: Path, program: str) -> None:
    exchangers = [MailExchanger("isp.example", ("192.0.2.25",))]
    credentials = make_credentials(directory / "credentials", exchangers)
    server = MailServer(Node(program), exchangers[0], directory / "server")
    server.start(credentials, exchangers)


def test_what_postfix_prints_at_its_start_stays_with_the_lab(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Postfix 3.10 prints "postfix/postlog: starting the Postfix mail system"."""
    start_mail_server(tmp_path, "echo starting the Postfix mail system")
    assert capfd.readouterr() == ("", "")


def test_a_postfix_that_does_not_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="Postfix does not start on mail-host: no queue here"):
        start_mail_server(tmp_path, "echo no queue here; exit 1")
