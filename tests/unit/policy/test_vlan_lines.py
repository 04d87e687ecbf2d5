"""Two subscribers on one port, each under a tag of its own: decided, compiled and proven apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from op25b_app.compiler.compiler import compile_rules
from op25b_app.compiler.simulate import trace, verdict
from op25b_app.compiler.single_table import compile_single_table
from op25b_app.net.prefix import Prefix
from op25b_app.openflow.flow_rule import FlowRule, RuleRole
from op25b_app.openflow.instruction_decoder import stored_rule
from op25b_app.openflow.ofctl import format_rule
from op25b_app.openflow.stored_rule import StoredRule
from op25b_app.policy.decide import decide
from op25b_app.policy.loader import load
from op25b_app.policy.model import Policy, SubscriberPort, Verdict
from op25b_app.policy.packet import ETH_ARP, ETH_IPV4, TCP, Packet
from op25b_app.verify.prove import Proven, Refuted, prove

NOW = 1_800_000_000.0
POLICY = """\
isp: {mail_destinations: [192.0.2.25]}
address_space: {dynamic: [100.64.0.0/10], static: [100.64.8.0/24]}
hardening: {source_validation: VALIDATION, tunnels: block}
exceptions:
  - {name: appliance, source: {switch: s, port: 1, vlan: 200}, destination: 203.0.113.25}
switches:
  s:
    dpid: 1
    subscriber_ports: [1-3]
    uplink_ports: [4]
    vlans: {1: [100, 200], 2: [untagged, 0, 300]}
    bindings:
      - {port: 1, vlan: 100, mac: "02:00:00:00:00:01", addresses: [100.64.0.1, 100.64.8.1]}
      - {port: 1, vlan: 200, addresses: [100.64.0.2, 100.64.8.2]}
      - {port: 2, vlan: untagged, addresses: [100.64.0.3]}
      - {port: 2, addresses: [100.64.0.4]}
"""
ELSEWHERE = "203.0.113.25"


def policy_of(validation: str = "binding") -> Policy:
    loaded = load(Path("p"), NOW, lambda _: POLICY.replace("VALIDATION", validation).encode())
    assert loaded.policy is not None, loaded.problems
    return loaded.policy


def address(text: str) -> int:
    return Prefix.parse(text).network


def simulate(rules: Iterable[FlowRule], packet: Packet) -> Verdict:
    return verdict(trace(rules, packet), None)


def stored(rule: FlowRule) -> StoredRule:
    return stored_rule(rule, format_rule(rule))


def tcp(port: int, tags: tuple[int, ...], source: str, destination: str, to: int) -> Packet:
    return Packet(
        port,
        ETH_IPV4,
        4,
        address(source),
        address(destination),
        TCP,
        40000,
        to,
        tags=tags,
        eth_source=0x02_00_00_00_00_01,
    )


@pytest.mark.parametrize(
    ("port", "tags", "source", "expected"),
    [
        (1, (100,), "100.64.0.1", None),
        (1, (200,), "100.64.0.2", None),
        (1, (200,), "100.64.0.1", "100.64.0.1 is not bound to port 1 of s, tag 200"),
        (1, (100,), "100.64.0.2", "100.64.0.2 is not bound to port 1 of s, tag 100"),
        (2, (), "100.64.0.3", None),
        (2, (0,), "100.64.0.3", None),
        (2, (300,), "100.64.0.3", "100.64.0.3 is not bound to port 2 of s, tag 300"),
        (2, (), "100.64.0.4", None),
        (2, (300,), "100.64.0.4", None),
        (3, (), "100.64.0.4", "100.64.0.4 is not bound to port 3 of s"),
    ],
)
def test_an_address_belongs_to_one_tag(
    port: int, tags: tuple[int, ...], source: str, expected: str | None
) -> None:
    policy = policy_of()
    switch = policy.switches["s"]
    packet = tcp(port, tags, source, ELSEWHERE, 587)
    decision = decide(policy, switch, packet, NOW)
    assert (decision.verdict is Verdict.PERMIT) is (expected is None)
    assert expected is None or decision.because == expected
    assert simulate(compile_rules(policy, switch, NOW), packet) is decision.verdict
    arp = Packet(port, ETH_ARP, tags=tags, eth_source=0x02_00_00_00_00_01)
    arp = replace(arp, arp_sender=address(source), arp_sender_mac=arp.eth_source)
    assert decide(policy, switch, arp, NOW).verdict is decision.verdict
    assert simulate(compile_rules(policy, switch, NOW), arp) is decision.verdict


@pytest.mark.parametrize("validation", ["binding", "port-25"])
def test_a_static_address_and_an_exception_are_for_one_tag(validation: str) -> None:
    policy = policy_of(validation)
    switch = policy.switches["s"]

    def outcome(tags: tuple[int, ...], source: str, to: str) -> str:
        packet = tcp(1, tags, source, to, 25)
        found = decide(policy, switch, packet, NOW).verdict
        assert simulate(compile_rules(policy, switch, NOW), packet) is found
        if validation == "port-25":
            assert simulate(compile_single_table(policy, switch, NOW), packet) is found
        return found.value

    assert outcome((100,), "100.64.8.1", "198.51.100.25") == "permit"
    assert outcome((200,), "100.64.8.1", "198.51.100.25") == "block"
    assert outcome((200,), "100.64.0.2", ELSEWHERE) == "permit"
    assert outcome((100,), "100.64.0.1", ELSEWHERE) == "block"


@pytest.mark.parametrize("validation", ["binding", "port-25"])
def test_a_rule_without_its_tag_is_refuted(validation: str) -> None:
    policy = policy_of(validation)
    switch = policy.switches["s"]
    rules = compile_rules(policy, switch, NOW)
    assert isinstance(prove(policy, switch, [*map(stored, rules)], NOW), Proven)
    tagged = [
        rule
        for rule in rules
        if {"in_port", "vlan_vid"} <= {field.name for field in rule.match}
        and rule.table > 0
        # Under ``binding``, the table of sources blocks what this rule would let through.
        and not (validation == "binding" and rule.role is RuleRole.STATIC)
    ]
    assert tagged
    for rule in tagged:
        without = tuple(field for field in rule.match if field.name != "vlan_vid")
        table = [other if other != rule else rule._replace(match=without) for other in rules]
        result = prove(policy, switch, [*map(stored, table)], NOW)
        assert isinstance(result, Refuted), rule


def test_lines_are_ports_and_their_tags() -> None:
    policy = policy_of()
    assert [*policy.switches["s"].lines()] == [
        SubscriberPort("s", 1, 100),
        SubscriberPort("s", 1, 200),
        SubscriberPort("s", 2, 0),
        SubscriberPort("s", 2, 300),
        SubscriberPort("s", 3),
    ]
    assert [str(line) for line in policy.switches["s"].lines()][1:3] == [
        "port 1 of s, tag 200",
        "port 2 of s, without a tag",
    ]
    assert [str(listed.prefix) for listed in policy.bound_to(SubscriberPort("s", 2, 300))] == [
        "100.64.0.4/32"
    ]
