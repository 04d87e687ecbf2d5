"""Leases of real DHCP servers to real clients, learned from the copies that a real switch makes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchmarks.network import new_network
from op25b_app.compiler.compiler import compile_rules
from op25b_app.lines.dhcp_snooping import DhcpSnooping, LeaseChange, LeaseOutcome
from op25b_app.lines.line_table import LineTable
from op25b_app.openflow.codec import FlowModCommand
from op25b_app.openflow.packet_in import PacketIn, decode_packet_in, is_own_packet_in
from op25b_app.policy.facts import Facts, in_effect
from op25b_app.policy.loader import load
from op25b_app.policy.model import Policy
from testing import dhcp_frames, dhcp_programs
from testing.dhcp_programs import Dhclient, Program
from testing.openflow_client import OpenFlowClient
from testing.private_ovs import PrivateOvs
from testing.running import Op25bController, wait_until
from tests.bypasses.namespaces import Namespace, ip

SECONDS = 60.0
"""In which a client gets an address."""
BRIDGE, LINE, NEIGHBOUR, SERVER = "dhcp", 1, 2, 3
POLICY = """
isp: {name: Example ISP, mail_destinations: [192.0.2.25]}
address_space: {dynamic: [100.64.0.0/10, "2001:db8:1000::/36"]}
hardening: {source_validation: binding}
lines: {sources: [{dhcp: snooping}]}
switches:
  access-1: {dpid: 1, subscriber_ports: [1-2], uplink_ports: [4], trusted_ports: [3]}
"""
GATEWAY, GATEWAY_6 = "100.64.0.1", "2001:db8:1000::1"

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes network namespaces")


def needs(*programs: str) -> pytest.MarkDecorator:
    absent = dhcp_programs.missing(programs)
    return pytest.mark.skipif(bool(absent), reason=f"not installed: {', '.join(absent)}")


class Access:
    """A switch with two lines and a server behind a trusted port, and what is learned of its lines."""

    def __init__(self, ovs: PrivateOvs, folder: Path, policy: Policy, hosts: dict[int, Namespace]) -> None:
        self.folder, self.hosts, self.written = folder, hosts, policy
        self.snooping, self.table = DhcpSnooping(), LineTable()
        self.changes: list[LeaseChange] = []
        self._ovs = ovs
        self._rules = {*compile_rules(policy, policy.switches["access-1"], time.time())}

    @property
    def server(self) -> Namespace:
        return self.hosts[SERVER]

    def run_until(self, switch: OpenFlowClient, done: Callable[[], bool], programs: list[Program]) -> None:
        """Learn from copies and bind what is learned, until something is so."""
        end = time.monotonic() + SECONDS
        while not done():
            said = "\n".join(program.said for program in programs)
            assert time.monotonic() < end, f"{self.changes}, ignored {self.snooping.ignored}\n{said}"
            self.step(switch)

    def step(self, switch: OpenFlowClient) -> None:
        time.sleep(0.02)
        copies = [decode_packet_in(message) for message in switch.received() if is_own_packet_in(message)]
        for copy in copies:
            assert copy is not None
            self.learn_from(copy)
        if self.table.changed:
            self.bind()

    def learn_from(self, found: PacketIn) -> None:
        place = self.written.switches["access-1"]
        changes = self.snooping.observe(self.written, place, found.in_port, found.frame, time.time())
        for change in changes:
            if change.outcome is LeaseOutcome.ENDED:
                self.table.end(change.claim.source, [change.claim.prefix])
            else:
                self.table.add(change.claim)
        self.changes += changes

    def bind(self) -> None:
        """Give the switch the rules of what is learned."""
        self.table.changed.clear()
        policy = in_effect(self.written, Facts(self.table.all_bindings()))
        wanted = {*compile_rules(policy, policy.switches["access-1"], time.time())}
        with self._ovs.openflow(BRIDGE) as loading:
            assert not loading.load(self._rules - wanted, FlowModCommand.DELETE_STRICT)
            assert not loading.load(wanted - self._rules)
        self._rules = wanted

    def learned(self, port: int) -> set[str]:
        return {str(claim.prefix) for claim in self.table.holding() if claim.line.port == port}


def reaches(host: Namespace, address: str, seconds: int) -> bool:
    command = ["ping", "-c", "1", "-w", str(seconds), address]
    with host.popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as ping:
        return bool(ping.wait() == 0)


def has_link_local_address(host: Namespace) -> bool:
    addresses: str = host.inside(Path("/proc/thread-self/net/if_inet6").read_text)
    return any(line.startswith("fe80") for line in addresses.splitlines())


@contextmanager
def hosts_at(ovs: PrivateOvs, **options: Any) -> Iterator[dict[int, Namespace]]:
    """A bridge with two lines and a server, each a host in a namespace of its own."""
    hosts = {port: Namespace(f"host-{port}") for port in (LINE, NEIGHBOUR, SERVER)}
    for port, host in hosts.items():
        network = f"/proc/{os.getpid()}/fd/{host._descriptor}"
        peer = f"peer name eth0 address 02:00:00:00:00:0{port} netns {network}"
        ip(f"link add {BRIDGE}-{port} type veth {peer}")
        ip(f"link set {BRIDGE}-{port} up")
        host.ip("link set eth0 up")
        # A user-space switch hands on frames as they are, without the checksums that a device would add.
        with host.popen(["ethtool", "-K", "eth0", "tx", "off"], stdout=subprocess.DEVNULL) as set_up:
            assert set_up.wait() == 0
    for address in (f"{GATEWAY}/24", f"{GATEWAY_6}/64"):
        hosts[SERVER].ip(f"address add {address} dev eth0")
    for host in hosts.values():
        wait_until(partial(has_link_local_address, host), lambda: "no link-local address")
    ovs.add_bridge(BRIDGE, hosts, datapath_type="netdev", **options)
    yield hosts


@pytest.fixture
def access(tmp_path: Path) -> Iterator[Access]:
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY)
    policy = load(file, time.time()).policy
    assert policy is not None
    with new_network(), PrivateOvs(dummy=False) as ovs, hosts_at(ovs) as hosts:
        made = Access(ovs, tmp_path, policy, hosts)
        with ovs.openflow(BRIDGE) as loading:
            assert not loading.load(made._rules)
        yield made


@pytest.fixture
def switch(access: Access) -> Iterator[OpenFlowClient]:
    with access._ovs.openflow(BRIDGE) as client:
        client.accept_events()
        client.received()
        yield client


def serve_4(server: Namespace, folder: Path, kind: str) -> Program:
    if kind == "kea":
        return dhcp_programs.kea4(server, folder, "eth0", "100.64.0.0/24", "100.64.0.50 - 100.64.0.99")
    return dhcp_programs.dnsmasq(server, folder, "eth0", "100.64.0.50,100.64.0.99,255.255.255.0,10m")


@pytest.mark.slow
@needs_root
@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("dnsmasq", marks=needs("dnsmasq", "dhclient")),
        pytest.param("kea", marks=needs("kea-dhcp4", "dhclient")),
    ],
)
def test_an_address_is_bound_to_its_line_and_to_no_other(
    access: Access, switch: OpenFlowClient, kind: str
) -> None:
    line, neighbour = access.hosts[LINE], access.hosts[NEIGHBOUR]
    client = Dhclient(line, access.folder / "client", "eth0")
    with serve_4(access.server, access.folder / kind, kind) as server:
        with client.start() as asking:
            access.run_until(switch, lambda: bool(access.learned(LINE)), [server, asking])
            [address] = access.learned(LINE)
            [change] = access.changes
            assert change.claim.mac == 0x02_00_00_00_00_01
            wait_until(lambda: reaches(line, GATEWAY, 1), lambda: asking.said, SECONDS)
            neighbour.ip(f"address add {address.partition('/')[0]}/24 dev eth0")
            assert not reaches(neighbour, GATEWAY, 1)
        client.release()
        access.run_until(switch, lambda: not access.learned(LINE), [server])
        line.ip(f"address replace {address.partition('/')[0]}/24 dev eth0")
        assert not reaches(line, GATEWAY, 1)


@pytest.mark.slow
@needs_root
@needs("dnsmasq", "dhclient")
def test_a_restarted_client_keeps_its_lease_and_a_second_one_gets_another(
    access: Access, switch: OpenFlowClient
) -> None:
    with serve_4(access.server, access.folder / "dnsmasq", "dnsmasq") as server:
        line = Dhclient(access.hosts[LINE], access.folder / "client", "eth0")
        with line.start() as asking:
            access.run_until(switch, lambda: len(access.changes) == 1, [server, asking])
        with line.start() as again:
            access.run_until(switch, lambda: len(access.changes) == 2, [server, again])
        assert [change.outcome for change in access.changes] == [LeaseOutcome.BEGUN, LeaseOutcome.RENEWED]
        neighbour = Dhclient(access.hosts[NEIGHBOUR], access.folder / "neighbour", "eth0")
        with neighbour.start() as asking:
            access.run_until(switch, lambda: bool(access.learned(NEIGHBOUR)), [server, asking])
        assert access.learned(NEIGHBOUR).isdisjoint(access.learned(LINE))


@pytest.mark.slow
@needs_root
@needs("dnsmasq", "dhclient")
def test_an_ipv6_address_is_bound(access: Access, switch: OpenFlowClient) -> None:
    folder = access.folder / "dnsmasq"
    client = Dhclient(access.hosts[LINE], access.folder / "client", "eth0", 6)
    pool = "2001:db8:1000::50,2001:db8:1000::99,64,10m"
    with dhcp_programs.dnsmasq(access.server, folder, "eth0", pool) as server, client.start() as asking:
        access.run_until(switch, lambda: bool(access.learned(LINE)), [server, asking])
        wait_until(lambda: reaches(access.hosts[LINE], GATEWAY_6, 1), lambda: asking.said, SECONDS)


@pytest.mark.slow
@needs_root
@needs("kea-dhcp6", "dhclient")
def test_an_address_and_a_delegated_prefix_are_bound(access: Access, switch: OpenFlowClient) -> None:
    folder = access.folder / "kea"
    pool = "2001:db8:1000::50-2001:db8:1000::99"
    client = Dhclient(access.hosts[LINE], access.folder / "client", "eth0", 6, delegation=True)
    with dhcp_programs.kea6(
        access.server, folder, "eth0", "2001:db8:1000::/64", pool, "2001:db8:1100::/40"
    ) as server:
        with client.start() as asking:
            access.run_until(switch, lambda: len(access.learned(LINE)) == 2, [server, asking])
            lengths = sorted(change.claim.prefix.length for change in access.changes)
            assert lengths == [56, 128]
            [prefix] = [each for each in access.learned(LINE) if each.endswith("/56")]
            wait_until(lambda: reaches(access.hosts[LINE], GATEWAY_6, 1), lambda: asking.said, SECONDS)
            wait_until(client.prefixes.exists, lambda: asking.said, SECONDS)
            assert client.prefixes.read_text().split()[0] == prefix
        client.release()
        access.run_until(switch, lambda: not access.learned(LINE), [server])


class Watched:
    """A controller, beside a learning switch in its process, that learns of real leases."""

    def __init__(self, folder: Path, ovs: PrivateOvs) -> None:
        self._folder, self._ovs = folder, ovs
        self._policy = folder / "policy.yaml"
        self._policy.write_text(POLICY)

    def controller(self, port: int | None = None) -> Op25bController:
        return Op25bController(
            self._folder,
            self._policy,
            socket=self._ovs.directory / "control.sock",
            applications=("ryu.app.simple_switch_13",),
            environment={"OP25B_STATE_DIRECTORY": str(self._folder / "state")},
            port=port,
        )


@pytest.mark.slow
@needs_root
@needs("dnsmasq", "dhclient")
def test_a_controller_binds_what_it_sees_and_knows_it_after_a_kill(tmp_path: Path) -> None:
    with ExitStack() as stack:
        stack.enter_context(new_network())
        ip("link set lo up")
        ovs = stack.enter_context(PrivateOvs(dummy=False))
        watched = Watched(tmp_path, ovs)
        controller = stack.enter_context(watched.controller())
        hosts = stack.enter_context(hosts_at(ovs, controllers=[controller.target]))
        line, neighbour = hosts[LINE], hosts[NEIGHBOUR]
        controller.wait_for_state("access-1", "protected")
        server = stack.enter_context(serve_4(hosts[SERVER], tmp_path / "server", "dnsmasq"))
        client = Dhclient(line, tmp_path / "client", "eth0")

        asking = stack.enter_context(client.start())
        wait_until(lambda: bool(lines_of(controller)), lambda: f"{asking.said}{server.said}", SECONDS)
        [learned] = lines_of(controller)
        wait_until(lambda: reaches(line, GATEWAY, 1), lambda: asking.said, SECONDS)
        address = learned["address"].partition("/")[0]
        neighbour.ip(f"address add {address}/24 dev eth0")
        assert not reaches(neighbour, GATEWAY, 1)
        controller.wait_for_state("access-1", "protected")
        assert "packet in" not in controller.log, "the learning switch saw a copy"

        controller.process.kill()
        controller.process.wait()
        again = stack.enter_context(watched.controller(controller.port))
        again.wait_for_state("access-1", "protected")
        assert lines_of(again) == [learned]
        wait_until(lambda: reaches(line, GATEWAY, 1), lambda: asking.said, SECONDS)
        assert not reaches(neighbour, GATEWAY, 1)

        asking.stop()
        client.release()
        wait_until(lambda: not lines_of(again), lambda: f"{again.log}{server.said}")
        line.ip(f"address replace {address}/24 dev eth0")
        wait_until(lambda: not reaches(line, GATEWAY, 1), lambda: again.log)
        again.wait_for_state("access-1", "protected")


_FLOOD = """
import socket, sys, time
device = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
device.bind(("eth0", 0))
frame, began, sent = bytes.fromhex(sys.argv[1]), time.monotonic(), 0
while True:
    for _ in range(50):
        device.send(frame)
    sent += 50
    time.sleep(max(0.0, sent / 5000 - (time.monotonic() - began)))
"""
"""Sends 5,000 frames a second."""


@pytest.mark.slow
@needs_root
@needs("dnsmasq", "dhclient")
def test_a_line_that_floods_does_not_keep_its_neighbour_from_being_bound(tmp_path: Path) -> None:
    with ExitStack() as stack:
        stack.enter_context(new_network())
        ip("link set lo up")
        ovs = stack.enter_context(PrivateOvs(dummy=False))
        controller = stack.enter_context(Watched(tmp_path, ovs).controller())
        hosts = stack.enter_context(hosts_at(ovs, controllers=[controller.target]))
        controller.wait_for_state("access-1", "protected")
        server = stack.enter_context(serve_4(hosts[SERVER], tmp_path / "server", "dnsmasq"))
        frame = dhcp_frames.request(0x02_00_00_00_00_01, asked="100.64.0.50").hex()
        command = [sys.executable, "-c", _FLOOD, frame]
        stack.enter_context(Program(hosts[LINE], tmp_path / "flood", command))
        muted = "port 1 of access-1 sends too many DHCP messages: they are not copied for 60 s"
        wait_until(lambda: muted in controller.log, lambda: controller.log, SECONDS)
        client = Dhclient(hosts[NEIGHBOUR], tmp_path / "client", "eth0")
        asking = stack.enter_context(client.start())
        wait_until(
            lambda: [each["port"] for each in lines_of(controller)] == ["2"],
            lambda: f"{asking.said}{server.said}{controller.log}",
            SECONDS,
        )
        controller.wait_for_state("access-1", "protected")


def lines_of(controller: Op25bController) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(controller.command("lines", "--json").stdout)["lines"]
    return listed
