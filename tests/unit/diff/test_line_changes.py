"""What becomes of each line when one policy replaces another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from op25b_app.diff import Fate, LineChanges, line_changes, objections
from op25b_app.diff.line_changes import Reason
from op25b_app.diff.line_text import lines_headline, losses, places
from op25b_app.policy.loader import load
from op25b_app.policy.model import (
    Binding,
    Mode,
    Policy,
    SourceValidation,
    SubscriberPort,
    Switch,
)
from tests.written import AT, PLACE, listed

MAC = 0x020000000001


def bound(port: int, *addresses: str, vlan: int | None = None, mac: int | None = None) -> Binding:
    return Binding(port, mac, listed(*addresses), PLACE, vlan)


@pytest.fixture(scope="module")
def plain() -> Policy:
    """Three switches of 24 lines, each with port 25 as uplink; sources are validated for mail only."""
    policy = load(Path(__file__).parents[3] / "example.yaml", AT).policy
    assert policy is not None
    one = replace(policy.switches["access-1"], bindings=())
    names = ("access-1", "access-2", "access-3")
    switches = {name: replace(one, name=name, dpid=number) for number, name in enumerate(names, 1)}
    return replace(policy, exceptions=(), switches=MappingProxyType(switches))


def validated(policy: Policy, validation: SourceValidation) -> Policy:
    return replace(policy, hardening=replace(policy.hardening, source_validation=validation))


def with_switch(policy: Policy, name: str = "access-1", **parts: Any) -> Policy:
    switches = {**policy.switches, name: replace(policy.switches[name], **parts)}
    return replace(policy, switches=MappingProxyType(switches))


def bound_policy(policy: Policy, *bindings: Binding) -> Policy:
    """One switch with these bindings, each packet validated."""
    one = replace(policy.switches["access-1"], bindings=bindings, subscriber_ports=frozenset(range(1, 5)))
    only = replace(policy, switches=MappingProxyType({"access-1": one}))
    return validated(only, SourceValidation.BINDING)


def fates(changes: LineChanges) -> dict[Fate, int]:
    return {fate: count for fate in Fate if (count := changes.count(fate))}


def test_the_headline_of_issue_15(plain: Policy) -> None:
    one = with_switch(
        plain,
        bindings=tuple(bound(port, f"100.64.1.{port}", f"2001:db8:1000:{port}::/64") for port in (1, 2, 9)),
    )
    changes = line_changes(plain, validated(one, SourceValidation.BINDING))
    assert lines_headline(changes) == "3 of 72 lines keep their traffic; 69 lose all of it"
    assert [*losses(changes)] == [
        "69 lines lose all traffic, because nothing is bound there: ports 3-8 and 10-24 of access-1, "
        "ports 1-24 of access-2 and 24 lines of 1 more switch"
    ]
    assert len(changes.cut_off) == 69


def test_a_line_without_an_address_of_one_version_loses_that(plain: Policy) -> None:
    changes = line_changes(
        plain, bound_policy(plain, *(bound(port, f"100.64.1.{port}") for port in range(1, 5)))
    )
    # Ports 5 to 24 have no role now, and nothing is bound to them.
    assert fates(changes) == {Fate.LOSES_IPV6: 4, Fate.LOSES_ALL: 20}
    assert next(text for text in losses(changes) if "IPv6" in text) == (
        "4 lines lose all IPv6 traffic, because no IPv6 address is bound there: ports 1-4 of access-1"
    )


def test_nobody_loses_a_version_that_the_isp_does_not_have(plain: Policy) -> None:
    only_ipv4 = replace(plain, dynamic=listed("100.64.0.0/10"), static=())
    new = bound_policy(only_ipv4, *(bound(port, f"100.64.1.{port}") for port in range(1, 5)))
    assert fates(line_changes(with_switch(only_ipv4, subscriber_ports=frozenset(range(1, 5))), new)) == {
        Fate.KEEPS: 4
    }


@pytest.mark.parametrize(
    ("before", "after", "fate"),
    [
        (["100.64.1.1"], ["100.64.1.1"], Fate.KEEPS),
        (["100.64.1.1"], ["100.64.1.0/24"], Fate.KEEPS),
        (["100.64.1.0/24"], ["100.64.1.0/25", "100.64.1.128/25"], Fate.KEEPS),
        (["100.64.1.1"], ["100.64.1.2"], Fate.LOSES_ALL),
        (["100.64.1.1"], ["2001:db8:1000::/64"], Fate.LOSES_ALL),
        (["100.64.1.1", "100.64.1.2"], ["100.64.1.2"], Fate.LOSES_SOME),
        (["100.64.1.0/24"], ["100.64.1.2"], Fate.LOSES_SOME),
        (["100.64.1.1", "2001:db8:1000::/64"], ["100.64.1.1"], Fate.LOSES_IPV6),
        (["100.64.1.1", "2001:db8:1000::/64"], ["100.64.1.9", "2001:db8:1000::/64"], Fate.LOSES_IPV4),
        ([], ["100.64.1.1"], Fate.GETS),
    ],
)
def test_addresses_that_are_bound(plain: Policy, before: list[str], after: list[str], fate: Fate) -> None:
    old, new = (bound_policy(plain, *([bound(1, *here)] if here else [])) for here in (before, after))
    changes = line_changes(old, new)
    assert fates(changes) == {Fate.HAS_NONE: 3, fate: 1} if fate is not Fate.HAS_NONE else {Fate.HAS_NONE: 4}


def test_a_mac_address_decides_with_the_address(plain: Policy) -> None:
    def fate(before: int | None, after: int | None) -> Fate:
        old, new = (bound_policy(plain, bound(1, "100.64.1.1", mac=mac)) for mac in (before, after))
        (found,) = (change for change, lines in line_changes(old, new).by_change.items() if len(lines) == 1)
        return found.fate

    assert fate(MAC, MAC) is Fate.KEEPS
    assert fate(MAC, MAC + 1) is Fate.LOSES_ALL
    assert fate(None, MAC) is Fate.KEEPS
    assert fate(MAC, None) is Fate.KEEPS


def test_a_tag_that_a_port_may_not_carry_costs_the_line_all(plain: Policy) -> None:
    new = with_switch(plain, vlans=MappingProxyType({port: frozenset({100}) for port in (1, 2)}))
    changes = line_changes(plain, new)
    assert fates(changes) == {Fate.KEEPS: 70, Fate.LOSES_ALL: 2}
    (text,) = losses(changes)
    assert text.endswith("does not let these ports carry their frames (vlans): ports 1-2 of access-1")
    assert fates(line_changes(new, plain)) == {Fate.KEEPS: 70, Fate.LOSES_ALL: 2}
    both = with_switch(plain, vlans=MappingProxyType({1: frozenset({None, 100})}))
    assert fates(line_changes(plain, both)) == {Fate.KEEPS: 72}
    assert line_changes(both, both).total == 73


def test_each_vlan_of_a_port_is_a_line(plain: Policy) -> None:
    def policy(*bindings: Binding) -> Policy:
        switch = plain.switches["access-1"]
        vlans = MappingProxyType({1: frozenset({100, 200})})
        switch = replace(switch, vlans=vlans, bindings=bindings, subscriber_ports=frozenset({1}))
        return validated(
            replace(plain, switches=MappingProxyType({"access-1": switch})), SourceValidation.BINDING
        )

    old = policy(bound(1, "100.64.1.1", vlan=100), bound(1, "100.64.1.2", vlan=200))
    new = policy(bound(1, "100.64.1.1", vlan=100), bound(1, "100.64.1.3", vlan=200))
    changes = line_changes(old, new)
    assert changes.cut_off == (SubscriberPort("access-1", 1, 200),)
    assert places(changes.cut_off) == "port 1 under tag 200 of access-1"
    whole = policy(bound(1, "100.64.1.1", "100.64.1.2"))
    assert fates(line_changes(old, whole)) == {Fate.KEEPS: 2}


def test_own_addresses_do_not_come_from_an_uplink(plain: Policy) -> None:
    old = validated(plain, SourceValidation.PREFIX)
    switch = old.switches["access-1"]
    new = with_switch(
        old, subscriber_ports=switch.subscriber_ports - {7}, uplink_ports=switch.uplink_ports | {7}
    )
    (loss,) = line_changes(old, new).losses
    assert loss[0].reason is Reason.UPLINK
    assert loss[1] == (SubscriberPort("access-1", 7),)


def test_another_address_plan_takes_all_from_every_line(plain: Policy) -> None:
    old = validated(plain, SourceValidation.PREFIX)
    new = replace(old, dynamic=listed("10.0.0.0/8", "2001:db8:1000::/36"), static=())
    assert fates(line_changes(old, new)) == {Fate.LOSES_IPV4: 72}
    nothing = replace(new, dynamic=listed("10.0.0.0/8"))
    assert fates(line_changes(old, nothing)) == {Fate.LOSES_ALL: 72}
    served = with_switch(old, serves=listed("100.64.0.0/16"))
    moved = with_switch(old, serves=listed("100.65.0.0/16"))
    assert fates(line_changes(served, moved)) == {Fate.KEEPS: 48, Fate.LOSES_ALL: 24}
    assert fates(line_changes(old, served)) == {Fate.KEEPS: 48, Fate.LOSES_IPV6: 24}


def test_monitor_mode_takes_nothing_until_it_ends(plain: Policy) -> None:
    enforced = bound_policy(plain)
    monitored = with_switch(enforced, mode=Mode.MONITOR)
    assert fates(line_changes(enforced, monitored)) == {Fate.GETS: 4}
    assert fates(line_changes(monitored, enforced)) == {Fate.LOSES_ALL: 4}


def test_lines_are_those_of_the_switches_of_both(plain: Policy) -> None:
    new = validated(plain, SourceValidation.BINDING)
    kept = {name: new.switches[name] for name in ("access-1", "access-2")}
    kept["other"] = replace(kept.pop("access-2"), name="other")
    changes = line_changes(plain, replace(new, switches=MappingProxyType(kept)))
    assert changes.total == 48
    assert {line.switch for line in changes.cut_off} == {"access-1", "other"}
    assert line_changes(plain, new, ["access-3"]).total == 24


def network(plain: Policy, lines: int, unbound: int, *, trusted: int = 0) -> Policy:
    """One switch on which some of the lines, the first, are bound to nothing."""
    bindings = tuple(
        bound(port, f"100.64.{port >> 8}.{port & 255}") for port in range(1 + unbound, lines + 1)
    )
    ports = frozenset(range(1, lines + 1))
    switch = Switch(
        "s", 1, ports - {*range(1, trusted + 1)}, frozenset({60000}), ports & {*range(1, trusted + 1)},
        Mode.ENFORCE, PLACE, bindings=bindings,
    )  # fmt: skip
    new = replace(plain, dynamic=listed("100.64.0.0/10"), switches=MappingProxyType({"s": switch}))
    return validated(new, SourceValidation.BINDING)


@pytest.mark.parametrize(
    ("lines", "lost", "is_refused"),
    [(4, 1, False), (4, 2, True), (24, 1, False), (24, 2, True), (500, 5, False), (500, 6, True)],
)
def test_what_cuts_off_more_than_one_percent_and_one_line_needs_an_operator(
    plain: Policy, lines: int, lost: int, is_refused: bool
) -> None:
    found = objections(network(plain, lines, 0), network(plain, lines, lost), AT)
    assert bool(found.cuts_off) is is_refused
    assert not found.opens
    if is_refused:
        assert found.cuts_off[0] == (
            f"{lost} of {lines} lines would lose all traffic, because nothing is bound there:"
            f" ports 1-{lost} of s"
        )


def test_lines_that_become_trusted_are_open(plain: Policy) -> None:
    old = network(plain, 24, 0)
    opened = objections(old, network(plain, 24, 13, trusted=13), AT).opens
    assert opened == ("port 25 would open for 13 of 24 lines, whose ports become trusted: ports 1-13 of s",)
    assert objections(old, network(plain, 24, 12, trusted=12), AT).opens == ()
