"""What changes between two policies, exactly, on cases worked out by hand."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest

from op25b_app.diff import (
    Kind,
    RuleChanges,
    Traffic,
    VerdictChange,
    effect,
    stops_blocking,
    would_block_nothing,
)
from op25b_app.diff.address_text import AddressSet
from op25b_app.diff.comparison import SwitchPolicy
from op25b_app.diff.switch_diff import SwitchDifference
from op25b_app.diff.text import exception_text, headline, network_notes, notes, rules_text, summary
from op25b_app.net.prefix import Prefix
from op25b_app.net.prefix_cover import held_by
from op25b_app.policy.loader import load
from op25b_app.policy.model import (
    LocatedPrefix,
    MailException,
    Mode,
    Policy,
    SourceValidation,
    SubscriberPort,
    Switch,
)
from tests.written import AT, PLACE, listed

PLANS = Path(__file__).parents[4] / "shared/data/isp-prefixes"


@pytest.fixture(scope="module")
def example() -> Policy:
    """IPv4 alone, one switch, lines 1 to 24, uplink 25, no binding."""
    policy = load(Path(__file__).parents[3] / "example.yaml", AT).policy
    assert policy is not None
    switch = replace(policy.switches["access-1"], bindings=())
    return replace(
        policy,
        mail_destinations=listed("192.0.2.0/24"),
        dynamic=listed("100.64.0.0/10"),
        static=listed("100.64.8.0/24"),
        exceptions=(),
        switches=MappingProxyType({"access-1": switch}),
    )


def with_switch(policy: Policy, **parts: object) -> Policy:
    switches = {name: replace(switch, **parts) for name, switch in policy.switches.items()}  # type: ignore[arg-type]
    return replace(policy, switches=MappingProxyType(switches))


def hardened(policy: Policy, **parts: object) -> Policy:
    return replace(policy, hardening=replace(policy.hardening, **parts))  # type: ignore[arg-type]


def exception(source: str | SubscriberPort, **parts: object) -> MailException:
    written = Prefix.parse(source) if isinstance(source, str) else source
    ticket = MailException("ticket", written, None, None, "", PLACE)
    return replace(ticket, **parts)  # type: ignore[arg-type]


def reported(old: Policy, new: Policy) -> list[Traffic]:
    return [traffic for switch in effect(old, new, AT).switches for traffic in switch.traffic]


def only(old: Policy, new: Policy, kind: Kind) -> Traffic:
    (traffic,) = (traffic for traffic in reported(old, new) if traffic.kind is kind)
    return traffic


def prefixes(addresses: AddressSet | None) -> list[str]:
    assert addresses is not None
    return [str(prefix) for prefix in addresses.prefixes()]


def test_what_is_static_no_longer_becomes_blocked(example: Policy) -> None:
    mail = only(example, replace(example, static=listed("100.64.8.0/25")), Kind.MAIL)
    assert mail.change is VerdictChange.BLOCKED
    assert prefixes(mail.sources) == ["100.64.8.128/25"]
    assert mail.destinations is not None
    assert prefixes(mail.destinations.others) == ["192.0.2.0/24"]
    assert not mail.partly
    assert not mail.other_ports
    assert headline(mail) == (
        "mail from 100.64.8.128/25 (128 addresses) to any IPv4 address but 192.0.2.0/24"
    )


def test_only_what_is_not_exempt_otherwise_changes(example: Policy) -> None:
    """Neighbouring prefixes merge, and what an exception permits stays permitted."""
    old = replace(
        example, static=listed("100.64.8.0/24", "100.64.9.0/24"), exceptions=(exception("100.64.9.128/25"),)
    )
    mail = only(old, replace(old, static=()), Kind.MAIL)
    assert prefixes(mail.sources) == ["100.64.8.0/24", "100.64.9.0/25"]
    assert mail.sources is not None
    assert mail.sources.count == 384


def test_a_new_mail_destination_is_reported_by_the_destination(example: Policy) -> None:
    new = replace(example, mail_destinations=listed("192.0.2.0/24", "198.51.100.7"))
    mail, answers = reported(example, new)
    assert headline(mail) == "mail from any IPv4 address but 100.64.8.0/24 to 198.51.100.7"
    assert headline(answers) == (
        "TCP from port 25 from uplinks, from 198.51.100.7 to 100.64.0.0/10 without 100.64.8.0/24 "
        "(4,194,048 addresses)"
    )
    assert {mail.change, answers.change} == {VerdictChange.PERMITTED}


def test_nat64_shows_in_ipv6(example: Policy) -> None:
    new = replace(example, nat64_prefixes=listed("64:ff9b::/96"))
    mail = only(example, new, Kind.MAIL)
    assert prefixes(mail.destinations) == ["64:ff9b::c000:200/120"]


def test_a_binding_closes_a_static_address_on_all_other_ports(example: Policy) -> None:
    switch = example.switches["access-1"]
    bound = load(Path(__file__).parents[3] / "example.yaml", AT).policy
    assert bound is not None
    binding = replace(bound.switches["access-1"].bindings[0], addresses=listed("100.64.8.0/24"))
    mail = only(example, with_switch(example, bindings=(binding,)), Kind.MAIL)
    assert mail.other_ports == ((3, 3),)
    assert headline(mail).endswith("192.0.2.0/24, on every port but 3")
    moved = only(
        with_switch(example, bindings=(binding,)),
        with_switch(example, bindings=(binding, replace(binding, port=4))),
        Kind.MAIL,
    )
    assert moved.change is VerdictChange.PERMITTED
    assert moved.ports == ((4, 4),)
    assert not moved.partly
    assert switch.subscriber_ports >= {3, 4}


def test_many_bindings_are_one_piece_of_news(example: Policy) -> None:
    bound = load(Path(__file__).parents[3] / "example.yaml", AT).policy
    assert bound is not None
    one = bound.switches["access-1"].bindings[0]
    bindings = tuple(replace(one, port=port, addresses=listed(f"100.64.8.{port}")) for port in range(1, 25))
    mail = only(example, with_switch(example, bindings=bindings), Kind.MAIL)
    assert mail.partly
    assert mail.sources is not None
    assert mail.sources.count == 24
    assert "not all of it" in headline(mail)


def test_an_exception_for_a_line_is_reported_with_its_port(example: Policy) -> None:
    new = replace(
        example,
        exceptions=(
            exception(
                SubscriberPort("access-1", 7),
                destination=Prefix.parse("203.0.113.0/24"),
                expires=int(AT) + 60,
            ),
        ),
    )
    mail = only(example, new, Kind.MAIL)
    assert headline(mail).endswith("but 100.64.8.0/24 to 203.0.113.0/24 (256 addresses), on port 7")
    (end,) = effect(example, new, AT).exceptions
    assert exception_text(end) == (
        "exception 'ticket' (port 7 of access-1 to 203.0.113.0/24) begins, and ends at 2027-01-15T08:01:00Z"
    )
    (end,) = effect(new, example, AT).exceptions
    assert exception_text(end).endswith("no longer holds")


def test_an_exception_to_come_is_reported(example: Policy) -> None:
    starts = (None, int(AT) - 60, int(AT) + 60, int(AT) + 3600)
    none = replace(example, exceptions=())
    always, begun, sooner, later = (
        replace(example, exceptions=(exception("100.64.3.7", starts=start),)) for start in starts
    )

    def said(old: Policy, new: Policy) -> list[str]:
        subject = "exception 'ticket' (100.64.3.7 to anywhere) "
        return [exception_text(end).removeprefix(subject) for end in effect(old, new, AT).exceptions]

    assert said(none, sooner) == ["begins at 2027-01-15T08:01:00Z, and ends never"]
    assert reported(none, sooner) == []
    assert said(sooner, later) == ["begins at 2027-01-15T09:00:00Z instead of at 2027-01-15T08:01:00Z"]
    assert said(always, later) == ["begins at 2027-01-15T09:00:00Z instead of now"]
    assert said(always, begun) == []
    assert said(later, none) == ["no longer holds"]


def test_an_exception_with_another_end_is_reported(example: Policy) -> None:
    ends = (int(AT) + 60, int(AT) + 3600, None)
    policies = [replace(example, exceptions=(exception("100.64.3.7", expires=end),)) for end in ends]
    sooner, later, never = policies
    (end,) = effect(sooner, later, AT).exceptions
    subject = "exception 'ticket' (100.64.3.7 to anywhere)"
    assert exception_text(end) == (
        f"{subject} ends at 2027-01-15T09:00:00Z instead of at 2027-01-15T08:01:00Z"
    )
    (end,) = effect(later, never, AT).exceptions
    assert exception_text(end) == f"{subject} ends never instead of at 2027-01-15T09:00:00Z"
    assert effect(sooner, later, AT).treats_all_alike
    assert not effect(sooner, sooner, AT).exceptions


def test_monitor_mode_is_one_sentence(example: Policy) -> None:
    monitor = with_switch(example, mode=Mode.MONITOR)
    (mode,) = reported(example, monitor)
    assert (mode.kind, mode.change) == (Kind.MODE, VerdictChange.LET_THROUGH)
    (mode,) = reported(monitor, example)
    assert mode.change is VerdictChange.ENFORCED
    stricter = replace(monitor, static=())
    mail = only(monitor, stricter, Kind.MAIL)
    assert mail.change is VerdictChange.COUNTED


def test_a_port_with_another_role_is_reported_by_its_roles(example: Policy) -> None:
    new = with_switch(example, uplink_ports=frozenset(), trusted_ports=frozenset({25, 26}))
    role = only(example, new, Kind.ROLE)
    assert (role.change, role.ports) == (VerdictChange.PERMITTED, ((25, 25),))
    assert headline(role) == "packets on port 25, uplink before and trusted now"


def test_tags_are_reported_by_port_and_number(example: Policy) -> None:
    new = with_switch(example, vlans=MappingProxyType({4: frozenset({100, 101})}))
    texts = {traffic.change: headline(traffic) for traffic in reported(example, new)}
    assert texts == {
        VerdictChange.BLOCKED: "frames without a tag on port 4",
        VerdictChange.PERMITTED: "frames under tags 100-101 on port 4",
    }


def test_each_way_around_is_a_kind(example: Policy) -> None:
    open_ = hardened(
        example, source_validation=SourceValidation.OFF, block_encapsulation=False, block_unreadable_tcp=False
    )
    kinds = {traffic.kind for traffic in reported(open_, example)}
    assert kinds >= {Kind.MAIL, Kind.UNREADABLE, Kind.ETHERTYPE, Kind.TAG, Kind.ANSWER_FROM_UPLINK}
    assert Kind.OTHER not in kinds
    tunnels = hardened(example, tunnels=replace(example.hardening.tunnels, block=True))
    assert {traffic.kind for traffic in reported(example, tunnels)} == {Kind.TUNNEL}
    over_udp = hardened(
        example, tunnels=replace(example.hardening.tunnels, udp_ports=frozenset({4789, 6080, 6081}))
    )
    assert {traffic.kind for traffic in reported(example, over_udp)} == {Kind.UDP_PORT}
    told_of = next(iter(reported(example, over_udp)))
    assert told_of.example["udp_dst"] == 4789
    assert effect(example, over_udp, AT).switches[0].rules["access-1"].added == 6
    bound = hardened(example, source_validation=SourceValidation.BINDING)
    assert {Kind.ARP, Kind.OTHER, Kind.SERVICE} <= {traffic.kind for traffic in reported(example, bound)}


def test_names_and_spellings_change_nothing(example: Policy) -> None:
    new = replace(
        example,
        isp_name="Other",
        dynamic=listed("100.96.0.0/11", "100.64.0.0/11"),
        mail_destinations=listed("192.0.2.0/25", "192.0.2.128/25"),
    )
    result = effect(example, new, AT)
    assert result.treats_all_alike
    (switch,) = result.switches
    assert not switch.traffic
    rules = switch.rules["access-1"]
    assert rules[:3] == (0, 0, 0)
    assert effect(example, replace(example, isp_name="Other"), AT).untouched == ("access-1",)


def test_rules_are_counted(example: Policy) -> None:
    new = replace(example, mail_destinations=listed("192.0.2.0/24", "198.51.100.7"))
    (switch,) = effect(example, new, AT).switches
    rules = switch.rules["access-1"]
    # A destination for subscribers; at the uplink a source of answers, and one of mail that is not spoofed.
    assert rules[:3] == (3, 0, 0)
    assert rules_text(switch) == f"+3 -0 changed 0, {rules.unchanged} unchanged"


def test_equal_switches_are_reported_once(example: Policy) -> None:
    one = example.switches["access-1"]
    many = {
        f"access-{number}": replace(one, name=f"access-{number}", dpid=number) for number in range(1, 1001)
    }
    old = replace(example, switches=MappingProxyType(many))
    begin = time.process_time()
    result = effect(old, replace(old, static=()), AT)
    assert time.process_time() - begin < 20
    (switch,) = result.switches
    assert len(switch.names) == 1000
    assert rules_text(switch).endswith("unchanged on each")
    assert summary(result)[0] == "24,000 of 24,000 lines keep their traffic"
    assert summary(result)[2].startswith(
        "access-1, access-2 and 998 more switches: becomes blocked: mail from"
    )
    assert len(summary(result)) <= 10


def test_switches_come_go_and_get_other_names(example: Policy) -> None:
    one = example.switches["access-1"]

    def network(*switches: Switch) -> Policy:
        return replace(example, switches=MappingProxyType({switch.name: switch for switch in switches}))

    old = network(one, replace(one, name="access-2", dpid=2), replace(one, name="access-3", dpid=3))
    new = network(
        replace(one, name="first"),
        replace(one, name="access-2", dpid=22),
        replace(one, name="access-4", dpid=4),
    )
    result = effect(old, new, AT)
    assert list(network_notes(result)) == [
        "access-4: new in the policy; all rules are installed",
        "access-3: no longer in the policy; the rules there stay as they are",
    ]
    (switch,) = result.switches
    assert list(notes(switch)) == [
        "first was called access-1",
        "access-2 is another datapath now; the one with dpid 0x2 keeps its rules as they are",
    ]
    assert result.treats_all_alike
    assert effect(old, new, AT, ["access-4"]).switches == ()


def test_another_forwarding_is_a_difference(example: Policy) -> None:
    result = effect(example, with_switch(example, forwarding_table=10), AT)
    assert not result.treats_all_alike
    assert list(notes(result.switches[0])) == ["permitted packets go on to table 10 instead of NORMAL"]


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"dynamic": ()}, "address_space.dynamic is empty"),
        (
            {"static": listed("100.64.0.0/11", "100.96.0.0/11")},
            "longer prefixes of address_space.static hold all of address_space.dynamic",
        ),
        (
            {"mail_destinations": listed("0.0.0.0/1", "128.0.0.0/1")},
            "isp.mail_destinations hold every address",
        ),
        (
            {"exceptions": (exception("100.64.0.0/11"), exception("100.96.0.0/11"))},
            "exceptions permit mail from all of address_space.dynamic",
        ),
        (
            {"exceptions": tuple(exception(SubscriberPort("access-1", port)) for port in range(1, 25))},
            "exceptions permit mail from all of address_space.dynamic",
        ),
    ],
)
def test_why_a_policy_would_block_nothing(example: Policy, parts: dict[str, object], reason: str) -> None:
    new = replace(example, **parts)  # type: ignore[arg-type]
    assert would_block_nothing(new, new.switches["access-1"], AT) == reason
    assert stops_blocking(example, new, AT) == [f"access-1 would block nothing: {reason}"]
    assert effect(example, new, AT).stops_blocking == (f"access-1 would block nothing: {reason}",)
    assert stops_blocking(new, new, AT) == []
    assert stops_blocking(None, new, AT) == []
    assert stops_blocking(new, example, AT) == []


@pytest.mark.parametrize(
    "parts",
    [
        {"static": listed("100.64.0.0/11", "100.96.0.0/12")},
        {"mail_destinations": listed("0.0.0.0/1")},
        {"exceptions": (exception("100.64.0.0/11"), exception("100.96.0.0/11", expires=int(AT)))},
        {"exceptions": tuple(exception(SubscriberPort("access-1", port)) for port in range(1, 24))},
        {"exceptions": (exception("100.64.0.0/10", destination=Prefix.parse("0.0.0.0/1")),)},
        {"dynamic": listed("2001:db8:1000::/36"), "mail_destinations": listed("0.0.0.0/0")},
    ],
)
def test_a_policy_that_blocks_a_little_blocks_something(example: Policy, parts: dict[str, object]) -> None:
    new = replace(example, **parts)  # type: ignore[arg-type]
    assert would_block_nothing(new, new.switches["access-1"], AT) is None


def test_a_switch_may_block_nothing_by_itself(example: Policy) -> None:
    for parts, reason in (
        ({"mode": Mode.MONITOR}, "it is in monitor mode, which counts and lets through"),
        ({"subscriber_ports": frozenset()}, "it has no subscriber ports"),
    ):
        new = with_switch(example, **parts)
        assert stops_blocking(example, new, AT) == [f"access-1 would block nothing: {reason}"]


@pytest.mark.slow
def test_a_hundred_thousand_prefixes_are_no_obstacle(example: Policy) -> None:
    """Every second address of a space is dynamic, so nothing merges."""
    many = tuple(LocatedPrefix(Prefix(4, (10 << 24) + 2 * number, 32), PLACE) for number in range(100_000))
    old = replace(example, dynamic=many, static=())
    switch = old.switches["access-1"]
    begin = time.process_time()
    assert would_block_nothing(old, switch, AT) is None
    assert time.process_time() - begin < 1
    new = replace(old, static=many[:50_000], dynamic=many[50_000:])
    judgements = SwitchPolicy(old, switch), SwitchPolicy(new, switch)
    found = SwitchDifference(*judgements, AT).traffic()
    (mail,) = (traffic for traffic in found if traffic.kind is Kind.MAIL)
    assert mail.sources is not None
    assert mail.sources.count == len(list(mail.sources.prefixes())) == 50_000


@pytest.mark.skipif(not PLANS.is_dir(), reason="address plans are kept beside the project")
def test_from_one_address_plan_to_another(example: Policy) -> None:
    """From all that one provider has as static space to all of another: the difference of two sets."""

    def plan(name: str) -> tuple[LocatedPrefix, ...]:
        lines = (PLANS / name).read_text().splitlines()
        written = [line.partition("#")[0].strip() for line in lines]
        found = [Prefix.parse(text) for text in dict.fromkeys(written) if text]
        return tuple(LocatedPrefix(prefix, PLACE) for prefix in found if prefix.version == 4)

    one, other = plan("AS2516-kddi.txt"), plan("AS9824-jcom.txt")
    everything = listed("0.0.0.0/0")
    old, new = (replace(example, dynamic=everything, static=static) for static in (one, other))
    changed = {traffic.change: traffic for traffic in reported(old, new) if traffic.kind is Kind.MAIL}
    before, after = (AddressSet(4, held_by([entry.prefix for entry in plan])) for plan in (one, other))
    blocked, permitted = changed[VerdictChange.BLOCKED].sources, changed[VerdictChange.PERMITTED].sources
    assert blocked is not None
    assert permitted is not None
    assert before.count - after.count == blocked.count - permitted.count
    edges: Iterable[int] = (edge for each in (before, after) for ranges in each.ranges for edge in ranges)
    for edge in edges:
        assert (edge in blocked) == (edge in before and edge not in after)
        assert (edge in permitted) == (edge in after and edge not in before)


def test_counts_are_of_all_switches_where_they_differ(example: Policy) -> None:
    one = example.switches["access-1"]
    switches = {
        "access-1": one,
        "access-2": replace(one, name="access-2", dpid=2, trusted_ports=frozenset({26, 27})),
    }
    old = replace(example, switches=MappingProxyType(switches))
    new = replace(old, mail_destinations=listed("192.0.2.0/24", "198.51.100.7"))
    (switch,) = effect(old, new, AT).switches
    unchanged = sum(rules.unchanged for rules in switch.rules.values())
    assert rules_text(switch) == f"+6 -0 changed 0, {unchanged} unchanged in all"
    assert {type(rules) for rules in switch.rules.values()} == {RuleChanges}
