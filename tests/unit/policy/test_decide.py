"""The list of decisions, row by row, on one policy that has something of everything."""

from __future__ import annotations

from dataclasses import replace

import pytest

from op25b_app.net.prefix import parse_address
from op25b_app.policy.decide import Decision, decide
from op25b_app.policy.loader import load
from op25b_app.policy.model import Policy
from op25b_app.policy.packet import UDP
from tests.generated import packet

NOW = 1_800_000_000.0
POLICY = """\
isp:
  mail_destinations: [192.0.2.0/24, "2001:db8:25::/48"]
  nat64_prefixes: ["64:ff9b::/96"]
address_space:
  dynamic: [100.64.0.0/10, 100.64.8.128/25, "2001:db8:1000::/36"]
  static: [100.64.8.0/24, "2001:db8:1008::/48"]
inbound:
  port_25: block
exceptions:
  - {name: ticket, source: 100.64.3.7, destination: 203.0.113.0/24, reason: old,
     expires: 2027-03-31T00:00:00Z}
  - {name: anywhere, source: "2001:db8:1000::7"}
  - {name: past, source: 100.64.3.8, expires: 2027-01-01T00:00:00Z}
  - {name: line, source: {switch: access-1, port: 4}, destination: 198.51.100.0/24}
switches:
  access-1:
    dpid: 1
    subscriber_ports: [1-4]
    uplink_ports: [25]
    trusted_ports: [26]
    bindings:
      - {port: 3, addresses: [100.64.8.10]}
  access-2: {dpid: 2, subscriber_ports: [1-4], mode: monitor}
hardening: {encapsulation: permit, unreadable_tcp: permit}
"""


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    path = tmp_path_factory.mktemp("decide") / "policy.yaml"
    path.write_text(POLICY)
    loaded = load(path, NOW)
    assert loaded.policy is not None, loaded.problems
    return loaded.policy


def decided(
    policy: Policy,
    in_port: int,
    source: str,
    destination: str,
    port: int = 25,
    source_port: int = 40000,
    switch: str = "access-1",
    at: float = NOW,
    protocol: int = 6,
) -> Decision:
    version, address = parse_address(source)
    frame = packet(
        in_port, version, address, parse_address(destination)[1], source_port, port, protocol=protocol
    )
    return decide(policy, policy.switches[switch], frame, at)


@pytest.mark.parametrize(
    ("in_port", "source", "destination", "verdict", "rule", "line"),
    [
        (1, "100.64.0.1", "192.0.2.25", "permit", "subscriber-3", 2),
        (1, "203.0.113.1", "192.0.2.25", "permit", "subscriber-3", 2),
        (1, "2001:db8:1000::1", "2001:db8:25::25", "permit", "subscriber-3", 2),
        (1, "2001:db8:1000::1", "64:ff9b::192.0.2.25", "permit", "subscriber-3", 2),
        (1, "2001:db8:1000::1", "64:ff9b::203.0.113.25", "block", "subscriber-6", 5),
        (1, "100.64.3.7", "203.0.113.25", "permit", "subscriber-4", 10),
        (1, "100.64.3.7", "198.51.100.25", "block", "subscriber-6", 5),
        (1, "100.64.3.8", "203.0.113.25", "block", "subscriber-6", 5),
        (1, "2001:db8:1000::7", "2001:db8:ffff::25", "permit", "subscriber-4", 12),
        (4, "100.64.0.1", "198.51.100.25", "permit", "subscriber-4", 14),
        (3, "100.64.0.1", "198.51.100.25", "block", "subscriber-6", 5),
        (1, "100.64.8.1", "203.0.113.25", "permit", "subscriber-5", 6),
        (1, "100.64.8.129", "203.0.113.25", "block", "subscriber-6", 5),
        (1, "2001:db8:1008::1", "2001:db8:ffff::25", "permit", "subscriber-5", 6),
        (3, "100.64.8.10", "203.0.113.25", "permit", "subscriber-5", 6),
        (2, "100.64.8.10", "203.0.113.25", "block", "subscriber-6", 6),
        (1, "100.64.0.1", "203.0.113.25", "block", "subscriber-6", 5),
        (1, "100.64.0.1", "100.64.0.2", "block", "subscriber-6", 5),
        (1, "203.0.113.1", "203.0.113.25", "block", "subscriber-6", 4),
        (9, "100.64.0.1", "203.0.113.25", "block", "subscriber-6", 5),
        (26, "100.64.0.1", "203.0.113.25", "permit", "trusted-1", 16),
        (25, "203.0.113.1", "100.64.0.1", "block", "uplink-4", 8),
        (25, "192.0.2.25", "100.64.0.1", "block", "uplink-4", 8),
        (25, "203.0.113.1", "100.64.8.1", "permit", "uplink-5", 16),
        (25, "203.0.113.1", "192.0.2.25", "permit", "uplink-5", 16),
        (25, "100.64.0.1", "192.0.2.25", "block", "uplink-2", 5),
        (25, "100.64.8.1", "198.51.100.25", "block", "uplink-2", 6),
    ],
)
def test_to_port_25(
    policy: Policy, in_port: int, source: str, destination: str, verdict: str, rule: str, line: int
) -> None:
    decision = decided(policy, in_port, source, destination)
    assert (decision.verdict.value, decision.rule, decision.place.line) == (verdict, rule, line)


@pytest.mark.parametrize(
    ("source", "destination", "verdict", "rule"),
    [
        ("203.0.113.25", "100.64.0.1", "block", "uplink-3"),
        ("2001:db8:ffff::25", "2001:db8:1000::1", "block", "uplink-3"),
        ("203.0.113.25", "100.64.8.1", "permit", "uplink-5"),
        ("203.0.113.25", "100.64.8.129", "block", "uplink-3"),
        ("203.0.113.25", "192.0.2.25", "permit", "uplink-5"),
        ("192.0.2.25", "100.64.0.1", "permit", "uplink-5"),
        ("64:ff9b::192.0.2.25", "2001:db8:1000::1", "permit", "uplink-5"),
        ("203.0.113.25", "100.64.3.7", "permit", "uplink-5"),
        ("198.51.100.25", "100.64.3.7", "permit", "uplink-5"),
        ("203.0.113.25", "100.64.3.8", "block", "uplink-3"),
        ("2001:db8:ffff::25", "2001:db8:1000::7", "permit", "uplink-5"),
        ("100.64.8.1", "100.64.0.1", "block", "uplink-2"),
    ],
)
def test_from_port_25_at_an_uplink(
    policy: Policy, source: str, destination: str, verdict: str, rule: str
) -> None:
    decision = decided(policy, 25, source, destination, port=40000, source_port=25)
    assert (decision.verdict.value, decision.rule) == (verdict, rule)


@pytest.mark.parametrize("in_port", [1, 25, 26])
@pytest.mark.parametrize("port", [24, 26, 465, 587, 80])
def test_other_ports_are_open(policy: Policy, in_port: int, port: int) -> None:
    assert decided(policy, in_port, "100.64.0.1", "203.0.113.25", port).verdict.value == "permit"


def test_port_25_of_another_protocol_is_open(policy: Policy) -> None:
    assert decided(policy, 1, "100.64.0.1", "203.0.113.25", protocol=UDP).verdict.value == "permit"


def test_monitor_mode_counts_and_lets_through(policy: Policy) -> None:
    decision = decided(policy, 1, "100.64.0.1", "203.0.113.25", switch="access-2")
    assert (decision.verdict.value, decision.rule) == ("would-block", "subscriber-6")
    assert decided(policy, 1, "100.64.0.1", "192.0.2.25", switch="access-2").verdict.value == "permit"


def test_an_exception_starts_on_time(policy: Policy) -> None:
    start = 1_800_000_000
    later = replace(policy, exceptions=tuple(replace(each, starts=start) for each in policy.exceptions))
    for at, verdict in ((start - 0.001, "block"), (start, "permit")):
        assert decided(later, 1, "100.64.3.7", "203.0.113.25", at=at).verdict.value == verdict


def test_an_exception_ends_on_time(policy: Policy) -> None:
    end = 1_806_451_200.0
    for at, verdict in ((end - 0.001, "permit"), (end, "block")):
        assert decided(policy, 1, "100.64.3.7", "203.0.113.25", at=at).verdict.value == verdict


def test_the_reason_names_what_decides(policy: Policy) -> None:
    assert decided(policy, 2, "100.64.8.10", "203.0.113.25").because == (
        "100.64.8.10 is bound to port 3 of access-1 and is static only there"
    )
    assert decided(policy, 1, "100.64.3.7", "203.0.113.25").because == "exception 'ticket' is in force: old"
