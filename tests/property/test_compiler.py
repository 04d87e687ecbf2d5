"""The compiled rules do what the specification says."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from op25b_app.compiler.compiler import Compiler, compile_rules
from op25b_app.compiler.rule_factory import rule_of
from op25b_app.compiler.simulate import trace, verdict
from op25b_app.openflow.flow_rule import FlowRule, Goto, RuleRole
from op25b_app.openflow.ofctl import format_rule
from op25b_app.policy.decide import decide
from op25b_app.policy.model import Policy
from op25b_app.policy.packet import Packet, read_frame
from tests.generated import IN_PORTS, NOW, SWITCH, packet, packets, policies
from tests.generated_frames import frames

pytestmark = pytest.mark.slow


def assert_agree(policy: Policy, rules: tuple[FlowRule, ...], frame: Packet) -> None:
    decision = decide(policy, policy.switches[SWITCH], frame, NOW)
    passed = trace(rules, frame)
    path = "\n".join(map(format_rule, passed))
    assert verdict(passed, policy.switches[SWITCH].forwarding_table) is decision.verdict, (
        f"{frame}\n{decision}\n{path}"
    )


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_rules_agree_with_the_specification_at_every_edge(data: st.DataObject) -> None:
    policy = data.draw(policies())
    rules = compile_rules(policy, policy.switches[SWITCH], NOW)
    for frame in data.draw(st.lists(packets(policy), min_size=30, max_size=30)):
        assert_agree(policy, rules, frame)


@settings(max_examples=600, deadline=None)
@given(st.data())
def test_rules_agree_with_the_specification_for_every_kind_of_frame(data: st.DataObject) -> None:
    policy = data.draw(policies())
    rules = compile_rules(policy, policy.switches[SWITCH], NOW)
    for port, frame in data.draw(st.lists(st.tuples(st.sampled_from(IN_PORTS), frames(policy)), min_size=20)):
        assert_agree(policy, rules, read_frame(port, frame))


@settings(max_examples=60, deadline=None)
@given(policies(longest=3))
def test_rules_agree_for_every_packet_of_a_three_bit_address_space(policy: Policy) -> None:
    rules = compile_rules(policy, policy.switches[SWITCH], NOW)
    for version, shift in ((4, 29), (6, 125)):
        addresses = [high << shift for high in range(8)]
        ports = itertools.product((25, 40000), (24, 25, 465))
        for source_port, destination_port in ports:
            for in_port, source, destination in itertools.product(IN_PORTS, addresses, addresses):
                frame = packet(in_port, version, source, destination, source_port, destination_port)
                assert_agree(policy, rules, frame)


@settings(max_examples=100, deadline=None)
@given(policies())
def test_no_two_rules_are_the_same_to_a_switch_and_each_leads_to_an_earlier_one(policy: Policy) -> None:
    rules = compile_rules(policy, policy.switches[SWITCH], NOW)
    assert len({rule.key for rule in rules}) == len(rules)
    loaded: set[int] = set()
    for rule in rules:
        if isinstance(rule.action, Goto) and rule.action.table <= 6:
            assert rule.action.table in loaded
        loaded.add(rule.table)


@settings(max_examples=100, deadline=None)
@given(policies())
def test_compiling_again_later_gives_the_same_rules_and_cookies(policy: Policy) -> None:
    switch = policy.switches[SWITCH]
    rules, later = (compile_rules(policy, switch, at) for at in (NOW + 2, NOW + 12))
    assert [rule._replace(hard_timeout=0) for rule in rules] == [
        rule._replace(hard_timeout=0) for rule in later
    ]
    assert all(rule.is_managed for rule in rules)


@settings(max_examples=100, deadline=None)
@given(policies())
def test_a_cookie_depends_on_role_table_and_match_alone(policy: Policy) -> None:
    for rule in compile_rules(policy, policy.switches[SWITCH], NOW):
        alone = rule_of(rule.table, rule.priority, rule.role, rule.action, *rule.match)
        assert rule._replace(hard_timeout=0) == alone


@settings(max_examples=200, deadline=None)
@given(st.lists(policies(), min_size=2, max_size=4))
def test_a_compiler_that_knows_earlier_policies_compiles_the_same(versions: list[Policy]) -> None:
    compiler = None
    for seconds, policy in enumerate(versions):
        compiler = Compiler(policy, compiler)
        for switch in policy.switches.values():
            assert compiler.rules(switch, NOW + seconds) == compile_rules(policy, switch, NOW + seconds)


@settings(max_examples=100, deadline=None)
@given(policies())
def test_the_same_policy_again_gives_the_same_objects(policy: Policy) -> None:
    before = Compiler(policy)
    after = Compiler(replace(policy), before)
    for switch in policy.switches.values():
        pairs = zip(before.segments(switch, NOW), after.segments(switch, NOW), strict=True)
        assert all(old is new for old, new in pairs)


@settings(max_examples=100, deadline=None)
@given(policies())
def test_segments_are_of_one_table_and_block_or_do_not(policy: Policy) -> None:
    compiler, switch = Compiler(policy), policy.switches[SWITCH]
    segments = compiler.segments(switch, NOW)
    assert [rule for segment in segments for rule in segment] == [*compiler.rules(switch, NOW)]
    for segment in segments:
        assert (
            len({(rule.table, rule.role in (RuleRole.BLOCK, RuleRole.WOULD_BLOCK)) for rule in segment}) == 1
        )
