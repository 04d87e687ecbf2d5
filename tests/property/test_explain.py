"""What ``explain`` says agrees with the flow rule it shows: the reason, and the place in the policy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from op25b_app.compiler.compiler import compile_rules
from op25b_app.compiler.simulate import deciding, trace
from op25b_app.net.prefix import parse_address
from op25b_app.openflow.flow_rule import RuleRole
from op25b_app.policy.decide import decide
from op25b_app.policy.loader import load
from op25b_app.policy.model import LocatedPrefix, Policy, SourceLocation, Verdict
from op25b_app.policy.packet import ICMPV6, NEIGHBOUR_ADVERTISEMENT, read_frame
from tests.generated import IN_PORTS, NOW, SWITCH, packet, packets, policies
from tests.generated_frames import frames

pytestmark = pytest.mark.slow

MAIL, STATIC, TUNNELS, EXCEPTIONS = range(4)
PLACE_OF = {
    RuleRole.MAIL_DESTINATION: MAIL,
    RuleRole.STATIC: STATIC,
    RuleRole.TUNNEL: TUNNELS,
    RuleRole.EXCEPTION: EXCEPTIONS,
}
"""Which file a rule of a role comes from, where every list is in a file of its own."""


def in_files_of_its_own(policy: Policy) -> Policy:
    """The policy with the places of its lists told apart."""

    def written(listed: tuple[LocatedPrefix, ...], which: int) -> tuple[LocatedPrefix, ...]:
        return tuple(
            entry._replace(place=SourceLocation(str(which), line, 1)) for line, entry in enumerate(listed, 1)
        )

    tunnels = replace(
        policy.hardening.tunnels, permit_to=written(policy.hardening.tunnels.permit_to, TUNNELS)
    )
    return replace(
        policy,
        mail_destinations=written(policy.mail_destinations, MAIL),
        static=written(policy.static, STATIC),
        hardening=replace(policy.hardening, tunnels=tunnels),
        exceptions=tuple(
            replace(exception, name=f"ticket-{line}", place=SourceLocation(str(EXCEPTIONS), line, 1))
            for line, exception in enumerate(policy.exceptions, 1)
        ),
    )


def test_the_way_back_of_a_lines_exception_is_named_as_such() -> None:
    text = f"""
isp: {{mail_destinations: [192.0.2.0/24]}}
address_space: {{dynamic: [100.64.0.0/10]}}
exceptions:
  - {{name: ticket, source: {{switch: {SWITCH}, port: 2}}, destination: 203.0.113.5}}
switches:
  {SWITCH}: {{dpid: 1, subscriber_ports: [1-2], uplink_ports: [3]}}
"""
    policy = load(Path("policy.yaml"), NOW, lambda path: text.encode()).policy
    assert policy is not None
    ends = parse_address("203.0.113.5")[1], parse_address("100.64.0.9")[1]
    answer = packet(3, 4, *ends, source_port=25, destination_port=40000)
    decision = decide(policy, policy.switches[SWITCH], answer, NOW)
    assert decision.because == "exception 'ticket' is in force, and this may be an answer to its mail"
    assert (decision.verdict, decision.place.line) == (Verdict.PERMIT, 5)
    shown = deciding(trace(compile_rules(policy, policy.switches[SWITCH], NOW), answer))
    assert shown is not None
    assert shown.role is RuleRole.EXCEPTION


def test_an_advertisement_from_an_own_address_is_decided_by_its_source() -> None:
    text = """
isp: {name: Example, mail_destinations: [203.0.113.25/32]}
address_space: {dynamic: [198.51.100.0/24], static: []}
hardening: {source_validation: binding}
switches:
  access-1:
    {dpid: 1, subscriber_ports: [1], uplink_ports: [3], bindings: [{port: 1, addresses: ["2001:db8::/64"]}]}
"""
    policy = load(Path("policy.yaml"), NOW, lambda path: text.encode()).policy
    assert policy is not None
    own = parse_address("2001:db8::7")[1]
    advertised = packet(1, 6, own, own, 0, 0, protocol=ICMPV6)
    advertised = replace(
        advertised, source_port=None, destination_port=None, icmp_type=NEIGHBOUR_ADVERTISEMENT, nd_target=own
    )
    decision = decide(policy, policy.switches[SWITCH], advertised, NOW)
    assert (decision.rule, decision.verdict) == ("subscriber-7", Verdict.PERMIT)
    shown = deciding(trace(compile_rules(policy, policy.switches[SWITCH], NOW), advertised))
    assert shown is not None
    assert shown.role is not RuleRole.SERVICE


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_reason_and_place_agree_with_the_rule_that_is_shown(data: st.DataObject) -> None:
    policy = in_files_of_its_own(data.draw(policies()))
    switch = policy.switches[SWITCH]
    rules = compile_rules(policy, switch, NOW)
    hostile = st.builds(read_frame, st.sampled_from(IN_PORTS), frames(policy))
    for one in data.draw(st.lists(st.one_of(hostile, packets(policy)), min_size=20, max_size=20)):
        decision = decide(policy, switch, one, NOW)
        shown = deciding(trace(rules, one))
        assert shown is not None
        reported = (one, decision, shown)
        is_blocked = shown.role in (RuleRole.BLOCK, RuleRole.WOULD_BLOCK)
        assert is_blocked is (decision.verdict is not Verdict.PERMIT), reported
        # With source_validation: off, unlisted sources share entries with the static ones.
        is_unlisted = (decision.rule, decision.verdict) == ("subscriber-6", Verdict.PERMIT)
        if shown.role in PLACE_OF and not (is_unlisted and shown.role is RuleRole.STATIC):
            assert decision.place.file == str(PLACE_OF[shown.role]), reported
        if decision.place.file == str(EXCEPTIONS):
            assert shown.role is RuleRole.EXCEPTION, reported
            assert f"ticket-{decision.place.line}'" in decision.because, reported
        if shown.role is RuleRole.SERVICE:
            assert (decision.rule, decision.verdict) == ("subscriber-0", Verdict.PERMIT), reported
        assert ("has no role" in decision.because) is (not switch.has_role(one.in_port)), reported
