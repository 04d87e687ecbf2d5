"""Time and memory of ``op25b prove`` on the dump of a real table."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.filters import BINDING, DEFAULTS, Filter, filtered_bridge
from benchmarks.policies import AT, SWITCH, Space, read_policy, write_policy
from benchmarks.processes import apart
from benchmarks.results import ProofCost
from op25b_app.openflow.ofctl_parser import read_dump
from op25b_app.verify.prove import Proven, prove
from testing.private_ovs import PrivateOvs

FILTERS = (DEFAULTS, BINDING)
_BRIDGE = "cost"


class _Run(NamedTuple):
    seconds: float
    cpu: float
    peak: float
    inside: float


def proof_costs(ovs: PrivateOvs, space: Space, repetitions: int) -> Iterator[ProofCost]:
    for chosen in FILTERS:
        with TemporaryDirectory() as folder:
            policy, dump = _written(ovs, space, chosen, Path(folder))
            rules, classes = _proven(policy, dump)
            # Linux counts the memory of whoever starts a command as held by that, too.
            runs = [apart(_run, policy, dump) for _ in range(repetitions)]
        medians = _Run(*(statistics.median(values) for values in zip(*runs, strict=True)))
        yield ProofCost(space.name, len(space), chosen.name, rules, classes, *medians)


def _written(ovs: PrivateOvs, space: Space, chosen: Filter, folder: Path) -> tuple[Path, Path]:
    """A policy file and the dump of a switch that does what it says."""
    assert chosen.hardening is not None
    filtered_bridge(ovs, _BRIDGE, space, chosen)
    dump = folder / "dump.txt"
    dump.write_text(ovs.ofctl("dump-flows", _BRIDGE))
    ovs.vsctl("del-br", _BRIDGE)
    return write_policy(folder, space, chosen.hardening), dump


def _proven(policy: Path, dump: Path) -> tuple[int, int]:
    """How many rules and classes the command says it has covered."""
    said = json.loads(subprocess.run(_command(policy, dump), check=True, capture_output=True).stdout)
    assert said["result"] == "proven"
    return said["rules"], said["classes"]


def _run(policy: Path, dump: Path) -> _Run:
    begun = time.monotonic()
    child = subprocess.Popen(_command(policy, dump), stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0
    seconds = time.monotonic() - begun
    return _Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, _inside(policy, dump))


def _inside(policy: Path, dump: Path) -> float:
    loaded = read_policy(policy)
    text = dump.read_text()
    begun = time.process_time()
    result = prove(loaded, loaded.switches[SWITCH], read_dump(dump.name, text), AT)
    assert isinstance(result, Proven), result
    return time.process_time() - begun


def _command(policy: Path, dump: Path) -> list[str]:
    op25b = str(Path(sys.executable).with_name("op25b"))
    return [op25b, "prove", str(policy), "--switch", SWITCH, "--flows", str(dump), f"--at={AT:.0f}", "--json"]
