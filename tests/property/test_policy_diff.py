"""What is told of two policies, against what ``decide`` says of single packets under each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from functools import cache
from types import MappingProxyType

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from op25b_app.compiler.compiler import compile_rules
from op25b_app.compiler.simulate import headers
from op25b_app.diff import Kind, Traffic, VerdictChange, effect, would_block_nothing
from op25b_app.diff.comparison import PolicyComparison, SwitchPolicy
from op25b_app.diff.switch_diff import SwitchDifference
from op25b_app.diff.traffic import change_of
from op25b_app.net.ranges import Ranges
from op25b_app.policy.decide import decide
from op25b_app.policy.model import Mode, Policy, PortRole, SourceValidation, Switch, Verdict
from op25b_app.policy.packet import ETH_ARP, UDP, Packet, read_frame
from op25b_app.policy.packet_context import TUNNELS
from op25b_app.verify.counterexample import packet_of
from op25b_app.verify.diagram import Diagrams
from op25b_app.verify.header import FIELDS, SIZES, vlan_value
from op25b_app.verify.prove import ports_by_roles
from tests.diagrams import evaluate
from tests.generated import IN_PORTS, NOW, SWITCH, edges, packet, packets, policies
from tests.generated_frames import frames

pytestmark = pytest.mark.slow

OF_MODE = (VerdictChange.ENFORCED, VerdictChange.LET_THROUGH)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Policy, Policy]:
    """Two policies, more often alike in most parts than not."""
    old, other = draw(policies()), draw(policies())
    parts = [part.name for part in fields(Policy) if part.name != "switches"]
    new = replace(old, **{part: getattr(other, part) for part in draw(st.sets(st.sampled_from(parts)))})
    switches = {name: draw(switches_like(old.switches[name], other.switches[name])) for name in old.switches}
    dynamic = {entry.prefix for entry in new.dynamic}
    static = tuple(entry for entry in new.static if entry.prefix not in dynamic)
    return old, replace(new, static=static, switches=MappingProxyType(switches))


@st.composite
def switches_like(draw: st.DrawFn, old: Switch, other: Switch) -> Switch:
    parts = draw(st.sets(st.sampled_from(("mode", "serves", "vlans", "bindings", "forwarding_table"))))
    switch = replace(old, **{part: getattr(other, part) for part in parts})
    if draw(st.sampled_from((True, False, False))):
        uplinks, trusted = draw(st.sampled_from((({3, 4}, ()), ({2, 3}, {4}), ({4}, {3}), ((), {4}))))
        switch = replace(switch, uplink_ports=frozenset(uplinks), trusted_ports=frozenset(trusted))
    return switch


def any_packets(policy: Policy) -> st.SearchStrategy[Packet]:
    hostile = st.builds(read_frame, st.sampled_from(IN_PORTS), frames(policy))
    return st.one_of(hostile, packets(policy), packets(policy))


def header_of(packet: Packet) -> dict[str, int]:
    found = headers(packet)
    found["vlan_vid"] = vlan_value(found["vlan_vid"])
    return {name: found.get(name, 0) for name in FIELDS}


def changes_at(old: Policy, new: Policy) -> Callable[[Mapping[str, int]], VerdictChange | None]:
    """The change for the packet with a header, from the diagrams of the difference."""
    diagrams = Diagrams(SIZES)
    before, after = (SwitchPolicy(each, each.switches[SWITCH]) for each in (old, new))

    @cache
    def compared(roles: tuple[PortRole, PortRole]) -> PolicyComparison:
        ports = ports_by_roles(before.switch, after.switch)[roles]
        return PolicyComparison(diagrams, before, after, roles, ports, NOW)

    def change(header: Mapping[str, int]) -> VerdictChange | None:
        port, values = header["in_port"], [header[name] for name in FIELDS]
        comparison = compared((before.switch.role_of(port), after.switch.role_of(port)))
        may_before, may_after = (not evaluate(each, values) for each in comparison.forbidden)
        found: VerdictChange | None = evaluate(comparison.changes((may_before, may_after)), values)
        return found

    return change


def difference_of(old: Policy, new: Policy) -> SwitchDifference:
    return SwitchDifference(
        SwitchPolicy(old, old.switches[SWITCH]), SwitchPolicy(new, new.switches[SWITCH]), NOW
    )


def really(old: Policy, new: Policy, packet: Packet) -> VerdictChange | None:
    before, after = (decide(policy, policy.switches[SWITCH], packet, NOW).verdict for policy in (old, new))
    return change_of(before, after)


def kinds_of(packet: Packet, role: PortRole) -> set[Kind]:
    """The kinds as which a packet may be told, from RFCs and the list of decisions, not from the code."""
    to_smtp, from_smtp = packet.destination_port == 25, packet.source_port == 25
    if packet.version is None:
        return {Kind.ARP if packet.eth_type == ETH_ARP else Kind.ETHERTYPE}
    if packet.is_tcp and role is PortRole.SUBSCRIBER and to_smtp:
        return {Kind.MAIL}
    if packet.is_tcp and role is PortRole.UPLINK and (to_smtp or from_smtp):
        kinds = {Kind.MAIL_FROM_UPLINK} if to_smtp else set()
        kinds |= {Kind.ANSWER_FROM_UPLINK} if from_smtp else set()
        return kinds | ({Kind.BETWEEN_PORTS_25} if to_smtp and from_smtp else set())
    if packet.is_unreadable_tcp:
        return {Kind.UNREADABLE, Kind.OTHER}
    if packet.protocol in TUNNELS:
        return {Kind.TUNNEL, Kind.OTHER}
    if packet.protocol == UDP and packet.destination_port not in (67, 68, 546, 547):
        return {Kind.UDP_PORT, Kind.OTHER}
    return {Kind.SERVICE, Kind.OTHER}


def inside(value: int, ranges: Ranges) -> bool:
    return any(first <= value <= last for first, last in ranges)


def is_at(traffic: Traffic, port: int, role: PortRole) -> bool:
    return role is traffic.roles[0] and (not traffic.ports or inside(port, traffic.ports))


def tells(traffic: Traffic, packet: Packet, role: PortRole) -> bool:
    """Is a packet, at a port that had this role before, among those that are told?"""
    if traffic.kind is Kind.MODE:
        return True
    if not is_at(traffic, packet.in_port, role):
        return False
    if traffic.kind is Kind.ROLE:
        return True
    if traffic.kind is Kind.TAG:
        return inside(packet.tags[0] + 1 if packet.tags else 0, traffic.tags)
    if traffic.kind not in kinds_of(packet, role):
        return False
    if traffic.sources is None or traffic.destinations is None:
        return True
    return (
        packet.version == traffic.sources.version
        and packet.source in traffic.sources
        and packet.destination in traffic.destinations
    )


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_packet_changes_as_the_difference_says_and_is_reported(data: st.DataObject) -> None:
    old, new = data.draw(pairs())
    reported, change_at = difference_of(old, new).traffic(), changes_at(old, new)
    role = old.switches[SWITCH].role_of
    for one in data.draw(st.lists(st.one_of(any_packets(old), any_packets(new)), min_size=20, max_size=20)):
        change = really(old, new, one)
        assert change_at(header_of(one)) is change
        telling = [traffic for traffic in reported if tells(traffic, one, role(one.in_port))]
        assert change is None or change in {traffic.change for traffic in telling}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_mail_that_is_reported_does_change(data: st.DataObject) -> None:
    """Whole products of addresses and ports, but for what says that it is only a part."""
    old, new = data.draw(pairs())
    exact = [each for each in difference_of(old, new).traffic() if each.kind.is_mail and not each.partly]
    for traffic in exact[:10]:
        for one in packets_within(traffic, old, new, data):
            assert really(old, new, one) is traffic.change


def packets_within(traffic: Traffic, old: Policy, new: Policy, data: st.DataObject) -> Iterator[Packet]:
    assert traffic.sources is not None
    assert traffic.destinations is not None
    sources, destinations = (
        st.sampled_from([edge for each in ranges for edge in each])
        for ranges in (traffic.sources.ranges, traffic.destinations.ranges)
    )
    from_smtp = traffic.kind in (Kind.ANSWER_FROM_UPLINK, Kind.BETWEEN_PORTS_25)
    to_smtp = traffic.kind is not Kind.ANSWER_FROM_UPLINK
    for port in IN_PORTS:
        roles = old.switches[SWITCH].role_of(port), new.switches[SWITCH].role_of(port)
        if roles != traffic.roles or not is_at(traffic, port, roles[0]):
            continue
        tags = tags_of(old, old.switches[SWITCH], port) & tags_of(new, new.switches[SWITCH], port)
        assert tags or not traffic.ports, "a port is told only for frames that it may carry"
        if not tags:
            continue
        yield packet(
            in_port=port,
            version=traffic.sources.version,
            source=data.draw(sources),
            destination=data.draw(destinations),
            source_port=25 if from_smtp else 40000,
            destination_port=25 if to_smtp else 40000,
            tags=data.draw(st.sampled_from(sorted(tags))),
        )


@settings(max_examples=150, deadline=None)
@given(pairs())
def test_examples_are_packets_that_change(pair: tuple[Policy, Policy]) -> None:
    old, new = pair
    role = old.switches[SWITCH].role_of
    for traffic in difference_of(old, new).traffic():
        example = packet_of(traffic.example)
        assert really(old, new, example) is traffic.change, traffic
        assert tells(traffic, example, role(example.in_port))


@settings(max_examples=100, deadline=None)
@given(pairs())
def test_the_way_back_changes_as_much(pair: tuple[Policy, Policy]) -> None:
    back = {
        VerdictChange.BLOCKED: VerdictChange.PERMITTED,
        VerdictChange.COUNTED: VerdictChange.UNCOUNTED,
        VerdictChange.ENFORCED: VerdictChange.LET_THROUGH,
    }
    back |= {after: before for before, after in back.items()}
    there, again = (difference_of(*each).traffic() for each in (pair, pair[::-1]))
    reversed_again = [
        replace(traffic, change=back[traffic.change], roles=traffic.roles[::-1]) for traffic in again
    ]
    assert set(there) == set(reversed_again)


@settings(max_examples=100, deadline=None)
@given(pairs())
def test_rules_are_counted_as_they_differ(pair: tuple[Policy, Policy]) -> None:
    old, new = pair
    result = effect(old, new, NOW)
    counted = {name: rules for switch in result.switches for name, rules in switch.rules.items()}
    assert {*counted, *result.untouched} == {*old.switches}
    for name in old.switches:
        before, after = (
            {rule.key: rule for rule in compile_rules(policy, policy.switches[name], NOW)} for policy in pair
        )
        if name in result.untouched:
            assert before == after
            continue
        rules = counted[name]
        assert rules.added + rules.changed + rules.unchanged == len(after)
        assert rules.removed + rules.changed + rules.unchanged == len(before)
        assert rules.unchanged == len(before.items() & after.items())


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_switch_that_blocks_nothing_blocks_no_mail_of_dynamic_addresses(data: st.DataObject) -> None:
    policy = data.draw(policies())
    switch = data.draw(st.sampled_from(list(policy.switches.values())))
    assume(any(tags_of(policy, switch, port) for port in switch.subscriber_ports))
    reason = would_block_nothing(policy, switch, NOW)
    enforcing = replace(switch, mode=Mode.ENFORCE)
    hardening = replace(policy.hardening, source_validation=SourceValidation.PORT_25)
    # An exception to come counts as if it had started: no other policy is compared then.
    begun = tuple(replace(exception, starts=None) for exception in policy.exceptions)
    policy = replace(policy, hardening=hardening, exceptions=begun)
    if reason is None:
        assert any(_blocked_mail(policy, enforcing)), "something is blocked"
    elif "monitor" not in reason:
        assert not any(_blocked_mail(policy, enforcing)), reason


def _blocked_mail(policy: Policy, switch: Switch) -> Iterator[bool]:
    """Mail from all edges of dynamic space to all edges of anything, whether it is blocked there."""
    for version in (4, 6):
        places = edges(policy, version)
        for source in places:
            for destination in places:
                for in_port in switch.subscriber_ports:
                    for tags in tags_of(policy, switch, in_port):
                        mail = packet(in_port, version, source, destination, 40000, 25, tags=tags)
                        if _is_dynamic(policy, mail):
                            yield decide(policy, switch, mail, NOW).verdict is Verdict.BLOCK


def tags_of(policy: Policy, switch: Switch, port: int) -> set[tuple[int, ...]]:
    """Tags (of a few) under which a port's frames are looked into."""
    carried = switch.vlans.get(port)
    if not policy.hardening.block_encapsulation or (carried is None and port in switch.uplink_ports):
        return {(), (0,), (100,), (200,), (300,)}
    return {() if tag is None else (tag,) for tag in carried or {None}} if carried != frozenset() else set()


def _is_dynamic(policy: Policy, mail: Packet) -> bool:
    listed: Mapping[int, bool] = {
        entry.prefix.length: is_static
        for entries, is_static in ((policy.dynamic, False), (policy.static, True))
        for entry in entries
        if entry.prefix.contains(mail.version or 0, mail.source)
    }
    return bool(listed) and not listed[max(listed)]
