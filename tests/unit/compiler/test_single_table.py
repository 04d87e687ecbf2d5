"""What the single-table form looks like: how many rules, in which order, and what it refuses."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest

from op25b_app.compiler.single_table import MAX_EXTRA_RULES, CannotExpressError, compile_single_table
from op25b_app.net.prefix import Prefix
from op25b_app.openflow.flow_rule import FlowRule, RuleRole
from op25b_app.openflow.instruction_decoder import stored_rule
from op25b_app.openflow.ofctl import format_rule
from op25b_app.policy.model import Binding, LocatedPrefix, MailException, Policy, SourceValidation
from op25b_app.verify.prove import Proven, prove
from tests.unit.compiler.test_compiler import HEAD, NOW, SPACE, policy_of

HARDENED = HEAD.replace("{encapsulation: permit, unreadable_tcp: permit}", "{}")


def rules_of(policy: Policy) -> tuple[FlowRule, ...]:
    return compile_single_table(policy, policy.switches["s"], NOW)


def lines(rules: Iterable[FlowRule]) -> list[str]:
    return [format_rule(rule).partition("table=0,")[2] for rule in rules]


def messages(policy: Policy) -> list[str]:
    with pytest.raises(CannotExpressError) as failure:
        rules_of(policy)
    return [str(problem) for problem in failure.value.problems]


def test_a_small_policy_in_full_and_in_order(tmp_path: Path) -> None:
    assert lines(rules_of(policy_of(tmp_path, HEAD + SPACE))) == [
        "priority=1100,eth_type=0x800,ip_proto=6,tcp_dst=25,actions=drop",
        "priority=1100,eth_type=0x86dd,ip_proto=6,tcp_dst=25,actions=drop",
        "priority=11400,in_port=3,eth_type=0x800,ip_proto=6,ip_src=100.64.0.0/10,tcp_dst=25,actions=drop",
        "priority=12110,in_port=3,eth_type=0x800,ip_proto=6,ip_dst=100.64.0.0/10,tcp_src=25,actions=drop",
        "priority=12400,in_port=3,eth_type=0x800,ip_proto=6,ip_src=100.64.0.0/10,tcp_src=25,actions=drop",
        "priority=10,actions=NORMAL",
        "priority=1600,eth_type=0x800,ip_proto=6,ip_dst=192.0.2.0/24,tcp_dst=25,actions=NORMAL",
        "priority=2100,eth_type=0x800,ip_proto=6,tcp_dst=465,actions=NORMAL",
        "priority=2100,eth_type=0x800,ip_proto=6,tcp_dst=587,actions=NORMAL",
        "priority=2100,eth_type=0x86dd,ip_proto=6,tcp_dst=465,actions=NORMAL",
        "priority=2100,eth_type=0x86dd,ip_proto=6,tcp_dst=587,actions=NORMAL",
        "priority=10000,in_port=4,actions=NORMAL",
        "priority=10010,in_port=3,actions=NORMAL",
        "priority=11010,in_port=3,eth_type=0x800,ip_proto=6,tcp_dst=25,actions=NORMAL",
        "priority=11010,in_port=3,eth_type=0x86dd,ip_proto=6,tcp_dst=25,actions=NORMAL",
        "priority=11500,in_port=3,eth_type=0x800,ip_proto=6,ip_src=192.0.2.0/24,tcp_dst=25,actions=NORMAL",
        "priority=12010,in_port=3,eth_type=0x800,ip_proto=6,tcp_src=25,actions=NORMAL",
        "priority=12010,in_port=3,eth_type=0x86dd,ip_proto=6,tcp_src=25,actions=NORMAL",
        "priority=12500,in_port=3,eth_type=0x800,ip_proto=6,ip_src=192.0.2.0/24,tcp_src=25,actions=NORMAL",
    ]


def apart(version: int, first: str, count: int) -> list[Prefix]:
    """Hosts of which no two can be joined to one prefix."""
    start = Prefix.parse(first).network
    return [Prefix(version, start + 2 * number, 32 if version == 4 else 128) for number in range(count)]


def hosts(first: str, count: int) -> tuple[Prefix, ...]:
    """Of both IP versions."""
    return *apart(4, first, count), *apart(6, f"2001:db8:{first.rpartition('.')[2]}::", count)


def more_mail_destinations(policy: Policy, count: int) -> Policy:
    return replace(
        policy, mail_destinations=listed(policy, (Prefix.parse("192.0.2.0/24"), *hosts("198.18.0.1", count)))
    )


def more_static(policy: Policy, count: int) -> Policy:
    return replace(policy, static=(*policy.static, *listed(policy, hosts("100.64.0.2", count))))


def more_bound(policy: Policy, count: int) -> Policy:
    """Static addresses in the middle of a static prefix, each bound to a line."""
    place, switch = policy.address_space_place, policy.switches["s"]
    static = (Prefix.parse("100.65.0.0/16"), Prefix.parse("2001:db8:3::/48"))
    bindings = (Binding(1, None, listed(policy, hosts("100.65.0.3", count)), place),)
    switches = MappingProxyType({"s": replace(switch, bindings=bindings)})
    return replace(policy, static=(*policy.static, *listed(policy, static)), switches=switches)


def more_exceptions(policy: Policy, count: int) -> Policy:
    peers = (None, Prefix.parse("203.0.113.7"))
    exceptions = [
        MailException("e", address, peer, None, "", policy.address_space_place)
        for address, peer in zip(hosts("100.66.0.4", count), itertools.cycle(peers))
    ]
    return replace(policy, exceptions=tuple(exceptions))


def listed(policy: Policy, prefixes: Iterable[Prefix]) -> tuple[LocatedPrefix, ...]:
    return tuple(LocatedPrefix(prefix, policy.address_space_place) for prefix in prefixes)


GROWN = (more_mail_destinations, more_static, more_bound, more_exceptions)


@pytest.mark.parametrize(
    "hardening", ["{}", "{source_validation: prefix, tunnels: block}", "{source_validation: off}"]
)
@pytest.mark.parametrize(("one", "other"), [*itertools.combinations(GROWN, 2)])
def test_rules_are_sums_and_no_products(
    tmp_path: Path,
    hardening: str,
    one: Callable[[Policy, int], Policy],
    other: Callable[[Policy, int], Policy],
) -> None:
    """What one part of a policy adds does not depend on another; twice as much of it adds twice as much."""
    head = HARDENED.replace("hardening: {}", f"hardening: {hardening}")
    policy = policy_of(tmp_path, head + SPACE.replace("]", ', "2001:db8::/32"]'))

    def added(ones: int, others: int) -> int:
        return len(rules_of(one(other(policy, others), ones))) - len(rules_of(one(other(policy, 1), 1)))

    assert added(11, 1) >= 20
    assert added(21, 1) == pytest.approx(2 * added(11, 1), rel=0.05)
    assert added(11, 11) == added(11, 1) + added(1, 11)


def test_each_uplink_has_rules_of_its_own_and_trusted_ports_one_rule(tmp_path: Path) -> None:
    def count(uplinks: str, trusted: str) -> int:
        head = HARDENED.replace(
            "uplink_ports: [3], trusted_ports: [4]", f"uplink_ports: {uplinks}, trusted_ports: {trusted}"
        )
        return len(rules_of(policy_of(tmp_path, head + SPACE)))

    one = count("[3]", "[4]")
    each = one - count("[]", "[4]")
    assert each > 10
    assert count("[3, 5-7]", "[4]") == one + 3 * each
    assert count("[3]", "[4, 5-7]") == one + 3


def test_tags_are_blocked_as_gaps_between_those_a_line_may_carry(tmp_path: Path) -> None:
    head = HARDENED.replace("dpid: 1,", "dpid: 1, vlans: {1: [100], 2: [untagged], 3: [100, 4000]},")
    policy = policy_of(tmp_path, head + SPACE)
    tags = [line for line in lines(rules_of(policy)) if "vlan_vid" in line]
    assert "priority=4000,vlan_vid=0x1000/0x1000,actions=drop" in tags
    assert "priority=14000,in_port=1,vlan_vid=0x0,actions=drop" in tags
    assert "priority=14000,in_port=1,vlan_vid=0x1800/0x1800,actions=drop" in tags
    assert not any("in_port=2" in line for line in tags)
    blocked = {port: [line for line in tags if f"in_port={port}," in line] for port in (1, 3)}
    assert len(blocked[1]) == 1 + 12
    assert len(blocked[3]) <= 1 + 2 * 12
    assert all(line.endswith("actions=drop") for line in tags)
    result = prove(policy, policy.switches["s"], [stored_rule(rule, "") for rule in rules_of(policy)], NOW)
    assert isinstance(result, Proven)


def test_a_line_that_may_carry_nothing_has_no_rules_but_blocks(tmp_path: Path) -> None:
    policy = policy_of(tmp_path, HARDENED + SPACE)
    switch = replace(policy.switches["s"], vlans=MappingProxyType({1: frozenset()}))
    rules = compile_single_table(policy, switch, NOW)
    of_line = [line for rule, line in zip(rules, lines(rules), strict=True) if "in_port=1," in line]
    assert sorted(of_line) == [
        "priority=14000,in_port=1,vlan_vid=0x0,actions=drop",
        "priority=14000,in_port=1,vlan_vid=0x1000/0x1000,actions=drop",
    ]


def test_an_exception_ends_on_time_on_both_legs(tmp_path: Path) -> None:
    entries = "exceptions: [{name: e, source: 100.64.3.7, expires: 2027-01-15T09:00:00Z}]\n"
    rules = rules_of(policy_of(tmp_path, HARDENED + SPACE + entries))
    timeouts = [(rule.role, rule.hard_timeout) for rule in rules if rule.hard_timeout]
    assert timeouts == [(RuleRole.EXCEPTION, 3600)] * 2


def test_of_equal_exceptions_the_longest_counts(tmp_path: Path) -> None:
    ends = ("2027-01-15T09:00:00Z", "2027-01-15T10:00:00Z", "2027-01-15T08:30:00Z")
    entries = ", ".join(f"{{name: e{end}, source: 100.64.3.7, expires: {end}}}" for end in ends)
    rules = rules_of(policy_of(tmp_path, HARDENED + SPACE + f"exceptions: [{entries}]\n"))
    assert [rule.hard_timeout for rule in rules if rule.role is RuleRole.EXCEPTION] == [7200] * 2


def test_everything_that_stands_in_the_way_is_reported_at_once_with_place_and_remedy(tmp_path: Path) -> None:
    head = HARDENED.replace("hardening: {}", "hardening: {source_validation: binding}")
    head = head.replace("dpid: 1,", "dpid: 1, forwarding: {table: 7},").replace("[3]", "[3, 5-9]")
    policy = policy_of(tmp_path, head + SPACE)
    dynamic = listed(policy, apart(4, "100.64.0.0", 3000))
    file = tmp_path / "policy.yaml"
    reported = messages(replace(policy, dynamic=dynamic))
    assert len(reported) == 3
    assert reported[0].startswith(f"{file}:4:3: error: forwarding of s hands over to table 7, ")
    assert reported[0].endswith("; write forwarding: normal")
    assert reported[1].startswith(f"{file}:2:13: error: source_validation: binding ")
    assert reported[1].endswith("; write prefix or port-25")
    assert reported[2].startswith(f"{file}:4:3: error: in one table each of the 6 uplink_ports of s needs ")
    assert reported[2].endswith(
        "; join them to one port (link aggregation), or use a switch with several tables"
    )


def test_uplinks_are_refused_only_where_they_make_too_many_rules(tmp_path: Path) -> None:
    policy = policy_of(tmp_path, HARDENED.replace("[3]", "[3, 5]") + SPACE)
    few, many = (
        replace(policy, dynamic=listed(policy, apart(4, "100.64.0.0", count))) for count in (1000, 6000)
    )
    assert len(rules_of(few)) < 2 * MAX_EXTRA_RULES
    (reported,) = messages(many)
    assert "each of the 2 uplink_ports of s needs 18" in reported
    one_uplink = replace(many.switches["s"], uplink_ports=frozenset({3}))
    assert len(compile_single_table(many, one_uplink, NOW)) > MAX_EXTRA_RULES


def test_lines_with_tags_are_refused_where_they_make_too_many_rules(tmp_path: Path) -> None:
    policy = policy_of(
        tmp_path, HARDENED.replace("dpid: 1,", "dpid: 1, vlans: {1: [100], 2: [100]},") + SPACE
    )
    assert rules_of(policy)
    (reported,) = messages(replace(policy, static=listed(policy, apart(4, "100.64.0.0", 9000))))
    assert "each of the 2 lines that may carry tags by the vlans of s needs 90" in reported
    assert "take the tags off before they come to this switch" in reported


def test_gaps_between_prefixes_are_refused_where_they_make_too_many_rules(tmp_path: Path) -> None:
    head = HARDENED.replace("hardening: {}", "hardening: {source_validation: prefix}")
    policy = policy_of(tmp_path, head + SPACE)
    assert policy.hardening.source_validation is SourceValidation.PREFIX
    scattered = [Prefix(6, 0x20010DB8 << 96 | number << 80, 64) for number in range(1, 1200)]
    (reported,) = messages(replace(policy, dynamic=listed(policy, scattered)))
    assert "source_validation: prefix needs " in reported
    assert "write port-25, or use a switch with several tables" in reported


def test_what_goes_its_way_anyhow_needs_no_rule_for_its_source(tmp_path: Path) -> None:
    head = HEAD.replace("{encap", "{source_validation: off, encap").replace(", uplink_ports: [3]", "")
    policy = policy_of(tmp_path, head + SPACE.replace("]", "], static: [100.64.8.0/24]"))
    of_sources = [line for line in lines(rules_of(policy)) if "ip_src" in line]
    assert of_sources == [
        "priority=1110,eth_type=0x800,ip_proto=6,ip_src=100.64.0.0/10,tcp_dst=25,actions=drop",
        "priority=1124,eth_type=0x800,ip_src=100.64.8.0/24,actions=NORMAL",
    ]
    assert not any("priority=11" in line and "src" not in line for line in lines(rules_of(policy)))


def test_a_port_with_rules_of_its_own_has_none_among_those_of_others(tmp_path: Path) -> None:
    bindings = ", ".join(f"{{port: {port}, addresses: [100.64.8.{port}]}}" for port in (1, 2))
    head = HARDENED.replace("dpid: 1,", f"dpid: 1, vlans: {{1: [100]}}, bindings: [{bindings}],")
    rules = rules_of(policy_of(tmp_path, head + SPACE.replace("]", "], static: [100.64.8.0/24]")))
    shared = [rule for rule in rules if rule.priority < 10000]
    assert [line for line in lines(shared) if "in_port=" in line] == [
        "priority=1400,in_port=2,eth_type=0x800,ip_src=100.64.8.2,actions=NORMAL"
    ]
    assert "priority=11400,in_port=1,eth_type=0x800,ip_src=100.64.8.1,actions=NORMAL" in lines(rules)
