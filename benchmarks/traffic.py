"""What subscribers and the world outside send: frames as bytes, the same at every run."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from benchmarks.policies import SEED, UPLINK, Space, Subscriber, mail_destinations, subscribers
from op25b_app.net.prefix import WIDTH, Prefix
from op25b_app.policy.packet import ETH_IPV4, ETH_IPV6, TCP, UDP, Packet
from testing.frames import frame_of

CONNECTIONS = 2000
SCANNED_PORTS = 2000

_ANY_PORT = 0
_SERVICES = {
    (TCP, 443): 30,
    (UDP, 443): 15,
    (UDP, 53): 12,
    (TCP, 80): 10,
    (TCP, 25): 10,
    (TCP, 587): 5,
    (TCP, 465): 3,
    (TCP, 993): 3,
    (TCP, _ANY_PORT): 6,
    (UDP, _ANY_PORT): 6,
}
"""Weights of what is connected to."""
_FROM_OUTSIDE_ODDS, _IPV6_ODDS, _TO_MAIL_DESTINATION_ODDS = 0.1, 0.4, 0.5
_GLOBAL = {4: (Prefix.parse("0.0.0.0/1"), Prefix.parse("128.0.0.0/2")), 6: (Prefix.parse("2000::/3"),)}
_EPHEMERAL = (32768, 60999)
"""Source ports of new connections, as Linux has them."""
_ROUTER_MAC = 0x02_00_00_00_00_FF


class Arrival(NamedTuple):
    """A frame and the port at which it comes in."""

    port: int
    frame: bytes


class _End(NamedTuple):
    address: int
    port: int


def introductions(space: Space) -> list[Arrival]:
    """One frame from and to everybody, from which a switch learns who is where."""
    there = outside(random.Random(SEED), space, 4)
    return [
        arrival
        for line in subscribers(space)
        for arrival in _both_ways(line, 4, UDP, _End(line.addresses[4], 123), _End(there, 123))
    ]


def connections(space: Space, count: int = CONNECTIONS, seed: int = SEED) -> list[Arrival]:
    """The first packets of connections and their answers, as if nothing were blocked.

    Remote addresses are random; one connection in ten comes from outside, two in five are IPv6, and half of
    the mail goes to mail destinations.
    """
    source = random.Random(seed)
    lines = subscribers(space)
    arrivals: list[Arrival] = []
    for _ in range(count):
        line = source.choice(lines)
        version = 6 if source.random() < _IPV6_ODDS else 4
        [(protocol, port)] = source.choices(list(_SERVICES), list(_SERVICES.values()))
        client = source.randint(*_EPHEMERAL)
        server = port if port != _ANY_PORT else source.randint(1, 65535)
        here, there = line.addresses[version], outside(source, space, version)
        if source.random() < _FROM_OUTSIDE_ODDS:
            outward, inward = _both_ways(line, version, protocol, _End(here, server), _End(there, client))
            arrivals += inward, outward
            continue
        if port in (25, 465, 587) and source.random() < _TO_MAIL_DESTINATION_ODDS:
            there = _mail_server(source, version)
        arrivals += _both_ways(line, version, protocol, _End(here, client), _End(there, server))
    return arrivals


def plain_connections(space: Space, count: int = CONNECTIONS, seed: int = SEED) -> list[Arrival]:
    """TCP connections over IPv4 to random ports of random hosts, each answered.

    They come from all of the dynamic space, and all from one line, as behind an access node. Which ports and
    hosts they are does not depend on that space, so that spaces are compared and not draws.
    """
    within = random.Random(seed)
    line = subscribers(space)[0]
    prefixes = [prefix for prefix in space.dynamic if prefix.version == 4]
    arrivals: list[Arrival] = []
    for number in range(count):
        own = random.Random(f"{seed} {number}")
        here = _End(_address(within, within.choice(prefixes)), own.randint(*_EPHEMERAL))
        there = _End(port=own.randint(1, 65535), address=outside(own, space, 4))
        arrivals += _both_ways(line, 4, TCP, here, there)
    return arrivals


def port_scan(space: Space) -> list[Arrival]:
    """One subscriber tries the lowest ports of one host, which answers each."""
    line = subscribers(space)[0]
    there = outside(random.Random(SEED), space, 4)
    return [
        arrival
        for port in range(1, SCANNED_PORTS + 1)
        for arrival in _both_ways(line, 4, TCP, _End(line.addresses[4], 40000), _End(there, port))
    ]


def by_port(arrivals: Iterable[Arrival], batch: int) -> Iterator[tuple[int, list[bytes]]]:
    """At most ``batch`` frames of one port at a time; the frames of each port stay in order."""
    waiting: dict[int, list[bytes]] = {}
    for arrival in arrivals:
        frames = waiting.setdefault(arrival.port, [])
        frames.append(arrival.frame)
        if len(frames) == batch:
            yield arrival.port, waiting.pop(arrival.port)
    yield from waiting.items()


def _both_ways(
    line: Subscriber, version: int, protocol: int, here: _End, there: _End
) -> tuple[Arrival, Arrival]:
    """What a line sends, and what comes back from the uplink."""
    mac = 0x02_00_00_00_00_00 | line.port
    return (
        _arrival(line.port, version, protocol, (mac, here), (_ROUTER_MAC, there)),
        _arrival(UPLINK, version, protocol, (_ROUTER_MAC, there), (mac, here)),
    )


def _arrival(
    in_port: int, version: int, protocol: int, sender: tuple[int, _End], receiver: tuple[int, _End]
) -> Arrival:
    packet = Packet(
        in_port=in_port,
        eth_type=ETH_IPV4 if version == 4 else ETH_IPV6,
        eth_source=sender[0],
        eth_destination=receiver[0],
        version=version,
        protocol=protocol,
        source=sender[1].address,
        source_port=sender[1].port,
        destination=receiver[1].address,
        destination_port=receiver[1].port,
    )
    return Arrival(in_port, frame_of(packet))


def outside(source: random.Random, space: Space, version: int) -> int:
    """An address that is not the ISP's."""
    while True:
        address = _address(source, source.choice(_GLOBAL[version]))
        if not _holds(space.enclosed_by, version, address):
            return address


def _mail_server(source: random.Random, version: int) -> int:
    destinations = [prefix for prefix in mail_destinations() if prefix.version == version]
    return _address(source, source.choice(destinations))


def _address(source: random.Random, prefix: Prefix) -> int:
    free = WIDTH[prefix.version] - prefix.length
    return prefix.first | source.getrandbits(free)


def _holds(ascending: Sequence[Prefix], version: int, address: int) -> bool:
    before = bisect_right(ascending, Prefix(version, address, WIDTH[version])) - 1
    return before >= 0 and ascending[before].contains(version, address)
