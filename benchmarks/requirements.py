"""What the benchmarks need of the machine, asked before anything runs."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator

_PROGRAMS = {
    "ovs-vswitchd": "openvswitch-switch",
    "ovsdb-server": "openvswitch-switch",
    "ovs-ofctl": "openvswitch-common",
    "ip": "iproute2",
    "nft": "nftables",
    "setpriv": "util-linux",
}
"""Programs and the Debian packages they come in."""


def missing() -> list[str]:
    """Everything that is missing, each with the remedy."""
    return [*_privileges(), *_debian_packages(), *_python_packages()]


def _privileges() -> Iterator[str]:
    if os.geteuid() != 0:
        yield "root: network namespaces of their own need it; run this as root"


def _debian_packages() -> Iterator[str]:
    absent = [program for program in _PROGRAMS if shutil.which(program) is None]
    if absent:
        packages = " ".join(dict.fromkeys(_PROGRAMS[program] for program in absent))
        yield f"{', '.join(absent)}: apt-get install --no-install-recommends {packages}"


def _python_packages() -> Iterator[str]:
    if importlib.util.find_spec("matplotlib") is None:
        yield "matplotlib, for the plots: .venv/bin/pip install -e '.[benchmarks]'"
