"""Where, when and with which versions a run is made."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

from benchmarks.peers.environments import ENVIRONMENTS


def about() -> dict[str, str]:
    """What stands under the tables, by name."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "op25b": f"{version('op25b')} ({_commit()})",
        "Python": platform.python_version(),
        "Open vSwitch": _last_word("ovs-vswitchd", "--version"),
        "nftables": _last_word("nft", "--version").partition("(")[0].strip(),
        **{each.name: each.packages[0].partition("==")[2] for each in ENVIRONMENTS},
        "Linux": platform.release().split("-")[0],
        "processor": f"{os.cpu_count()} cores of {model[1] if model else platform.machine()}",
        "load before": f"{os.getloadavg()[0]:.1f}",
    }


def _last_word(*command: str) -> str:
    first = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\n")[0]
    found = re.search(r"v?\d+\.\d+[.\d]*", first)
    return found[0].removeprefix("v") if found else first


def _commit() -> str:
    """The commit of the working tree, ``+`` where it has changes."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() or "no repository"
