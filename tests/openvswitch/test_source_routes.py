"""What a switch can tell of source routes: nothing (docs/bypasses.md says what to do instead)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest

from op25b_app.net.prefix import parse_address
from op25b_app.openflow.flow_rule import FieldValue, FlowRule
from op25b_app.policy.packet import ETH_IPV4, ETH_IPV6, Packet
from testing.frames import ethernet, tcp
from testing.private_ovs import PrivateOvs

BAD_MATCH, BAD_FIELD = 4, 6
ROUTING_HEADER = 1 << 5
"""OFPIEH_ROUTER (OpenFlow 1.3.5, section 7.2.3.8)."""


@pytest.fixture(scope="module")
def bridge(ovs: PrivateOvs) -> Iterator[str]:
    ovs.add_bridge("routes", (1, 2))
    ovs.add_flows("routes", "tcp,tp_dst=25,actions=output:2\ntcp6,tp_dst=25,actions=output:2")
    yield "routes"
    ovs.vsctl("del-br", "routes")


def test_open_vswitch_cannot_match_a_routing_header(ovs: PrivateOvs, bridge: str) -> None:
    """The day that it can, such packets to mail destinations can be blocked."""
    match = (FieldValue("eth_type", ETH_IPV6), FieldValue("ipv6_exthdr", ROUTING_HEADER, ROUTING_HEADER))
    with ovs.openflow(bridge) as switch:
        (refusal,) = switch.load([FlowRule(0, 10, match, None, 0)])
    assert (refusal.type, refusal.code) == (BAD_MATCH, BAD_FIELD)


def test_a_source_route_is_read_through(ovs: PrivateOvs, bridge: str) -> None:
    """The switch sees port 25 and the next stop, be there a route behind it or not."""
    stop, end = parse_address("192.0.2.1")[1], parse_address("203.0.113.25")[1]
    option = bytes((131, 7, 4)) + end.to_bytes(4, "big") + bytes(1)
    source = parse_address("100.64.0.1")[1]
    header = struct.pack("!BBHHHBBHII", 0x47, 0, 48, 0, 0, 64, 6, 0, source, stop)
    ipv4 = ethernet(Packet(1, ETH_IPV4), header + option + tcp(40000, 25))
    segments = b"".join(
        parse_address(each)[1].to_bytes(16, "big") for each in ("2001:db8::25", "2001:db8::1")
    )
    routing = struct.pack("!BBBBBBH", 6, len(segments) // 8, 4, 1, 1, 0, 0) + segments
    fixed = struct.pack("!IHBB", 6 << 28, len(routing) + 20, 43, 64) + bytes(16) + segments[16:]
    ipv6 = ethernet(Packet(1, ETH_IPV6), fixed + routing + tcp(40000, 25))
    for frame in (ipv4, ipv6):
        assert "output:2" in ovs.trace(bridge, 1, frame)
