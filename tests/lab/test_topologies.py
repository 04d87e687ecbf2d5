"""The topologies, loaded by ``mn`` itself, and held to the policies beside them."""

from __future__ import annotations

import runpy
import time
from typing import Any

import pytest

from op25b_app.policy.loader import load
from op25b_app.policy.model import Policy, PortRole
from tests.lab.lab_command import ROOT, TOPOLOGIES, in_private_world

FILES = {name: ROOT / "topologies" / f"{name.replace('-', '_')}.py" for name in TOPOLOGIES}
SUBSCRIBERS = {"spammer", "infected", "worker", "customer", "selfhost", "company", "newpool"}
OLT, BNG = "olt", "bng"
"""Bridges of ``tagged``: what is behind them has the role of their port."""
TRANSIT = {"transit", "transit-a", "transit-b"}


def _topo(name: str) -> Any:
    return runpy.run_path(str(FILES[name]))["topos"][name]()


def _policy(name: str) -> Policy:
    policy, problems, *_ = load(FILES[name].with_suffix(".yaml"), time.time())
    assert policy, problems
    return policy


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_mn_loads_it_and_every_host_reaches_every_other(name: str) -> None:
    switch = "ovsbr,datapath=user"
    done = in_private_world(
        *("mn", "--custom", str(FILES[name]), "--topo", name, "--switch", switch),
        *("--controller", "none", "--test", "pingall"),
    )
    pairs = len(_topo(name).hosts()) * (len(_topo(name).hosts()) - 1)
    assert f"*** Results: 0% dropped ({pairs}/{pairs} received)" in done.stdout + done.stderr


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_ports_and_dpids_are_those_of_the_policy(name: str) -> None:
    topo, policy = _topo(name), _policy(name)
    assert set(topo.switches()) - {OLT, BNG} == set(policy.switches)
    seen = set()
    for name_of_switch, switch in policy.switches.items():
        assert int(topo.nodeInfo(name_of_switch)["dpid"], 16) == switch.dpid
        for port, (neighbour, _) in topo.ports[name_of_switch].items():
            role = PortRole.TRUSTED
            if neighbour in {*SUBSCRIBERS, OLT}:
                role = PortRole.SUBSCRIBER
            elif neighbour in TRANSIT:
                role = PortRole.UPLINK
            assert switch.has_role(port)
            assert switch.role_of(port) is role, f"{name_of_switch} port {port}: {neighbour}"
            seen.add(neighbour)
    if name == "tagged":
        behind = {neighbour for bridge in (OLT, BNG) for neighbour, _ in topo.ports[bridge].values()}
        assert seen >= {OLT, BNG}
        seen |= behind
    assert seen >= SUBSCRIBERS | {"edge", "ispmail"}


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_it_is_a_tree(name: str) -> None:
    links = _topo(name).links()
    nodes = set(_topo(name).nodes())
    assert len(set(map(frozenset, links))) == len(nodes) - 1
    reached = {"edge"}
    while len(reached) < len(nodes):
        more = {node for link in links if reached & set(link) for node in link} - reached
        assert more, f"not connected: {sorted(nodes - reached)}"
        reached |= more


def test_tagged_has_its_subscribers_on_one_port_each_under_a_tag_of_its_own() -> None:
    switch = _policy("tagged").switches["access-1"]
    (port,) = switch.subscriber_ports
    lines = {line.vlan for line in switch.lines()}
    assert len(lines) == len(SUBSCRIBERS | {"borrower"})
    assert {(binding.port, binding.vlan) for binding in switch.bindings} == {(port, tag) for tag in lines}
    assert lines == set(_topo("tagged").ports[OLT]) - {1}


def test_metro_has_several_access_switches_and_two_uplinks() -> None:
    policy = _policy("metro")
    assert sum(bool(switch.subscriber_ports) for switch in policy.switches.values()) == 3
    uplinks = [port for switch in policy.switches.values() for port in switch.uplink_ports]
    assert len(uplinks) == 2
