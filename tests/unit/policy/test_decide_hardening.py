"""The list of decisions where tricks are tried: tags, tunnels, fragments, borrowed addresses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from op25b_app.compiler.compiler import compile_rules
from op25b_app.compiler.simulate import trace
from op25b_app.compiler.simulate import verdict as verdict_of
from op25b_app.net.prefix import Prefix, parse_address
from op25b_app.policy.decide import Decision, decide
from op25b_app.policy.loader import load
from op25b_app.policy.model import LocatedPrefix, Policy
from op25b_app.policy.packet import ETH_ARP, Packet, read_frame
from testing.frames import arp, ethernet, icmpv6, ipv4, ipv6, tcp, udp

NOW = 1_800_000_000.0
MAC, OTHER_MAC = 0x020000000003, 0x020000000009
POLICY = """\
isp: {mail_destinations: [192.0.2.0/24]}
address_space:
  dynamic: [100.64.0.0/10, "2001:db8:1000::/36"]
  static: [100.64.8.0/24]
hardening:
HARDENING
switches:
  s:
    dpid: 1
    subscriber_ports: [1-4]
    uplink_ports: [25, 27]
    trusted_ports: [26]
    serves: [100.64.0.0/12, "2001:db8:1000::/40"]
    vlans: {2: [100, untagged], 4: [0], 27: [300]}
    bindings:
      - {port: 3, mac: "02:00:00:00:00:03", addresses: [100.64.8.10, "2001:db8:1000:3::/64"]}
"""
DYNAMIC, STATIC, OUTSIDE, MAIL = "100.64.0.1", "100.64.8.9", "203.0.113.25", "192.0.2.25"
DYNAMIC6, OUTSIDE6, BOUND6, LINK_LOCAL = (
    "2001:db8:1000::1",
    "2001:db8:ffff::25",
    "2001:db8:1000:3::7",
    "fe80::1",
)


def policy_of(folder: Path, **hardening: str) -> Policy:
    path = folder / "policy.yaml"
    lines = "\n".join(f"  {key}: {value}" for key, value in hardening.items())
    path.write_text(POLICY.replace("HARDENING", lines))
    loaded = load(path, NOW)
    assert loaded.policy is not None, loaded.problems
    return loaded.policy


def decided(policy: Policy, port: int, frame: bytes) -> Decision:
    return decide(policy, policy.switches["s"], read_frame(port, frame), NOW)


def outcome(policy: Policy, port: int, frame: bytes) -> tuple[str, str]:
    decision = decided(policy, port, frame)
    return decision.verdict.value, decision.rule


RELAYS_MAC = 0x33_33_00_01_00_02


def ip(
    source: str,
    destination: str,
    payload: bytes,
    protocol: int = 6,
    tags: tuple[int, ...] = (),
    mac: int = MAC,
    fragment: int = 0,
    to_mac: int = 0x02_00_00_00_00_02,
) -> bytes:
    version, address = parse_address(source)
    ethertype = 0x0800 if version == 4 else 0x86DD
    if version == 4:
        packet = ipv4(address, parse_address(destination)[1], protocol, payload, fragment)
    else:
        packet = ipv6(address, parse_address(destination)[1], protocol, payload)
    return ethernet(Packet(1, ethertype, tags=tags, eth_source=mac, eth_destination=to_mac), packet)


SMTP, WEB = tcp(40000, 25), tcp(40000, 443)


@pytest.mark.parametrize(
    ("port", "tags", "expected"),
    [
        (1, (), ("permit", "subscriber-7")),
        (1, (100,), ("block", "subscriber-1")),
        (1, (0,), ("block", "subscriber-1")),
        (2, (), ("permit", "subscriber-7")),
        (2, (100,), ("permit", "subscriber-7")),
        (2, (200,), ("block", "subscriber-1")),
        (4, (), ("block", "subscriber-1")),
        (4, (0,), ("permit", "subscriber-7")),
        (9, (100,), ("block", "subscriber-1")),
        (25, (777,), ("permit", "uplink-5")),
        (27, (777,), ("block", "uplink-1")),
        (27, (300,), ("permit", "uplink-5")),
        (27, (), ("block", "uplink-1")),
        (26, (777,), ("permit", "trusted-1")),
    ],
)
def test_tags(tmp_path: Path, port: int, tags: tuple[int, ...], expected: tuple[str, str]) -> None:
    source = DYNAMIC if port < 25 else OUTSIDE
    assert (
        outcome(policy_of(tmp_path, encapsulation="block"), port, ip(source, MAIL, WEB, tags=tags))
        == expected
    )
    permitted = policy_of(tmp_path, encapsulation="permit")
    assert outcome(permitted, port, ip(source, MAIL, WEB, tags=tags))[0] == "permit"


@pytest.mark.parametrize("ethertype", [0x8100, 0x88A8, 0x9100, 0x8863, 0x8864, 0x8847, 0x88CC, 0x0100])
def test_frames_in_which_no_ip_is_seen(tmp_path: Path, ethertype: int) -> None:
    frame = ethernet(Packet(1, ethertype), bytes.fromhex("00640800") + bytes(42))
    policy = policy_of(tmp_path, encapsulation="block", ethertypes="[0x888e]")
    if ethertype not in (0x8100, 0x88A8):
        assert outcome(policy, 1, frame) == ("block", "subscriber-1")
        assert outcome(policy, 25, frame) == ("block", "uplink-1")
    doubled = ethernet(Packet(1, ethertype, tags=(100,)), bytes(46))
    assert outcome(policy, 2, doubled) == ("block", "subscriber-1")
    assert outcome(policy, 25, doubled) == ("block", "uplink-1")


def test_ethertypes_that_are_let_through_only_from_subscribers(tmp_path: Path) -> None:
    frame = ethernet(Packet(1, 0x888E), bytes(46))
    policy = policy_of(tmp_path, ethertypes="[0x888e]")
    assert outcome(policy, 1, frame) == ("permit", "subscriber-7")
    assert outcome(policy, 25, frame) == ("block", "uplink-1")


@pytest.mark.parametrize("protocol", [4, 41, 47, 55, 94, 97, 98, 108, 115, 137, 141, 142, 143, 144, 145])
@pytest.mark.parametrize(("source", "end"), [(DYNAMIC, OUTSIDE), (DYNAMIC6, OUTSIDE6)])
def test_tunnels(tmp_path: Path, protocol: int, source: str, end: str) -> None:
    frame = ip(source, end, SMTP, protocol)
    assert outcome(policy_of(tmp_path, tunnels="permit"), 1, frame)[0] == "permit"
    assert outcome(policy_of(tmp_path, tunnels="block"), 1, frame) == ("block", "subscriber-1")
    elsewhere = policy_of(tmp_path, tunnels='{permit_to: ["203.0.113.0/28", "2001:db8:fff0::/48"]}')
    assert outcome(elsewhere, 1, frame) == ("block", "subscriber-1")
    there = policy_of(tmp_path, tunnels='{permit_to: ["203.0.113.16/28", "2001:db8:ffff::/48"]}')
    assert outcome(there, 1, frame)[0] == "permit"


@pytest.mark.parametrize(("source", "end"), [(DYNAMIC, OUTSIDE), (DYNAMIC6, OUTSIDE6)])
def test_tunnels_over_udp(tmp_path: Path, source: str, end: str) -> None:
    vxlan, other = (ip(source, end, udp(4789, port) + SMTP, 17) for port in (4789, 4790))
    gre = ip(source, end, SMTP, 47)
    ports_alone = policy_of(tmp_path, tunnels="{block_udp_ports: [4789]}")
    assert outcome(ports_alone, 1, vxlan) == ("block", "subscriber-1")
    assert "UDP port 4789" in decided(ports_alone, 1, vxlan).because
    assert outcome(ports_alone, 1, other) == outcome(ports_alone, 1, gre) == ("permit", "subscriber-7")
    assert outcome(ports_alone, 25, vxlan)[0] == "permit"
    both = policy_of(tmp_path, tunnels="{permit_to: [], block_udp_ports: [4789]}")
    assert outcome(both, 1, vxlan)[0] == outcome(both, 1, gre)[0] == "block"
    there = '{permit_to: ["203.0.113.16/28", "2001:db8:ffff::/48"], block_udp_ports: [4789]}'
    permitted = policy_of(tmp_path, tunnels=there)
    assert outcome(permitted, 1, vxlan)[0] == outcome(permitted, 1, gre)[0] == "permit"
    by_protocol = policy_of(tmp_path, tunnels="block")
    assert outcome(by_protocol, 1, vxlan)[0] == "permit"


@pytest.mark.parametrize(
    "fragment",
    [
        ip(DYNAMIC, OUTSIDE, udp(4789, 4789) + SMTP, 17, fragment=0x2000),
        ip(DYNAMIC, OUTSIDE, SMTP, 17, fragment=0x0001),
        ip(DYNAMIC6, OUTSIDE6, bytes([17, 0, 0, 1, 0, 0, 0, 1]) + udp(4789, 4789) + SMTP, 44),
    ],
)
def test_fragments_of_udp_pass_unless_port_0_is_named(tmp_path: Path, fragment: bytes) -> None:
    named = policy_of(tmp_path, tunnels="{block_udp_ports: [4789]}")
    assert outcome(named, 1, fragment) == ("permit", "subscriber-7")
    with_0 = policy_of(tmp_path, tunnels="{block_udp_ports: [0, 4789]}")
    assert outcome(with_0, 1, fragment) == ("block", "subscriber-1")
    assert "fragment" in decided(with_0, 1, fragment).because


def test_a_line_gets_an_address_whatever_udp_ports_are_blocked(tmp_path: Path) -> None:
    policy = policy_of(tmp_path, tunnels="{block_udp_ports: [0, 66, 69, 545, 548]}")
    for source, ports in (("0.0.0.0", (68, 67)), (LINK_LOCAL, (546, 547))):
        assert outcome(policy, 1, ip(source, "255.255.255.255", udp(*ports), 17))[0] == "permit"


HOP_BY_HOP = bytes([6, 0]) + bytes(6)
UNREADABLE = {
    "first fragment": ip(DYNAMIC, MAIL, SMTP[:8], fragment=0x2000),
    "later fragment": ip(DYNAMIC, MAIL, SMTP[8:], fragment=0x0001),
    "IPv6 first fragment": ip(DYNAMIC6, OUTSIDE6, bytes([6, 0, 0, 1, 0, 0, 0, 1]) + SMTP[:8], 44),
    "IPv6 chain cut by its end": ip(DYNAMIC6, OUTSIDE6, bytes([6, 3]) + bytes(6), 60),
    "mobility header": ip(DYNAMIC6, OUTSIDE6, HOP_BY_HOP + SMTP, 135),
    "host identity": ip(DYNAMIC6, OUTSIDE6, HOP_BY_HOP + SMTP, 139),
    "shim6": ip(DYNAMIC6, OUTSIDE6, HOP_BY_HOP + SMTP, 140),
    "experiment": ip(DYNAMIC6, OUTSIDE6, HOP_BY_HOP + SMTP, 253),
    "TCP header cut short": ip(DYNAMIC, MAIL, SMTP[:12]),
    "port 0": ip(DYNAMIC, MAIL, tcp(40000, 0)),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_tcp_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    frame = UNREADABLE[name]
    assert outcome(policy_of(tmp_path, unreadable_tcp="block"), 1, frame) == ("block", "subscriber-1")
    assert outcome(policy_of(tmp_path, unreadable_tcp="permit"), 1, frame) == ("permit", "subscriber-7")


def test_a_routing_header_stops_where_a_switch_does_not_read_through_it(tmp_path: Path) -> None:
    """Whatever is behind it, mail by way of a mail destination among it; Open vSwitch reads on."""
    packet = Packet(1, 0x86DD, version=6, protocol=43, source=parse_address(DYNAMIC6)[1])
    packet = replace(packet, destination=parse_address("2001:db8:25::25")[1])
    for mode, verdict in (("block", "block"), ("permit", "permit")):
        policy = policy_of(tmp_path, unreadable_tcp=mode)
        switch = policy.switches["s"]
        policy = replace(
            policy, mail_destinations=(LocatedPrefix(Prefix.parse("2001:db8:25::/48"), switch.place),)
        )
        assert decide(policy, switch, packet, NOW).verdict.value == verdict
        passed = trace(compile_rules(policy, switch, NOW), packet)
        assert verdict_of(passed, None).value == verdict


def test_static_space_may_send_fragments(tmp_path: Path) -> None:
    policy = policy_of(tmp_path, unreadable_tcp="block")
    assert outcome(policy, 1, ip(STATIC, OUTSIDE, SMTP[:8], fragment=0x2000))[0] == "permit"
    borrowed = ip("100.64.8.10", OUTSIDE, SMTP[:8], fragment=0x2000)
    assert outcome(policy, 1, borrowed) == ("block", "subscriber-1")
    assert outcome(policy, 3, borrowed)[0] == "permit"


@pytest.mark.parametrize(
    "frame",
    [
        ip(DYNAMIC, OUTSIDE, bytes(24), 1, fragment=0x2000),
        ip(DYNAMIC, OUTSIDE, bytes(24), 1, fragment=0x0003),
        ip(DYNAMIC, OUTSIDE, bytes(24), 17, fragment=0x2000),
        ip(DYNAMIC6, OUTSIDE6, bytes([58, 0, 0, 1, 0, 0, 0, 1]) + bytes(16), 44),
        ip(DYNAMIC6, OUTSIDE6, bytes([6, 0, 0, 8, 0, 0, 0, 1]) + bytes(16), 44),
        ip(DYNAMIC6, OUTSIDE6, bytes([17, 0]) + bytes(6) + udp(1, 443), 0),
    ],
)
def test_large_pings_and_other_fragments_pass(tmp_path: Path, frame: bytes) -> None:
    for validation in ("port-25", "prefix"):
        policy = policy_of(tmp_path, unreadable_tcp="block", source_validation=validation)
        assert outcome(policy, 1, frame) == ("permit", "subscriber-7")


@pytest.mark.parametrize(
    ("port", "source", "mac", "by_prefix", "by_binding"),
    [
        (1, DYNAMIC, MAC, "permit", "block"),
        (1, "198.51.100.1", MAC, "block", "block"),
        (1, "100.127.0.1", MAC, "block", "block"),
        (3, "100.64.8.10", MAC, "permit", "permit"),
        (3, "100.64.8.10", OTHER_MAC, "permit", "block"),
        (3, DYNAMIC, MAC, "permit", "block"),
        (3, BOUND6, MAC, "permit", "permit"),
        (1, BOUND6, MAC, "permit", "block"),
        (3, LINK_LOCAL, MAC, "block", "block"),
    ],
)
def test_sources(tmp_path: Path, port: int, source: str, mac: int, by_prefix: str, by_binding: str) -> None:
    destination = OUTSIDE if ":" not in source else OUTSIDE6
    frame = ip(source, destination, WEB, mac=mac)
    for validation, expected in (("off", "permit"), ("prefix", by_prefix), ("binding", by_binding)):
        verdict, rule = outcome(policy_of(tmp_path, source_validation=validation), port, frame)
        assert (verdict, rule) == (expected, "subscriber-2" if expected == "block" else "subscriber-7")


@pytest.mark.parametrize(
    ("source", "validated"),
    [(OUTSIDE, "permit"), (DYNAMIC, "block"), (STATIC, "block"), (MAIL, "permit")],
)
def test_own_sources_at_an_uplink(tmp_path: Path, source: str, validated: str) -> None:
    frame = ip(source, OUTSIDE, WEB)
    for validation in ("off", "port-25", "prefix", "binding"):
        expected = validated if validation in ("prefix", "binding") else "permit"
        assert outcome(policy_of(tmp_path, source_validation=validation), 25, frame)[0] == expected


def test_unlisted_sources_may_send_mail_only_where_sources_are_not_validated(tmp_path: Path) -> None:
    frame = ip("198.51.100.1", OUTSIDE, SMTP)
    assert outcome(policy_of(tmp_path, source_validation="off"), 1, frame) == ("permit", "subscriber-6")
    assert outcome(policy_of(tmp_path, source_validation="port-25"), 1, frame) == ("block", "subscriber-6")
    fragment = ip("198.51.100.1", OUTSIDE, SMTP[:8], fragment=0x2000)
    assert outcome(policy_of(tmp_path, source_validation="off"), 1, fragment) == ("block", "subscriber-1")


@pytest.mark.parametrize(
    ("sender", "sender_mac", "mac", "expected"),
    [
        ("100.64.8.10", MAC, MAC, "permit"),
        ("0.0.0.0", MAC, MAC, "permit"),
        ("100.64.8.11", MAC, MAC, "block"),
        ("100.64.8.10", OTHER_MAC, MAC, "block"),
        ("100.64.8.10", MAC, OTHER_MAC, "block"),
    ],
)
def test_arp_under_bindings(tmp_path: Path, sender: str, sender_mac: int, mac: int, expected: str) -> None:
    frame = ethernet(Packet(1, ETH_ARP, eth_source=mac), arp(parse_address(sender)[1], sender_mac))
    for validation, verdict in (("off", "permit"), ("prefix", "permit"), ("binding", expected)):
        assert outcome(policy_of(tmp_path, source_validation=validation), 3, frame) == (
            verdict,
            "subscriber-0",
        )


@pytest.mark.parametrize(
    ("source", "kind", "target", "by_prefix", "by_binding"),
    [
        (LINK_LOCAL, 133, "::", "permit", "permit"),
        (LINK_LOCAL, 134, "::", "block", "block"),
        (LINK_LOCAL, 135, OUTSIDE6, "permit", "permit"),
        ("::", 135, DYNAMIC6, "permit", "permit"),
        (LINK_LOCAL, 136, BOUND6, "permit", "permit"),
        (LINK_LOCAL, 136, LINK_LOCAL, "permit", "permit"),
        (LINK_LOCAL, 136, DYNAMIC6, "permit", "block"),
        (BOUND6, 136, BOUND6, "permit", "permit"),
        (BOUND6, 136, DYNAMIC6, "permit", "block"),
        (DYNAMIC6, 136, BOUND6, "permit", "block"),
        (OUTSIDE6, 135, BOUND6, "block", "block"),
        (LINK_LOCAL, 137, BOUND6, "block", "block"),
        (LINK_LOCAL, 143, "::", "permit", "permit"),
    ],
)
def test_neighbour_discovery(
    tmp_path: Path, source: str, kind: int, target: str, by_prefix: str, by_binding: str
) -> None:
    frame = ip(source, "ff02::1", icmpv6(kind, parse_address(target)[1]), 58)
    for validation, expected in (("port-25", "permit"), ("prefix", by_prefix), ("binding", by_binding)):
        assert outcome(policy_of(tmp_path, source_validation=validation), 3, frame)[0] == expected


@pytest.mark.parametrize(
    ("source", "destination", "ports", "expected"),
    [
        ("0.0.0.0", "255.255.255.255", (68, 67), "permit"),
        (LINK_LOCAL, "ff02::1:2", (546, 547), "permit"),
        (DYNAMIC, "255.255.255.255", (67, 68), "block"),
        (DYNAMIC6, "ff02::1", (547, 546), "block"),
        ("0.0.0.0", "255.255.255.255", (5353, 5353), "block"),
    ],
)
def test_dhcp(tmp_path: Path, source: str, destination: str, ports: tuple[int, int], expected: str) -> None:
    frame = ip(source, destination, udp(*ports), 17)
    assert outcome(policy_of(tmp_path, source_validation="port-25"), 1, frame)[0] == "permit"
    assert outcome(policy_of(tmp_path, source_validation="prefix"), 1, frame)[0] == expected
    assert outcome(policy_of(tmp_path, source_validation="binding"), 3, frame)[0] == expected


@pytest.mark.parametrize(
    ("source", "destination", "to_mac", "ports", "expected"),
    [
        (LINK_LOCAL, "ff02::1:2", RELAYS_MAC, (547, 547), "permit"),
        (LINK_LOCAL, "ff02::1:2", RELAYS_MAC, (547, 546), "block"),
        (LINK_LOCAL, "ff02::1:2", RELAYS_MAC, (548, 547), "block"),
        ("::", "ff02::1:2", RELAYS_MAC, (547, 547), "block"),
        (OUTSIDE6, "ff02::1:2", RELAYS_MAC, (547, 547), "block"),
        (LINK_LOCAL, "fe80::2", MAC, (547, 547), "block"),
        (LINK_LOCAL, "fe80::2", RELAYS_MAC, (547, 547), "block"),
        (LINK_LOCAL, "ff02::1:2", MAC, (547, 547), "block"),
        (LINK_LOCAL, "ff05::1:3", RELAYS_MAC, (547, 547), "block"),
        (BOUND6, OUTSIDE6, MAC, (547, 547), "permit"),
    ],
)
def test_a_lightweight_dhcpv6_relay_agent(
    tmp_path: Path, source: str, destination: str, to_mac: int, ports: tuple[int, int], expected: str
) -> None:
    """RFC 6221: requests of its clients go on; answers of servers never come from a line."""
    frame = ip(source, destination, udp(*ports), 17, to_mac=to_mac)
    assert outcome(policy_of(tmp_path, source_validation="port-25"), 3, frame)[0] == "permit"
    for validation in ("prefix", "binding"):
        assert outcome(policy_of(tmp_path, source_validation=validation), 3, frame)[0] == expected
