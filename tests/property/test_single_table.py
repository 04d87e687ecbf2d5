"""The single-table form does what the specification says, for every packet, or says why it cannot."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from op25b_app.compiler.simulate import trace, verdict
from op25b_app.compiler.single_table import CannotExpressError, compile_single_table
from op25b_app.openflow.flow_rule import NORMAL, FlowRule, RuleRole
from op25b_app.openflow.instruction_decoder import stored_rule
from op25b_app.openflow.ofctl import format_rule
from op25b_app.policy.decide import decide
from op25b_app.policy.model import Mode, Policy, SourceValidation, Verdict
from op25b_app.policy.packet import Packet, read_frame
from op25b_app.verify.prove import Proven, prove
from tests.generated import IN_PORTS, NOW, SWITCH, packets, policies
from tests.generated_frames import frames

pytestmark = pytest.mark.slow

PORTS = (*IN_PORTS, 6)
"""Port 6 is an uplink in some policies."""
SAYABLE = tuple(each for each in SourceValidation if each is not SourceValidation.BINDING)


@st.composite
def sayable_policies(draw: st.DrawFn) -> Policy:
    """Any policy that one table can express, over a switch with up to two uplinks and tags on any port."""
    policy = draw(policies())
    uplinks = draw(st.sampled_from((frozenset({3}), frozenset({3, 6}), frozenset[int]())))
    tags = st.frozensets(st.sampled_from((None, 0, 100, 200, 4095)), max_size=3)
    switch = replace(
        policy.switches[SWITCH],
        uplink_ports=uplinks,
        vlans=MappingProxyType(draw(st.dictionaries(st.sampled_from(PORTS), tags, max_size=3))),
        forwarding_table=None,
    )
    validation = draw(st.sampled_from(SAYABLE))
    return replace(
        policy,
        hardening=replace(policy.hardening, source_validation=validation),
        switches=MappingProxyType({**policy.switches, SWITCH: switch}),
    )


def any_packets(policy: Policy) -> st.SearchStrategy[Packet]:
    ports = st.sampled_from(PORTS)
    hostile = st.builds(read_frame, ports, frames(policy))
    plain = st.builds(lambda packet, port: replace(packet, in_port=port), packets(policy), ports)
    return st.one_of(hostile, plain)


def rules_of(policy: Policy) -> tuple[FlowRule, ...]:
    return compile_single_table(policy, policy.switches[SWITCH], NOW)


@settings(max_examples=250, deadline=None)
@given(sayable_policies())
def test_what_is_compiled_is_proven(policy: Policy) -> None:
    rules = [stored_rule(rule, format_rule(rule)) for rule in rules_of(policy)]
    result = prove(policy, policy.switches[SWITCH], rules, NOW)
    assert isinstance(result, Proven), result


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_rules_agree_with_the_specification_for_every_kind_of_frame(data: st.DataObject) -> None:
    policy = data.draw(sayable_policies())
    rules = rules_of(policy)
    for packet in data.draw(st.lists(any_packets(policy), min_size=20, max_size=20)):
        decision = decide(policy, policy.switches[SWITCH], packet, NOW)
        passed = trace(rules, packet)
        assert verdict(passed, None) is decision.verdict, f"{packet}\n{decision}\n{passed}"


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_table_loaded_halfway_may_be_closed_but_never_open(data: st.DataObject) -> None:
    policy = data.draw(sayable_policies())
    rules = rules_of(policy)
    blocks = [rule.role in (RuleRole.BLOCK, RuleRole.WOULD_BLOCK) for rule in rules]
    assert blocks == sorted(blocks, reverse=True)
    half = rules[: data.draw(st.integers(0, len(rules)))]
    for packet in data.draw(st.lists(any_packets(policy), min_size=20, max_size=20)):
        decision = decide(policy, policy.switches[SWITCH], packet, NOW)
        if decision.verdict is Verdict.BLOCK:
            assert verdict(trace(half, packet), None) is Verdict.BLOCK


@settings(max_examples=100, deadline=None)
@given(sayable_policies())
def test_one_table_without_jumps_in_which_others_keep_their_place(policy: Policy) -> None:
    rules = rules_of(policy)
    assert len({rule.key for rule in rules}) == len(rules)
    assert {rule.table for rule in rules} <= {0}
    assert {rule.action for rule in rules} <= {None, NORMAL}
    assert all(1 < rule.priority <= 0xFFFF and rule.is_managed for rule in rules)


@settings(max_examples=100, deadline=None)
@given(sayable_policies())
def test_compiling_again_later_gives_the_same_rules_and_cookies(policy: Policy) -> None:
    rules, later = (compile_single_table(policy, policy.switches[SWITCH], at) for at in (NOW + 2, NOW + 12))
    assert [rule._replace(hard_timeout=0) for rule in rules] == [
        rule._replace(hard_timeout=0) for rule in later
    ]


@settings(max_examples=100, deadline=None)
@given(sayable_policies())
def test_monitor_mode_has_the_same_rules_but_blocks_nothing(policy: Policy) -> None:
    switch = policy.switches[SWITCH]
    enforced, monitored = (
        compile_single_table(policy, replace(switch, mode=mode), NOW) for mode in (Mode.ENFORCE, Mode.MONITOR)
    )
    assert [rule.key for rule in enforced] == [rule.key for rule in monitored]
    for rule, counted in zip(enforced, monitored, strict=True):
        assert counted.action == NORMAL
        assert (
            (rule.action is None) == (rule.role is RuleRole.BLOCK) == (counted.role is RuleRole.WOULD_BLOCK)
        )


@settings(max_examples=100, deadline=None)
@given(policies())
def test_what_cannot_be_said_is_refused_and_everything_else_is_said(policy: Policy) -> None:
    switch = policy.switches[SWITCH]
    reasons = [
        key
        for key, stands_in_the_way in (
            ("forwarding", switch.forwarding_table is not None),
            ("source_validation", policy.hardening.source_validation is SourceValidation.BINDING),
        )
        if stands_in_the_way
    ]
    try:
        assert compile_single_table(policy, switch, NOW)
        reported = []
    except CannotExpressError as failure:
        reported = [problem.message for problem in failure.problems]
    assert len(reported) == len(reasons)
    assert all(message.startswith(reason) for message, reason in zip(reported, reasons, strict=True))
