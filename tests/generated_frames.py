"""Frames of every kind as bytes, honest and hostile, for property tests."""

from __future__ import annotations

import struct
from collections.abc import Callable

from hypothesis import strategies as st

from op25b_app.net.prefix import parse_address
from op25b_app.policy.model import Policy
from op25b_app.policy.packet import ETH_ARP, ETH_IPV4, ETH_IPV6
from testing.frames import arp, icmpv6, ipv4, ipv6, tcp, udp
from tests.generated import ETHERTYPES, MACS, PORTS_OF_INTEREST, UDP_TUNNELS, edges

Kind = Callable[[st.DrawFn, Policy], tuple[int, bytes]]
"""Draws an ethertype and what follows it."""

TAGS = (
    (),
    (),
    (),
    (),
    ((0x8100, 100),),
    ((0x8100, 0),),
    ((0x88A8, 100),),
    ((0x8100, 300),),
    ((0x9100, 100),),
    ((0x8100, 100), (0x8100, 200)),
    ((0x88A8, 100), (0x8100, 100)),
    ((0x8100, 100), (0x8100, 200), (0x8100, 300)),
)
DESTINATION_MAC = 0x02_00_00_00_00_FF
"""Nobody sends from it, so a learning switch floods what goes there."""
DHCPV6_GROUP, DHCPV6_GROUP_MAC = parse_address("ff02::1:2")[1], 0x33_33_00_01_00_02
DESTINATION_MACS = (DESTINATION_MAC, DESTINATION_MAC, DHCPV6_GROUP_MAC)
TUNNELS = (4, 41, 47, 55, 94, 97, 98, 108, 115, 137, 141, 142, 143, 144, 145, 50, 132)
_UDP_PORTS = st.sampled_from((*UDP_TUNNELS, 4788, 4791))
EXTENSIONS = (0, 43, 60, 51, 44, 135, 139, 253)
_LINK_LOCAL = {4: parse_address("169.254.7.1")[1], 6: parse_address("fe80::1")[1]}


@st.composite
def frames(draw: st.DrawFn, policy: Policy) -> bytes:
    """A frame from its Ethernet destination on, now and then cut short."""
    ethertype, payload = draw(st.sampled_from(KINDS))(draw, policy)
    tags = draw(st.sampled_from(TAGS))
    header = draw(st.sampled_from(DESTINATION_MACS)).to_bytes(6, "big") + draw(
        st.sampled_from(MACS)
    ).to_bytes(6, "big")
    header += b"".join(struct.pack("!HH", tpid, number) for tpid, number in tags)
    if ethertype in (ETH_IPV4, ETH_IPV6) and draw(st.integers(0, 15)) == 0:
        header += struct.pack("!H", len(payload) + 8) + bytes.fromhex("aaaa03000000")
    frame = header + struct.pack("!H", ethertype) + payload
    return frame[: draw(st.integers(14, len(frame)))] if draw(st.integers(0, 15)) == 0 else frame


def _address(draw: st.DrawFn, policy: Policy, version: int) -> int:
    return draw(st.sampled_from((*edges(policy, version), 0, _LINK_LOCAL[version])))


def _ip(draw: st.DrawFn, policy: Policy, version: int, protocol: int, payload: bytes) -> tuple[int, bytes]:
    source, destination = _address(draw, policy, version), _address(draw, policy, version)
    if version == 4:
        return ETH_IPV4, ipv4(source, destination, protocol, payload)
    return ETH_IPV6, ipv6(source, destination, protocol, payload)


def _version(draw: st.DrawFn) -> int:
    return draw(st.sampled_from((4, 6)))


def _segment(draw: st.DrawFn) -> bytes:
    return tcp(draw(st.sampled_from((25, 0, 40000))), draw(st.sampled_from((25, 25, 0, *PORTS_OF_INTEREST))))


def _tcp(draw: st.DrawFn, policy: Policy) -> tuple[int, bytes]:
    return _ip(draw, policy, _version(draw), 6, _segment(draw))


def _tunnel(draw: st.DrawFn, policy: Policy) -> tuple[int, bytes]:
    return _ip(draw, policy, _version(draw), draw(st.sampled_from(TUNNELS)), _segment(draw))


def _udp_tunnel(draw: st.DrawFn, policy: Policy) -> tuple[int, bytes]:
    """UDP to a port that may be blocked, whole or a first fragment."""
    version, message = _version(draw), udp(draw(st.sampled_from((53, 4789))), draw(_UDP_PORTS)) + bytes(8)
    source, destination = _address(draw, policy, version), _address(draw, policy, version)
    fragment = draw(st.sampled_from((False, False, True)))
    if version == 4:
        return ETH_IPV4, ipv4(source, destination, 17, message, 0x2000 if fragment else 0)
    header = struct.pack("!BBHI", 17, 0, 1, 1) if fragment else b""
    return ETH_IPV6, ipv6(source, destination, 44 if fragment else 17, header + message)


def _fragment(draw: st.DrawFn, policy: Policy) -> tuple[int, bytes]:
    source, destination = _address(draw, policy, 4), _address(draw, policy, 4)
    flags = draw(st.sampled_from((0x2000, 0x2001, 0x0001, 0x0003, 0x4000, 0x8000)))
    protocol = draw(st.sampled_from((6, 6, 17, 1)))
    segment = _segment(draw)[: draw(st.sampled_from((8, 16, 20)))]
    return ETH_IPV4, ipv4(source, destination, protocol, segment, flags)


def _chain(draw: st.DrawFn, policy: Policy) -> tuple[int, bytes]:
    """IPv6 extension headers before TCP, ending anywhere."""
    kinds = draw(st.lists(st.sampled_from(EXTENSIONS), min_size=1, max_size=3))
    chain = b""
    for place, kind in enumerate(kinds):
        following = kinds[place + 1] if place + 1 < len(kinds) else 6
        if kind == 44:
            flags = draw(st.sampled_from((0, 1, 8, 9)))
            chain += struct.pack("!BBHI", following, 0, flags, 1)
        elif kind == 51:
            chain += struct.pack("!BB", following, 4) + bytes(22)
        else:
            longer = draw(st.sampled_from((0, 0, 1)))
            chain += struct.pack("!BB", following, longer) + bytes(6 + 8 * longer)
    payload = chain + _segment(draw)
    if draw(st.integers(0, 3)) == 0:
        payload = payload[: draw(st.integers(0, len(payload)))]
    return _ip(draw, policy, 6, kinds[0], payload)


def _arp(draw: st.DrawFn, policy: Policy) -> tuple[int, bytes]:
    sender, target = (_address(draw, policy, 4) for _ in range(2))
    return ETH_ARP, arp(sender, draw(st.sampled_from(MACS)), target, draw(st.sampled_from((1, 2))))


def _neighbour(draw: st.DrawFn, policy: Policy) -> tuple[int, bytes]:
    kind = draw(st.sampled_from((130, 131, 143, 133, 134, 135, 136, 136, 137, 128, 2)))
    target = _address(draw, policy, 6)
    return _ip(draw, policy, 6, 58, icmpv6(kind, target))


def _dhcp(draw: st.DrawFn, policy: Policy) -> tuple[int, bytes]:
    version = _version(draw)
    ports = draw(st.sampled_from(((68, 67), (67, 68), (546, 547), (547, 546), (5353, 5353))))
    return _ip(draw, policy, version, 17, udp(*ports))


def _relayed(draw: st.DrawFn, policy: Policy) -> tuple[int, bytes]:
    """DHCPv6 as a relay agent, or nearly so."""
    ports = draw(st.sampled_from(((547, 547), (547, 547), (546, 547), (547, 546), (548, 547))))
    source = draw(st.sampled_from((_LINK_LOCAL[6], _LINK_LOCAL[6], 0, *edges(policy, 6))))
    group = draw(st.sampled_from((DHCPV6_GROUP, DHCPV6_GROUP, DHCPV6_GROUP + 1, _LINK_LOCAL[6])))
    return ETH_IPV6, ipv6(source, group, 17, udp(*ports))


def _igmp(draw: st.DrawFn, policy: Policy) -> tuple[int, bytes]:
    return _ip(draw, policy, 4, 2, bytes(8))


def _other(draw: st.DrawFn, policy: Policy) -> tuple[int, bytes]:
    ethertype = draw(st.sampled_from((*ETHERTYPES, 0x8864, 0x8847, 0x0100, ETH_ARP)))
    return ethertype, ipv4(1, 2, 6, _segment(draw))


KINDS: tuple[Kind, ...] = (
    _tcp,
    _tcp,
    _fragment,
    _chain,
    _chain,
    _tunnel,
    _udp_tunnel,
    _arp,
    _neighbour,
    _dhcp,
    _relayed,
    _igmp,
    _other,
)
