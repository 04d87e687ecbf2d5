"""Frames are read as Open vSwitch reads them; tests/openvswitch holds that against the real one."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from op25b_app.net.prefix import parse_address
from op25b_app.policy.packet import ETH_IPV4, ETH_IPV6, Packet, read_frame
from testing.frames import ethernet, frame_of, ipv4, ipv6, tcp, udp

SOURCE4, DESTINATION4 = parse_address("100.64.0.1")[1], parse_address("203.0.113.25")[1]
SOURCE6, DESTINATION6 = parse_address("2001:db8:1000::1")[1], parse_address("2001:db8:ffff::25")[1]
SEGMENT = tcp(40000, 25)


def ip4(**fields: object) -> Packet:
    return Packet(1, ETH_IPV4, 4, SOURCE4, DESTINATION4, 6, **fields)  # type: ignore[arg-type]


def ip6(protocol: int | None = 6, **fields: object) -> Packet:
    return Packet(1, ETH_IPV6, 6, SOURCE6, DESTINATION6, protocol, **fields)  # type: ignore[arg-type]


@given(
    st.sampled_from((4, 6)),
    st.integers(0, (1 << 32) - 1),
    st.sampled_from((6, 17)),
    st.integers(0, 65535),
    st.integers(0, 65535),
    st.sampled_from(((), (0,), (4094,))),
)
def test_what_is_written_is_read(
    version: int, address: int, protocol: int, source_port: int, port: int, tags: tuple[int, ...]
) -> None:
    ethertype = ETH_IPV4 if version == 4 else ETH_IPV6
    packet = Packet(1, ethertype, version, address, address ^ 1, protocol, source_port, port, tags=tags)
    assert read_frame(1, frame_of(packet)) == packet


def test_a_second_tag_hides_the_ip_header() -> None:
    inner = struct.pack("!HH", 7, ETH_IPV4) + ipv4(SOURCE4, DESTINATION4, 6, SEGMENT)
    for tpid in (0x8100, 0x88A8):
        frame = ethernet(Packet(1, tpid, tags=(100,)), inner)
        assert read_frame(1, frame) == Packet(1, tpid, tags=(100,))


def test_an_unknown_tag_hides_the_ip_header() -> None:
    inner = struct.pack("!HH", 7, ETH_IPV4) + ipv4(SOURCE4, DESTINATION4, 6, SEGMENT)
    assert read_frame(1, ethernet(Packet(1, 0x9100), inner)) == Packet(1, 0x9100)


@pytest.mark.parametrize("fragment", [0x2000, 0x0001, 0x2001])
def test_ports_of_an_ipv4_fragment_are_not_read(fragment: int) -> None:
    frame = ethernet(ip4(), ipv4(SOURCE4, DESTINATION4, 6, SEGMENT, fragment))
    assert read_frame(1, frame) == ip4(fragment=True)


def test_do_not_fragment_is_no_fragment() -> None:
    frame = ethernet(ip4(), ipv4(SOURCE4, DESTINATION4, 6, SEGMENT, 0x4000))
    assert read_frame(1, frame).destination_port == 25


def test_ipv4_options_are_walked_over() -> None:
    packet = bytearray(ipv4(SOURCE4, DESTINATION4, 6, bytes(8) + SEGMENT))
    packet[0] = 0x47
    assert read_frame(1, ethernet(ip4(), bytes(packet))).destination_port == 25


@pytest.mark.parametrize("kind", [0, 43, 60])
def test_ipv6_extension_headers_are_walked_over(kind: int) -> None:
    extension = struct.pack("!BB", 6, 1) + bytes(14)
    frame = ethernet(ip6(), ipv6(SOURCE6, DESTINATION6, kind, extension + SEGMENT))
    assert read_frame(1, frame) == ip6(source_port=40000, destination_port=25)


def test_an_authentication_header_counts_in_four_octets() -> None:
    authentication = struct.pack("!BB", 6, 4) + bytes(22)
    frame = ethernet(ip6(), ipv6(SOURCE6, DESTINATION6, 51, authentication + SEGMENT))
    assert read_frame(1, frame).destination_port == 25


@pytest.mark.parametrize(("offset", "is_fragment"), [(0, False), (1, True), (8, True)])
def test_an_atomic_ipv6_fragment_is_whole(offset: int, is_fragment: bool) -> None:
    """RFC 6946."""
    header = struct.pack("!BBHI", 6, 0, offset, 1)
    packet = read_frame(1, ethernet(ip6(), ipv6(SOURCE6, DESTINATION6, 44, header + SEGMENT)))
    whole = ip6(source_port=40000, destination_port=25)
    later = ip6(protocol=44, fragment=True)
    assert packet == {0: whole, 1: ip6(fragment=True), 8: later}[offset]
    assert packet.fragment is is_fragment


def test_a_mobility_header_ends_the_chain() -> None:
    frame = ethernet(ip6(), ipv6(SOURCE6, DESTINATION6, 135, bytes(8) + SEGMENT))
    assert read_frame(1, frame) == ip6(protocol=135)


def test_every_cut_is_read_without_error() -> None:
    extension = struct.pack("!BB", 6, 0) + bytes(6)
    for payload, version in (
        (ipv4(SOURCE4, DESTINATION4, 17, udp(1, 2)), 4),
        (ipv6(SOURCE6, DESTINATION6, 60, extension + SEGMENT), 6),
    ):
        frame = ethernet(ip4() if version == 4 else ip6(), payload)
        for length in range(14, len(frame)):
            assert read_frame(1, frame[:length]).destination_port is None
    with pytest.raises(ValueError, match="13 bytes are no Ethernet frame"):
        read_frame(1, bytes(13))
