"""``op25b prove`` on real tables: dumps of Open vSwitch with and without -O, live bridges, foreign rules."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from op25b_app.compiler.compiler import compile_rules
from op25b_app.openflow.flow_rule import FlowRule
from op25b_app.openflow.ofctl import format_rule
from op25b_app.openflow.ofctl_parser import read_dump, read_groups
from op25b_app.policy.loader import load
from op25b_app.policy.model import Policy
from op25b_app.verify.prove import CannotDecide, Proven, Refuted, prove
from testing.patience import HANG_SECONDS
from testing.private_ovs import PrivateOvs
from tests.generated import NOW

BRIDGE = "prove"
POLICY = """\
isp: {mail_destinations: [192.0.2.0/24, "2001:db8:25::/48"]}
address_space:
  dynamic: [100.64.0.0/10, "2001:db8:1000::/36"]
  static: [100.64.8.0/24, "2001:db8:1008::/48"]
hardening: HARDENING
exceptions:
  - {name: ticket, source: 100.64.3.7, destination: 203.0.113.0/24, expires: 2027-03-31T00:00:00Z}
switches:
  access-1:
    dpid: 0x1
    subscriber_ports: [1-4]
    uplink_ports: [25]
    trusted_ports: [26]
    vlans: {2: [100, untagged], 25: [300, untagged]}
    forwarding: FORWARDING
    bindings:
      - {port: 3, mac: "02:00:00:00:00:03", addresses: [100.64.8.0/24, "2001:db8:1008::/48"]}
"""
HARDENINGS = [
    "{}",
    "{source_validation: off, encapsulation: permit, unreadable_tcp: permit}",
    "{source_validation: prefix, tunnels: block}",
    '{source_validation: binding, tunnels: {permit_to: ["2001:db8:ff::/48"]}, ethertypes: [0x888e]}',
]


@pytest.fixture
def bridge(ovs: PrivateOvs) -> Iterator[str]:
    ovs.add_bridge(BRIDGE, range(1, 5), protocols="OpenFlow10,OpenFlow13,OpenFlow15")
    yield BRIDGE
    ovs.vsctl("del-br", BRIDGE)


def policy_file(folder: Path, hardening: str = "{}", forwarding: str = "normal") -> Path:
    path = folder / "policy.yaml"
    path.write_text(POLICY.replace("HARDENING", hardening).replace("FORWARDING", forwarding))
    return path


def read_policy(path: Path) -> Policy:
    loaded = load(path, NOW)
    assert loaded.policy is not None, loaded.errors
    return loaded.policy


def load_rules(ovs: PrivateOvs, rules: tuple[FlowRule, ...]) -> None:
    with ovs.openflow(BRIDGE) as switch:
        assert switch.load(list(rules)) == []


def install(ovs: PrivateOvs, path: Path) -> Policy:
    policy = read_policy(path)
    load_rules(ovs, compile_rules(policy, policy.switches["access-1"], NOW))
    return policy


def op25b(ovs: PrivateOvs, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from op25b_app.cli.main import main; main()", *arguments]
    return subprocess.run(command, env=ovs.environment, capture_output=True, text=True, timeout=HANG_SECONDS)


def prove_bridge(ovs: PrivateOvs, path: Path) -> tuple[int, Any]:
    done = op25b(
        ovs, "prove", str(path), "--switch", "access-1", "--bridge", BRIDGE, "--at", str(NOW), "--json"
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize("hardening", HARDENINGS)
@pytest.mark.parametrize(
    "options", [("-O", "OpenFlow13"), ("-O", "OpenFlow15"), ()], ids=["1.3", "1.5", "none"]
)
def test_every_kind_of_dump_is_read(
    ovs: PrivateOvs, bridge: str, tmp_path: Path, hardening: str, options: tuple[str, ...]
) -> None:
    policy = install(ovs, policy_file(tmp_path, hardening))
    dump = ovs._run("ovs-ofctl", *options, "--no-names", "dump-flows", bridge)
    rules = read_dump("flows", dump)
    compiled = compile_rules(policy, policy.switches["access-1"], NOW)
    assert len(rules) == len(compiled)
    assert {(rule.table, rule.priority, rule.cookie) for rule in rules} == {
        (rule.table, rule.priority, rule.cookie) for rule in compiled
    }
    assert isinstance(prove(policy, policy.switches["access-1"], rules, NOW), Proven)


def test_a_live_bridge_is_proven_and_a_missing_rule_is_shown(
    ovs: PrivateOvs, bridge: str, tmp_path: Path
) -> None:
    path = policy_file(tmp_path)
    install(ovs, path)
    code, reported = prove_bridge(ovs, path)
    assert (code, reported["result"]) == (0, "proven")
    ovs.ofctl("--strict", "del-flows", bridge, "table=2,priority=10")
    assert prove_bridge(ovs, path)[1]["result"] == "proven"
    ovs.ofctl("add-flow", bridge, "table=2,priority=11,actions=NORMAL")
    code, reported = prove_bridge(ovs, path)
    assert (code, reported["result"]) == (1, "not proven")
    assert (reported["policy_verdict"], reported["table_verdict"]) == ("block", "permit")
    assert reported["flow"] == "table=2, priority=11 actions=NORMAL"
    trace = ovs.trace(bridge, reported["packet"]["in_port"], bytes.fromhex(reported["frame"]))
    assert "priority 11" in trace
    assert "NORMAL" in trace


def test_what_is_printed(ovs: PrivateOvs, bridge: str, tmp_path: Path) -> None:
    path = policy_file(tmp_path)
    install(ovs, path)
    dump = tmp_path / "flows"
    dump.write_text(ovs.ofctl("dump-flows", bridge))
    arguments = ("prove", str(path), "--switch", "access-1", "--at", str(NOW))
    done = op25b(ovs, *arguments, "--flows", str(dump))
    assert done.returncode == 0
    assert done.stdout.startswith("proven: ")
    assert done.stdout.endswith(" classes of headers)\n")
    dump.write_text(dump.read_text() + " table=0, priority=65000,tcp,nw_dst=203.0.113.5 actions=output:25\n")
    done = op25b(ovs, *arguments, "--flows", str(dump))
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0] == "not proven: the table and the policy differ on this packet"
    assert lines[1].startswith("  packet  in_port=1,eth_src=02:00:00:00:00:01,")
    assert "ipv4_dst=203.0.113.5" in lines[1]
    assert lines[2].startswith("  trace   ovs-appctl ofproto/trace BRIDGE in_port=1 ")
    assert lines[3].startswith("  policy  block: ")
    assert lines[5] == (
        f"  table   permit: {dump}:{len(dump.read_text().splitlines())}: table=0, priority=65000,tcp,"
        "nw_dst=203.0.113.5 actions=output:25"
    )
    for wrong in ((), ("--flows", str(dump), "--bridge", bridge)):
        assert op25b(ovs, *arguments, *wrong).returncode == 2
    missing = op25b(ovs, *arguments, "--bridge", "none")
    assert missing.returncode == 1
    assert missing.stderr.startswith("op25b: cannot read the table of none: ")


SIMPLE_SWITCH = """\
table=0,priority=0,actions=CONTROLLER:65535
table=0,priority=1,in_port=1,dl_dst=02:00:00:00:00:02,actions=output:2
table=0,priority=1,in_port=2,dl_src=02:00:00:00:00:02,dl_dst=02:00:00:00:00:01,actions=output:1
"""
REST_FIREWALL = """\
table=0,priority=65535,arp,actions=NORMAL
table=0,priority=0,actions=CONTROLLER:128
table=0,priority=1,ip,nw_src=100.64.0.0/10,nw_dst=203.0.113.0/24,actions=NORMAL
"""
FAUCET = """\
table=20,priority=4096,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00,actions=output:2,output:3
table=20,priority=0,actions=drop
table=10,priority=20490,dl_type=0x9000,actions=drop
table=10,priority=20480,dl_src=ff:ff:ff:ff:ff:ff,actions=drop
table=10,priority=4096,in_port=1,vlan_tci=0x0000/0x1fff,actions=push_vlan:0x8100,set_field:4196->vlan_vid,goto_table:11
table=11,priority=8191,in_port=1,dl_vlan=100,dl_src=0e:00:00:00:01:01,actions=goto_table:20
table=11,priority=4096,dl_vlan=100,actions=CONTROLLER:96,goto_table:20
table=20,priority=8192,dl_vlan=100,dl_dst=0e:00:00:00:01:01,actions=pop_vlan,output:1
"""


@pytest.mark.parametrize(
    ("foreign", "harmless"),
    [(SIMPLE_SWITCH, True), (REST_FIREWALL, False), (FAUCET, True)],
    ids=["simple_switch_13", "rest_firewall", "faucet"],
)
def test_rules_of_other_applications_beside_ours_are_decided(
    ovs: PrivateOvs, bridge: str, tmp_path: Path, foreign: str, harmless: bool
) -> None:
    """rest_firewall lets ARP pass under tags that a line may not carry."""
    path = policy_file(tmp_path, forwarding="{table: 10}")
    install(ovs, path)
    ovs.add_flows(bridge, foreign)
    code, reported = prove_bridge(ovs, path)
    assert (code, reported["result"]) == ((0, "proven") if harmless else (1, "not proven"))
    assert harmless or (reported["flow_line"], reported["packet"]["eth_type"]) == (f"{bridge}:1", 0x0806)
    above = "table=0,priority=1000,in_port=1,vlan_tci=0x0000/0x1fff,actions=goto_table:20"
    ovs.add_flows(bridge, FAUCET + above)
    code, reported = prove_bridge(ovs, path)
    assert (code, reported["result"]) == (1, "not proven")


@pytest.mark.parametrize(
    ("rule", "verdict"),
    [
        ("table=0,priority=900,tcp,tp_dst=25,actions=drop", "block"),
        ("table=0,priority=900,tcp,tp_dst=25,actions=CONTROLLER:128", "block"),
        ("table=0,priority=900,tcp,tp_dst=25,actions=CONTROLLER:128,NORMAL", "permit"),
        ("table=0,priority=900,tcp,tp_dst=25,actions=write_actions(output:2),goto_table:1", "permit"),
        ("table=0,priority=900,tcp,tp_dst=25,actions=set_field:587->tcp_dst,goto_table:1", "permit"),
        ("table=0,priority=900,in_port=1,vlan_tci=0,actions=push_vlan:0x8100,goto_table:1", None),
        ("table=0,priority=900,in_port=1,tcp,tp_dst=587,actions=set_field:25->tcp_dst,goto_table:1", "block"),
        ("table=0,priority=900,in_port=1,tcp,actions=set_field:192.0.2.1->ip_dst,goto_table:1", "permit"),
        ("table=0,priority=900,in_port=1,tcp,actions=write_metadata:0x5,goto_table:1", None),
        ("table=0,priority=900,in_port=1,tcp,actions=resubmit(,1)", None),
        ("table=0,priority=100,tcp,nw_dst=203.0.113.0/24,actions=NORMAL", "permit"),
        ("table=0,priority=900,tcp,tcp_flags=+syn-ack,actions=NORMAL", "permit"),
        ("table=0,priority=900,tcp,tcp_flags=+syn-ack,actions=drop", "block"),
        ("table=0,priority=900,in_port=1,vlan_tci=0,actions=mod_vlan_vid:100,resubmit(,1)", None),
        ("table=0,priority=900,mpls,in_port=1,vlan_tci=0,actions=pop_mpls:0x0800,NORMAL", "permit"),
        ("table=0,priority=900,in_port=1,vlan_tci=0,tcp,actions=ct(table=1)", None),
        ("table=0,priority=900,in_port=1,vlan_tci=0,tcp,actions=ct(commit),NORMAL", "permit"),
        ("table=0,priority=900,ct_state=+trk+est,actions=NORMAL", None),
        ("table=0,priority=900,in_port=1,vlan_tci=0,udp,pkt_mark=0x5,actions=goto_table:1", None),
    ],
)
def test_actions_are_followed(
    ovs: PrivateOvs, bridge: str, tmp_path: Path, rule: str, verdict: str | None
) -> None:
    """None: the rule changes no verdict but for tags, which our tables look at before."""
    path = policy_file(tmp_path, "{encapsulation: permit}" if verdict is None else "{}")
    policy = install(ovs, path)
    ovs.ofctl("add-flow", bridge, rule)
    result = prove(
        policy, policy.switches["access-1"], read_dump("flows", ovs.ofctl("dump-flows", bridge)), NOW
    )
    if verdict is None:
        assert isinstance(result, Proven), result
        return
    assert isinstance(result, Refuted)
    assert result.walk.verdict.value == verdict or result.walk.undefined
    assert result.frame is not None
    trace = ovs.trace(bridge, result.packet.in_port, result.frame)
    actions = re.sub(r"userspace\(.*\)", "drop", trace.rpartition("Datapath actions: ")[2].strip())
    permitted = actions != "drop"
    assert result.walk.undefined or permitted == (verdict == "permit"), trace


@pytest.mark.parametrize(
    ("group", "verdict"),
    [
        ("type=all,bucket=output:1,bucket=output:2", "permit"),
        ("type=indirect,bucket=output:2", "permit"),
        ("type=select,bucket=output:1,bucket=output:2", "permit"),
        ("type=all,bucket=drop", "block"),
        ("type=select,bucket=output:1,bucket=drop", None),
        ("type=ff,bucket=watch_port:1,output:2", None),
        ("type=ff,bucket=watch_port:1,drop", "block"),
    ],
)
def test_groups_are_followed(
    ovs: PrivateOvs, bridge: str, tmp_path: Path, group: str, verdict: str | None
) -> None:
    """None: what the group does to a packet is not known, so nothing can be said where it matters."""
    path = policy_file(tmp_path)
    policy = install(ovs, path)
    ovs.ofctl("add-group", bridge, f"group_id=7,{group}")
    ovs.ofctl("add-flow", bridge, "table=0,priority=900,in_port=1,vlan_tci=0,tcp,tp_dst=25,actions=group:7")
    flows, groups = tmp_path / "flows", tmp_path / "groups"
    flows.write_text(ovs.ofctl("dump-flows", bridge))
    groups.write_text(ovs.ofctl("dump-groups", bridge))
    rules = read_dump("flows", flows.read_text(), read_groups("groups", groups.read_text()))
    result = prove(policy, policy.switches["access-1"], rules, NOW)
    ovs.ofctl("del-groups", bridge)
    if verdict is None:
        assert isinstance(result, CannotDecide)
        assert "group 7" in result.reason
        return
    assert isinstance(result, Refuted)
    assert result.walk.verdict.value == verdict


def test_groups_are_read_from_a_file_and_from_a_bridge(ovs: PrivateOvs, bridge: str, tmp_path: Path) -> None:
    path = policy_file(tmp_path)
    install(ovs, path)
    ovs.ofctl("add-group", bridge, "group_id=7,type=all,bucket=output:1,bucket=output:2")
    ovs.ofctl("add-flow", bridge, "table=0,priority=900,in_port=1,vlan_tci=0,tcp,tp_dst=25,actions=group:7")
    code, reported = prove_bridge(ovs, path)
    assert (code, reported["result"], reported["table_verdict"]) == (1, "not proven", "permit")
    trace = ovs.trace(bridge, reported["packet"]["in_port"], bytes.fromhex(reported["frame"]))
    assert "group_id=7" in trace or "-> output" in trace or "output:2" in trace
    flows, groups = tmp_path / "flows", tmp_path / "groups"
    flows.write_text(ovs.ofctl("dump-flows", bridge))
    groups.write_text(ovs.ofctl("dump-groups", bridge))
    arguments = ("prove", str(path), "--switch", "access-1", "--flows", str(flows), "--at", str(NOW))
    assert op25b(ovs, *arguments, "--groups", str(groups)).stdout.startswith("not proven: ")
    assert "what group 7 does is not known here" in op25b(ovs, *arguments).stdout
    ovs.ofctl("del-groups", bridge)


CUT_SHORT = "no 'actions=', the line is cut short or is no flow rule"


@pytest.mark.parametrize(
    ("rest", "reason"),
    [
        ("tcp actions=group:1", "what group 1 does is not known here"),
        ("tcp actions=ct(nat,table=1)", "'ct(nat,table=1)' is not modelled"),
        ("pkt_mark=0x5 actions=drop", "the match field pkt_mark is not modelled"),
        (
            "ip,nw_src=85.85.85.1/85.85.85.85 actions=NORMAL",
            "the mask 0x55555555 of ipv4_src has 16 holes",
        ),
        ("tcp actions=meter:1,NORMAL", "it drops what exceeds a meter"),
        ("tcp actions=output:NXM_NX_REG0[]", "'output:NXM_NX_REG0[]' is not modelled"),
        ("tcp", CUT_SHORT),
        ("tcp actions=", CUT_SHORT),
        ("tcp actions=write_actions(out", "'write_actions(out' ends within parentheses or quotes"),
        ("tcp_dst=fast actions=drop", "'fast' is not a number"),
        ("colour actions=drop", "'colour' is not a match that is known"),
        ('in_port="a-1" actions=drop', 'the port "a-1" has a name here; dump with `ovs-ofctl --no-names`'),
    ],
)
def test_what_cannot_be_modelled_is_never_called_proven(
    ovs: PrivateOvs, tmp_path: Path, rest: str, reason: str
) -> None:
    path, flows = policy_file(tmp_path), tmp_path / "flows"
    policy = read_policy(path)
    ours = map(format_rule, compile_rules(policy, policy.switches["access-1"], NOW))
    head = "OFPST_FLOW reply (OF1.3) (xid=0x2):"
    flows.write_text("\n".join([head, f" cookie=0x0, table=0, priority=900,{rest}", *ours, ""]))
    arguments = ("prove", str(path), "--switch", "access-1", "--flows", str(flows), "--at", str(NOW))
    done = op25b(ovs, *arguments, "--json")
    reported = json.loads(done.stdout)
    assert (done.returncode, reported["where"], reported["reason"]) == (1, f"{flows}:2", reason)
    assert op25b(ovs, *arguments).stdout == f"cannot decide, because {flows}:2: {reason}\n"


def test_doubt_only_where_a_verdict_depends_on_it(ovs: PrivateOvs, bridge: str, tmp_path: Path) -> None:
    path = policy_file(tmp_path)
    policy = install(ovs, path)
    ours = ovs.ofctl("dump-flows", bridge)
    shadowed = " table=0, priority=1,tcp actions=group:1\n"
    decisive = " table=0, priority=900,udp,in_port=1,vlan_tci=0 actions=group:1\n"
    results = [
        prove(policy, policy.switches["access-1"], read_dump("flows", ours + extra), NOW)
        for extra in (shadowed, decisive)
    ]
    assert isinstance(results[0], Proven)
    assert isinstance(results[1], CannotDecide)
