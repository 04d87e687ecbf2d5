"""Who stands where in an attempt: each function sets up the hosts and says who sends to which server."""

from __future__ import annotations

import ipaddress
import struct
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from isp import DYNAMIC, LINK_A, SERVERS, STATIC, UNLISTED, Network
from mail_server import server_name

from tests.bypasses.bends import Bend, carries_tcp, of_frame, straight
from tests.bypasses.encapsulation import IPV4, Ends, in_ip, tunnel
from tests.bypasses.extension_headers import loose_source_route, segment_route
from tests.bypasses.headers import (
    BROADCAST,
    ETH_ARP,
    ETH_IPV4,
    ETH_IPV6,
    ICMPV6,
    TCP,
    Ethernet,
    Ipv4,
    Ipv6,
    outline,
    with_checksum,
)
from tests.bypasses.network import Host, LineNetwork, packed_address
from tests.bypasses.wires import Program, Relay, Silent, Unpacking, Wire

_SMTP = 25
_POISON_SECONDS = 0.5
"""Linux believes no other answer for a second after one (``locktime`` in arp(7))."""
_ALL_NODES = ipaddress.IPv6Address("ff02::1").packed
_ALL_NODES_MAC = bytes.fromhex("333300000001")
_OVERRIDE, _SOLICITED = 0x20000000, 0x40000000


class Sender(NamedTuple):
    """The host whose mail client connects to an address; every host that is part of it puts frames out."""

    host: Host
    server: str
    domain: str
    port: int = _SMTP
    others: tuple[Host, ...] = ()

    @property
    def frames(self) -> int:
        """Frames that these hosts have sent so far."""
        return sum(host.wire.sent for host in (self.host, *self.others))


Arrangement = Callable[[LineNetwork], Sender]


def direct(version: int, bend: Bend = straight, *, space: Network = DYNAMIC) -> Arrangement:
    """From a line with its own address to the external server, whose kernel undoes the trick itself."""

    def arrange(network: LineNetwork) -> Sender:
        return _to_external(network.line(space, Program(bend)), network, version)

    return arrange


def to_accomplice(version: int, bend: Bend) -> Arrangement:
    """From a line to the external server behind the accomplice's box."""

    def arrange(network: LineNetwork) -> Sender:
        server = network.behind_accomplice
        return Sender(network.in_league(bend), server.addresses[version], server.domain)

    return arrange


def through_tunnel(version: int, make_bend: Callable[[Ends], Bend]) -> Arrangement:
    """From a line through a tunnel that ends in the accomplice's box."""

    def arrange(network: LineNetwork) -> Sender:
        server, line = network.behind_accomplice, network.in_league(straight)
        ends: Ends = {
            each: (packed_address(line.own[each == 6]), packed_address(server.addresses[each]))
            for each in (4, 6)
        }
        line.wire.program.outgoing = make_bend(ends)
        return Sender(line, server.addresses[version], server.domain)

    return arrange


def through_aftr() -> Arrangement:
    """From a line in a tunnel to the ISP's own decapsulator, which hands on what is inside."""

    def arrange(network: LineNetwork) -> Sender:
        line = network.line()
        aftr = network.decapsulator(line.router)
        softwire = packed_address(line.own[1]), aftr.address
        line.wire.program = Program(tunnel(in_ip, 6, {6: softwire}), out_of_softwire(softwire))
        return _to_external(line, network, 4)

    return arrange


def out_of_softwire(ends: tuple[bytes, bytes]) -> Bend:
    """What the far end of a tunnel of IPv4 in IPv6 sends back, without the tunnel."""
    here, there = ends

    def bend(frame: bytes) -> list[bytes]:
        if outline(frame) != (ETH_IPV6, there, here, IPV4):
            return [frame]
        ethernet = Ethernet.read(frame)
        inner = Ipv6.read(ethernet.payload).payload
        return [ethernet._replace(ethertype=ETH_IPV4, payload=inner).write()]

    return bend


def translating() -> Arrangement:
    """From a line whose router translates IPv4 to IPv6 (a CLAT) to the external server behind a NAT64."""

    def arrange(network: LineNetwork) -> Sender:
        line, server = network.line(), network.external.addresses[4]
        inside, outside = (
            (packed_address(line.own[0]), packed_address(line.own[1])),
            (packed_address(server), packed_address(network.translated_address())),
        )
        line.wire.program = Program(to_ipv6(inside, outside), from_ipv6(inside, outside))
        return Sender(line, server, network.external.domain)

    return arrange


_Pair = tuple[bytes, bytes]
"""The same host's address in IPv4 and in IPv6."""


def to_ipv6(line: _Pair, server: _Pair) -> Bend:
    """TCP of IPv4 between two hosts as TCP of IPv6 (RFC 7915)."""

    def change(frame: Ethernet) -> list[Ethernet]:
        if frame.ethertype != ETH_IPV4:
            return [frame]
        packet = Ipv4.read(frame.payload)
        segment = with_checksum(line[1], server[1], TCP, packet.payload)
        translated = Ipv6(line[1], server[1], TCP, segment).write()
        return [frame._replace(ethertype=ETH_IPV6, payload=translated)]

    return of_frame(change)


def from_ipv6(line: _Pair, server: _Pair) -> Bend:
    """The way back of ``to_ipv6``."""

    def bend(frame: bytes) -> list[bytes]:
        if outline(frame) != (ETH_IPV6, server[1], line[1], TCP):
            return [frame]
        ethernet = Ethernet.read(frame)
        segment = with_checksum(server[0], line[0], TCP, Ipv6.read(ethernet.payload).payload)
        translated = Ipv4(server[0], line[0], TCP, segment).write()
        return [ethernet._replace(ethertype=ETH_IPV4, payload=translated).write()]

    return bend


def by_way_of_the_router(version: int) -> Arrangement:
    """By a source route through the ISP's router, one of whose addresses is among the mail destinations.

    Over IPv4 the external server's kernel is at the route's end and sends answers the same way back; over
    IPv6 an accomplice takes the header off, since kernels accept none unasked.
    """

    def arrange(network: LineNetwork) -> Sender:
        stop = packed_address(SERVERS.addresses(1)[version == 6].split("/")[0])
        if version == 4:
            return source_routed(loose_source_route(stop))(network)
        settings = [f"ipv6/conf/{name}/seg6_enabled" for name in ("all", "eth0")]
        network.edge.namespace.setting(1, *settings)
        return to_accomplice(6, segment_route(stop))(network)

    return arrange


def to_neighbour(version: int, bend: Bend) -> Arrangement:
    """From a line straight to the neighbour behind the uplink, which takes the frame apart."""

    def arrange(network: LineNetwork) -> Sender:
        line = network.in_league(bend)
        server = network.external.addresses[version]
        neighbour = LINK_A.addresses(1)[version == 6].split("/")[0]
        line.namespace.ip(f"route add {neighbour} dev eth0", f"route add {server} via {neighbour} dev eth0")
        return Sender(line, server, network.external.domain)

    return arrange


def borrowed(version: int, space: Network, bend: Bend = straight) -> Arrangement:
    """A dynamic line with the address of a line of ``space`` that is switched off."""

    def arrange(network: LineNetwork) -> Sender:
        address = network.absent_line(space)[version]
        line = network.line(program=Program(bend), uses=[address], as_in=space)
        return _to_external(line, network, version)

    return arrange


def of_a_server(version: int) -> Arrangement:
    """A dynamic line with an address of the network of the ISP's mail servers."""

    def arrange(network: LineNetwork) -> Sender:
        line = network.line(uses=[network.numbered(SERVERS)[version]], as_in=SERVERS)
        return _to_external(line, network, version)

    return arrange


def of_an_exception(version: int) -> Arrangement:
    """A dynamic line with the address of another one that has an exception and is switched off."""

    def arrange(network: LineNetwork) -> Sender:
        address = network.absent_line(DYNAMIC)[version]
        network.excepted.append(address)
        return _to_external(network.line(uses=[address]), network, version)

    return arrange


def redirected(version: int) -> Arrangement:
    """A dynamic line says by ARP or neighbour advertisement that a static neighbour's address is here."""

    def arrange(network: LineNetwork) -> Sender:
        victim = network.line(STATIC, Silent())
        line = network.line(uses=[victim.own[version == 6]], as_in=STATIC)
        line.wire.program.outgoing = announcing(victim.own[version == 6])
        return _to_external(line, network, version)

    return arrange


def poisoned(version: int) -> Arrangement:
    """A dynamic line writes into the router's cache that a static neighbour's address is here.

    Not by announcing it to all: by answers that nobody asked for, to the router alone.
    """

    def arrange(network: LineNetwork) -> Sender:
        address = network.line(STATIC, Silent()).own[version == 6]
        line = network.line(uses=[address], as_in=STATIC)
        router = packed_address(STATIC.addresses(1)[version == 6].split("/")[0])
        asker = bytes.fromhex(line.router.replace(":", "")), router
        claim = _claim(packed_address(address), bytes.fromhex(line.mac.replace(":", "")), asker)
        threading.Thread(target=_repeat, args=(line.wire, claim), daemon=True).start()
        return _to_external(line, network, version)

    return arrange


def redirected_exception(version: int) -> Arrangement:
    """A dynamic line says by ARP that the address of one with an exception is here."""

    def arrange(network: LineNetwork) -> Sender:
        address = network.line(program=Silent()).own[version == 6]
        network.excepted.append(address)
        line = network.line(uses=[address])
        line.wire.program.outgoing = announcing(address)
        return _to_external(line, network, version)

    return arrange


def stolen_port() -> Arrangement:
    """A dynamic line with a static neighbour's addresses, while the neighbour is on and answers ARP.

    Its frames bear the neighbour's MAC address, so that the switch takes answers to it. The line itself asks
    and answers no ARP: the router finds the address where it is.
    """

    def arrange(network: LineNetwork) -> Sender:
        victim = network.line(STATIC, Silent())
        line = network.line(uses=[victim.own[0]], as_in=STATIC)
        line.wire.program = Program(with_source(victim.mac), with_destination(victim.mac, line.mac))
        line.namespace.setting(8, "ipv4/conf/all/arp_ignore")
        gateway = STATIC.addresses(1)[0].split("/")[0]
        line.namespace.ip(f"neighbour replace {gateway} lladdr {line.router} nud permanent dev eth0")
        return _to_external(line, network, 4)

    return arrange


def with_source(mac: str) -> Bend:
    """TCP under another Ethernet source."""
    source = bytes.fromhex(mac.replace(":", ""))
    return of_frame(lambda frame: [frame._replace(source=source)])


def with_destination(mac: str, own: str) -> Bend:
    """TCP that a switch delivers for another MAC address, as if for the host's own."""
    other, mine = (bytes.fromhex(each.replace(":", "")) for each in (mac, own))
    return of_frame(
        lambda frame: [frame._replace(destination=mine if frame.destination == other else frame.destination)]
    )


def cloned(version: int) -> Arrangement:
    """A dynamic line with the IP and the MAC address of a static neighbour, whose host is quiet."""

    def arrange(network: LineNetwork) -> Sender:
        mac = network.new_mac()
        address = network.absent_line(STATIC, mac)[version]
        return _to_external(network.line(uses=[address], as_in=STATIC, mac=mac), network, version)

    return arrange


def announcing(address: str) -> Bend:
    """A bend that says before each TCP frame that its sender has this address (RFC 826, RFC 4861)."""
    packed = packed_address(address)

    def bend(frame: bytes) -> list[bytes]:
        if not carries_tcp(frame):
            return [frame]
        return [_claim(packed, frame[6:12]), frame]

    return bend


def _claim(address: bytes, mac: bytes, asker: tuple[bytes, bytes] | None = None) -> bytes:
    """That an address is at a MAC address: to all, or as if one host (MAC, IP address) had asked."""
    return _arp(address, mac, asker) if len(address) == 4 else _advertisement(address, mac, asker)


def _repeat(wire: Wire, frame: bytes) -> None:
    """Put a frame on a wire again and again, forever."""
    while True:
        wire.put(frame)
        time.sleep(_POISON_SECONDS)


def _arp(address: bytes, mac: bytes, asker: tuple[bytes, bytes] | None) -> bytes:
    """A request of a host for itself, or an answer."""
    operation, (to, target) = (2, asker) if asker else (1, (BROADCAST, address))
    payload = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation) + mac + address
    payload += (to if asker else bytes(6)) + target
    return Ethernet(to, mac, ETH_ARP, payload).write()


def _advertisement(address: bytes, mac: bytes, asker: tuple[bytes, bytes] | None) -> bytes:
    """To all, or as one that was asked for."""
    flags, (to, target) = (
        (_OVERRIDE | _SOLICITED, asker) if asker else (_OVERRIDE, (_ALL_NODES_MAC, _ALL_NODES))
    )
    message = struct.pack("!BBHI", 136, 0, 0, flags) + address + b"\x02\x01" + mac
    checked = with_checksum(address, target, ICMPV6, message)
    packet = Ipv6(address, target, ICMPV6, checked, hop_limit=255)
    return Ethernet(to, mac, ETH_IPV6, packet.write()).write()


def helper_outside(version: int, *, to_company: bool = False) -> Arrangement:
    """A helper outside sends with the address of a line, and the line relays the answers to it."""

    def arrange(network: LineNetwork) -> Sender:
        line = network.line()
        own = line.own[version == 6]
        helper = network.outside_host(Unpacking(), uses=[own])
        line.wire.program = _relay(line.router, own, own, helper.own[version == 6])
        server = network.server("company.example") if to_company else network.external
        return Sender(helper, server.addresses[version], server.domain, others=(line,))

    return arrange


def relay_outside(version: int) -> Arrangement:
    """A dynamic line sends with the address of a host outside, which relays the answers to it."""

    def arrange(network: LineNetwork) -> Sender:
        relay = network.outside_host(Program())
        return _with_address_of(relay, network.line(program=Unpacking()), network, version)

    return arrange


def relay_inside(version: int, *, sender_in: Network, relay_in: Network) -> Arrangement:
    """A line sends with the address of another one, which relays the answers to it."""

    def arrange(network: LineNetwork) -> Sender:
        relay = network.line(relay_in)
        return _with_address_of(relay, network.line(sender_in, Unpacking()), network, version)

    return arrange


def _with_address_of(relay: Host, sender: Host, network: LineNetwork, version: int) -> Sender:
    borrowed_address, own = relay.own[version == 6], sender.own[version == 6]
    relay.wire.program = _relay(relay.router, borrowed_address, borrowed_address, own)
    sender.namespace.ip(f"address add {borrowed_address} dev eth0{' nodad' if version == 6 else ''}")
    server = network.external.addresses[version]
    sender.namespace.ip(
        f"route add {server} via {network.gateway_of(sender)[version]} src {borrowed_address}"
    )
    return Sender(sender, server, network.external.domain, others=(relay,))


def into_forgotten_pool(version: int) -> Arrangement:
    """A helper outside sends with an unlisted address that a dynamic line has taken, beside its own."""

    def arrange(network: LineNetwork) -> Sender:
        address = network.numbered(UNLISTED)[version]
        line = network.line()
        line.namespace.ip(f"address add {address} dev eth0{' nodad' if version == 6 else ''}")
        helper = network.outside_host(Unpacking(), uses=[address])
        line.wire.program = _relay(line.router, address, line.own[version == 6], helper.own[version == 6])
        server = network.external
        return Sender(helper, server.addresses[version], server.domain, others=(line,))

    return arrange


def _relay(router: str, borrowed_address: str, own: str, helper: str) -> Relay:
    borrowed_from, sender, receiver = map(packed_address, (borrowed_address, own, helper))
    return Relay(borrowed_from, sender, receiver, bytes.fromhex(router.replace(":", "")))


def link_local(version: int) -> Arrangement:
    """A dynamic line and a static mail server on the same Ethernet, by their link-local addresses."""

    def arrange(network: LineNetwork) -> Sender:
        line, company = network.line(), network.company
        if version == 6:
            return Sender(line, f"{link_local_address(company.mac)}%eth0", "company.example")
        line.namespace.ip("address add 169.254.25.1/16 dev eth0")
        company.namespace.ip("address add 169.254.25.2/16 dev eth0")
        return Sender(line, "169.254.25.2", "company.example")

    return arrange


def link_local_address(mac: str) -> str:
    """The address that a host gives itself (RFC 4291, appendix A)."""
    octets = bytearray.fromhex(mac.replace(":", ""))
    octets[0] ^= 2
    interface = bytes(octets[:3]) + b"\xff\xfe" + bytes(octets[3:])
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + interface))


def to_dynamic(version: int) -> Arrangement:
    """To a mail server on another dynamic line."""

    def arrange(network: LineNetwork) -> Sender:
        server = network.server("selfhost.example")
        return Sender(network.line(), server.addresses[version], server.domain)

    return arrange


def behind_nat64() -> Arrangement:
    """To the external server by the address that a NAT64 gives it (RFC 6052)."""

    def arrange(network: LineNetwork) -> Sender:
        line, server = network.line(), network.translated_address()
        return Sender(line, server, network.external.domain)

    return arrange


def source_routed(bend: Bend) -> Arrangement:
    """From a line whose kernel takes answers that are source-routed too."""

    def arrange(network: LineNetwork) -> Sender:
        sender = direct(4, bend)(network)
        names = [f"ipv4/conf/{name}/accept_source_route" for name in ("all", "eth0")]
        sender.host.namespace.setting(1, *names)
        return sender

    return arrange


def from_well_known_port(version: int) -> Arrangement:
    """The client's port is one of a server, as rules for answers let through."""

    def arrange(network: LineNetwork) -> Sender:
        sender = direct(version)(network)
        sender.host.namespace.setting(0, "ipv4/ip_unprivileged_port_start")
        sender.host.namespace.setting("20 53", "ipv4/ip_local_port_range")
        return sender

    return arrange


def _to_external(line: Host, network: LineNetwork, version: int) -> Sender:
    return Sender(line, network.external.addresses[version], network.external.domain)


def submission(port: int) -> Arrangement:
    """An honest mail program on a dynamic line."""

    def arrange(network: LineNetwork) -> Sender:
        return Sender(network.line(), server_name("external.example"), "external.example", port)

    return arrange


def to_isp(version: int) -> Arrangement:
    """A dynamic line to the mail server of its ISP."""

    def arrange(network: LineNetwork) -> Sender:
        server = network.server("isp.example")
        return Sender(network.line(), server.addresses[version], server.domain)

    return arrange


def of_static(version: int) -> Arrangement:
    """A static line with its own address."""
    return direct(version, space=STATIC)


def inward(domain: str) -> Arrangement:
    """A host outside to a mail server on a line."""

    def arrange(network: LineNetwork) -> Sender:
        server = network.server(domain)
        return Sender(network.outside_host(Program()), server.addresses[4], domain)

    return arrange
