"""Which packets to send: those that policies always permit or always block, and those they differ about."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from op25b_app.net.prefix import WIDTH, Prefix
from op25b_app.policy.decide import decide
from op25b_app.policy.model import LocatedPrefix, Policy, Verdict
from op25b_app.policy.packet import (
    ETH_ARP,
    ETH_IPV4,
    ETH_IPV6,
    ICMPV6,
    NEIGHBOUR_ADVERTISEMENT,
    TCP,
    UDP,
    Packet,
    read_frame,
)
from testing.frames import arp, ethernet, frame_of, icmpv6, ipv4, ipv6, tcp, udp

_OUTSIDE = {4: Prefix.parse("203.0.113.0/24"), 6: Prefix.parse("2001:db8:ffff::/48")}
_SAMPLED = 120
"""Prefixes of each list and IP version whose edges are tried."""
_GRE = 47
_IP_IN_IP = {4: 4, 6: 41}
_UNKNOWN = (0x8864, 0x88CC)
"""PPPoE and LLDP."""
_MPLS = 0x8847
_BOTTOM_OF_STACK, _TTL = 1 << 8, 64
"""Without a bottom, Open vSwitch keeps the flow as it is for as long as it is used: docs/convergence.md."""
_ROUTER_ADVERTISEMENT = 134
_MORE_FRAGMENTS = 0x2000


class Probe(NamedTuple):
    """A frame that comes in at a port; ``passes``: does it, under each policy?"""

    port: int
    frame: bytes
    passes: tuple[bool, ...]


def probes(
    policies: Sequence[Policy],
    switch: str,
    at: float,
    lines: Sequence[int],
    uplink: int,
    count: int,
    seed: int = 25,
) -> list[Probe]:
    """About ``count`` probes, as even as there are enough: always blocked, always permitted, and others."""
    chance = random.Random(seed)
    groups: dict[frozenset[bool], list[Probe]] = {}
    share = count // 3
    frames = _frames(policies, chance, lines, uplink)
    for port, frame in frames:
        packet = read_frame(port, frame)
        passes = tuple(
            decide(policy, policy.switches[switch], packet, at).verdict is not Verdict.BLOCK
            for policy in policies
        )
        group = groups.setdefault(frozenset(passes), [])
        if len(group) < share:
            group.append(Probe(port, frame, passes))
        if len(groups) == 3 and all(len(group) == share for group in groups.values()):
            break
    found = [probe for group in groups.values() for probe in group]
    chance.shuffle(found)
    return found


def passing_frames(
    policies: Sequence[Policy], switch: str, at: float, lines: Sequence[int], uplink: int
) -> dict[int, bytes]:
    """Return for each port a frame that passes under all policies: one of DHCP, or one between others."""
    outside = _OUTSIDE[4].first
    frames = {
        **{line: _frame(line, uplink, ETH_IPV4, ipv4(0, 0xFFFF_FFFF, UDP, udp(68, 67))) for line in lines},
        uplink: _frame(uplink, lines[0], ETH_IPV4, ipv4(outside + 1, outside + 2, UDP, udp(123, 123))),
    }
    for policy in policies:
        for port, frame in frames.items():
            decision = decide(policy, policy.switches[switch], read_frame(port, frame), at)
            assert decision.verdict is not Verdict.BLOCK, decision
    return frames


def _frames(
    policies: Sequence[Policy], chance: random.Random, lines: Sequence[int], uplink: int
) -> Iterator[tuple[int, bytes]]:
    """Each address with every kind of packet that is about it, in random order."""
    addresses = [*dict.fromkeys(_addresses(policies, chance))]
    mail = {
        version: [
            each.prefix.first for each in policies[0].mail_destinations if each.prefix.version == version
        ]
        for version in WIDTH
    }
    chance.shuffle(addresses)
    for number, (version, address) in enumerate(addresses):
        line = lines[number % len(lines)]
        outside = _OUTSIDE[version].first + chance.randrange(1, 250)
        server = chance.choice(mail[version])
        found = [*_of_address(line, uplink, version, address, outside, server)]
        if number % 4 == 0:
            found += _disguised(line, uplink, version, address, outside)
        chance.shuffle(found)
        yield from found


def _addresses(policies: Sequence[Policy], chance: random.Random) -> Iterator[tuple[int, int]]:
    """The edges of some prefixes, and of all bindings, with their neighbours."""
    for policy in policies:
        bound = (
            entry
            for switch in policy.switches.values()
            for each in switch.bindings
            for entry in each.addresses
        )
        for version in WIDTH:
            for listed in (policy.dynamic, policy.static):
                of_version = [each for each in listed if each.prefix.version == version]
                yield from _edges(chance.sample(of_version, min(_SAMPLED, len(of_version))))
        yield from _edges(bound)


def _edges(listed: Iterable[LocatedPrefix]) -> Iterator[tuple[int, int]]:
    for prefix in (each.prefix for each in listed):
        top = (1 << WIDTH[prefix.version]) - 1
        for address in (prefix.first, prefix.last, prefix.first - 1, prefix.last + 1):
            yield prefix.version, min(max(address, 1), top)


def _of_address(
    line: int, uplink: int, version: int, address: int, outside: int, server: int
) -> Iterator[tuple[int, bytes]]:
    """Mail and other packets from an address, answers to it, and others that pretend to be it."""
    for there, port in ((outside, 25), (server, 25), (outside, 587), (outside, 443)):
        yield line, _segment(line, uplink, version, address, there, 40000, port)
    for source, destination, sport, dport in (
        (outside, address, 25, 40000),
        (server, address, 25, 40000),
        (outside, address, 40000, 25),
        (address, outside, 40000, 25),
        (address, outside, 40000, 443),
        (outside, address, 443, 40000),
    ):
        yield uplink, _segment(uplink, line, version, source, destination, sport, dport)


def _disguised(
    line: int, uplink: int, version: int, address: int, outside: int
) -> Iterator[tuple[int, bytes]]:
    """What hardening is about: tags, tunnels, fragments, what is no IP, and claims to an address."""
    ip = ETH_IPV4 if version == 4 else ETH_IPV6
    wrap = ipv4 if version == 4 else ipv6
    mail = wrap(address, outside, TCP, tcp(40000, 25))
    inside = [
        (ip, wrap(address, outside, _GRE, bytes(24))),
        (ip, wrap(address, outside, _IP_IN_IP[version], mail)),
        (ip, wrap(address, outside, UDP, udp(40000, 53))),
        (ip, wrap(address, outside, TCP, tcp(40000, 0))),
        *((each, struct.pack("!Q", address & (1 << 64) - 1) + mail) for each in _UNKNOWN),
        (_MPLS, struct.pack("!I", (address & 0xFFFFF) << 12 | _BOTTOM_OF_STACK | _TTL) + mail),
    ]
    if version == 4:
        inside.append((ip, ipv4(address, outside, TCP, tcp(40000, 25), _MORE_FRAGMENTS)))
        inside.append((ETH_ARP, arp(address, _mac(line), outside)))
    else:
        inside.append((ip, ipv6(address, outside, ICMPV6, icmpv6(_ROUTER_ADVERTISEMENT))))
        inside.append((ip, ipv6(address, outside, ICMPV6, icmpv6(NEIGHBOUR_ADVERTISEMENT, address))))
    for eth_type, payload in inside:
        yield line, _frame(line, uplink, eth_type, payload)
    for port, to in ((line, uplink), (uplink, line)):
        for tags in ((100,), (100, 200)):
            yield port, _frame(port, to, ip, mail, tags)


def _frame(port: int, to: int, eth_type: int, payload: bytes, tags: tuple[int, ...] = ()) -> bytes:
    header = Packet(port, eth_type, eth_source=_mac(port), eth_destination=_mac(to), tags=tags)
    return ethernet(header, payload)


def _segment(
    port: int, to: int, version: int, source: int, destination: int, sport: int, dport: int
) -> bytes:
    return frame_of(
        Packet(
            in_port=port,
            eth_type=ETH_IPV4 if version == 4 else ETH_IPV6,
            eth_source=_mac(port),
            eth_destination=_mac(to),
            version=version,
            source=source,
            destination=destination,
            protocol=TCP,
            source_port=sport,
            destination_port=dport,
        )
    )


def _mac(port: int) -> int:
    """Of whoever sends at a port."""
    return 0x02_00_00_00_00_00 | port
