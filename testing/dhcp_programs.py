"""Real DHCP servers and clients, each in a network namespace, with their files in a folder of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from testing.patience import HANG_SECONDS

PACKAGES = {
    "dnsmasq": "dnsmasq-base",
    "dhclient": "isc-dhcp-client",
    "kea-dhcp4": "kea-dhcp4-server",
    "kea-dhcp6": "kea-dhcp6-server",
}
"""Debian packages by program."""
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"

_SCRIPT = """#!/bin/sh
# Sets what a server gives, and nothing else: the machine's own settings are none of a test's business.
case $reason in
BOUND | REBOOT | RENEW | REBIND)
  ip address replace "$new_ip_address/$new_subnet_mask" dev "$interface"
  [ -z "$new_routers" ] || ip route replace default via "${new_routers%% *}" ;;
BOUND6 | REBOOT6 | RENEW6 | REBIND6)
  if [ -n "$new_ip6_address" ]; then
    ip -6 address replace "$new_ip6_address/64" dev "$interface" nodad
  fi ;;
EXPIRE | FAIL | RELEASE | STOP) ip -4 address flush dev "$interface" ;;
EXPIRE6 | RELEASE6 | STOP6) ip -6 address flush dev "$interface" scope global ;;
esac
if [ -n "$new_ip6_prefix" ]; then
  echo "$new_ip6_prefix" >> "PREFIXES"
fi
"""


class Place(Protocol):
    """A network namespace in which programs can be started."""

    def popen(self, command: list[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a program there."""


def missing(programs: Sequence[str]) -> list[str]:
    """The Debian packages of programs that this machine does not have."""
    return [PACKAGES[program] for program in programs if shutil.which(program, path=_PATH) is None]


class Program:
    """A program that runs in a namespace until the end of a ``with`` block; its output is in a file."""

    def __init__(
        self, place: Place, folder: Path, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.output = folder / f"{Path(command[0]).name}.out"
        with self.output.open("ab") as output:
            self._process = place.popen(
                [*command],
                env={**os.environ, "PATH": _PATH, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def said(self) -> str:
        """Its output so far."""
        return self.output.read_text(errors="replace")

    def wait(self) -> None:
        """Wait until it has ended by itself."""
        self._process.wait(HANG_SECONDS)

    def stop(self) -> None:
        """End it, unless it has ended."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()


def dnsmasq(place: Place, folder: Path, device: str, *ranges: str) -> Program:
    """A server that gives addresses of ``ranges``, as ``dnsmasq --dhcp-range`` has them."""
    options = ["--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--no-ping", "--log-dhcp"]
    files = [f"--dhcp-leasefile={folder / 'leases'}", "--log-facility=-", "--user=root", "--pid-file"]
    where = [f"--interface={device}", "--bind-interfaces", "--dhcp-authoritative"]
    given = [f"--dhcp-range={each}" for each in ranges]
    return Program(place, folder, ["dnsmasq", *options, *files, *where, *given])


def kea4(place: Place, folder: Path, device: str, subnet: str, pool: str) -> Program:
    """Kea's server of IPv4 addresses."""
    subnets = [{"id": 1, "subnet": subnet, "pools": [{"pool": pool}]}]
    return _kea(place, folder, 4, device, {"subnet4": subnets, "valid-lifetime": 600})


def kea6(place: Place, folder: Path, device: str, subnet: str, pool: str, delegated: str) -> Program:
    """Kea's server of IPv6 addresses and, from the prefix ``delegated``, of /56 prefixes."""
    prefix, length = delegated.split("/")
    prefixes = [{"prefix": prefix, "prefix-len": int(length), "delegated-len": 56}]
    subnets = [
        {"id": 1, "subnet": subnet, "pools": [{"pool": pool}], "pd-pools": prefixes, "interface": device}
    ]
    identity = {"type": "EN", "enterprise-id": 2495, "identifier": "25B0", "persist": False}
    more = {"subnet6": subnets, "valid-lifetime": 600, "preferred-lifetime": 300, "server-id": identity}
    return _kea(place, folder, 6, device, more)


def _kea(place: Place, folder: Path, version: int, device: str, more: dict[str, Any]) -> Program:
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "interfaces-config": {"interfaces": [device]},
        "lease-database": {"type": "memfile", "persist": False},
        "loggers": [
            {"name": f"kea-dhcp{version}", "output_options": [{"output": "stdout"}], "severity": "INFO"}
        ],
        **more,
    }
    file = folder / f"kea{version}.json"
    file.write_text(json.dumps({f"Dhcp{version}": settings}))
    environment = {
        "KEA_PIDFILE_DIR": str(folder),
        "KEA_LOCKFILE_DIR": "none",
        "KEA_LOGGER_DESTINATION": "stdout",
    }
    return Program(place, folder, [f"kea-dhcp{version}", "-c", str(file)], environment)


class Dhclient:
    """ISC's client at one device; ``version`` is 4 or 6, ``delegation`` asks for a prefix as well."""

    def __init__(
        self, place: Place, folder: Path, device: str, version: int = 4, *, delegation: bool = False
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._place, self._folder, self._device = place, folder, device
        self.prefixes = folder / "prefixes"
        script, settings = folder / "script", folder / "dhclient.conf"
        script.write_text(_SCRIPT.replace("PREFIXES", str(self.prefixes)))
        script.chmod(0o755)
        settings.write_text("timeout 30; retry 1; initial-interval 1; backoff-cutoff 2;\n")
        files = ["-cf", str(settings), "-lf", str(folder / "leases"), "-pf", str(folder / "pid")]
        wanted = ["-N", "-P"] if delegation else []
        self._command = ["dhclient", f"-{version}", *wanted, "-v", "-sf", str(script), *files]

    def start(self) -> Program:
        """Ask for an address and keep it."""
        return self._run("-d")

    def release(self) -> None:
        """Give up what was leased."""
        with self._run("-r") as program:
            program.wait()

    def _run(self, *options: str) -> Program:
        return Program(self._place, self._folder, [*self._command, *options, self._device])
