"""What the compiled rules look like: how many, for how long, in which order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from op25b_app.compiler.compiler import Compiler, compile_rules
from op25b_app.compiler.pipeline import Table
from op25b_app.compiler.switch_context import MAX_HARD_TIMEOUT
from op25b_app.net.prefix import Prefix
from op25b_app.openflow.flow_rule import FlowRule, RuleRole
from op25b_app.openflow.ofctl import format_rule
from op25b_app.policy.loader import load
from op25b_app.policy.model import Policy

NOW = 1_800_000_000.0
HEAD = """\
isp: {mail_destinations: [192.0.2.0/24]}
hardening: {encapsulation: permit, unreadable_tcp: permit}
switches:
  s: {dpid: 1, subscriber_ports: [1, 2], uplink_ports: [3], trusted_ports: [4]}
"""
SPACE = "address_space: {dynamic: [100.64.0.0/10]}\n"


def policy_of(folder: Path, text: str) -> Policy:
    path = folder / "policy.yaml"
    path.write_text(text)
    loaded = load(path, NOW)
    assert loaded.policy is not None, loaded.problems
    return loaded.policy


def rules_of(policy: Policy, at: float = NOW) -> tuple[FlowRule, ...]:
    return compile_rules(policy, policy.switches["s"], at)


def lines(rules: tuple[FlowRule, ...], table: Table) -> list[str]:
    return sorted(format_rule(rule).partition(",")[2] for rule in rules if rule.table == table)


def test_a_small_policy_in_full(tmp_path: Path) -> None:
    rules = rules_of(policy_of(tmp_path, HEAD + SPACE))
    assert lines(rules, Table.ADMIT) == [
        "table=0,priority=100,actions=goto_table:1",
        "table=0,priority=200,in_port=3,actions=goto_table:3",
        "table=0,priority=200,in_port=4,actions=NORMAL",
    ]
    assert lines(rules, Table.EGRESS) == [
        "table=1,priority=10,actions=NORMAL",
        "table=1,priority=100,eth_type=0x800,ip_proto=6,tcp_dst=465,actions=NORMAL",
        "table=1,priority=100,eth_type=0x800,ip_proto=6,tcp_dst=587,actions=NORMAL",
        "table=1,priority=100,eth_type=0x86dd,ip_proto=6,tcp_dst=465,actions=NORMAL",
        "table=1,priority=100,eth_type=0x86dd,ip_proto=6,tcp_dst=587,actions=NORMAL",
        "table=1,priority=200,eth_type=0x800,ip_proto=6,tcp_dst=25,actions=goto_table:2",
        "table=1,priority=200,eth_type=0x86dd,ip_proto=6,tcp_dst=25,actions=goto_table:2",
    ]
    assert lines(rules, Table.EGRESS_SMTP) == [
        "table=2,priority=10,actions=drop",
        "table=2,priority=600,eth_type=0x800,ip_dst=192.0.2.0/24,actions=NORMAL",
    ]
    assert lines(rules, Table.INGRESS_REPLIES) == [
        "table=4,priority=10,actions=NORMAL",
        "table=4,priority=110,eth_type=0x800,ip_dst=100.64.0.0/10,actions=drop",
        "table=4,priority=400,eth_type=0x800,ip_src=100.64.0.0/10,actions=drop",
        "table=4,priority=500,eth_type=0x800,ip_src=192.0.2.0/24,actions=NORMAL",
    ]


def test_priorities_0_and_1_of_table_0_are_left_to_other_applications(tmp_path: Path) -> None:
    rules = rules_of(policy_of(tmp_path, HEAD + SPACE))
    assert all(rule.priority > 1 for rule in rules if rule.table == 0)


def test_no_uplink_needs_no_uplink_tables(tmp_path: Path) -> None:
    rules = rules_of(policy_of(tmp_path, HEAD.replace(", uplink_ports: [3]", "") + SPACE))
    assert {rule.table for rule in rules} == {Table.ADMIT, Table.EGRESS, Table.EGRESS_SMTP}


def test_rules_grow_with_sources_plus_destinations(tmp_path: Path) -> None:
    policy = policy_of(tmp_path, HEAD + SPACE)
    few = len(rules_of(policy))
    place = policy.dynamic[0].place
    mail = [Prefix(4, 0xC0000000 + number * 512, 24) for number in range(100)]
    static = [Prefix(4, 0x64400000 + number * 512, 24) for number in range(200)]
    grown = replace(
        policy,
        mail_destinations=tuple(policy.mail_destinations[0]._replace(prefix=prefix) for prefix in mail),
        static=tuple(policy.dynamic[0]._replace(prefix=prefix, place=place) for prefix in static),
    )
    many = len(rules_of(grown))
    assert many - few <= 3 * 100 + 2 * 200


def test_adjacent_prefixes_become_one_rule(tmp_path: Path) -> None:
    whole = "address_space: {dynamic: [100.64.0.0/10], static: [100.64.8.0/24]}\n"
    halves = whole.replace("100.64.8.0/24", "100.64.8.0/25, 100.64.8.128/25")
    keys = [[rule.key for rule in rules_of(policy_of(tmp_path, HEAD + text))] for text in (whole, halves)]
    assert keys[0] == keys[1]


@pytest.mark.parametrize(
    ("left", "hard_timeout"), [(1.0, 1), (59.9, 59), (65535.0, 65535), (1e6, MAX_HARD_TIMEOUT)]
)
def test_an_exception_is_never_in_force_too_long(tmp_path: Path, left: float, hard_timeout: int) -> None:
    text = SPACE + "exceptions: [{name: e, source: 100.64.3.7, expires: 2027-01-31T00:00:00Z}]\n"
    policy = policy_of(tmp_path, HEAD + text)
    end = policy.exceptions[0].expires
    assert end is not None
    timeouts = {rule.role: rule.hard_timeout for rule in rules_of(policy, end - left)}
    assert timeouts[RuleRole.EXCEPTION] == hard_timeout
    assert {timeout for role, timeout in timeouts.items() if role is not RuleRole.EXCEPTION} == {0}


def test_an_exception_has_no_rule_before_it_starts(tmp_path: Path) -> None:
    text = SPACE + "exceptions: [{name: e, source: 100.64.3.7, starts: 2027-01-31T00:00:00Z}]\n"
    policy = policy_of(tmp_path, HEAD + text)
    start = policy.exceptions[0].starts or 0
    for at, has_rule in ((start - 0.1, False), (start, True), (start + 1e6, True)):
        assert (RuleRole.EXCEPTION in {rule.role for rule in rules_of(policy, at)}) is has_rule


@pytest.mark.parametrize("left", [0.9, 0.0, -5.0])
def test_a_past_exception_has_no_rule(tmp_path: Path, left: float) -> None:
    text = SPACE + "exceptions: [{name: e, source: 100.64.3.7, expires: 2027-01-31T00:00:00Z}]\n"
    policy = policy_of(tmp_path, HEAD + text)
    rules = rules_of(policy, (policy.exceptions[0].expires or 0) - left)
    assert RuleRole.EXCEPTION not in {rule.role for rule in rules}


@pytest.mark.parametrize("order", [1, -1])
def test_of_equal_exceptions_the_longest_counts(tmp_path: Path, order: int) -> None:
    entries = [
        "{name: short, source: 100.64.3.7, expires: 2027-01-15T09:00:00Z}",
        "{name: long, source: 100.64.3.7, expires: 2027-01-15T10:00:00Z}",
    ]
    text = SPACE + f"exceptions: [{', '.join(entries[::order])}]\n"
    rules = [rule for rule in rules_of(policy_of(tmp_path, HEAD + text)) if rule.role is RuleRole.EXCEPTION]
    assert {rule.hard_timeout for rule in rules} == {7200}
    assert {rule.table for rule in rules} == {Table.EGRESS_SMTP, Table.INGRESS_REPLIES}
    assert len(rules) == 2


def test_an_exception_for_a_line_is_only_on_its_switch(tmp_path: Path) -> None:
    text = SPACE + "exceptions: [{name: e, source: {switch: t, port: 2}, destination: 203.0.113.1}]\n"
    policy = policy_of(tmp_path, HEAD + "  t: {dpid: 2, subscriber_ports: [2], uplink_ports: [3]}\n" + text)
    rules = {
        name: lines(compile_rules(policy, switch, NOW), Table.EGRESS_SMTP)
        for name, switch in policy.switches.items()
    }
    permitted = "table=2,priority=500,in_port=2,eth_type=0x800,ip_dst=203.0.113.1,actions=NORMAL"
    assert permitted in rules["t"]
    assert permitted not in rules["s"]


def test_monitor_mode_has_the_same_rules_but_blocks_nothing(tmp_path: Path) -> None:
    policy = policy_of(tmp_path, HEAD + SPACE)
    enforced = rules_of(policy)
    monitored = rules_of(policy_of(tmp_path, HEAD + SPACE + "mode: monitor\n"))
    assert [rule.key for rule in enforced] == [rule.key for rule in monitored]
    assert RuleRole.BLOCK in {rule.role for rule in enforced}
    assert {rule.role for rule in monitored} & {RuleRole.BLOCK} == set()
    assert all(rule.action is not None for rule in monitored)
    for rule, counted in zip(enforced, monitored, strict=True):
        assert (rule.role is RuleRole.BLOCK) == (counted.role is RuleRole.WOULD_BLOCK)


def many_switches(folder: Path, static: list[str]) -> Policy:
    """100 access switches that differ in name, dpid and one line's address, one of them in monitor mode."""
    (folder / "static.txt").write_text("\n".join(static))
    space = "address_space: {dynamic: [100.64.0.0/10], static: [{file: static.txt}]}\n"
    switches = [
        f"  s{number}: {{dpid: {number + 1}, subscriber_ports: [1-24], uplink_ports: [25],"
        f" mode: {'monitor' if number == 7 else 'enforce'},"
        f" bindings: [{{port: 1, addresses: [100.127.0.{number}]}}]}}\n"
        for number in range(100)
    ]
    return policy_of(folder, "".join([HEAD.partition("  s:")[0], *switches, space]))


STATIC = [f"100.{64 + number // 128}.{2 * (number % 128)}.0/24" for number in range(1000)]


def test_what_switches_have_in_common_is_compiled_once(tmp_path: Path) -> None:
    policy = many_switches(tmp_path, STATIC)
    compiler = Compiler(policy)
    segments = [compiler.segments(switch, NOW) for switch in policy.switches.values()]
    rules = {id(rule): rule for of_one in segments for segment in of_one for rule in segment}
    single = sum(map(len, segments[0]))
    assert single > 2 * len(STATIC)
    assert len(rules) < 2 * single + 100 * 10
    large = [{id(segment) for segment in of_one if len(segment) > 100} for of_one in segments]
    assert all(of_one == large[0] for number, of_one in enumerate(large) if number != 7)


@pytest.mark.parametrize("number", [0, 500, 999])
def test_one_changed_prefix_changes_a_handful_of_rules(tmp_path: Path, number: int) -> None:
    before = many_switches(tmp_path, STATIC)
    compiler = Compiler(before)
    changed = [*STATIC]
    changed[number] = "100.120.0.0/24"
    after = many_switches(tmp_path, changed)
    recompiled = Compiler(after, compiler)
    old, new = (
        {id(rule): rule for rule in each.rules(policy.switches["s3"], NOW)}
        for each, policy in ((compiler, before), (recompiled, after))
    )
    assert 1 <= len(new.keys() - old.keys()) <= 4
    assert 1 <= len(old.keys() - new.keys()) <= 4
    assert {*new.values()} == {*compile_rules(after, after.switches["s3"], NOW)}
