"""Everything a lab consists of, started in order: Open vSwitch, hosts, mail servers, the controller."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType

import environment
import mail_server
import open_vswitch
from controller import LabController
from errors import LabError
from mail_server import MailExchanger, MailServer

from op25b_app.policy.model import Mode
from op25b_app.policy.yaml_source import read_tree

DIRECTORY = Path("/run/op25b-lab")
"""In memory and private, as all of /run is in here."""
_PACKAGES = {
    "ovs-vswitchd": "openvswitch-switch",
    "ovs-ofctl": "openvswitch-common",
    "mnexec": "mininet",
    "ip": "iproute2",
    "ethtool": "ethtool",
    "ifconfig": "net-tools",
    "postfix": "postfix",
    "saslpasswd2": "sasl2-bin",
    "openssl": "openssl",
}
"""Every program the lab calls, with the Debian package that brings it."""


def check_prerequisites(more: Mapping[str, str] = MappingProxyType({})) -> None:
    """Raise LabError naming everything that is missing at once; ``more`` are further packages by program."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    missing = {package for program, package in {**_PACKAGES, **more}.items() if not shutil.which(program)}
    problems = []
    if os.geteuid() != 0:
        problems.append("the lab makes network namespaces, and only root may: start it with sudo")
    if missing:
        problems.append(f"Debian packages are missing: apt-get install {' '.join(sorted(missing))}")
    elif importlib.util.find_spec("mininet.net") is None:
        problems.append("this Python does not see Mininet: use the .venv that scripts/setup makes")
    if problems:
        raise LabError("; ".join(problems))


class RunningLab:
    """One topology with its mail servers and a controller; for a private world (isolation.py) only."""

    def __init__(self, topology: str, policy: Path | None, mode: Mode, say: Callable[[str], None]) -> None:
        """Start everything and wait until every switch is protected; LabError says what does not come up.

        ``policy`` is a file that replaces the topology's own; ``say`` gets a line about each step.
        """
        # What imports Mininet waits until the prerequisites are checked.
        from network import LabNetwork

        self.topology = topology
        DIRECTORY.mkdir()
        environment.enter(DIRECTORY)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        open_vswitch.start()
        self._hosts_file = _own_hosts_file()
        self.network = LabNetwork(topology)
        hosts, switches = self.network.mininet.hosts, self.network.switch_names
        say(f"{len(hosts)} hosts, {', '.join(switches)} ({self.network.datapath}-space datapath)")
        self.network.start()
        policy = policy or self.network.policy
        if mode is Mode.MONITOR:
            policy = _in_monitor_mode(policy)
        self.controller = LabController(policy, DIRECTORY / "controller.log")
        self.controller.start()
        self._start_mail_servers(say)
        took = self.controller.wait_until_protected(switches)
        say(f"controller: {_summary(self.controller.states())} after {took:.1f} s")

    def _start_mail_servers(self, say: Callable[[str], None]) -> None:
        domains = self.network.mail_domains()
        exchangers = [MailExchanger(domain, self.network.addresses(name)) for name, domain in domains.items()]
        self.credentials = mail_server.make_credentials(DIRECTORY / "credentials", exchangers)
        self._hosts_file.write_text(mail_server.hosts_file(exchangers))
        self.mail_servers = {
            name: MailServer(self.network.node(name), exchanger, DIRECTORY / name)
            for name, exchanger in zip(domains, exchangers, strict=True)
        }
        say(f"mail servers: {', '.join(self.mail_servers)}")
        with ThreadPoolExecutor() as pool:
            list(
                pool.map(
                    lambda server: server.start(self.credentials, exchangers), self.mail_servers.values()
                )
            )


def _summary(states: Mapping[str, str]) -> str:
    if len(kinds := set(states.values())) == 1:
        return f"every switch is {kinds.pop()}"
    return ", ".join(f"{name} is {state}" for name, state in states.items())


def _in_monitor_mode(policy: Path) -> Path:
    """A copy of the policy file with its mode set, among links to what lies beside the original."""
    directory = DIRECTORY / "policy"
    directory.mkdir()
    for sibling in policy.parent.absolute().iterdir():
        if sibling.name != policy.name:
            (directory / sibling.name).symlink_to(sibling)
    copy = directory / policy.name
    copy.write_text(_with_monitor_mode(policy.read_text()))
    return copy


def _with_monitor_mode(text: str) -> str:
    tree, _ = read_tree("policy", text)
    if tree is None or Mode.MONITOR.value == tree.value.get("mode"):
        return text
    lines = text.splitlines(keepends=True)
    if "mode" not in tree.value:
        lines.insert(tree.place(()).line - 1, f"mode: {Mode.MONITOR.value}\n")
        return "".join(lines)
    _, line, column = tree.place(("mode",))
    before, after = lines[line - 1][: column - 1], lines[line - 1][column - 1 :]
    lines[line - 1] = before + after.replace(Mode.ENFORCE.value, Mode.MONITOR.value, 1)
    return "".join(lines)


def _own_hosts_file() -> Path:
    """An empty /etc/hosts, before the hosts come to be: each sees the mounts of its beginning."""
    file = DIRECTORY / "hosts"
    file.touch()
    mounted = subprocess.run(["mount", "--bind", str(file), "/etc/hosts"], check=False)
    if mounted.returncode:
        raise LabError("this system has no /etc/hosts; make an empty one")
    return file
