"""What the topologies are made of: the networks of an example ISP, its router, the Internet behind an uplink.

    subscribers ── access switch ── edge (the ISP's router, trusted port)
                        │
                      uplink ── transit (another provider's router) ── mail servers and offices outside

A host's default gateway is its network's router. All of the ISP's networks share one Ethernet, so a packet
between two of them passes the switch twice: from the subscriber to ``edge``, and from ``edge`` on.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from mininet.node import Host, OVSSwitch
from mininet.topo import Topo


class Network(NamedTuple):
    """One Ethernet's IPv4 and IPv6 prefix; number 1 in both is its router."""

    space: str
    ipv4: str
    ipv6: str

    def addresses(self, number: int) -> tuple[str, str]:
        """The IPv4 and IPv6 address of that number, each with its prefix length."""
        prefixes = (ipaddress.ip_network(self.ipv4), ipaddress.ip_network(self.ipv6))
        ipv4, ipv6 = (f"{prefix[number]}/{prefix.prefixlen}" for prefix in prefixes)
        return ipv4, ipv6


# RFC 6598 space for subscribers, documentation prefixes (RFC 5737, RFC 3849) for everybody else.
DYNAMIC = Network("dynamic", "100.64.0.0/22", "2001:db8:1000:1::/64")
STATIC = Network("static", "100.64.8.0/24", "2001:db8:1008:1::/64")
# A pool in use that nobody has entered in the policy.
UNLISTED = Network("unlisted", "198.18.0.0/24", "2001:db8:3000:1::/64")
SERVERS = Network("ISP", "192.0.2.0/24", "2001:db8:25:1::/64")
ISP_NETWORKS = (DYNAMIC, STATIC, UNLISTED, SERVERS)
# Links to other providers are numbered by them.
LINK_A = Network("outside", "198.51.100.0/30", "2001:db8:a000:1::/64")
LINK_B = Network("outside", "198.51.100.4/30", "2001:db8:b000:1::/64")
MAIL_OUTSIDE = Network("outside", "203.0.113.0/26", "2001:db8:a000:25::/64")
SENDER_OUTSIDE = Network("outside", "203.0.113.64/26", "2001:db8:a000:26::/64")
OFFICE_OUTSIDE = Network("outside", "198.51.100.128/25", "2001:db8:b000:25::/64")


class Station(Host):  # type: ignore[misc]  # Mininet has no type annotations
    """A host, or a router, with any number of addresses on each interface."""

    def config(
        self,
        addresses: Sequence[Sequence[str]] = (),
        routes: Sequence[str] = (),
        router: bool = False,
        bridge: str | None = None,
        neighbours: Mapping[str, str] = MappingProxyType({}),
        **params: Any,
    ) -> dict[str, Any]:
        """Give interface N ``addresses[N]`` (``ADDRESS/LENGTH``), then set routes (``PREFIX via ADDRESS``).

        With ``bridge``, a MAC address, all interfaces are one Ethernet, and the station is on it with
        ``addresses[0]``. ``neighbours`` are MAC addresses that it does not have to ask for, by IP address.

        Raises RuntimeError with what the system said.
        """
        commands = [
            # The edge router sends packets back where they came from, on purpose.
            "for f in /proc/sys/net/ipv*/conf/*/*_redirects; do echo 0 > $f; done",
            *(f"echo {int(router)} > {switch}" for switch in _FORWARDING),
        ]
        names = [self.intfs[port].name for port in sorted(self.intfs)]
        # A user-space switch passes frames on as they are, and nobody fills in an offloaded checksum.
        commands += [f"ethtool -K {name} tx off tso off gso off > /dev/null" for name in names]
        if bridge is not None:
            commands += _joined(names, bridge)
            names = [_LAN]
        for name, own in zip(names, addresses, strict=False):
            commands.append(f"ip link set {name} up")
            commands += [f"ip address replace {address} dev {name}{_nodad(address)}" for address in own]
        commands += [
            f"ip neighbour replace {address} lladdr {mac} dev {names[0]} nud permanent"
            for address, mac in neighbours.items()
        ]
        commands += [f"ip {'-6 ' if ':' in route else ''}route replace {route}" for route in routes]
        result: dict[str, Any] = super().config(**params)
        said = self.cmd(" && ".join(commands)).strip()
        if said:
            raise RuntimeError(f"{self.name} could not be configured: {said}")
        return result


_LAN = "lan"
"""Name of the bridge of a station that joins its interfaces."""
_FORWARDING = ("/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding")


def _nodad(address: str) -> str:
    return " nodad" if ":" in address else ""


def _joined(interfaces: Sequence[str], mac: str) -> list[str]:
    """Return the commands that make one Ethernet of interfaces."""
    return [
        f"ip link add {_LAN} address {mac} type bridge mcast_snooping 0",
        f"ethtool -K {_LAN} tx off > /dev/null",
        *(f"ip address flush dev {name} && ip link set {name} master {_LAN} up" for name in interfaces),
    ]


_KERNEL_MODULE = Path("/sys/module/openvswitch")


class TaggingBridge(OVSSwitch):  # type: ignore[misc]
    """A bridge without a controller, whose ports give frames a tag and take it off again.

    ``tags`` holds the tag of each such port, 0 for none; its other ports are trunks. It stands for what ISPs
    have between subscribers and switches (DSLAM, OLT), and before their routers.
    """

    def __init__(self, name: str, tags: Mapping[int, int], **params: Any) -> None:
        datapath = "kernel" if _KERNEL_MODULE.exists() else "user"
        # Mininet would create it later, together with others, and its ports could not be set yet.
        super().__init__(name, **{**params, "failMode": "standalone", "datapath": datapath, "batch": False})
        self._tags = tags

    def start(self, controllers: Any) -> None:
        """Start it without a controller."""
        super().start([])
        for name in (self.name, *(interface.name for interface in self.intfList())):
            # What it sent itself has no tag; it would be blocked and counted.
            self.cmd(f"echo 1 > /proc/sys/net/ipv6/conf/{name}/disable_ipv6")
        for port, tag in self._tags.items():
            self.cmd(f"ovs-vsctl set port {self.intfs[port].name} tag={tag}")


class IspTopo(Topo):  # type: ignore[misc]
    """A Mininet topology of this ISP; ``ipv6`` says whether its hosts speak IPv6 too."""

    ipv6 = True

    def add_access_switch(self, name: str, dpid: int) -> None:
        """A switch by the name and datapath id that the policy file gives it."""
        self.addSwitch(name, dpid=f"{dpid:x}")

    def add_tagging_bridge(self, name: str, dpid: int, tags: Mapping[int, int]) -> None:
        """A bridge that no policy names; ``tags`` are those of its ports, as for TaggingBridge."""
        self.addSwitch(name, cls=TaggingBridge, dpid=f"{dpid:x}", tags=tags, in_policy=False)

    def add_station(
        self,
        name: str,
        network: Network,
        number: int,
        mail_domain: str | None = None,
        router_mac: str | None = None,
    ) -> None:
        """A host; one with a ``mail_domain`` gets a mail server for it when the lab runs.

        With ``router_mac`` it does not have to ask for the MAC address of its router.
        """
        interface = self._families(network.addresses(number))
        gateways = [address.split("/")[0] for address in self._families(network.addresses(1))]
        self.addHost(
            name,
            cls=Station,
            ip=interface[0],
            addresses=[interface],
            routes=[f"default via {gateway}" for gateway in gateways],
            space=network.space,
            mail_domain=mail_domain,
            neighbours=dict.fromkeys(gateways, router_mac) if router_mac else {},
        )

    def add_edge_router(
        self, links: Sequence[tuple[Network, Sequence[Network]]], bridge: str | None = None
    ) -> None:
        """The ISP's router ``edge``, number 2 on each link; a link comes with the networks reached by it.

        Everything not named goes over the first link. With ``bridge``, its MAC address, it has an interface
        for each tag, and all are one Ethernet.
        """
        own = [network.addresses(1) for network in ISP_NETWORKS] + [link.addresses(2) for link, _ in links]
        routes = self._routes("default", links[0][0].addresses(1))
        for link, networks in links[1:]:
            for network in networks:
                routes += self._routes(network, link.addresses(1))
        interface = [address for pair in own for address in self._families(pair)]
        self.addHost(
            "edge",
            cls=Station,
            ip=interface[0],
            router=True,
            addresses=[interface],
            routes=routes,
            bridge=bridge,
        )

    def add_transit_router(self, name: str, link: Network, networks: Sequence[Network]) -> None:
        """Another provider's router; its port 0 is the link to the ISP, port N leads to the N-th network."""
        pairs = [link.addresses(1), *(network.addresses(1) for network in networks)]
        interfaces = [self._families(pair) for pair in pairs]
        self.addHost(
            name,
            cls=Station,
            ip=interfaces[0][0],
            router=True,
            addresses=interfaces,
            routes=self._routes("default", link.addresses(2)),
        )

    def connect(self, switch: str, ports: dict[int, str]) -> None:
        """Link each named host's port 0 with that port of the switch."""
        for port, name in ports.items():
            self.addLink(name, switch, port1=0, port2=port)

    def _routes(self, target: Network | str, router: tuple[str, str]) -> list[str]:
        targets = (target, target) if isinstance(target, str) else (target.ipv4, target.ipv6)
        routes = [f"{to} via {via.split('/')[0]}" for to, via in zip(targets, router, strict=True)]
        return self._families(routes)

    def _families(self, pair: Sequence[str]) -> list[str]:
        return list(pair) if self.ipv6 else [pair[0]]
