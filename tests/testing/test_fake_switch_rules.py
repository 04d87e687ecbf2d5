"""Compiled rules on a fake switch: it reads op25b's bytes, and does with packets what the policy says."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from op25b_app.compiler.compiler import compile_rules
from op25b_app.compiler.simulate import headers
from op25b_app.openflow import codec
from op25b_app.openflow.flow_rule import NORMAL, FlowRule
from op25b_app.policy.decide import decide
from op25b_app.policy.model import Verdict
from testing.fake_switch import FakeSwitch
from testing.fake_switch.flow_mod import read_flow_mod, write_flow_mod
from testing.fake_switch.rules import flow_of, put, rules_on
from tests.generated import NOW, SWITCH, packets, policies

VERSIONS = pytest.mark.parametrize("version", [4, 5, 6], ids=["1.3", "1.4", "1.5"])
HANDOVER = FlowRule(7, 0, (), NORMAL, cookie=0)


@VERSIONS
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_verdicts_are_those_of_the_policy(version: int, data: st.DataObject) -> None:
    policy = data.draw(policies())
    rules = compile_rules(policy, policy.switches[SWITCH], NOW)
    switch = FakeSwitch()
    channel = switch.connect(version)
    messages = (codec.encode_flow_mod(rule, version=version, xid=1) for rule in rules)
    assert channel.receive(b"".join(messages), NOW) == []
    assert Counter(rules_on(switch)) == Counter(rules)
    put(switch, HANDOVER)
    for packet in data.draw(st.lists(packets(policy), min_size=10, max_size=10)):
        verdict = decide(policy, policy.switches[SWITCH], packet, NOW).verdict
        assert switch.forward(headers(packet)).passes is (verdict is not Verdict.BLOCK), packet


@VERSIONS
@settings(max_examples=30, deadline=None)
@given(st.data())
def test_its_own_writing_reads_the_same(version: int, data: st.DataObject) -> None:
    policy = data.draw(policies())
    for rule in compile_rules(policy, policy.switches[SWITCH], NOW):
        theirs = codec.encode_flow_mod(rule, version=version, xid=7)
        own = write_flow_mod(flow_of(rule), version=version, xid=7)
        assert own == theirs
        assert read_flow_mod(own, tables=254, metadata=True, wide_masks=True) == flow_of(rule)
