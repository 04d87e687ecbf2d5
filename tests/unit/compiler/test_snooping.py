"""What of DHCP is copied, and what is not; the frame itself goes where it goes without a copy."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest

from op25b_app.compiler.compiler import compile_rules
from op25b_app.compiler.pipeline import Table
from op25b_app.compiler.simulate import trace, verdict
from op25b_app.openflow.flow_rule import CopyToController, FlowRule, RuleRole, without_copy
from op25b_app.policy.model import Policy
from op25b_app.policy.packet import UDP, Packet, read_frame
from testing import dhcp_frames as dhcp
from tests.unit.lines.test_dhcp_snooping import (
    ADDRESS,
    LINE,
    MAC,
    NAME,
    NEIGHBOUR,
    NOW,
    POLICY,
    TAGGED,
    TRUSTED,
    UPLINK,
)

REQUEST, ANSWER = dhcp.request(MAC), dhcp.answer(MAC, ADDRESS)
REQUEST_6 = dhcp.to_server(dhcp.dhcpv6(dhcp.SOLICIT, b"duid"), mac=MAC)
ANSWER_6 = dhcp.to_client(dhcp.dhcpv6(dhcp.REPLY, b"duid"), mac=MAC)
RELAYED = dhcp.to_server(dhcp.relayed(12, b""), mac=MAC, is_relayed=True)
RELAYED_ANSWER = dhcp.to_client(dhcp.relayed(13, b""), mac=MAC, is_relayed=True)


def rules_of(policy: Policy) -> tuple[FlowRule, ...]:
    return compile_rules(policy, policy.switches[NAME], NOW)


def is_copied(policy: Policy, packet: Packet) -> bool:
    passed = trace(rules_of(policy), packet)
    return any(isinstance(rule.action, CopyToController) for rule in passed)


def muted(*lines: tuple[int, int | None]) -> Policy:
    switch = replace(POLICY.switches[NAME], muted_lines=frozenset(lines))
    return replace(POLICY, switches=MappingProxyType({NAME: switch}))


@pytest.mark.parametrize("port", [LINE, NEIGHBOUR])
@pytest.mark.parametrize("frame", [REQUEST, REQUEST_6, RELAYED])
def test_requests_of_lines_are_copied(port: int, frame: bytes) -> None:
    assert is_copied(POLICY, read_frame(port, frame))


@pytest.mark.parametrize("port", [UPLINK, TRUSTED])
@pytest.mark.parametrize("frame", [ANSWER, ANSWER_6, RELAYED_ANSWER])
def test_answers_of_servers_are_copied(port: int, frame: bytes) -> None:
    assert is_copied(POLICY, read_frame(port, frame))


@pytest.mark.parametrize(
    ("port", "frame"),
    [
        *((port, frame) for port in (LINE, TAGGED) for frame in (ANSWER, ANSWER_6)),
        *((port, frame) for port in (UPLINK, TRUSTED) for frame in (REQUEST, REQUEST_6)),
        (LINE, dhcp.request(MAC, tag=100)),
        (TAGGED, dhcp.request(MAC, tag=300)),
    ],
)
def test_nothing_else_is_copied(port: int, frame: bytes) -> None:
    assert not is_copied(POLICY, read_frame(port, frame))


def test_other_ports_of_udp_are_not_copied() -> None:
    packet = read_frame(LINE, REQUEST)
    assert packet.protocol == UDP
    for changed in (replace(packet, source_port=69), replace(packet, destination_port=68)):
        assert not is_copied(POLICY, changed)


@pytest.mark.parametrize("tag", [None, 100, 200])
def test_each_tag_that_a_port_may_carry_is_heard(tag: int | None) -> None:
    assert is_copied(POLICY, read_frame(TAGGED, dhcp.request(MAC, tag=tag)))


def test_without_snooping_the_rules_are_those_of_before() -> None:
    without = rules_of(replace(POLICY, lines=None))
    assert {rule for rule in rules_of(POLICY) if rule.role is not RuleRole.SNOOP} == {*without}
    assert not any(isinstance(rule.action, CopyToController) for rule in without)
    assert rules_of(replace(muted((LINE, None)), lines=None)) == without


def test_a_muted_line_is_not_copied_and_goes_on() -> None:
    policy = muted((LINE, None), (TAGGED, 100))
    for frame in (REQUEST, REQUEST_6, RELAYED):
        packet = read_frame(LINE, frame)
        assert not is_copied(policy, packet)
        assert is_copied(policy, replace(packet, in_port=NEIGHBOUR))
        assert verdict(trace(rules_of(policy), packet), None) == verdict(
            trace(rules_of(POLICY), packet), None
        )
    for tag in (None, 100, 200):
        heard = is_copied(policy, read_frame(TAGGED, dhcp.request(MAC, tag=tag)))
        assert heard is (tag != 100)


def test_a_muted_line_may_carry_no_more_tags_than_before() -> None:
    policy = muted((LINE, None), (TAGGED, 0))
    for port, tag in ((LINE, 100), (TAGGED, 300)):
        packet = read_frame(port, dhcp.request(MAC, tag=tag))
        assert trace(rules_of(policy), packet)[-1].table == Table.ADMIT
        assert without_copy(trace(rules_of(policy), packet)[-1].action) is None
