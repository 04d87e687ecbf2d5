"""What must keep working whatever the rules, and what only routers and servers may send."""

from __future__ import annotations

import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable

from isp import DYNAMIC

from tests.bypasses.arrangements import link_local_address
from tests.bypasses.namespaces import Namespace
from tests.bypasses.network import LineNetwork
from tests.bypasses.wires import Program

SECONDS = 60.0
"""Generous, for a loaded machine, and no more: each set of rules is waited for."""
RETRANSMISSION_SECONDS = 1.0
"""Of a DHCP client (RFC 8415, section 7.6: SOL_TIMEOUT), which nobody answers whose request was lost."""
QUIET_SECONDS = 1.0
"""In which a frame has crossed the switch."""
LARGE = 4000
NARROW_MTU = 1300
_UPLOAD = bytes(200_000)
_UPLOAD_PORT = 8080
_DHCP_SERVER, _DHCP_CLIENT = {4: 67, 6: 547}, {4: 68, 6: 546}
_DHCPV6_SERVERS = "ff02::1:2"
_ROUTER_ADVERTISEMENT = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)


class Liveness:
    """Checks from lines of their own, by name; each says what went wrong, or nothing."""

    def __init__(self, network: LineNetwork) -> None:
        self._network = network
        self._edge = network.edge.namespace
        self._line, self._asking, self._uploading = network.line(), network.line(), network.line()
        self._rogue, self._victim = network.line(), network.line()
        self._outside = network.outside_host(Program())
        self._narrow = network.outside_host(Program(), mtu=NARROW_MTU)
        self._without_address = network.line(uses=[network.numbered(DYNAMIC)[6]])
        servers = {
            version: self._edge.inside(_dhcp_socket, version, _DHCP_SERVER[version]) for version in (4, 6)
        }
        for version, server in servers.items():
            threading.Thread(target=_answer_dhcp, args=(server, version), daemon=True).start()
        self.checks: dict[str, Callable[[], str]] = {
            f"{name}, IPv{version}": self._bound(check, version)
            for version in (4, 6)
            for name, check in (
                ("large ping outward", self._ping_outward),
                ("large ping inward", self._ping_inward),
                ("address resolution", self._resolve),
                ("DHCP", self._dhcp),
                ("path-MTU discovery", self._path_mtu),
            )
        }
        self.rogue: dict[str, Callable[[], bool]] = {
            "router advertisement": self._advertise,
            "DHCP answer, IPv4": lambda: self._dhcp_answer(4),
            "DHCP answer, IPv6": lambda: self._dhcp_answer(6),
            "DHCP answer to a relay agent, IPv6": self._answer_to_relay,
        }
        self.checks["DHCP by way of a lightweight relay agent, IPv6"] = self._relayed_dhcp

    @staticmethod
    def _bound(check: Callable[[int], str], version: int) -> Callable[[], str]:
        return lambda: check(version)

    def _ping_outward(self, version: int) -> str:
        return _ping(self._line.namespace, self._network.external.addresses[version])

    def _ping_inward(self, version: int) -> str:
        return _ping(self._outside.namespace, self._line.own[version == 6])

    def _resolve(self, version: int) -> str:
        """Both sides forget each other and find each other again."""
        address = self._asking.own[version == 6]
        self._asking.namespace.inside(_forget_neighbours, "all")
        self._edge.inside(_forget_neighbours, "to", address)
        return _ping(self._edge, address, 56) or _ping(
            self._asking.namespace, self._network.gateway_of(self._asking)[version], 56
        )

    def _dhcp(self, version: int) -> str:
        to = ("255.255.255.255", 67) if version == 4 else (_DHCPV6_SERVERS, 547)
        return self._asked(version, _DHCP_CLIENT[version], to)

    def _relayed_dhcp(self) -> str:
        """RFC 6221: a request from the port of servers, and from the line's link-local address."""
        return self._asked(6, _DHCP_SERVER[6], (_DHCPV6_SERVERS, _DHCP_SERVER[6]))

    def _asked(self, version: int, port: int, to: tuple[str, int]) -> str:
        """Ask for an address from a port, again and again as a client does."""
        namespace = self._without_address.namespace
        with namespace.inside(_dhcp_socket, version, port) as client:
            client.settimeout(RETRANSMISSION_SECONDS)
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                client.sendto(b"request", to if version == 4 else (*to, 0, _index(client)))
                if _hears(client, lambda message: message == b"answer"):  # the rogue server's go to all
                    return ""
        return f"no answer to DHCP from port {port} in {SECONDS} s"

    def _path_mtu(self, version: int) -> str:
        """An upload whose way becomes narrow behind a router."""
        namespace, server = self._uploading.namespace, self._narrow.own[version == 6]
        _output(namespace, ["ip", f"-{version}", "route", "flush", "cache"])
        with self._narrow.namespace.inside(_listen, version) as listener:
            listener.settimeout(SECONDS)
            received: list[int] = []
            taking = threading.Thread(target=_take, args=(listener, received))
            taking.start()
            try:
                namespace.inside(_upload, server)
            except OSError as error:
                # Else the thread would keep the port: closing alone wakes nobody who waits for a connection.
                listener.shutdown(socket.SHUT_RDWR)
                return f"upload: {error}"
            finally:
                taking.join()
        route = _output(namespace, ["ip", "route", "get", server])
        if f"mtu {NARROW_MTU}" not in route:
            return f"the path's MTU was not learnt: {route}"
        return "" if received == [len(_UPLOAD)] else f"{received} of {len(_UPLOAD)} bytes arrived"

    def _advertise(self) -> bool:
        """Does a router advertisement of one line reach another?"""
        with self._victim.namespace.inside(_icmpv6_socket) as listening:
            listening.settimeout(QUIET_SECONDS)
            self._rogue.namespace.inside(_send_advertisement)
            return _hears(listening, lambda message: message[:1] == _ROUTER_ADVERTISEMENT[:1])

    def _dhcp_answer(self, version: int) -> bool:
        with self._victim.namespace.inside(_dhcp_socket, version, _DHCP_CLIENT[version]) as listening:
            listening.settimeout(QUIET_SECONDS)
            self._rogue.namespace.inside(_send_dhcp_answer, version)
            return _hears(listening, lambda message: message == b"rogue")

    def _answer_to_relay(self) -> bool:
        """Does a server's answer to a relay agent (a Relay-reply) go from one line to another?"""
        agent = link_local_address(self._victim.mac)
        with self._victim.namespace.inside(_dhcp_socket, 6, _DHCP_SERVER[6]) as listening:
            listening.settimeout(QUIET_SECONDS)
            with self._rogue.namespace.inside(_dhcp_socket, 6, _DHCP_SERVER[6]) as rogue:
                rogue.sendto(b"rogue", (agent, _DHCP_SERVER[6], 0, _index(rogue)))
            return _hears(listening, lambda message: message == b"rogue")


def _forget_neighbours(*selector: str) -> None:
    """Empty the neighbour table. ``ip`` fails where an entry goes by itself meanwhile: then once more."""
    for _ in range(10):
        if subprocess.run(["ip", "neighbour", "flush", *selector], capture_output=True).returncode == 0:
            return
    raise AssertionError(f"neighbours {selector} do not go")


def _ping(namespace: Namespace, address: str, size: int = LARGE) -> str:
    """Three answers to echoes of ``size`` bytes in time by iputils; what ping said if they do not come."""
    command = ["ping", "-c", "3", "-i", "0.5", "-w", f"{SECONDS:.0f}", "-s", str(size), "-n", address]
    process = namespace.popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said: str = process.communicate()[0]
    return "" if said.count(" bytes from ") >= 3 else said


def _output(namespace: Namespace, command: list[str]) -> str:
    process = namespace.popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    output: str = process.communicate()[0]
    return output


def _index(of: socket.socket) -> int:
    return int.from_bytes(of.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, 4), "little")


def _dhcp_socket(version: int, port: int) -> socket.socket:
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    opened = socket.socket(family, socket.SOCK_DGRAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
    if version == 6:
        index = socket.if_nametoindex("eth0")
        group = socket.inet_pton(socket.AF_INET6, _DHCPV6_SERVERS) + struct.pack("@I", index)
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    opened.bind(("", port))
    return opened


def _answer_dhcp(server: socket.socket, version: int) -> None:
    """A server that answers everybody, forever."""
    while True:
        message, client = server.recvfrom(100)
        if message == b"request":
            server.sendto(b"answer", ("255.255.255.255", 68) if version == 4 else client)


def _listen(version: int) -> socket.socket:
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    return socket.create_server(("", _UPLOAD_PORT), family=family)


def _take(listener: socket.socket, received: list[int]) -> None:
    try:
        connection, _ = listener.accept()
    except OSError:
        return
    with connection:
        connection.settimeout(SECONDS)
        count = 0
        while data := connection.recv(65536):
            count += len(data)
        received.append(count)


def _upload(server: str) -> None:
    with socket.create_connection((server, _UPLOAD_PORT), timeout=SECONDS) as connection:
        connection.sendall(_UPLOAD)


def _icmpv6_socket() -> socket.socket:
    return socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)


def _send_advertisement() -> None:
    with _icmpv6_socket() as rogue:
        rogue.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        rogue.sendto(_ROUTER_ADVERTISEMENT, ("ff02::1", 0, 0, socket.if_nametoindex("eth0")))


def _send_dhcp_answer(version: int) -> None:
    with _dhcp_socket(version, _DHCP_SERVER[version]) as rogue:
        if version == 4:
            rogue.sendto(b"rogue", ("255.255.255.255", 68))
        else:
            rogue.sendto(b"rogue", ("ff02::1", 546, 0, socket.if_nametoindex("eth0")))


def _hears(listening: socket.socket, wanted: Callable[[bytes], bool]) -> bool:
    try:
        while True:
            if wanted(listening.recv(200)):
                return True
    except TimeoutError:
        return False
