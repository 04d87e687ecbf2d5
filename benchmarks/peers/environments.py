"""Virtual environments of the peers, made on first use with pinned versions."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import click

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build/peers"
_BUILD_CONSTRAINTS = ROOT / "scripts/build-constraints.txt"


class PeerError(Exception):
    """A peer cannot be installed or does not start; the text is what it said."""


class TooSlowError(PeerError):
    """A peer was given ``seconds`` and was not done."""

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(f"{what} after {seconds:.0f} s")
        self.seconds = seconds


class Environment(NamedTuple):
    name: str
    packages: tuple[str, ...]

    @property
    def commands(self) -> Path:
        return FOLDER / self.name / "bin"

    def install(self) -> None:
        """Make it where it is not there as pinned; PeerError with the end of what pip says."""
        wanted = "\n".join((sys.version, str(FOLDER), *self.packages))
        digest = hashlib.sha256(wanted.encode()).hexdigest()
        mark = FOLDER / self.name / "installed"
        if mark.exists() and mark.read_text() == digest:
            return
        click.echo(f"installing {self.packages[0]} into {mark.parent}", err=True)
        _run([sys.executable, "-m", "venv", "--clear", str(mark.parent)])
        _run(
            [str(self.commands / "python"), "-m", "pip", "install", "--quiet", "--use-pep517", *self.packages]
        )
        mark.write_text(digest)


RYU = Environment("ryu", ("ryu==4.34", "eventlet==0.41.3", "setuptools<81"))
"""Ryu imports distutils, which newer Pythons have from setuptools only."""
FAUCET = Environment("faucet", ("faucet==1.10.12", "os-ken==3.1.0", "eventlet==0.41.3"))
ENVIRONMENTS = (RYU, FAUCET)


def _run(command: list[str]) -> None:
    constraints = dict.fromkeys(("PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT"), str(_BUILD_CONSTRAINTS))
    quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}
    if command[1:3] == ["-m", "venv"]:
        constraints = {}
    result = subprocess.run(
        command, env={**os.environ, **constraints, **quiet}, capture_output=True, text=True
    )
    if result.returncode:
        raise PeerError(f"{' '.join(command)}:\n{result.stderr[-2000:]}")
