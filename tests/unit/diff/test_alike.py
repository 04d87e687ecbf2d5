"""Switches that differ in bound addresses alone are compared once, with the same result as one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from benchmarks.regional import addresses_of, regional_policy
from op25b_app.diff import SwitchEffect, Traffic, effect
from op25b_app.diff.alike import Likeness, ports_of
from op25b_app.diff.switch_diff import SwitchDifference
from op25b_app.net.prefix import Prefix
from op25b_app.net.ranges import size
from op25b_app.policy.loader import load
from op25b_app.policy.model import (
    Binding,
    MailException,
    Mode,
    Policy,
    SourceValidation,
    SubscriberPort,
    Switch,
)
from tests.written import AT, PLACE, listed

SWITCHES = 3


def of_text(text: str) -> Policy:
    policy = load(Path("policy.yaml"), AT, lambda path: text.encode()).policy
    assert policy is not None
    return policy


@pytest.fixture(scope="module")
def regional() -> Policy:
    return of_text(regional_policy(SWITCHES))


def every_switch(policy: Policy, change: Callable[[Switch], Switch]) -> Policy:
    return replace(
        policy, switches=MappingProxyType({name: change(each) for name, each in policy.switches.items()})
    )


def hardened(policy: Policy, **parts: Any) -> Policy:
    return replace(policy, hardening=replace(policy.hardening, **parts))


def another_port(switch: Switch) -> Switch:
    """The first line gets the addresses of the second one as well."""
    first, second = switch.bindings[:2]
    more = replace(first, addresses=(*first.addresses, *second.addresses))
    return replace(switch, bindings=(more, *switch.bindings[1:]))


CHANGES: dict[str, Callable[[Policy], Policy]] = {
    "tunnels": lambda policy: hardened(policy, tunnels=replace(policy.hardening.tunnels, block=False)),
    "validation": lambda policy: hardened(policy, source_validation=SourceValidation.PORT_25),
    "mode": lambda policy: every_switch(policy, lambda each: replace(each, mode=Mode.MONITOR)),
    "bindings": lambda policy: every_switch(policy, lambda each: replace(each, bindings=each.bindings[1:])),
    "shared": lambda policy: every_switch(policy, another_port),
    "mail": lambda policy: replace(policy, mail_destinations=listed("198.51.100.7")),
    "static": lambda policy: replace(policy, static=listed("100.64.0.0/16")),
    "roles": lambda policy: every_switch(
        policy, lambda each: replace(each, uplink_ports=frozenset(), trusted_ports=frozenset({47, 48}))
    ),
}


def told(traffic: tuple[Traffic, ...]) -> list[Any]:
    """What is told of traffic, but for its addresses and ports: only how many these are."""
    return [
        (
            *(each.kind, each.change, each.roles, each.tags, each.partly),
            *(size(each.ports), size(each.other_ports)),
            *(addresses and addresses.count for addresses in (each.sources, each.destinations)),
        )
        for each in traffic
    ]


def without_sharing(monkeypatch: pytest.MonkeyPatch) -> None:
    def concrete(likeness: Likeness, before: Switch, after: Switch) -> Any:
        return ports_of(before), ports_of(after)

    monkeypatch.setattr(Likeness, "ports", concrete)


@pytest.mark.parametrize("name", CHANGES)
def test_one_switch_stands_for_those_that_are_alike(
    regional: Policy, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = CHANGES[name](regional)
    (shared,) = effect(regional, new, AT).switches
    without_sharing(monkeypatch)
    single: dict[str, SwitchEffect] = {
        name: switch for switch in effect(regional, new, AT).switches for name in switch.names
    }
    assert set(shared.names) == set(single) == set(regional.switches)
    for switch, alone in single.items():
        assert told(alone.traffic) == told(shared.traffic)
        assert alone.rules[switch] == shared.rules[switch]
    assert (shared.like is None) is (len({switch.traffic for switch in single.values()}) == 1)


def numbered(ports: frozenset[int], shift: int) -> frozenset[int]:
    """Ports with other numbers: the first is the second now, and so on around."""
    return frozenset((port - 1 + shift) % 48 + 1 for port in ports)


def test_ports_may_have_other_numbers(regional: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    """On each switch, other ports are uplinks, carry two tags, and have lines without a binding."""

    def other_ports(switch: Switch) -> Switch:
        shift = 7 * switch.dpid
        (tagged,) = numbered(frozenset({5}), shift)
        bindings = (
            replace(each, port=next(iter(numbered(frozenset({each.port}), shift))))
            for each in switch.bindings[3:]
        )
        return replace(
            switch,
            subscriber_ports=numbered(switch.subscriber_ports, shift),
            uplink_ports=numbered(switch.uplink_ports, shift),
            trusted_ports=numbered(switch.trusted_ports, shift),
            vlans=MappingProxyType({tagged: frozenset({7, None})}),
            bindings=tuple(bindings),
        )

    new = every_switch(regional, other_ports)
    old = hardened(new, source_validation=SourceValidation.PORT_25)
    (shared,) = effect(old, new, AT).switches
    assert shared.like is None, "it is told of all ports"
    fewer = every_switch(new, lambda each: replace(each, bindings=each.bindings[1:]))
    assert [each.like for each in effect(new, fewer, AT).switches] == ["access-1"]
    assert compared(old, new, monkeypatch) == 1
    without_sharing(monkeypatch)
    for alone in effect(old, new, AT).switches:
        assert told(alone.traffic) == told(shared.traffic)
        assert all(shared.rules[name] == rules for name, rules in alone.rules.items())


def compared(old: Policy, new: Policy, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many switches are compared packet by packet."""
    made = []
    real = SwitchDifference.traffic

    def counted(self: SwitchDifference) -> tuple[Traffic, ...]:
        made.append(self)
        return real(self)

    monkeypatch.setattr(SwitchDifference, "traffic", counted)
    effect(old, new, AT)
    return len(made)


TUNNELS = CHANGES["tunnels"]


def first_switch(policy: Policy, **parts: Any) -> Policy:
    switches = {**policy.switches, "access-1": replace(policy.switches["access-1"], **parts)}
    return replace(policy, switches=MappingProxyType(switches))


def rebound(policy: Policy, *addresses: str) -> Policy:
    """The first line of the first switch has other addresses."""
    first, *others = policy.switches["access-1"].bindings
    return first_switch(policy, bindings=(replace(first, addresses=listed(*addresses)), *others))


@pytest.mark.parametrize(
    "change",
    [
        lambda policy: first_switch(policy, bindings=policy.switches["access-1"].bindings[1:]),
        lambda policy: rebound(policy, "100.64.200.0/31", "2001:db8:1001:ff00::/56"),
        lambda policy: rebound(policy, "198.51.100.1", "2001:db8:1001:ff00::/56"),
        lambda policy: rebound(policy, "100.64.0.2", "2001:db8:1001:ff00::/56"),
        lambda policy: replace(policy, static=listed("100.64.0.1/32")),
        lambda policy: replace(policy, static=listed("2001:db8:1000:100::/128")),
        lambda policy: replace(policy, mail_destinations=(*policy.mail_destinations, *listed("100.64.0.1"))),
        lambda policy: hardened(
            policy, tunnels=replace(policy.hardening.tunnels, permit_to=listed("100.64.0.1"))
        ),
        lambda policy: replace(
            policy,
            exceptions=(MailException("one", Prefix.parse("100.64.0.1"), None, None, "", PLACE),),
        ),
        lambda policy: replace(
            policy,
            exceptions=(MailException("one", SubscriberPort("access-1", 1), None, None, "", PLACE),),
        ),
        lambda policy: first_switch(policy, vlans=MappingProxyType({2: frozenset({7})})),
    ],
)
def test_what_is_not_alike_is_compared_by_itself(
    regional: Policy, change: Callable[[Policy], Policy], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert addresses_of(1, 1)[:2] == ("100.64.0.1", "2001:db8:1000:100::/56")
    old = change(regional)
    assert compared(old, TUNNELS(old), monkeypatch) == 2


def test_lines_with_several_bindings_are_no_obstacle_without_static_addresses(
    regional: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def second_binding(switch: Switch) -> Switch:
        first = switch.bindings[0]
        half = Binding(first.port, None, first.addresses[:1], PLACE)
        return replace(switch, bindings=(*switch.bindings, half))

    old = every_switch(regional, second_binding)
    assert compared(old, TUNNELS(old), monkeypatch) == 1
    static = replace(old, static=listed("192.0.2.128/25"))
    assert compared(static, TUNNELS(static), monkeypatch) == SWITCHES
