"""Proofs and effects end: in a number of steps that grows with the policy, whatever others write."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

import pytest

from op25b_app.compiler.compiler import compile_rules
from op25b_app.diff import effect, stops_blocking
from op25b_app.diff.text import notes, summary
from op25b_app.openflow.ofctl import format_rule
from op25b_app.openflow.ofctl_parser import read_dump
from op25b_app.openflow.stored_rule import StoredRule
from op25b_app.policy.loader import load
from op25b_app.policy.model import Policy
from op25b_app.verify.budget import Budget, OverBudgetError, steps_for
from op25b_app.verify.prove import Proven, Refuted, TooCostly, prove, violation
from tests.generated import NOW

SWITCH = "access-1"
SPACE = """\
isp: {mail_destinations: [192.0.2.0/24]}
address_space: {dynamic: [100.64.0.0/10], static: [100.96.0.0/11]}
"""
PLAIN = f"{SPACE}switches: {{{SWITCH}: {{dpid: 1, subscriber_ports: [1-48], uplink_ports: [50]}}}}\n"
ON_A_LINE = "in_port=1,vlan_tci=0,"


def policy_of(text: str, folder: Path) -> Policy:
    path = folder / "policy.yaml"
    path.write_text(text)
    policy = load(path, NOW).policy
    assert policy is not None
    return policy


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    return policy_of(PLAIN, tmp_path_factory.mktemp("policy"))


def table(policy: Policy, foreign: Iterable[str] = ()) -> list[StoredRule]:
    ours = map(format_rule, compile_rules(policy, policy.switches[SWITCH], NOW))
    return read_dump("flows", "\n".join([*ours, *foreign]))


def one_bit_each(where: str, actions: str) -> list[str]:
    """Thirteen rules, each for one bit of the source and of the destination."""
    masks = [f"{1 << 31 - bit:#x}" for bit in range(13)]
    addresses = [".".join(str(octet) for octet in int(mask, 16).to_bytes(4, "big")) for mask in masks]
    return [
        f"table=0,priority=300,{where}ip,nw_src={bit}/{bit},nw_dst={bit}/{bit} actions={actions}"
        for bit in addresses
    ]


def test_rules_that_change_no_verdict_are_cheap_however_they_match(plain: Policy) -> None:
    rules = table(plain, one_bit_each(ON_A_LINE, "resubmit(,1)"))
    budget = Budget(50_000)
    assert isinstance(prove(plain, plain.switches[SWITCH], rules, NOW, budget=budget), Proven)


def test_a_table_that_grows_fourfold_a_rule_ends_and_names_the_rules(plain: Policy) -> None:
    """As in public: any port, so that what an uplink sends comes to the table of subscribers."""
    rules = table(plain, one_bit_each("", "resubmit(,1)"))
    result = prove(plain, plain.switches[SWITCH], rules, NOW)
    assert isinstance(result, TooCostly)
    assert {rule.text for rule in result.rules} == {rule.text for rule in rules if not rule.is_managed}
    reported = violation(plain, plain.switches[SWITCH], rules, NOW)
    assert reported is not None
    own = sum(rule.is_managed for rule in rules)
    assert reported.startswith(
        f"cannot be proven within {steps_for(own):,} steps, because of rules of other applications: "
        "table=0, priority=300,ip,nw_src="
    )
    assert reported.endswith("; and 10 more")


def test_a_caller_may_end_it_by_the_clock(plain: Policy) -> None:
    asked = itertools.count()
    reported = violation(
        plain,
        plain.switches[SWITCH],
        table(plain, one_bit_each("", "resubmit(,1)")),
        NOW,
        is_over=lambda: next(asked) >= 3,
    )
    assert reported is not None
    assert reported.startswith("cannot be proven within the time for it (")


def test_thousands_of_exceptions_that_end_now_are_not_as_many_proofs(tmp_path: Path) -> None:
    ends = "".join(
        f"  - {{name: e{number}, source: 100.64.0.{number}, expires: 2027-01-15T08:00:01Z}}\n"
        for number in range(200)
    )
    policy = policy_of(f"{SPACE}exceptions:\n{ends}{PLAIN.removeprefix(SPACE)}", tmp_path)
    asked = itertools.count()
    rules = table(policy)[1:]
    reported = violation(policy, policy.switches[SWITCH], rules, NOW, is_over=lambda: next(asked) < 0)
    assert reported is not None
    assert "not proven" in reported
    assert next(asked) < 100


def test_a_chain_of_all_tables_is_followed(plain: Policy) -> None:
    chain = [f"table={each},priority=1 actions=resubmit(,{each + 1})" for each in range(7, 254)]
    rules = table(plain, ["table=0,priority=300,in_port=1 actions=resubmit(,7)", *chain])
    result = prove(plain, plain.switches[SWITCH], rules, NOW)
    assert isinstance(result, Refuted)
    assert result.walk.rule is None


def test_tables_entered_with_ever_other_registers_end(plain: Policy) -> None:
    """Each table doubles the ways in which the next one is entered."""
    chain = [
        line
        for bit in range(32)
        for line in (
            f"table={7 + bit},priority=2,eth_src={1 << bit:#x}/{1 << bit:#x} "
            f"actions=write_metadata:{1 << bit:#x}/{1 << bit:#x},goto_table:{8 + bit}",
            f"table={7 + bit},priority=1 actions=goto_table:{8 + bit}",
        )
    ]
    rules = table(plain, ["table=0,priority=300,in_port=1 actions=resubmit(,7)", *chain])
    result = prove(plain, plain.switches[SWITCH], rules, NOW)
    assert isinstance(result, TooCostly)
    assert not any(rule.is_managed for rule in result.rules)


SHAPES = {
    "exceptions": lambda count: (
        "exceptions:\n"
        + "".join(
            f"  - {{name: e{number}, source: 100.64.{number >> 8}.{number & 255}, "
            f"destination: 203.0.113.{number % 256}}}\n"
            for number in range(count)
        )
        + f"switches: {{{SWITCH}: {{dpid: 1, subscriber_ports: [1-48], uplink_ports: [50]}}}}\n"
    ),
    "exceptions of lines": lambda count: (
        "exceptions:\n"
        + "".join(
            f"  - {{name: e{number}, source: {{switch: {SWITCH}, port: {number + 1}}}, "
            f"destination: 203.{number >> 8}.{number % 256}.1}}\n"
            for number in range(count)
        )
        + f"switches: {{{SWITCH}: {{dpid: 1, subscriber_ports: [1-{count}], uplink_ports: [{count + 1}]}}}}\n"
    ),
    "tags": lambda count: (
        f"switches: {{{SWITCH}: {{dpid: 1, subscriber_ports: [1-{count}], uplink_ports: [{count + 1}], "
        f"vlans: {{{', '.join(f'{number + 1}: [{number + 1}]' for number in range(count))}}}}}}}\n"
    ),
    "bindings": lambda count: (
        "hardening: {source_validation: binding}\n"
        f"switches: {{{SWITCH}: {{dpid: 1, subscriber_ports: [1-{count}], uplink_ports: [{count + 1}], "
        "bindings: ["
        + ", ".join(
            f"{{port: {number + 1}, mac: '02:00:00:00:{number >> 8:02x}:{number & 255:02x}', "
            f"addresses: [100.96.{number >> 8}.{number & 255}/32]}}"
            for number in range(count)
        )
        + "]}}\n"
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_what_policies_need_grows_with_their_rules(shape: str, tmp_path: Path) -> None:
    """Far below the budget, and fourfold the lines are not sixteenfold the steps."""
    spent = []
    for count in (60, 240):
        policy = policy_of(SPACE + SHAPES[shape](count), tmp_path)
        rules = table(policy)
        budget = Budget(steps_for(len(rules)))
        assert isinstance(prove(policy, policy.switches[SWITCH], rules, NOW, budget=budget), Proven)
        assert budget.spent * 4 < steps_for(len(rules))
        spent.append(budget.spent)
    assert spent[1] < 7 * spent[0]


def test_an_effect_that_costs_too_much_says_so(plain: Policy, tmp_path: Path) -> None:
    other = policy_of(PLAIN.replace("100.96.0.0/11", "100.96.0.0/12"), tmp_path)
    found = effect(plain, other, NOW, is_over=lambda: True)
    (switch,) = found.switches
    assert switch.unknown_because is not None
    assert not found.treats_all_alike
    assert switch.rules[SWITCH].changed + switch.rules[SWITCH].added > 0
    assert "what becomes blocked and what becomes permitted could not be worked out within" in "".join(
        notes(switch)
    )
    assert any("could not be worked out within" in line for line in summary(found))
    assert effect(plain, other, NOW).switches[0].unknown_because is None


def test_where_it_cannot_be_reported_whether_anything_is_blocked_the_worst_is_told(
    plain: Policy, tmp_path: Path
) -> None:
    edges = "".join(f"  - {{name: {name}, source: {name}}}\n" for name in ("100.64.0.0/13", "100.88.0.0/13"))
    other = policy_of(f"{SPACE}exceptions:\n{edges}{PLAIN.removeprefix(SPACE)}", tmp_path)
    (reported,) = stops_blocking(plain, other, NOW, is_over=lambda: True)
    assert "as far as could be checked within" in reported
    assert stops_blocking(plain, other, NOW) == []


def test_an_exception_to_come_stops_blocking_when_it_starts(plain: Policy, tmp_path: Path) -> None:
    """Nobody is asked again then."""
    for start in ("", "starts: 2099-01-01T00:00:00Z, "):
        text = (
            f"exceptions: [{{{start}name: all, source: 0.0.0.0/0}}, {{{start}name: six, source: '::/0'}}]\n"
        )
        other = policy_of(f"{SPACE}{text}{PLAIN.removeprefix(SPACE)}", tmp_path)
        assert len(stops_blocking(plain, other, NOW)) == 1


def test_a_share_of_a_budget_ends_alone() -> None:
    budget = Budget(100)
    with pytest.raises(OverBudgetError), budget.at_most(1_000):
        budget.spend(101)
