"""A private Open vSwitch: own database, own daemons, own directories, and devices that exist in memory only.

Nothing of the machine is touched: no kernel module, no network device, no root. Bridges and ports come in any
number, and frames go in and out as bytes.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

from testing.openflow_client import OpenFlowClient, openflow_client
from testing.patience import HANG_SECONDS

SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")


class OvsError(Exception):
    """An Open vSwitch tool said no; the text is what it said."""


class PrivateOvs:
    """A context manager around one ovsdb-server and one ovs-vswitchd.

    ``dummy`` False leaves out the devices in memory, for bridges of the user-space datapath over real devices
    (this needs root, and ``add_bridge(..., datapath_type="netdev")``).
    """

    def __init__(self, *, dummy: bool = True) -> None:
        self.dummy = dummy
        self.directory = Path(tempfile.mkdtemp(prefix="ovs-"))
        self._daemons: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> PrivateOvs:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def environment(self) -> dict[str, str]:
        """What makes the ``ovs-*`` tools speak to this Open vSwitch instead of the machine's own."""
        directory = str(self.directory)
        return os.environ | dict.fromkeys(
            ("OVS_RUNDIR", "OVS_DBDIR", "OVS_LOGDIR", "OVS_SYSCONFDIR"), directory
        )

    @property
    def log(self) -> str:
        """What ovs-vswitchd has logged so far."""
        return (self.directory / "ovs-vswitchd.log").read_text(errors="replace")

    @property
    def switch_pid(self) -> int:
        """The process of ovs-vswitchd, for its CPU time."""
        return self._daemons[-1].pid

    def vsctl(self, *arguments: str) -> str:
        return self._run(
            "ovs-vsctl", f"--db=unix:{self._database_socket}", f"--timeout={HANG_SECONDS:.0f}", *arguments
        )

    def ofctl(self, *arguments: str, stdin: str | None = None, protocols: str = "OpenFlow13") -> str:
        return self._run("ovs-ofctl", "-O", protocols, *arguments, stdin=stdin)

    def appctl(self, *arguments: str) -> str:
        return self._run("ovs-appctl", "-t", str(self.directory / "ovs-vswitchd.ctl"), *arguments)

    def add_bridge(
        self,
        name: str,
        ports: Iterable[int] = (),
        *,
        dpid: int = 1,
        protocols: str = "OpenFlow13",
        controllers: Sequence[str] = (),
        fail_mode: str = "secure",
        datapath_type: str = "",
    ) -> None:
        """Add a bridge whose device for OpenFlow port N is called ``NAME-N``.

        ``controllers`` are Open vSwitch targets such as ``tcp:127.0.0.1:6653``. The bridge's own port is
        down, as it is over real devices until somebody sets it up; in memory it would begin up.
        """
        arguments = ["add-br", name]
        arguments += ["--", "set", "Bridge", name, f"protocols={protocols}", f"fail_mode={fail_mode}"]
        arguments += [f"datapath_type={datapath_type}"] if datapath_type else []
        arguments += [f"other-config:datapath-id={dpid:016x}"]
        for port in ports:
            arguments += self._port_arguments(name, port)
        self.vsctl(*arguments)
        if self.dummy:
            self.set_local(name, "down")
        if controllers:
            self.vsctl("set-controller", name, *controllers)

    def set_local(self, bridge: str, state: str) -> None:
        """Set the LOCAL port of a bridge in memory ``up`` or ``down``."""
        self.appctl("netdev-dummy/set-admin-state", bridge, state)

    def add_port(self, bridge: str, port: int) -> None:
        self.vsctl(*self._port_arguments(bridge, port)[1:])

    def add_flows(self, bridge: str, lines: str, *, protocols: str = "OpenFlow13") -> None:
        """Load rules, one a line, as ``ovs-ofctl add-flows`` reads them."""
        self.ofctl("add-flows", bridge, "-", stdin=lines, protocols=protocols)

    def dump_flows(self, bridge: str, match: str = "", *, protocols: str = "OpenFlow13") -> list[str]:
        """The rules of a bridge, one a line, without statistics."""
        output = self.ofctl(
            "--no-stats", "dump-flows", bridge, *([match] if match else []), protocols=protocols
        )
        return [line.strip() for line in output.splitlines() if line.startswith(" ")]

    def openflow(self, bridge: str, version: int = 4) -> AbstractContextManager[OpenFlowClient]:
        """A client that loads and reads rules with our own encoder; ``version`` 4 is OpenFlow 1.3."""
        return openflow_client(self.directory / f"{bridge}.mgmt", version)

    def trace(self, bridge: str, in_port: int, frame: bytes) -> str:
        """What ``ofproto/trace`` says of a frame, given as its bytes."""
        return self.appctl("ofproto/trace", bridge, f"in_port={in_port}", frame.hex())

    def receive(self, bridge: str, in_port: int, *frames: bytes) -> None:
        """Let frames arrive on a port in memory."""
        self.appctl("netdev-dummy/receive", f"{bridge}-{in_port}", *(frame.hex() for frame in frames))

    def sent(self, bridge: str) -> dict[int, int]:
        """Frames sent so far out of each OpenFlow port of a bridge, except the bridge's own."""
        return {port: sent for port, (_, sent) in self._frames(bridge).items()}

    def received(self, bridge: str) -> dict[int, int]:
        """Frames received so far, and dealt with, at each OpenFlow port of a bridge, except its own."""
        return {port: received for port, (received, _) in self._frames(bridge).items()}

    def _frames(self, bridge: str) -> dict[int, tuple[int, int]]:
        statistics = self.ofctl("--no-names", "dump-ports", bridge)
        counts = re.findall(r"port +(\d+): rx pkts=(\d+),.*?tx pkts=(\d+)", statistics, re.DOTALL)
        return {int(port): (int(received), int(sent)) for port, received, sent in counts}

    def restart_switch(self) -> None:
        """Kill ovs-vswitchd as a crash would and start it again: bridges come back without their rules."""
        switch = self._daemons.pop()
        switch.kill()
        switch.wait()
        (self.directory / "ovs-vswitchd.ctl").unlink()
        self._start_switch()
        if self.dummy:
            for bridge in self.vsctl("list-br").split():
                self.set_local(bridge, "down")

    def close(self) -> None:
        """Stop both daemons and remove the directory."""
        for daemon in reversed(self._daemons):
            daemon.terminate()
            try:
                daemon.wait(5)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self._daemons.clear()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def _database_socket(self) -> Path:
        return self.directory / "db.sock"

    def _start(self) -> None:
        database = self.directory / "conf.db"
        self._run("ovsdb-tool", "create", str(database), str(SCHEMA))
        self._daemon("ovsdb-server", str(database), f"--remote=punix:{self._database_socket}")
        self._await_socket(self._database_socket)
        self.vsctl("--no-wait", "init")
        self._start_switch()

    def _start_switch(self) -> None:
        options = ["--enable-dummy=override", "--disable-system"] if self.dummy else []
        self._daemon("ovs-vswitchd", f"unix:{self._database_socket}", *options)
        self._await_socket(self.directory / "ovs-vswitchd.ctl")

    def _daemon(self, program: str, *arguments: str) -> None:
        """Start a daemon in the foreground that ends with this process, however that ends."""
        files = (f"--unixctl={self.directory / program}.ctl", f"--log-file={self.directory / program}.log")
        command = ["setpriv", "--pdeathsig", "KILL", program, *arguments, "-vconsole:off", *files]
        self._daemons.append(subprocess.Popen(command, env=self.environment, stdin=subprocess.DEVNULL))

    def _await_socket(self, path: Path) -> None:
        deadline = time.monotonic() + HANG_SECONDS
        while not _is_listening(path):
            if self._daemons[-1].poll() is not None or time.monotonic() > deadline:
                logs = "\n".join(log.read_text(errors="replace") for log in self.directory.glob("*.log"))
                raise OvsError(f"nobody listens at {path.name}: {self._daemons[-1].args!r}\n{logs}")
            time.sleep(0.01)

    def _run(self, program: str, *arguments: str, stdin: str | None = None) -> str:
        command = [program, *arguments]
        result = subprocess.run(
            command,
            env=self.environment,
            input=stdin or "",
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
        )
        if result.returncode:
            raise OvsError(f"{' '.join(command)[:500]}: {result.stderr.strip() or result.stdout.strip()}")
        return result.stdout

    @staticmethod
    def _port_arguments(bridge: str, port: int) -> list[str]:
        device = f"{bridge}-{port}"
        settings = ["set", "Interface", device, f"ofport_request={port}"]
        return ["--", "add-port", bridge, device, "--", *settings]


def _is_listening(path: Path) -> bool:
    """Return whether a daemon takes connections there: its socket exists a moment earlier."""
    with socket.socket(socket.AF_UNIX) as trial:
        try:
            trial.connect(str(path))
        except OSError:
            return False
    return True
