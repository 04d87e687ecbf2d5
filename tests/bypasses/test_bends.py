"""Bends are undone to what was bent, and are what they say."""

from __future__ import annotations

import ipaddress
import struct

import pytest

from tests.bypasses import arrangements, fragments, link_layer
from tests.bypasses import encapsulation as tunnels
from tests.bypasses import extension_headers as headers
from tests.bypasses.accomplice import Accomplice, Reassembly
from tests.bypasses.bends import Bend, syn_as_ack
from tests.bypasses.headers import (
    ETH_ARP,
    TCP,
    UDP,
    Ethernet,
    Ipv4,
    Ipv6,
    checksum,
    udp_message,
    with_checksum,
)
from tests.bypasses.wires import Aftr, Neighbour, Relay, Unpacking

ENDS = {
    4: (ipaddress.IPv4Address("100.64.0.9").packed, ipaddress.IPv4Address("203.0.113.89").packed),
    6: (
        ipaddress.IPv6Address("2001:db8:1000:1::9").packed,
        ipaddress.IPv6Address("2001:db8:a000:26::19").packed,
    ),
}
OPTIONS = bytes.fromhex("020405b40402080a0000000100000000") + b"\x01\x03\x03\x0a"
MACS = bytes.fromhex("022500000001022500000009")


def syn(version: int, data: bytes = b"") -> bytes:
    """A TCP segment to port 25 as a kernel sends it: a frame."""
    source, destination = ENDS[version]
    header = struct.pack("!HHIIBBHHH", 40000, 25, 7, 0, 10 << 4, 0x02, 64240, 0, 0) + OPTIONS
    segment = with_checksum(source, destination, TCP, header + data)
    packet = (Ipv4 if version == 4 else Ipv6)(source, destination, TCP, segment)
    return MACS + bytes.fromhex("0800" if version == 4 else "86dd") + packet.write()


BENDS_OF_PACKETS: dict[str, tuple[int, Bend]] = {
    "IPv4 fragments of 8": (4, fragments.ipv4_fragments(8)),
    "IPv4 fragments of 24, backwards": (4, fragments.ipv4_fragments(24, backwards=True)),
    "IPv4 fragments that overlap": (4, fragments.ipv4_other_first),
    "IPv4 options": (4, headers.ipv4_options(headers.RECORD_ROUTE)),
    "No SYN": (4, syn_as_ack),
    "IPv6 fragments of 8": (6, fragments.ipv6_fragments(8)),
    "IPv6 fragments that overlap": (6, fragments.ipv6_other_first),
    "IPv6 atomic fragment": (6, fragments.atomic(reserved=3)),
    "IPv6 fragments behind hop-by-hop options": (6, fragments.behind_hop_by_hop),
    "IPv6 chain split": (6, fragments.chain_split),
    "IPv6 fragments within an atomic one": (6, fragments.within_atomic),
    "all extension headers": (6, headers.chain(0, 60, 43, 51, 135, 139, 140, 253, 254, 60)),
    "1,000 bytes of options": (6, headers.long_options(headers.DESTINATION_OPTIONS, 1000)),
    "protocol 200 over IPv4": (4, headers.under_protocol_ipv4(headers.UNASSIGNED)),
    "next header 59": (6, headers.under_protocol_ipv6(headers.NO_NEXT_HEADER)),
    "minimal encapsulation": (4, tunnels.tunnel(tunnels.in_minimal, 4, ENDS)),
    "fragments of a tunnel over UDP": (
        4,
        tunnels.fragmented_tunnel(tunnels.over_udp(ENDS, 4, tunnels.VXLAN_PORT), ENDS, 24),
    ),
    **{
        f"{wrap.__name__} over IPv{outer}, IPv{inner} within": (inner, tunnels.tunnel(wrap, outer, ENDS))
        for outer in (4, 6)
        for inner in (4, 6)
        for wrap in (
            tunnels.in_ip,
            tunnels.in_gre,
            tunnels.in_etherip,
            tunnels.in_l2tp,
            tunnels.in_mpls,
            tunnels.in_ipip,
            tunnels.in_ethernet,
            tunnels.in_esp,
            tunnels.in_encapsulation_header,
            tunnels.in_ipcomp,
            tunnels.in_wesp,
            tunnels.in_rohc,
            tunnels.in_aggfrag,
            tunnels.in_nsh,
        )
    },
    **{
        f"UDP port {port} over IPv{outer}, IPv{inner} within": (
            inner,
            tunnels.tunnel(tunnels.over_udp(ENDS, outer, port), outer, ENDS),
        )
        for outer in (4, 6)
        for inner in (4, 6)
        for port in (*tunnels.NAMED_PORTS, tunnels.UNNAMED_PORT)
    },
}
BENDS_OF_FRAMES: dict[str, Bend] = {
    "three tags": link_layer.tags((0x88A8, 1), (0x8100, 2), (0x8100, 3)),
    "an old tag": link_layer.tags((0x9100, 1), (0x8100, 2)),
    "SNAP": link_layer.snap(),
    "SNAP with a false length below a tag": link_layer.snap(b"\0\0\xf8", length=1, outer=0x8100),
    "PPPoE": link_layer.pppoe,
    "MPLS": link_layer.mpls(link_layer.MPLS),
    "MAC in MAC": link_layer.mac_in_mac,
    "MACsec": link_layer.macsec,
    "NSH": link_layer.nsh,
    "a length beyond the frame": link_layer.length_beyond_frame,
}
BENDS_OF_IPV4_FRAMES: dict[str, Bend] = {
    "LLC": link_layer.llc_ip,
    "another ethertype": link_layer.under_ethertype(link_layer.EXPERIMENT),
    "ARP's ethertype": link_layer.under_ethertype(ETH_ARP),
    "version 5": link_layer.another_version,
}


@pytest.mark.parametrize("name", BENDS_OF_PACKETS)
def test_an_accomplice_undoes_it(name: str) -> None:
    version, bend = BENDS_OF_PACKETS[name]
    frame = syn(version, bytes(range(100)))
    bent = bend(frame)
    assert frame not in bent
    accomplice = Accomplice()
    (undone,) = [each for wired in bent for each in accomplice(wired)]
    header = Ipv4 if version == 4 else Ipv6
    found, wanted = header.read(Ethernet.read(undone).payload), header.read(Ethernet.read(frame).payload)
    assert (found.source, found.destination, found.payload) == (
        wanted.source,
        wanted.destination,
        wanted.payload,
    )
    assert undone[:14] == frame[:14]


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("name", [*BENDS_OF_FRAMES, *BENDS_OF_IPV4_FRAMES])
def test_a_neighbour_takes_it_apart(name: str, version: int) -> None:
    if name in BENDS_OF_IPV4_FRAMES:
        version = 4
    frame = syn(version)
    (bent,) = {**BENDS_OF_FRAMES, **BENDS_OF_IPV4_FRAMES}[name](frame)
    assert bent != frame
    assert link_layer.plain_frame(bent) == frame


@pytest.mark.parametrize("name", [*BENDS_OF_PACKETS])
def test_what_is_not_tcp_goes_as_it_is(name: str) -> None:
    version, bend = BENDS_OF_PACKETS[name]
    source, destination = ENDS[version]
    message = udp_message(source, destination, 53, 53, b"question")
    packet = (Ipv4 if version == 4 else Ipv6)(source, destination, UDP, message)
    frame = MACS + bytes.fromhex("0800" if version == 4 else "86dd") + packet.write()
    assert bend(frame) == [frame]
    arp = MACS + bytes.fromhex("0806") + bytes(28)
    assert bend(arp) == [arp]


@pytest.mark.parametrize("size", [8, 16, 24])
def test_fragments_have_their_size_and_one_identification(size: int) -> None:
    frame = syn(4, bytes(50))
    packets = [Ipv4.read(each[14:]) for each in fragments.ipv4_fragments(size)(frame)]
    assert [len(packet.payload) for packet in packets[:-1]] == [size] * (len(packets) - 1)
    assert len({packet.identification for packet in packets}) == 1
    assert [packet.fragment & fragments.MORE_FRAGMENTS for packet in packets][-1] == 0
    assert b"".join(packet.payload for packet in packets) == Ipv4.read(frame[14:]).payload


def test_tcp_stands_in_the_second_fragment_of_a_split_chain() -> None:
    first, second, *_ = fragments.chain_split(syn(6))
    ports = struct.pack("!HH", 40000, 25)
    assert ports not in first
    assert ports in second


def test_a_kernel_sees_the_port_of_fragments_that_overlap_only_in_the_later_one() -> None:
    decoy, true, *_ = fragments.ipv4_other_first(syn(4))
    assert [int.from_bytes(frame[36:38], "big") for frame in (decoy, true)] == [587, 25]


def test_what_came_last_counts_in_reassembly() -> None:
    reassembly = Reassembly()
    assert reassembly.add(("key",), 0, b"wrongwrg", more=True) is None
    assert reassembly.add(("other",), 8, b"x", more=False) is None
    assert reassembly.add(("key",), 0, b"rightrgt", more=True) is None
    assert reassembly.add(("key",), 8, b"!", more=False) == b"rightrgt!"


def answer(port: int, to: bytes) -> bytes:
    """A SYN-ACK of a mail server: a frame."""
    server = ENDS[4][1]
    header = struct.pack("!HHIIBBHHH", port, 40000, 7, 8, 5 << 4, 0x12, 64240, 0, 0)
    return MACS + b"\x08\x00" + Ipv4(server, to, TCP, with_checksum(server, to, TCP, header)).write()


HELPER = ipaddress.IPv4Address("198.51.100.140").packed
ROUTER = bytes.fromhex("0225000000ff")


def test_a_relay_packs_answers_of_mail_servers_to_its_own_address_only() -> None:
    own = ENDS[4][0]
    relay = Relay(own, own, HELPER, ROUTER)
    to_host, (packed,) = relay.incoming(answer(25, own))
    assert not to_host
    assert packed[:12] == ROUTER + MACS[:6]
    assert Ipv4.read(packed[14:]).destination == HELPER
    ((unpacked,), _) = Unpacking().incoming(packed)
    assert unpacked[14:] == answer(25, own)[14:]
    for other in (answer(26, own), answer(25, HELPER), syn(4), syn(6)):
        assert relay.incoming(other) == ([other], [])


POOL = ipaddress.IPv4Address("192.0.2.10").packed
AFTR = ipaddress.IPv6Address("2001:db8:25:1::a").packed


def test_the_decapsulator_of_the_isp_translates_there_and_back() -> None:
    line, aftr = ENDS[6][0], Aftr(AFTR, POOL, ROUTER)
    (tunnelled,) = tunnels.tunnel(tunnels.in_ip, 6, {6: (line, AFTR)})(syn(4))
    to_host, (sent,) = aftr.incoming(tunnelled)
    assert not to_host
    assert sent[:6] == ROUTER
    packet = Ipv4.read(sent[14:])
    assert (packet.source, packet.destination) == (POOL, ENDS[4][1])
    assert packet.payload == with_checksum(POOL, ENDS[4][1], TCP, packet.payload)
    _, (back,) = aftr.incoming(answer(25, POOL))
    (plain,) = arrangements.out_of_softwire((line, AFTR))(back)
    received = Ipv4.read(plain[14:])
    assert received == Ipv4.read(answer(25, ENDS[4][0])[14:])
    for other in (answer(25, HELPER), syn(4), syn(6), link_layer.length_beyond_frame(syn(4))[0]):
        assert aftr.incoming(other) == ([other], [])
        assert arrangements.out_of_softwire((line, AFTR))(other) == [other]


def test_a_clat_translates_there_and_back() -> None:
    line = (ENDS[4][0], ENDS[6][0])
    server = (ENDS[4][1], ipaddress.IPv6Address("64:ff9b::203.0.113.89").packed)
    (frame,) = arrangements.to_ipv6(line, server)(syn(4))
    packet = Ipv6.read(frame[14:])
    assert (packet.source, packet.destination) == (line[1], server[1])
    assert packet.payload == with_checksum(line[1], server[1], TCP, packet.payload)
    there_and_back = arrangements.from_ipv6((server[0], server[1]), (line[0], line[1]))
    assert Ipv4.read(there_and_back(frame)[0][14:]).payload == Ipv4.read(syn(4)[14:]).payload
    assert there_and_back(syn(6)) == [syn(6)]


def test_source_routes_end_where_the_packet_was_to_go() -> None:
    stop = {version: ends[0] for version, ends in ENDS.items()}
    (frame,) = headers.loose_source_route(stop[4])(syn(4))
    packet = Ipv4.read(frame[14:])
    assert (packet.destination, packet.options[3:7]) == (stop[4], ENDS[4][1])
    (frame,) = headers.segment_route(stop[6])(syn(6))
    routed = Ipv6.read(frame[14:])
    assert (routed.destination, routed.payload[3], routed.payload[8:24]) == (stop[6], 1, ENDS[6][1])
    assert routed.payload[40:] == Ipv6.read(syn(6)[14:]).payload


@pytest.mark.parametrize("version", [4, 6])
def test_a_neighbour_hides_answers_to_its_friends_only(version: int) -> None:
    own = {each: ENDS[each][1] for each in (4, 6)}
    neighbour = Neighbour(own)
    frame = syn(version)
    at = {4: 34, 6: 54}[version]
    from_smtp = frame[:at] + frame[at + 2 : at + 4] + frame[at : at + 2] + frame[at + 4 :]
    assert neighbour.outgoing(from_smtp) == [from_smtp]
    neighbour.friends.add(ENDS[version][1])
    assert neighbour.outgoing(frame) == [frame]
    (hidden,) = neighbour.outgoing(from_smtp)
    ((unpacked,), _) = Unpacking().incoming(hidden)
    assert unpacked == from_smtp


def test_checksums_are_those_of_rfc_1071() -> None:
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0x220D
    for version in (4, 6):
        source, destination = ENDS[version]
        segment = syn(version)[34 if version == 4 else 54 :]
        pseudo = source + destination + struct.pack("!II", len(segment), TCP)
        assert checksum(pseudo + segment) == 0


def test_cut_off_headers_are_no_packets() -> None:
    for header in (Ipv4, Ipv6):
        with pytest.raises(ValueError, match="no IPv"):
            header.read(b"\x45\x00")
    with pytest.raises(ValueError, match="IPv4 packet of 40 bytes in 39"):
        Ipv4.read(Ipv4(bytes(4), bytes(4), TCP, bytes(20)).write()[:-1])
