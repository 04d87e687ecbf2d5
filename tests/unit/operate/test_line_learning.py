"""Learning lines from sources: broken, silent, half written and empty ones, and changes of the policy."""

from __future__ import annotations

from pathlib import Path

import pytest

from op25b_app.lines.csv_leases import csv_leases
from op25b_app.lines.dhcp_snooping import SOURCE as SNOOPING
from op25b_app.lines.dhcp_snooping import LeaseChange, LeaseOutcome
from op25b_app.lines.json_leases import json_leases
from op25b_app.lines.lease import Lease, LeaseFile
from op25b_app.lines.line_table import Claim
from op25b_app.net.prefix import Prefix
from op25b_app.operate.line_learning import PUT_SOURCE, LineLearning
from op25b_app.policy.loader import load
from op25b_app.policy.model import Policy, SubscriberPort

NOW = 1_800_000_000.0
POLICY = """\
isp: {mail_destinations: [192.0.2.25]}
address_space: {dynamic: [100.64.0.0/10, "2001:db8::/32"]}
hardening: {source_validation: binding}
lines:
  sources: [{file: leases.csv}, {url: "https://radius.example.net/lines"}]
  on_loss: keep
  stale: 1h
switches:
  a: {dpid: 1, subscriber_ports: [1-2], uplink_ports: [9]}
  b: {dpid: 2, subscriber_ports: [1], uplink_ports: [9], vlans: {1: [100-101]}, serves: [100.64.128.0/17]}
"""
HEADER = "switch,port,vlan,address,until\n"
ONE, TWO = "a,1,,100.64.0.1,\n", "a,2,,100.64.0.2,\n"


def policy(text: str = POLICY) -> Policy:
    loaded = load(Path("policy.yaml"), NOW, lambda path: text.encode())
    assert loaded.policy is not None, loaded.errors
    return loaded.policy


def csv(*rows: str) -> LeaseFile:
    return csv_leases("leases.csv", HEADER + "".join(rows))


def held(learning: LineLearning) -> dict[str, str]:
    return {str(claim.prefix): f"{claim.line.switch}/{claim.line.port}" for claim in learning.table.holding()}


@pytest.fixture
def learning() -> LineLearning:
    made = LineLearning()
    assert made.follow(policy(), NOW) == []
    assert made.take("leases.csv", csv(ONE, TWO), NOW) == []
    return made


def test_leases_seen_in_dhcp_become_bindings_and_end() -> None:
    learning = LineLearning()
    text = POLICY.replace("{file: leases.csv}", "{dhcp: snooping}")
    learning.follow(policy(text), NOW)
    line = SubscriberPort("a", 1)
    first = Claim(Prefix.parse("100.64.0.1"), line, None, NOW, NOW + 60, SNOOPING)
    foreign = first._replace(prefix=Prefix.parse("192.0.2.1"))
    contested = first._replace(prefix=Prefix.parse("100.64.0.2"))
    texts = learning.hear(
        [
            LeaseChange(LeaseOutcome.BEGUN, first, "DHCPACK"),
            LeaseChange(LeaseOutcome.BEGUN, foreign, "DHCPACK"),
            LeaseChange(LeaseOutcome.CONTESTED, contested, "DHCPACK"),
        ],
        NOW,
    )
    assert held(learning) == {"100.64.0.1/32": "a/1"}
    assert texts == [
        "192.0.2.1/32 at port 1 of a is not bound: it is in neither dynamic nor static space, or not served; "
        "and 1 more"
    ]
    assert learning.hear([LeaseChange(LeaseOutcome.ENDED, first, "DHCPRELEASE")], NOW) == []
    assert held(learning) == {}
    learning.follow(policy(), NOW)
    assert learning.hear([LeaseChange(LeaseOutcome.BEGUN, first, "DHCPACK")], NOW) == []
    assert held(learning) == {}


def test_what_a_file_says_becomes_bindings_of_its_switches(learning: LineLearning) -> None:
    assert learning.take_changed() == {"a"}
    bindings = learning.facts().bindings["a"]
    assert [(each.port, str(each.addresses[0].prefix), str(each.place)) for each in bindings] == [
        (1, "100.64.0.1/32", "leases.csv:2:1"),
        (2, "100.64.0.2/32", "leases.csv:3:1"),
    ]
    assert learning.shortcomings().get("a", []) == []
    learning.take("leases.csv", csv(TWO), NOW + 1)
    assert held(learning) == {"100.64.0.2/32": "a/2"}


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (csv_leases("leases.csv", ""), "it is empty"),
        (csv_leases("leases.csv", HEADER), "it is empty"),
        (csv_leases("leases.csv", HEADER + "a,1,,100.64"), "it is half written"),
        (csv("a,1,,100.64.0.300,\n"), "leases.csv:2:1: error: '100.64.0.300' is not"),
        (json_leases("leases.csv", b"<html>"), "it is not JSON"),
        (json_leases("leases.csv", b'{"lines": []}'), "it is empty"),
    ],
)
def test_a_source_that_cannot_be_used_keeps_what_held(
    learning: LineLearning, found: LeaseFile, why: str
) -> None:
    before = held(learning)
    [event] = learning.take("leases.csv", found, NOW + 5)
    assert event.startswith("lines are not learned from leases.csv: ")
    assert why in event
    assert event.endswith("; its 2 addresses go on")
    assert held(learning) == before
    [reason] = learning.shortcomings().get("a", [])
    assert why in reason
    assert learning.shortcomings().get("b", []) == [], "none of its lines is learned from there"
    assert learning.take("leases.csv", found, NOW + 6) == [], "the same again is no news"
    assert learning.take("leases.csv", csv(ONE, TWO), NOW + 7) == ["leases.csv is read again: 2 addresses"]
    assert learning.shortcomings().get("a", []) == []


def test_of_a_file_with_errors_the_rest_is_taken_and_nothing_ends(learning: LineLearning) -> None:
    found = csv("a,1,,100.64.0.5,\n", "a,x,,100.64.0.6,\n", "a,1,,nowhere,\n")
    [event] = learning.take("leases.csv", found, NOW)
    assert event.startswith(
        "lines are not learned from leases.csv: leases.csv:3:1: error: 'a/x' is not a line"
    )
    assert event.endswith(", and 1 more errors; its 3 addresses go on")
    assert held(learning) == {"100.64.0.1/32": "a/1", "100.64.0.2/32": "a/2", "100.64.0.5/32": "a/1"}


def test_a_lease_of_no_line_or_address_of_the_policy_is_named(learning: LineLearning) -> None:
    rows = [
        "c,1,,100.64.0.5,\n",
        "a,9,,100.64.0.5,\n",
        "a,3,,100.64.0.5,\n",
        "b,1,7,100.64.128.5,\n",
        "a,1,,192.0.2.5,\n",
        "b,1,100,100.64.0.5,\n",
    ]
    [event] = learning.take("leases.csv", csv(*rows, "b,1,100,100.64.128.5,\n"), NOW)
    assert event == (
        "leases.csv names lines or addresses that are not there: leases.csv:2:1: warning: "
        "no switch is called 'c'; the switches are a, b; and 5 more"
    )
    assert held(learning) == {"100.64.128.5/32": "b/1"}
    report = learning.report()["sources"]["leases.csv"]
    assert [text.partition("warning: ")[2].partition(";")[0] for text in report["unusable"]] == [
        "no switch is called 'c'",
        "port 9 of a is its uplink port",
        "port 3 of a has no role",
        "port 1 of b may not carry tag 7",
        "192.0.2.5/32 is in neither dynamic nor static space",
        "100.64.0.5/32 is not among what b serves",
    ]
    assert learning.shortcomings().get("b", []) == []


def test_two_lines_with_one_address_are_told_once(learning: LineLearning) -> None:
    lease = Lease(Prefix.parse("100.64.0.1"), "a/2", None, None, None, 0)
    [event] = learning.learn(PUT_SOURCE, [lease], [], NOW)
    assert event == (
        "a learned address waits: 100.64.0.1/32 at port 2 of a by PUT /v1/lines: "
        "100.64.0.1/32 is at port 1 of a by leases.csv, which said so before"
    )
    assert learning.learn(PUT_SOURCE, [lease], [], NOW + 1) == []
    assert learning.waiting_of(PUT_SOURCE, [lease]) == learning.report()["conflicts"]
    assert learning.report()["conflicts"] == [event.removeprefix("a learned address waits: ")]
    learning.take("leases.csv", csv(TWO), NOW + 2)
    assert held(learning)["100.64.0.1/32"] == "a/2"


def test_a_lease_ends_when_it_says_unless_its_source_is_lost(learning: LineLearning) -> None:
    until = int(NOW) + 60
    learning.take("leases.csv", csv(f"a,1,,100.64.0.1,{until}\n", TWO), NOW)
    assert learning.next_tick() == until
    learning.fail("leases.csv", "no such file", NOW + 30)
    assert learning.next_tick() is None
    assert learning.tick(NOW + 90) == []
    assert held(learning) == {"100.64.0.1/32": "a/1", "100.64.0.2/32": "a/2"}
    learning.take("leases.csv", csv(f"a,1,,100.64.0.1,{until}\n", TWO), NOW + 91)
    assert held(learning) == {"100.64.0.2/32": "a/2"}


def test_a_source_that_is_silent_for_too_long_is_forgotten_where_the_policy_says_so() -> None:
    learning = LineLearning()
    learning.follow(policy(POLICY.replace("keep", "forget")), NOW)
    learning.take("leases.csv", csv(ONE), NOW)
    assert learning.next_tick() == NOW + 3600, "the URL was never read"
    learning.fail("leases.csv", "no such file", NOW + 10)
    assert learning.tick(NOW + 3599) == []
    assert held(learning) != {}
    assert learning.tick(NOW + 3600) == [
        "1 learned addresses end: leases.csv has been silent for 3600 s",
        "0 learned addresses end: https://radius.example.net/lines has been silent for 3600 s",
    ]
    assert held(learning) == {}
    assert learning.next_tick() is None
    assert learning.take("leases.csv", csv(ONE), NOW + 4000) == ["leases.csv is read again: 1 addresses"]
    assert held(learning) != {}


def test_what_the_policy_rules_out_ends(learning: LineLearning) -> None:
    fewer = policy(POLICY.replace("[1-2]", "[1]").replace("{file: leases.csv}, ", "{file: leases.csv}, "))
    assert learning.follow(fewer, NOW + 1) == [
        "1 learned addresses end: the policy has their source or line no longer"
    ]
    assert held(learning) == {"100.64.0.1/32": "a/1"}
    learning.follow(policy(POLICY.replace("{file: leases.csv}, ", "")), NOW + 2)
    assert held(learning) == {}


def test_what_was_kept_holds_until_its_source_is_read() -> None:
    until = NOW - 60
    line = SubscriberPort("a", 1)
    kept = [
        Claim(Prefix.parse("100.64.0.1"), line, None, NOW - 90, until, "leases.csv"),
        Claim(Prefix.parse("100.64.0.7"), SubscriberPort("gone", 1), None, NOW - 90, None, "leases.csv"),
        Claim(Prefix.parse("100.64.0.8"), line, None, NOW - 90, None, "other.csv"),
        Claim(Prefix.parse("100.64.0.9"), line, None, NOW - 90, until, PUT_SOURCE),
    ]
    learning = LineLearning(kept)
    learning.follow(policy(), NOW)
    learning.tick(NOW)
    assert held(learning) == {"100.64.0.1/32": "a/1"}
    ended = {str(news.claim.prefix) for news in learning.take_news() if news.ended}
    assert ended == {"100.64.0.7/32", "100.64.0.8/32", "100.64.0.9/32"}, "on disk they end as well"
    learning.take("leases.csv", csv(TWO), NOW + 1)
    assert held(learning) == {"100.64.0.2/32": "a/2"}


def test_programs_learn_and_end_lines_and_a_mistake_changes_nothing(learning: LineLearning) -> None:
    found = json_leases(
        PUT_SOURCE, b'{"lines": [{"switch": "b", "port": 1, "vlan": 100, "address": "100.64.128.7"}]}'
    )
    learning.learn(PUT_SOURCE, found.leases, [], NOW)
    assert held(learning)["100.64.128.7/32"] == "b/1"
    wrong = Lease(Prefix.parse("100.64.128.8"), "b/1/99", None, None, None, 0)
    with pytest.raises(ValueError, match="may not carry tag 99"):
        learning.learn(PUT_SOURCE, [wrong], [Prefix.parse("100.64.128.7")], NOW)
    assert held(learning)["100.64.128.7/32"] == "b/1"
    past = Lease(Prefix.parse("100.64.128.8"), "b/1/100", None, None, int(NOW), 0)
    with pytest.raises(ValueError, match=r"the end of 100\.64\.128\.8/32 at b/1/100 is past"):
        learning.learn(PUT_SOURCE, [past], [], NOW)
    learning.learn(PUT_SOURCE, [], [Prefix.parse("100.64.128.7")], NOW)
    assert "100.64.128.7/32" not in held(learning)


def test_a_policy_without_sources_takes_nothing() -> None:
    learning = LineLearning()
    learning.follow(
        policy(
            POLICY.replace("lines:", "# ")
            .replace("  sources", "# ")
            .replace("  on_loss", "# ")
            .replace("  stale", "# ")
        ),
        NOW,
    )
    with pytest.raises(ValueError, match="learns no lines"):
        learning.learn(PUT_SOURCE, [], [], NOW)


def test_news_tell_what_began_and_ended_in_their_order(learning: LineLearning) -> None:
    assert [(str(news.claim.prefix), news.ended) for news in learning.take_news()] == [
        ("100.64.0.1/32", False),
        ("100.64.0.2/32", False),
    ]
    learning.take("leases.csv", csv("a,2,,100.64.0.1,\n"), NOW)
    told = [(str(news.claim.prefix), news.claim.line.port, news.ended) for news in learning.take_news()]
    assert told == [
        ("100.64.0.2/32", 2, True),
        ("100.64.0.1/32", 1, True),
        ("100.64.0.1/32", 2, False),
    ]
    assert learning.take_news() == []
