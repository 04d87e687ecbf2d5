"""The network of the catalogue: one access switch, the ISP's router, the Internet, and many lines.

The networks are those of the lab (``topologies/isp.py``). Every line has a program between its kernel and the
switch, and so have the two places where an accomplice may stand: the neighbour behind the uplink and a box in
front of the external mail server.
"""

from __future__ import annotations

import ipaddress
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from isp import (
    DYNAMIC,
    LINK_A,
    MAIL_OUTSIDE,
    OFFICE_OUTSIDE,
    SENDER_OUTSIDE,
    SERVERS,
    STATIC,
    UNLISTED,
    Network,
)
from mail_server import Credentials, MailExchanger, MailServer, hosts_file, make_credentials

from benchmarks.network import enlarge_packet_buffers
from testing.private_ovs import PrivateOvs
from tests.bypasses.accomplice import Accomplice
from tests.bypasses.bends import Bend
from tests.bypasses.namespaces import Namespace, ip, open_tap
from tests.bypasses.rulesets import MAIL_SERVER_NUMBER, Binding, Lines
from tests.bypasses.wires import Aftr, Neighbour, Program, Unpacking, Wire, Wires

_BUFFER_BYTES = 1 << 24
"""Of each port of the switch: no frame is lost there while a loaded machine does not let the switch run."""
BRIDGE = "access"
SUBSCRIBER_PORTS = range(1, 200)
UPLINK_PORT, EDGE_PORT, SERVER_PORT, AFTR_PORT = 200, 201, 202, 203
_FORWARDING = ("ipv4/ip_forward", "ipv6/conf/all/forwarding")
_FIRST_NUMBER = 10
_SERVER_NUMBER = MAIL_SERVER_NUMBER


@dataclass
class Host:
    """A station with a kernel of its own; ``own`` are the addresses that are rightly its.

    ``router`` is the MAC address of the router it sends to.
    """

    namespace: Namespace
    wire: Wire
    port: int
    mac: str
    own: tuple[str, ...] = ()
    router: str = ""


@dataclass(frozen=True)
class Server:
    """A mail server: its domain, and the addresses at which a client reaches it, by IP version."""

    domain: str
    addresses: dict[int, str]


class LineNetwork:
    """Everything that does not change between attempts; ``directory`` is for the mail servers' files."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.wires = Wires()
        self.bindings: list[Binding] = []
        self.excepted: list[str] = []
        """Addresses of dynamic lines with an exception."""
        self._numbers: dict[Network, int] = {}
        self._macs = 0
        self.ovs = PrivateOvs(dummy=False)
        self.ovs.__enter__()
        # The switch's devices belong to no host here.
        (Path("/proc/sys/net/ipv6/conf/default/disable_ipv6")).write_text("1")
        self._network_side = {
            port: open_tap(f"{BRIDGE}-{port}")
            for port in (*SUBSCRIBER_PORTS, UPLINK_PORT, EDGE_PORT, SERVER_PORT, AFTR_PORT)
        }
        ip(*(f"link set {BRIDGE}-{port} up" for port in self._network_side))
        self.ovs.add_bridge(BRIDGE, self._network_side, datapath_type="netdev")
        enlarge_packet_buffers(self.ovs.switch_pid, _BUFFER_BYTES)
        self.edge = self._edge()
        self.transit = self._transit()
        self._mail_servers()

    def numbered(self, network: Network) -> dict[int, str]:
        """The next unused addresses of a network, by IP version."""
        number = self._numbers.get(network, _FIRST_NUMBER)
        if number == _SERVER_NUMBER:
            number += 1
        self._numbers[network] = number + 1
        return _by_version(_bare(network.addresses(number)))

    def line(
        self,
        network: Network = DYNAMIC,
        program: Program | None = None,
        *,
        uses: Sequence[str] = (),
        as_in: Network | None = None,
        mac: str = "",
    ) -> Host:
        """A new line of a network; it ``uses`` these addresses before its own, ``as_in`` another network."""
        own_mac = self.new_mac()
        own = self._bind(network, own_mac)
        host = self._station(f"line-{own.port}", own.port, program, mac or own_mac)
        host.own, host.router = own.addresses, self.edge.mac
        self._configure(host.namespace, uses or own.addresses, (as_in or network).addresses(1))
        return host

    @property
    def layout(self) -> Lines:
        """What a policy for this network has to know."""
        ports = f"{SUBSCRIBER_PORTS[0]}-{SUBSCRIBER_PORTS[-1]}"
        return Lines(self.bindings, self.excepted, ports, UPLINK_PORT, (EDGE_PORT, SERVER_PORT, AFTR_PORT))

    def gateway_of(self, line: Host) -> dict[int, str]:
        """The router of a dynamic or static line, by IP version."""
        return _by_version(_bare((STATIC if self._is_static(line) else DYNAMIC).addresses(1)))

    def _is_static(self, line: Host) -> bool:
        return next(binding.static for binding in self.bindings if binding.port == line.port)

    def absent_line(self, network: Network, mac: str = "") -> dict[int, str]:
        """A line whose host is switched off; its addresses, by IP version."""
        return _by_version(self._bind(network, mac).addresses)

    def in_league(self, bend: Bend) -> Host:
        """A new dynamic line whose neighbour outside hides the answers to it."""
        line = self.line(program=Unpacking(bend))
        self.neighbour.friends |= {packed_address(each) for each in line.own}
        return line

    def _bind(self, network: Network, mac: str) -> Binding:
        port = SUBSCRIBER_PORTS[len(self.bindings)]
        addresses = tuple(self.numbered(network).values())
        self.bindings.append(Binding(port, mac, addresses, static=network == STATIC))
        return self.bindings[-1]

    def outside_host(self, program: Program, *, uses: Sequence[str] = (), mtu: int = 1500) -> Host:
        """A host in another network; ``uses`` are addresses with which it sends, beside its own.

        ``mtu`` is that of its router's link to it, in bytes.
        """
        own = tuple(self.numbered(OFFICE_OUTSIDE).values())
        gateways = OFFICE_OUTSIDE.addresses(1)
        namespace, number = Namespace("outside"), self._numbers[OFFICE_OUTSIDE]
        wire = self.wires.connect(namespace.tap("eth0"), self.transit.namespace.tap(f"eth{number}"), program)
        router = self.new_mac()
        lines = [f"link set eth{number} up mtu {mtu} address {router}"]
        for gateway, address in zip(_bare(gateways), own, strict=True):
            lines.append(f"address add {gateway} dev eth{number}{_nodad(gateway)}")
            lines.append(f"route add {address} dev eth{number}")
        self.transit.namespace.ip(*lines)
        self._configure(namespace, (*uses, *own), gateways)
        return Host(namespace, wire, 0, "", own, router)

    def decapsulator(self, router: str) -> Aftr:
        """The ISP's AFTR among its servers; it sends by way of the router with this MAC address."""
        own = self.numbered(SERVERS)
        packed = {version: packed_address(address) for version, address in own.items()}
        aftr = Aftr(packed[6], packed[4], bytes.fromhex(router.replace(":", "")))
        station = self._station("aftr", AFTR_PORT, aftr)
        self._configure(station.namespace, tuple(own.values()), SERVERS.addresses(1))
        return aftr

    def translated_address(self) -> str:
        """The external server's IPv4 address as a NAT64 shows it (RFC 6052), with a way there."""
        address = f"64:ff9b::{self.external.addresses[4]}"
        self._external_namespace.ip(f"address replace {address} dev eth0 nodad")
        self.transit.namespace.ip(f"route replace {address} dev mail0")
        return address

    def forget(self) -> None:
        """Let switch and routers forget who is where."""
        self.ovs.appctl("fdb/flush", BRIDGE)
        for router in (self.edge, self.transit):
            router.namespace.ip("neighbour flush all")

    def delivered(self) -> set[str]:
        """The Message-IDs in all mailboxes."""
        return set().union(*(server.delivered() for server in self._running))

    def _station(self, name: str, port: int, program: Program | None, mac: str = "") -> Host:
        namespace = Namespace(name)
        device = namespace.tap("eth0")
        mac = mac or self.new_mac()
        namespace.ip(f"link set eth0 address {mac}")
        wire = self.wires.connect(device, self._network_side[port], program or Program())
        return Host(namespace, wire, port, mac)

    def new_mac(self) -> str:
        self._macs += 1
        return f"02:25:00:00:{self._macs >> 8:02x}:{self._macs & 0xFF:02x}"

    @staticmethod
    def _configure(namespace: Namespace, addresses: Sequence[str], gateways: Sequence[str]) -> None:
        families = {ipaddress.ip_address(address).version for address in addresses}
        lines = ["link set eth0 up", *(f"address add {each} dev eth0{_nodad(each)}" for each in addresses)]
        for gateway in _bare(gateways):
            if ipaddress.ip_address(gateway).version in families:
                version = ipaddress.ip_address(gateway).version
                source = next(each for each in addresses if ipaddress.ip_address(each).version == version)
                lines.append(f"route add {gateway} dev eth0")
                lines.append(f"route add default via {gateway} dev eth0 src {source}")
        namespace.ip(*lines)

    def _edge(self) -> Host:
        """The ISP's router, with the gateway address of each of its networks."""
        edge = self._station("edge", EDGE_PORT, None)
        _as_router(edge.namespace)
        own = [network.addresses(1) for network in (DYNAMIC, STATIC, UNLISTED, SERVERS)]
        lines = [f"address add {each} dev eth0{_nodad(each)}" for pair in own for each in pair]
        lines += [f"address add {each} dev eth0{_nodad(each)}" for each in LINK_A.addresses(2)]
        lines += [f"route add default via {each} dev eth0" for each in _bare(LINK_A.addresses(1))]
        edge.namespace.ip("link set eth0 up", *lines)
        return edge

    def _transit(self) -> Host:
        """The neighbour behind the uplink, a router."""
        own = _by_version(_bare(LINK_A.addresses(1)))
        self.neighbour = Neighbour({version: packed_address(each) for version, each in own.items()})
        transit = self._station("transit", UPLINK_PORT, self.neighbour)
        _as_router(transit.namespace)
        lines = [f"address add {each} dev eth0{_nodad(each)}" for each in LINK_A.addresses(1)]
        lines += [f"route add default via {each} dev eth0" for each in _bare(LINK_A.addresses(2))]
        transit.namespace.ip("link set eth0 up", *lines)
        return transit

    def _mail_servers(self) -> None:
        self.ispmail = self._station("ispmail", SERVER_PORT, None)
        self._configure(
            self.ispmail.namespace, _bare(SERVERS.addresses(_SERVER_NUMBER)), SERVERS.addresses(1)
        )
        self.company, self.selfhost = self.line(STATIC), self.line(DYNAMIC)
        external = self._external()
        self.external = Server("external.example", external["direct"])
        self.behind_accomplice = Server("external.example", external["accomplice"])
        places = {
            "isp.example": (self.ispmail.namespace, _bare(SERVERS.addresses(_SERVER_NUMBER))),
            "company.example": (self.company.namespace, self.company.own),
            "selfhost.example": (self.selfhost.namespace, self.selfhost.own),
            "external.example": (self._external_namespace, tuple(self.external.addresses.values())),
        }
        exchangers = [MailExchanger(domain, addresses) for domain, (_, addresses) in places.items()]
        self.exchangers = exchangers
        self.credentials: Credentials = make_credentials(self._directory / "credentials", exchangers)
        self._running = [
            MailServer(namespace, exchanger, self._directory / exchanger.domain)
            for exchanger, (namespace, _) in zip(exchangers, places.values(), strict=True)
        ]

    def start_mail_servers(self) -> None:
        """Start them all; from then on their names are known in this world."""
        names = self._directory / "hosts"
        names.write_text(hosts_file(self.exchangers))
        subprocess.run(["mount", "--bind", str(names), "/etc/hosts"], check=True)
        for server in self._running:
            server.start(self.credentials, self.exchangers)

    def server(self, domain: str) -> Server:
        """A mail server by its domain."""
        addresses = {each.domain: each.addresses for each in self.exchangers}[domain]
        return Server(domain, _by_version(addresses))

    def _external(self) -> dict[str, dict[int, str]]:
        """The external mail server: ``eth0`` straight behind the transit router, ``eth1`` behind a box."""
        self._external_namespace = namespace = Namespace("extmail")
        for name in ("all", "default"):
            namespace.setting(1, f"ipv4/conf/{name}/accept_source_route")
        result = {}
        for number, (kind, network, program) in enumerate(
            (
                ("direct", MAIL_OUTSIDE, Program()),
                ("accomplice", SENDER_OUTSIDE, Program(unbend=Accomplice())),
            )
        ):
            device, link = f"eth{number}", f"mail{number}"
            self.wires.connect(namespace.tap(device), self.transit.namespace.tap(link), program)
            addresses, gateways = network.addresses(_SERVER_NUMBER), network.addresses(1)
            namespace.ip(
                f"link set {device} up",
                *(f"address add {each} dev {device}{_nodad(each)}" for each in addresses),
            )
            self.transit.namespace.ip(
                f"link set {link} up", *(f"address add {each} dev {link}{_nodad(each)}" for each in gateways)
            )
            result[kind] = _by_version(_bare(addresses))
        namespace.ip(*(f"route add default via {each}" for each in _bare(MAIL_OUTSIDE.addresses(1))))
        return result


def _as_router(namespace: Namespace) -> None:
    namespace.setting(1, *_FORWARDING)
    for name in ("all", "default", "eth0"):
        namespace.setting(0, f"ipv4/conf/{name}/send_redirects")
        namespace.setting(1, f"ipv4/conf/{name}/accept_source_route")


def packed_address(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


def _bare(addresses: Sequence[str]) -> tuple[str, ...]:
    return tuple(address.split("/")[0] for address in addresses)


def _by_version(addresses: Sequence[str]) -> dict[int, str]:
    return {ipaddress.ip_address(address).version: address for address in addresses}


def _nodad(address: str) -> str:
    return " nodad" if ":" in address else ""
