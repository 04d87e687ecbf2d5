"""What equal switches share, and what is proven how often."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from op25b_app.compiler.compiler import compile_rules
from op25b_app.compiler.marker import is_marker
from op25b_app.net.prefix import Prefix
from op25b_app.openflow import codec
from op25b_app.openflow.codec import encode_flow_mod
from op25b_app.openflow.flow_rule import NORMAL, FieldValue, FlowRule
from op25b_app.policy.facts import Facts, in_effect
from op25b_app.policy.loader import load
from op25b_app.policy.model import Binding, LocatedPrefix, MailException, Policy, SourceValidation, Switch
from op25b_app.sync.desired_state import DesiredStates
from tests.world import World

TABLES = 254
AT = 1_800_000_000.0
THEIRS = FlowRule(0, 1, (FieldValue("in_port", 1),), NORMAL, cookie=7)
BLOCKED_FIRST = 1
"""Rules that block in table 0 until all others are there: that of the uplink."""
POLICY = """
isp:
  name: Example ISP
  mail_destinations: [192.0.2.0/24]
address_space:
  dynamic: [100.64.0.0/10]
  static: [100.64.8.0/24]
switches:
  one: {dpid: 1, subscriber_ports: [1-3], uplink_ports: [4]}
  two: {dpid: 2, subscriber_ports: [1-3], uplink_ports: [4]}
  other: {dpid: 3, subscriber_ports: [1-3], uplink_ports: [5]}
"""


@pytest.fixture
def policy() -> Policy:
    loaded = load(Path("policy.yaml"), AT, lambda path: POLICY.encode())
    assert loaded.policy is not None
    return loaded.policy


@pytest.fixture
def proofs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The switches for which something was proven."""
    proven: list[str] = []

    judged = DesiredStates._proven

    def counted(states: DesiredStates, switch: Switch, *rest: Any) -> str | None:
        proven.append(switch.name)
        return judged(states, switch, *rest)

    monkeypatch.setattr(DesiredStates, "_proven", counted)
    return proven


def test_equal_switches_share_their_rules_and_the_proof(policy: Policy, proofs: list[str]) -> None:
    desired_states = DesiredStates(policy, "5eed" * 16)
    one, two, other = (desired_states.of(policy.switches[name]) for name in ("one", "two", "other"))
    assert one.wanted(AT, TABLES) is two.wanted(AT, TABLES)
    assert other.wanted(AT, TABLES) is not one.wanted(AT, TABLES)
    for each in (one, two, other, one):
        assert each.violation(each.wanted(AT, TABLES), frozenset(), (), AT) is None
    assert proofs == ["one", "other"]


def test_a_table_is_proven_again_when_others_have_changed_it(policy: Policy, proofs: list[str]) -> None:
    one = DesiredStates(policy, "5eed" * 16).of(policy.switches["one"])
    wanted = one.wanted(AT, TABLES)
    for others in ((), (THEIRS,), (), (THEIRS,)):
        assert one.violation(wanted, frozenset(others), (), AT) is None
    harm = THEIRS._replace(priority=5000)
    for _ in range(2):
        assert "a rule of another application" in (one.violation(wanted, frozenset([harm]), (), AT) or "")
    assert proofs == ["one"] * 3


def test_proofs_about_many_rules_of_others_are_not_remembered_for_ever(
    policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another application's rules may be as many, and as short-lived, as a subscriber likes."""
    monkeypatch.setattr("op25b_app.sync.desired_state._MAX_PROOFS", 100)
    desired_states = DesiredStates(policy, "5eed" * 16)
    one = desired_states.of(policy.switches["one"])
    wanted = one.wanted(AT, TABLES)
    for number in range(0, 400, 20):
        others = frozenset(THEIRS._replace(match=(FieldValue("eth_dst", number + n),)) for n in range(20))
        one.violation(wanted, others, (), AT)
        assert len(desired_states._proofs) <= 5


def test_a_changed_policy_keeps_the_rules_it_does_not_change_as_objects(policy: Policy) -> None:
    before = DesiredStates(policy, "5eed" * 16)
    held = before.of(policy.switches["one"]).wanted(AT, TABLES)
    changed = replace(policy, static=())
    wanted = DesiredStates(changed, "beef" * 16, before).of(changed.switches["one"]).wanted(AT, TABLES)
    assert 0 < len(wanted.without(held)) + len(held.without(wanted)) < 10


def test_rules_that_are_asked_for_again_and_again_are_not_kept_again_and_again(policy: Policy) -> None:
    """Neither with the time-outs of every moment, nor in one table, whose segment is large."""
    (entry,), place = policy.dynamic, policy.switches["one"].place
    many = tuple(entry._replace(prefix=Prefix(4, 10 << 24 | number << 9, 24)) for number in range(300))
    exception = MailException("ticket", Prefix.parse("100.64.3.7"), None, int(AT) + 9000, "", place)
    for changed in (replace(policy, exceptions=(exception,)), replace(policy, dynamic=many)):
        desired_states = DesiredStates(changed, "5eed" * 16)
        one = desired_states.of(changed.switches["one"])
        for tables in (TABLES, 1):
            one.wanted(AT, tables)
        kept = len(desired_states._segments), len(desired_states._rulesets)
        for moment in range(1, 5):
            for tables in (TABLES, 1):
                one.wanted(AT + moment, tables)
        assert (len(desired_states._segments), len(desired_states._rulesets)) == kept


def test_an_exception_to_come_has_its_rules_from_its_start_on(policy: Policy, proofs: list[str]) -> None:
    place, start = policy.switches["one"].place, int(AT) + 60
    exception = MailException("ticket", Prefix.parse("100.64.3.7"), None, None, "", place, start)
    desired_states = DesiredStates(replace(policy, exceptions=(exception,)), "5eed" * 16)
    one = desired_states.of(policy.switches["one"])
    desired_states.prepare(one.switch, AT)
    assert one.prepared(TABLES) is None
    assert [one.next_start(at) for at in (AT, start - 0.1, start)] == [start, start, math.inf]
    before, after = one.wanted(AT, TABLES), one.wanted(start, TABLES)
    assert (before.timed, after.timed) == (True, False)
    assert len(after.without(before)) == 2, "one of each direction"
    for wanted, at in ((before, AT), (after, start)):
        assert one.violation(wanted, frozenset(), (), at) is None
    assert not one.wanted(start, 1).timed
    assert DesiredStates(desired_states._policy, "5eed" * 16).of(one.switch).wanted(AT, 1).timed


def test_a_switch_with_one_table_gets_the_single_table_form(policy: Policy) -> None:
    one = DesiredStates(policy, "5eed" * 16).of(policy.switches["one"])
    assert one.wanted(AT, 1).last_table == 0
    tabled = replace(policy.switches["one"], forwarding_table=9)
    with pytest.raises(ValueError, match="has 1 table and its rules need 10, or one with other settings"):
        DesiredStates(policy, "5eed" * 16).of(tabled).wanted(AT, 1)


@pytest.mark.parametrize("prepared", [True, False])
def test_flow_mods_are_written_once_for_equal_switches(
    policy: Policy, monkeypatch: pytest.MonkeyPatch, prepared: bool
) -> None:
    """And for those that are prepared, before any of them connects."""
    written: list[FlowRule] = []

    def counted(rule: FlowRule, **how: Any) -> bytes:
        written.append(rule)
        return encode_flow_mod(rule, **how)

    monkeypatch.setattr(codec, "encode_flow_mod", counted)
    desired_states = DesiredStates(policy, "5eed" * 16)
    wanted = {
        name: set(desired_states.of(policy.switches[name]).wanted(AT, TABLES).rules)
        for name in ("one", "other")
    }
    if prepared:
        for switch in policy.switches.values():
            desired_states.prepare(switch, AT)
        assert len(written) == len(wanted["one"]) + len(wanted["other"]) + 2 * BLOCKED_FIRST
        written.clear()
    for name in ("one", "two"):
        world = World(ports=frozenset({1, 2, 3, 4}))
        world.now = AT
        world.connect(desired_states.of(policy.switches[name]))
        assert world.status[0] == "protected"
        assert set(world.rules) == wanted["one"]
    rules = [rule for rule in written if not is_marker(rule)]
    assert len(rules) == (0 if prepared else len(wanted["one"]) + BLOCKED_FIRST)


def with_line(policy: Policy, number: int) -> Policy:
    """The policy with an address that was learned for port 1 of one switch."""
    place = policy.switches["one"].place
    listed = LocatedPrefix(Prefix(4, (100 << 24) + (70 << 16) + number, 32), place)
    return in_effect(policy, Facts({"one": (Binding(1, None, (listed,), place),)}))


@pytest.fixture
def bound(policy: Policy) -> Policy:
    return replace(policy, hardening=replace(policy.hardening, source_validation=SourceValidation.BINDING))


def test_learned_lines_change_the_rules_of_their_switch_and_no_other(
    bound: Policy, proofs: list[str]
) -> None:
    desired_states = DesiredStates(with_line(bound, 1), "5eed" * 16)
    before = {name: desired_states.of(switch) for name, switch in with_line(bound, 1).switches.items()}
    held = {name: each.wanted(AT, TABLES) for name, each in before.items()}
    changed = with_line(bound, 2)
    desired_states.change_lines(changed)
    one = desired_states.of(changed.switches["one"])
    assert one.digest == before["one"].digest
    assert one.edition != before["one"].edition
    wanted = one.wanted(AT, TABLES)
    assert {*wanted.rules} == {*compile_rules(changed, changed.switches["one"], AT)}
    assert 0 < len(wanted.without(held["one"])) < 6
    assert one.violation(wanted, frozenset(), (), AT) is None
    assert "not proven" in (one.violation(held["one"], frozenset(), (), AT) or "")
    assert before["two"].wanted(AT, TABLES) is held["two"]
    # One that has not heard of the change yet does not spoil what the others get.
    assert {*before["one"].wanted(AT, TABLES).rules} == {*held["one"].rules}
    assert {*desired_states.of(changed.switches["one"]).wanted(AT, TABLES).rules} == {*wanted.rules}


def test_lines_as_they_were_are_forgotten(bound: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("op25b_app.sync.desired_state._MAX_OLD", 10)
    desired_states = DesiredStates(bound, "5eed" * 16)
    for number in range(100):
        changed = with_line(bound, number)
        desired_states.change_lines(changed)
        one = desired_states.of(changed.switches["one"])
        assert one.violation(one.wanted(AT, TABLES), frozenset(), (), AT) is None
    sizes = [len(desired_states._rulesets), len(desired_states._proofs), len(desired_states._prepared)]
    assert max(sizes) <= 2 * len(bound.switches) + 11
    assert len(desired_states._segments) < 100
