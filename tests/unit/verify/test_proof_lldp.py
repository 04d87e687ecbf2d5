"""What ``ryu.topology`` writes into a table that is ours otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from op25b_app.compiler.compiler import compile_rules
from op25b_app.openflow.ofctl import format_rule
from op25b_app.openflow.ofctl_parser import read_dump
from op25b_app.policy.loader import load
from op25b_app.verify.prove import violation

AT = 1_800_000_000.0
SWITCH = "access-1"
LLDP = "table=0,priority=65535,{where}dl_dst={to},dl_type={kind} actions=CONTROLLER:65535"
NEAREST = "01:80:c2:00:00:0e"


def told_of(hardening: str, **written: str) -> str | None:
    text = f"""
isp: {{mail_destinations: [192.0.2.0/24]}}
address_space: {{dynamic: [100.64.0.0/10]}}
hardening: {hardening}
switches:
  {SWITCH}: {{dpid: 1, subscriber_ports: [1-3], uplink_ports: [4], trusted_ports: [5]}}
"""
    policy = load(Path("policy.yaml"), AT, lambda path: text.encode()).policy
    assert policy is not None
    switch = policy.switches[SWITCH]
    ours = map(format_rule, compile_rules(policy, switch, AT))
    rule = LLDP.format(**{"where": "", "to": NEAREST, "kind": "0x88cc", **written})
    return violation(policy, switch, read_dump("flows", "\n".join([*ours, rule])), AT)


def test_the_rule_of_ryu_topology_beside_trusted_ports_is_no_objection() -> None:
    assert told_of("{}") is None


@pytest.mark.parametrize("hardening", ["{ethertypes: [0x88cc]}", "{encapsulation: permit}"])
def test_of_subscribers_it_is_one_in_words(hardening: str) -> None:
    reported = told_of(hardening)
    assert reported is not None
    assert "a rule of another application, table=0, priority=65535,dl_dst=01:80:c2:00:00:0e" in reported
    assert (
        "for an LLDP frame to the nearest bridge (ryu.topology takes those for itself), in_port=" in reported
    )


@pytest.mark.parametrize(
    "written",
    [{"to": "01:80:c2:00:00:0d"}, {"kind": "0x88cd"}, {"where": "in_port=5,", "to": "02:00:00:00:00:09"}],
)
def test_nothing_else_may_be_taken_from_trusted_ports(written: dict[str, str]) -> None:
    reported = told_of("{}", **written)
    assert reported is not None
    assert "gives block where the policy says permit, for in_port=5," in reported
