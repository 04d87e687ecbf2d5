"""What rules of other applications do to packets: nothing that opens port 25 is called proven."""

from __future__ import annotations

from pathlib import Path

import pytest

from op25b_app.compiler.compiler import compile_rules
from op25b_app.openflow.instruction_decoder import stored_rule
from op25b_app.openflow.ofctl_parser import DumpError, read_dump, read_groups
from op25b_app.policy.loader import load
from op25b_app.verify.prove import CannotDecide, Proven, Refuted, Result, prove

EXAMPLE = Path(__file__).parents[3] / "example.yaml"
NOW = 1_798_761_600.0
LINE = "in_port=1,vlan_tci=0"
MAIL = "192.0.2.25"
"""The mail destination of example.yaml."""
TO_MAIL = f"table=0,priority=900,{LINE},tcp,nw_src=100.64.0.1,nw_dst={MAIL},tp_dst=25"
SUBMISSION = f"table=0,priority=900,{LINE},tcp,nw_src=100.64.0.1,nw_dst=203.0.113.5,tp_dst=587"


def proven_with(*lines: str, groups: str = "") -> Result:
    """The table of access-1 and these rules of others beside it."""
    policy = load(EXAMPLE, NOW).policy
    assert policy is not None
    switch = policy.switches["access-1"]
    ours = [stored_rule(rule, "ours") for rule in compile_rules(policy, switch, NOW)]
    return prove(
        policy,
        switch,
        [*ours, *read_dump("flows", "\n".join(lines), read_groups("groups", groups))],
        NOW,
    )


@pytest.mark.parametrize(
    "lines",
    [
        [f"{SUBMISSION} actions=mod_tp_dst:25,output:25"],
        [f"{SUBMISSION} actions=set_field:25->tcp_dst,NORMAL"],
        [f"{TO_MAIL} actions=mod_nw_dst:203.0.113.5,output:25"],
        [f"{SUBMISSION} actions=mod_tp_dst:25,resubmit(,100)", "table=100,priority=1 actions=output:25"],
        [
            f"{SUBMISSION} actions=mod_tp_dst:25,resubmit(,100)",
            "table=100,priority=1 actions=mod_nw_dst:203.0.113.6,resubmit(,101)",
            "table=101,priority=1,tcp actions=output:25",
        ],
        [f"{SUBMISSION} actions=write_actions(output:25),set_field:25->tcp_dst"],
    ],
    ids=["port", "set_field", "address", "in another table", "twice", "at the end"],
)
def test_a_permitted_packet_does_not_leave_as_one_that_is_blocked(lines: list[str]) -> None:
    result = proven_with(*lines)
    assert isinstance(result, CannotDecide), result
    assert result.reason == "it sends changed packets, which the policy blocks"
    assert result.where in ("flows:1", "table 0", "table 100")


@pytest.mark.parametrize(
    "lines",
    [
        [f"{SUBMISSION} actions=mod_tp_dst:465,output:25"],
        [f"{SUBMISSION} actions=mod_nw_dst:203.0.113.6,output:25"],
        [f"{SUBMISSION} actions=mod_nw_src:203.0.113.6,mod_dl_dst:02:00:00:00:00:05,output:25"],
        [f"{SUBMISSION} actions=mod_tp_dst:25,mod_nw_dst:{MAIL},resubmit(,1)"],
        [f"{TO_MAIL} actions=mod_tp_dst:587,output:25"],
    ],
)
def test_other_changes_of_packets_make_no_difference(lines: list[str]) -> None:
    assert isinstance(proven_with(*lines), Proven)


def test_a_blocked_packet_that_leaves_as_another_is_a_counterexample() -> None:
    result = proven_with(f"{TO_MAIL.replace(MAIL, '203.0.113.5')} actions=mod_nw_dst:203.0.113.6,output:25")
    assert isinstance(result, Refuted)
    assert result.walk.verdict.value == "permit"


@pytest.mark.parametrize(
    ("bucket", "reason"),
    [
        ("resubmit(,100)", "group 1 sends some packets and not others"),
        ("ct(table=100)", "group 1 sends some packets and not others"),
        ("write_actions(output:25)", "group 1 sends some packets and not others"),
        ("set_field:25->tcp_dst,output:25", "'group 1 changes packets' is not modelled"),
    ],
)
def test_groups_whose_buckets_do_more_than_send(bucket: str, reason: str) -> None:
    result = proven_with(
        f"{TO_MAIL.replace(MAIL, '203.0.113.5')} actions=group:1",
        f"{SUBMISSION} actions=group:1",
        "table=100,priority=1 actions=output:25",
        groups=f"group_id=1,type=all,bucket=actions={bucket}",
    )
    assert isinstance(result, CannotDecide), result
    assert result.reason == reason


def test_a_tunnel_brings_its_number_along() -> None:
    result = proven_with(f"table=0,priority=900,{LINE},tun_id=5 actions=output:25")
    assert isinstance(result, CannotDecide)
    assert result.reason == "the match field tunnel_id is not modelled"


@pytest.mark.parametrize(
    "lines",
    [
        [
            "table=0,priority=60001,in_port=1 actions=ct(table=0)",
            "table=0,priority=60001,tcp,tp_dst=25 actions=output:25",
        ],
        [
            "table=0,priority=60001,ip actions=resubmit(,0)",
            "table=0,priority=60001,tcp,tp_dst=25 actions=output:25",
        ],
    ],
)
def test_a_way_that_goes_round_in_a_circle_ends(lines: list[str]) -> None:
    for order in (lines, lines[::-1]):
        result = proven_with(*order)
        assert isinstance(result, Refuted), result
        assert (result.walk.verdict.value, result.walk.undefined) == ("permit", True)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (
            ["actions=mod_vlan_pcp:99,goto_table:1", "table=1,dl_vlan_pcp=3 actions=output:1"],
            "vlan_pcp cannot be 0x63",
        ),
        (["tcp actions=mod_tp_dst:99999,goto_table:1"], "tcp_dst cannot be 0x1869f"),
        (["actions=set_field:65536->eth_type,goto_table:1"], "eth_type cannot be 0x10000"),
        (["actions=pop_mpls:99999999,goto_table:1"], "eth_type cannot be 0x5f5e0ff"),
        (["ip actions=set_field:64->ip_dscp,goto_table:1"], "ip_dscp cannot be 0x40"),
    ],
)  # fmt: skip
def test_values_that_no_field_has_are_reported(lines: list[str], reason: str) -> None:
    first, *others = lines
    result = proven_with(
        f"table=0,priority=900,in_port=1,vlan_tci=0,{first}".replace(",actions", " actions"), *others
    )
    assert isinstance(result, CannotDecide), result
    assert result.reason == reason


@pytest.mark.parametrize("match", ["dl_vlan=99999", "dl_vlan=-5", "tcp,tp_dst=99999", "ip,nw_tos=4096"])
def test_rules_that_match_no_packet_change_nothing(match: str) -> None:
    assert isinstance(proven_with(f"table=0,priority=900,in_port=1,{match} actions=output:1"), Proven)


@pytest.mark.parametrize(
    "match",
    ["tcp,tp_dst=25,tcp6,tp_dst=25", "arp_op=1"],
)
def test_rules_that_contradict_themselves_are_reported(match: str) -> None:
    result = proven_with(f"table=1,priority=900,{match} actions=output:25")
    assert not isinstance(result, Proven)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("ip,nw_src=1.2.3.4/99 actions=drop", "'1.2.3.4/99' is no prefix; an address has 32 bits"),
        (
            "ip actions=" + "write_actions(" * 3000 + "drop" + ")" * 3000,
            "'write_actions' stands within 'write_actions'; a switch has one action set",
        ),
    ],
)
def test_lines_that_no_switch_prints_are_reported(line: str, reason: str) -> None:
    with pytest.raises(DumpError) as raised:
        proven_with(line)
    assert raised.value.reason == reason
