"""An Open vSwitch of the lab's own, in the private world's /run where every ovs tool looks first."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from errors import LabError

RUN = Path("/run/openvswitch")
SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")


def start() -> None:
    """Start ovsdb-server and ovs-vswitchd with an empty database; LabError says what fails."""
    RUN.mkdir()
    os.environ.update(OVS_RUNDIR=str(RUN), OVS_DBDIR=str(RUN), OVS_LOGDIR=str(RUN))
    database = RUN / "conf.db"
    _run("ovsdb-tool", "create", str(database), str(SCHEMA))
    _run(
        "ovsdb-server",
        str(database),
        f"--remote=punix:{RUN}/db.sock",
        "--remote=db:Open_vSwitch,Open_vSwitch,manager_options",
        *_daemon("ovsdb-server"),
    )
    _run("ovs-vsctl", "--no-wait", "init")
    _run("ovs-vswitchd", *_daemon("ovs-vswitchd"))


def datapath() -> str:
    """Mininet's word: ``kernel`` where the openvswitch module is, or can be loaded, else ``user``."""
    module = Path("/sys/module/openvswitch")
    if not module.exists():
        subprocess.run(["modprobe", "--quiet", "openvswitch"], check=False, stderr=subprocess.DEVNULL)
    return "kernel" if module.exists() else "user"


def packets(bridge: str, cookie: int, mask: int) -> int:
    """How many packets the flow rules with that cookie under the mask have matched so far."""
    text = _run("ovs-ofctl", "-O", "OpenFlow13", "dump-aggregate", bridge, f"cookie={cookie:#x}/{mask:#x}")
    counts = dict(word.split("=") for word in text.split() if "=" in word)
    return int(counts["packet_count"])


def ports(bridge: str) -> list[int]:
    """The OpenFlow port numbers of the bridge, without its own."""
    names = _run("ovs-vsctl", "list-ports", bridge).split()
    return [int(_run("ovs-vsctl", "get", "Interface", name, "ofport")) for name in names]


def _daemon(name: str) -> tuple[str, ...]:
    return (
        f"--pidfile={RUN}/{name}.pid",
        f"--log-file={RUN}/{name}.log",
        "--detach",
        "--no-chdir",
        "-vconsole:off",
    )


def _run(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise LabError(f"{' '.join(command)}: {done.stderr.strip() or f'exit {done.returncode}'}")
    return done.stdout
