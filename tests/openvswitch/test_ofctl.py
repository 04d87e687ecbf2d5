"""Rules as text are what ``ovs-ofctl`` reads: loaded by it, they are the same rules."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings

from op25b_app.compiler.compiler import compile_rules
from op25b_app.openflow.fields import OXM_ORDER
from op25b_app.openflow.flow_rule import (
    NORMAL,
    Action,
    CopyToController,
    FieldValue,
    FlowRule,
    Goto,
    GotoWithTag,
    Output,
    match_of,
)
from op25b_app.openflow.ofctl import format_rule
from op25b_app.policy.model import Policy
from testing.private_ovs import PrivateOvs
from testing.running import rules_on
from tests.generated import NOW, SWITCH, policies

IPV4, ARP, IPV6 = {"eth_type": 0x0800}, {"eth_type": 0x0806}, {"eth_type": 0x86DD}
EACH_FIELD = (
    {"in_port": 3, "metadata": 5, "eth_dst": 1, "eth_src": 2, "vlan_vid": 0x1064, "vlan_pcp": 1},
    {"tunnel_id": 7},
    {**IPV4, "ip_proto": 6, "ipv4_src": 0x0A000001, "ipv4_dst": 0x0A000002, "tcp_src": 1, "tcp_dst": 2},
    {**IPV4, "ip_proto": 17, "udp_src": 1, "udp_dst": 2, "ip_dscp": 10, "ip_ecn": 1},
    {**IPV6, "ip_proto": 132, "sctp_src": 1, "sctp_dst": 2, "ipv6_flabel": 0x12},
    {**IPV4, "ip_proto": 1, "icmpv4_type": 8, "icmpv4_code": 3},
    {**ARP, "arp_op": 1, "arp_spa": 0x0A000001, "arp_tpa": 0x0A000002, "arp_sha": 2, "arp_tha": 3},
    {**IPV6, "ip_proto": 58, "ipv6_src": 1, "ipv6_dst": 2, "icmpv6_type": 136, "ipv6_nd_target": 3},
    {**IPV6, "ip_proto": 58, "icmpv6_type": 135, "icmpv6_code": 0, "ipv6_nd_sll": 4},
    {**IPV6, "ip_proto": 58, "icmpv6_type": 136, "icmpv6_code": 0, "ipv6_nd_tll": 5},
    {"eth_type": 0x8847, "mpls_label": 16, "mpls_tc": 1, "mpls_bos": 1},
)
UNKNOWN_TO_OPEN_VSWITCH = {"in_phy_port", "ipv6_exthdr", "pbb_isid", "pbb_uca"}
NEWER_THAN_13 = {"tcp_flags", "actset_output", "packet_type"}


@pytest.mark.slow
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(policies())
def test_compiled_rules(ovs: PrivateOvs, policy: Policy) -> None:
    assert_read_as_written(ovs, compile_rules(policy, policy.switches[SWITCH], NOW))


def test_every_field(ovs: PrivateOvs) -> None:
    matches = [match_of(FieldValue(*field) for field in fields.items()) for fields in EACH_FIELD]
    assert {field.name for match in matches for field in match} == (
        OXM_ORDER.keys() - UNKNOWN_TO_OPEN_VSWITCH - NEWER_THAN_13
    )
    rules = [FlowRule(1, 100 + number, match, NORMAL, number) for number, match in enumerate(matches)]
    assert_read_as_written(ovs, rules)


def test_every_action(ovs: PrivateOvs) -> None:
    onward: tuple[Goto | GotoWithTag | Output, ...] = (
        NORMAL,
        Output(5),
        Goto(5),
        GotoWithTag(5, 0),
        GotoWithTag(5, 0xA5),
    )
    actions: tuple[Action, ...] = (None, *onward, *map(CopyToController, onward))
    assert_read_as_written(
        ovs, [FlowRule(1, 9 + number, (), action, 7) for number, action in enumerate(actions)]
    )


def assert_read_as_written(ovs: PrivateOvs, rules: Sequence[FlowRule]) -> None:
    ovs.vsctl("--if-exists", "del-br", "ofctl")
    ovs.add_bridge("ofctl")
    ovs.add_flows("ofctl", "\n".join(map(format_rule, rules)))
    assert rules_on(ovs, "ofctl") == set(rules)
