"""The policy in effect is the written one with the facts."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest

from op25b_app.net.prefix import Prefix
from op25b_app.policy.decide import decide
from op25b_app.policy.facts import Facts, after_change, are_felt_elsewhere, in_effect
from op25b_app.policy.model import Binding, LocatedPrefix, SourceLocation, SubscriberPort, Verdict
from op25b_app.policy.packet import ETH_IPV4, TCP, Packet
from tests.unit.diff.test_every_field import BOUND, NAME, PEER

LEARNED = SourceLocation("leases.csv", 3, 1)


def binding(address: str, port: int = 1) -> Binding:
    return Binding(port, None, (LocatedPrefix(Prefix.parse(address), LEARNED),), LEARNED)


def test_without_facts_the_written_policy_is_in_effect() -> None:
    assert in_effect(BOUND, Facts()) is BOUND
    assert in_effect(BOUND, Facts(MappingProxyType({NAME: (), "gone": (binding("100.64.3.7"),)}))) is BOUND


def test_learned_bindings_come_behind_the_written_ones() -> None:
    policy = in_effect(BOUND, Facts({NAME: (binding("100.64.3.7"),)}))
    written, learned = policy.switches[NAME].bindings
    assert written is BOUND.switches[NAME].bindings[0]
    assert str(learned.place) == "leases.csv:3:1"
    assert policy.switches[PEER] is BOUND.switches[PEER]
    assert policy.space.tables == BOUND.space.tables


def test_a_learned_address_is_the_lines_own_and_nobody_elses() -> None:
    policy = in_effect(BOUND, Facts({NAME: (binding("100.64.3.7"),)}))
    source = Prefix.parse("100.64.3.7").network
    mail = Prefix.parse("203.0.113.25").network
    for switch in (NAME, PEER):
        for port in (1, 2):
            packet = Packet(port, ETH_IPV4, 4, source, mail, TCP, 40000, 587)
            is_holder = (switch, port) == (NAME, 1)
            expected = Verdict.PERMIT if is_holder else Verdict.BLOCK
            assert decide(policy, policy.switches[switch], packet, 0.0).verdict is expected


def test_a_change_of_facts_touches_the_switches_of_which_they_are() -> None:
    before = in_effect(BOUND, Facts({NAME: (binding("100.64.3.7"),), PEER: (binding("100.64.3.8"),)}))
    facts = Facts({NAME: (binding("100.64.3.9"),), PEER: ()})
    after = after_change(before, facts, BOUND, [NAME])
    assert after.switches[PEER] is before.switches[PEER]
    assert after.switches[NAME] == in_effect(BOUND, facts).switches[NAME]
    after = after_change(after, facts, BOUND, [PEER, "gone"])
    assert after.switches[PEER] is BOUND.switches[PEER]
    assert after.switches.keys() == BOUND.switches.keys()


@pytest.mark.parametrize(
    ("old", "new", "felt"),
    [
        ((), ("100.64.3.7",), False),
        (("100.64.3.7",), (), False),
        (("100.64.3.7",), ("100.64.3.7", "100.64.3.9"), False),
        ((), ("100.64.8.7",), True),
        (("100.64.8.7",), (), True),
        (("100.64.8.7",), ("100.64.8.7", "100.64.3.9"), False),
        ((), ("100.64.8.0/21",), True),
    ],
)
def test_static_addresses_are_felt_on_every_switch(
    old: tuple[str, ...], new: tuple[str, ...], felt: bool
) -> None:
    before = in_effect(BOUND, Facts({NAME: tuple(map(binding, old))}))
    facts = Facts({NAME: tuple(map(binding, new))})
    after = after_change(before, facts, BOUND, [NAME])
    assert are_felt_elsewhere(before, after, [NAME]) is felt


def test_addresses_of_a_line_with_an_exception_are_felt_on_every_switch() -> None:
    excepted = replace(BOUND, exceptions=(replace(BOUND.exceptions[0], source=SubscriberPort(NAME, 1)),))
    after = in_effect(excepted, Facts({NAME: (binding("100.64.3.7"),)}))
    assert are_felt_elsewhere(excepted, after, [NAME])
    after = in_effect(excepted, Facts({PEER: (binding("100.64.3.7"),)}))
    assert not are_felt_elsewhere(excepted, after, [PEER])
