"""A policy with ports by name is the policy by number, and a port that is not there opens nothing."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from hypothesis import given
from hypothesis import strategies as st

from op25b_app.compiler.compiler import compile_rules
from op25b_app.net.port_number import NO_PORT
from op25b_app.policy.canonical import meaning
from op25b_app.policy.decide import decide
from op25b_app.policy.facts import Facts, in_effect
from op25b_app.policy.model import NamedPorts, Policy, PortRole, SubscriberPort, Verdict
from tests.generated import NOW, SWITCH, packets, policies

NAMES = {1: "eth1", 2: "eth2", 3: "up", 4: "down"}
"""Names of the ports that have a role; of them only the subscriber ports fit ``eth*``."""


def by_name(policy: Policy) -> Policy:
    """Write a policy with the ports of one switch by name."""
    switch = policy.switches[SWITCH]
    roles = {role: [port for port in NAMES if switch.role_of(port) is role] for role in PortRole}
    named = [
        NamedPorts("eth*" if role is PortRole.SUBSCRIBER else NAMES[port], role, None, switch.place)
        for role, ports in roles.items()
        for port in ports
    ]
    named += [NamedPorts(NAMES[port], None, tags, switch.place) for port, tags in switch.vlans.items()]
    bindings = (replace(each, port=NO_PORT, port_name=NAMES[each.port]) for each in switch.bindings)
    written = replace(
        switch,
        subscriber_ports=frozenset(),
        uplink_ports=frozenset(),
        trusted_ports=frozenset(),
        vlans=MappingProxyType({}),
        bindings=tuple(bindings),
        by_name=tuple(dict.fromkeys(named)),
    )
    of_lines = [
        each
        for each in policy.exceptions
        if isinstance(each.source, SubscriberPort) and each.source.switch == SWITCH
    ]
    waiting = (
        replace(each, source=each.source._replace(port=NO_PORT), port_name=NAMES[each.source.port])
        for each in of_lines
        if isinstance(each.source, SubscriberPort)
    )
    return replace(
        policy,
        switches=MappingProxyType({**policy.switches, SWITCH: written}),
        exceptions=tuple(each for each in policy.exceptions if each not in of_lines),
        exceptions_by_name=tuple(waiting),
    )


@given(policies())
def test_by_name_it_is_the_policy_by_number(policy: Policy) -> None:
    ports = frozenset((name, port) for port, name in NAMES.items())
    found = in_effect(by_name(policy), Facts(ports={SWITCH: ports}))
    assert found.switches[SWITCH] == policy.switches[SWITCH]
    assert meaning(found.switches) == meaning(policy.switches)
    assert set(map(meaning, found.exceptions)) == set(map(meaning, policy.exceptions))
    for name, switch in policy.switches.items():
        rules = compile_rules(found, found.switches[name], NOW)
        assert set(rules) == set(compile_rules(policy, switch, NOW))


@given(policies(), st.data())
def test_a_port_that_is_not_there_opens_nothing_elsewhere(policy: Policy, data: st.DataObject) -> None:
    there = data.draw(st.sets(st.sampled_from([*NAMES])))
    ports = frozenset((NAMES[port], port) for port in there)
    found = in_effect(by_name(policy), Facts(ports={SWITCH: ports} if there else {}))
    packet = data.draw(packets(policy))
    for name in policy.switches:
        if name == SWITCH and packet.in_port in NAMES and packet.in_port not in there:
            continue
        if decide(found, found.switches[name], packet, NOW).verdict is Verdict.PERMIT:
            verdict = decide(policy, policy.switches[name], packet, NOW).verdict
            assert verdict is Verdict.PERMIT, (name, packet)
