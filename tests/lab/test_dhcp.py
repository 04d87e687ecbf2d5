"""The scenario with a real DHCP server."""

from __future__ import annotations

import json
import runpy
import time

import pytest

from op25b_app.policy.loader import load
from testing.dhcp_programs import missing
from tests.lab.lab_command import ROOT, lab

FILE = ROOT / "topologies" / "dhcp.py"
ABSENT = missing(["dnsmasq", "dhclient"])


def test_ports_and_dpids_are_those_of_the_policy() -> None:
    topo = runpy.run_path(str(FILE))["topos"]["dhcp"]()
    policy = load(FILE.with_suffix(".yaml"), time.time()).policy
    assert policy is not None
    [switch] = policy.switches.values()
    assert topo.switches() == [switch.name]
    assert int(topo.nodeInfo(switch.name)["dpid"], 16) == switch.dpid
    ports = {host: port for port, (host, _) in topo.ports[switch.name].items()}
    assert {ports["subscriber"], ports["neighbour"]} <= switch.subscriber_ports
    assert {ports["edge"], ports["ispmail"]} <= switch.trusted_ports
    assert ports["transit"] in switch.uplink_ports


@pytest.mark.slow
@pytest.mark.skipif(bool(ABSENT), reason=f"not installed: {', '.join(ABSENT)}")
def test_a_line_uses_what_it_was_given_and_nobody_else_can() -> None:
    done = lab("--scenario", "dhcp", "--json")
    told = json.loads(done.stdout)
    steps = {step["what"]: step for step in told["steps"]}
    # On a loaded machine the rules may take longer: the lab says so, and this test is not about speed.
    slow = steps.pop("the switch binds the address to the line")
    wrong = [step for step in steps.values() if not step["as_expected"]]
    assert not wrong, done.stderr
    assert len(steps) == 15
    assert (done.returncode == 0) is slow["as_expected"]
