"""What is told of lines, against what ``decide`` says of packets from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings

from op25b_app.diff import Fate, line_changes
from op25b_app.policy.decide import decide
from op25b_app.policy.model import Mode, Policy, SubscriberPort, Switch, Verdict
from op25b_app.policy.packet import Packet
from tests.generated import MACS, NOW, SWITCH, edges, packet
from tests.property.test_policy_diff import pairs, tags_of

pytestmark = pytest.mark.slow

SOMEWHERE = {4: 0xCB007105, 6: 0x2001_0DB8_0000_0000_0000_0000_0000_0005}


def passes(policy: Policy, one: Packet) -> bool:
    return decide(policy, policy.switches[SWITCH], one, NOW).verdict is not Verdict.BLOCK


def ordinary_packets(old: Policy, new: Policy, line: SubscriberPort) -> Iterator[Packet]:
    """What a line may send to port 587 from all addresses at which a policy changes its mind."""
    for version in (4, 6):
        for tags in sorted(tags_of_line(old, old.switches[SWITCH], line)):
            for source in sorted({*edges(old, version), *edges(new, version)}):
                sent = packet(line.port, version, source, SOMEWHERE[version], 40000, 587, tags=tags)
                yield from (replace(sent, eth_source=mac) for mac in (0x02_00_00_00_00_09, *MACS))


def tags_of_line(policy: Policy, switch: Switch, line: SubscriberPort) -> set[tuple[int, ...]]:
    carried = tags_of(policy, switch, line.port)
    return {tags for tags in carried if line.vlan is None or (tags[0] if tags else 0) == line.vlan}


def own_versions(policy: Policy) -> set[int]:
    return {entry.prefix.version for entry in (*policy.dynamic, *policy.static)}


def is_of_one_tag(policy: Policy) -> bool:
    """Under ``encapsulation: permit`` a line has several tags, each of which may be bound to an address."""
    vlans = (binding.vlan for binding in policy.switches[SWITCH].bindings)
    return policy.hardening.block_encapsulation or not any(vlan is not None for vlan in vlans)


@settings(max_examples=200, deadline=None)
@given(pairs())
def test_a_line_fares_as_its_packets_do(pair: tuple[Policy, Policy]) -> None:
    old, new = pair
    switch = old.switches[SWITCH]
    assume(is_of_one_tag(old) and is_of_one_tag(new))
    told = {
        line: change.fate
        for change, lines in line_changes(old, new, [SWITCH]).by_change.items()
        for line in lines
    }
    assert set(told) == set(switch.lines())
    # A switch in monitor mode lets everything through, whatever the addresses are.
    free = switch.mode is Mode.MONITOR or not old.hardening.source_validation.of_every_packet
    for line, fate in told.items():
        sent = [*ordinary_packets(old, new, line)]
        before = {one for one in sent if passes(old, one)}
        after = {one for one in sent if passes(new, one)}
        had = {one.version for one in before}
        if free:
            had = had & own_versions(old) or had
        kept = {one.version for one in before & after} & had
        expected = {
            Fate.HAS_NONE: not before and not after,
            Fate.GETS: not before and bool(after),
            Fate.LOSES_ALL: bool(had) and not kept,
            Fate.LOSES_IPV4: had - kept == {4} and kept == {6},
            Fate.LOSES_IPV6: had - kept == {6} and kept == {4},
            Fate.LOSES_SOME: had == kept and bool(before - after),
            Fate.KEEPS: bool(had) and had == kept,
        }
        assert expected[fate], (line, fate)
