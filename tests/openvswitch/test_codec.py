"""Our bytes and a real Open vSwitch: what is loaded is what is read back, and rules of others can be read."""

from __future__ import annotations

import pytest

from op25b_app.openflow.codec import FlowModCommand
from op25b_app.openflow.flow_rule import (
    NORMAL,
    Action,
    CopyToController,
    FieldValue,
    FlowRule,
    Goto,
    GotoWithTag,
    OpaqueInstructions,
)
from testing.private_ovs import PrivateOvs

IPV4_TCP = (FieldValue("eth_type", 0x0800), FieldValue("ip_proto", 6))
IPV6_TCP = (FieldValue("eth_type", 0x86DD), FieldValue("ip_proto", 6))
PREFIX6 = 0x20010DB8 << 96
ACTIONS: tuple[Action, ...] = (
    None,
    NORMAL,
    Goto(9),
    GotoWithTag(9, 0xA5),
    CopyToController(NORMAL),
    CopyToController(Goto(9)),
    CopyToController(GotoWithTag(9, 0xA5)),
)
MATCHES = (
    (),
    (FieldValue("in_port", 7),),
    (FieldValue("metadata", 0x30, 0xF0), *IPV4_TCP, FieldValue("ipv4_src", 100 << 24 | 64 << 16, 0xFFC00000)),
    (*IPV4_TCP, FieldValue("ipv4_src", 1, 1), FieldValue("ipv4_dst", 0xC0000219), FieldValue("tcp_dst", 25)),
    (*IPV6_TCP, FieldValue("tcp_src", 25), FieldValue("ipv6_dst", PREFIX6, (1 << 128) - (1 << 92))),
    (*IPV6_TCP, FieldValue("ipv6_src", PREFIX6 + 1)),
    (FieldValue("eth_src", 0x020000000003), FieldValue("eth_type", 0x0800), FieldValue("vlan_vid", 0x1064)),
    (FieldValue("eth_type", 0x0800), FieldValue("vlan_vid", 0x1000, 0x1000)),
    (FieldValue("vlan_vid", 0),),
    (FieldValue("vlan_vid", 0x1064), FieldValue("vlan_pcp", 3)),
    (FieldValue("eth_type", 0x0806), FieldValue("arp_op", 2), FieldValue("arp_spa", 0x64400000, 0xFFFF0000)),
    (
        FieldValue("eth_type", 0x0806),
        FieldValue("arp_spa", 0x64400001),
        FieldValue("arp_sha", 0x020000000003),
    ),
    (FieldValue("eth_type", 0x0800), FieldValue("ip_proto", 1), FieldValue("icmpv4_type", 8)),
    (FieldValue("eth_type", 0x86DD), FieldValue("ip_proto", 58), FieldValue("icmpv6_type", 134)),
    (
        FieldValue("eth_type", 0x86DD),
        FieldValue("ip_proto", 58),
        FieldValue("icmpv6_type", 135),
        FieldValue("ipv6_nd_target", PREFIX6),
    ),
    (
        FieldValue("eth_type", 0x0800),
        FieldValue("ip_proto", 17),
        FieldValue("udp_src", 68),
        FieldValue("udp_dst", 67),
    ),
)


def rules() -> list[FlowRule]:
    return [
        FlowRule(table, 100 + number, match, action, 0x25B0_0000_0000_0000 + number, hard_timeout)
        for table, action, hard_timeout in zip(
            range(len(ACTIONS)), ACTIONS, (0, 0, 65535, 0, 0, 0, 0), strict=True
        )
        for number, match in enumerate(MATCHES)
    ]


@pytest.mark.parametrize("version", [4, 5, 6], ids=["1.3", "1.4", "1.5"])
def test_what_is_loaded_is_read_back(ovs: PrivateOvs, version: int) -> None:
    bridge = f"codec{version}"
    ovs.add_bridge(bridge, range(1, 8), protocols="OpenFlow13,OpenFlow14,OpenFlow15")
    with ovs.openflow(bridge, version) as switch:
        assert switch.load(rules()) == []
        installed = switch.read()
        assert sorted(each.rule for each in installed) == sorted(rules())
        assert {(each.idle_timeout, each.flags) for each in installed} == {(0, 0)}
        assert all(0 <= each.duration < 60 for each in installed if each.rule.hard_timeout)

        removed, kept = rules()[::2], rules()[1::2]
        assert switch.load(removed, FlowModCommand.DELETE_STRICT) == []
        assert sorted(each.rule for each in switch.read()) == sorted(kept)


def test_a_deletion_spares_a_rule_with_another_cookie(ovs: PrivateOvs) -> None:
    ovs.add_bridge("codec-cookie")
    theirs = FlowRule(0, 100, (FieldValue("in_port", 1),), NORMAL, cookie=7)
    with ovs.openflow("codec-cookie") as switch:
        switch.load([theirs])
        switch.load([theirs._replace(cookie=0x25B0_0000_0000_0001)], FlowModCommand.DELETE_STRICT)
        assert [each.rule for each in switch.read()] == [theirs]


@pytest.mark.parametrize("version", [4, 5, 6], ids=["1.3", "1.4", "1.5"])
def test_rules_of_others_can_be_read(ovs: PrivateOvs, version: int) -> None:
    bridge = f"codec-others{version}"
    protocols = "OpenFlow13,OpenFlow14,OpenFlow15"
    ovs.add_bridge(bridge, range(1, 3), protocols=protocols)
    ovs.add_flows(
        bridge,
        "cookie=0x1,priority=9,idle_timeout=99,udp,reg0=5,ct_state=+trk+new,nw_frag=first,actions=resubmit(,3),ct(commit)\n"
        "cookie=0x2,priority=8,send_flow_rem,tun_id=0x5/0xf,actions=push_vlan:0x8100,output:2\n"
        "cookie=0x3,priority=7,tcp,tp_dst=0x10/0xfff0,actions=learn(table=7,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[])\n"
        "cookie=0x4,priority=6,actions=drop\n",
        protocols=protocols,
    )
    with ovs.openflow(bridge, version) as switch:
        found = sorted(switch.read(), key=lambda each: each.rule.cookie)
    assert [each.rule.cookie for each in found] == [1, 2, 3, 4]
    assert [isinstance(each.rule.action, OpaqueInstructions) for each in found] == [True, True, True, False]
    assert found[0].idle_timeout == 99
    assert found[1].flags == 1
    assert FieldValue("tunnel_id", 5, 15) in found[1].rule.match
    assert FieldValue("tcp_dst", 0x10, 0xFFF0) in found[2].rule.match
    unknown = [field.name for field in found[0].rule.match if field.name.startswith("oxm_")]
    assert len(unknown) == 3, found[0].rule.match


def test_a_refused_rule_is_told_and_the_others_stay(ovs: PrivateOvs) -> None:
    ovs.add_bridge("codec-refused")
    good = FlowRule(0, 100, (FieldValue("in_port", 1),), NORMAL, cookie=1)
    bad = FlowRule(0, 101, (FieldValue("tcp_dst", 25),), None, cookie=2)
    with ovs.openflow("codec-refused") as switch:
        refusals = switch.load([bad, good])
        assert [(refusal.type, refusal.rule) for refusal in refusals] == [(4, bad)]
        assert [each.rule for each in switch.read()] == [good]


def test_a_large_table_is_read_whole(ovs: PrivateOvs) -> None:
    ovs.add_bridge("codec-large")
    many = [
        FlowRule(2, 32, (*IPV4_TCP, FieldValue("ipv4_src", 0x64400000 + number)), None, 0x25B0 << 48 | number)
        for number in range(3000)
    ]
    with ovs.openflow("codec-large") as switch:
        assert switch.load(many) == []
        assert sorted(each.rule for each in switch.read()) == many
