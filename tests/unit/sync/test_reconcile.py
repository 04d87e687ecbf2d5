"""What is planned for a table, and when a table counts as wanted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from op25b_app.openflow.codec import FlowModCommand, FlowStats
from op25b_app.openflow.flow_mods import Change, UpdateStep
from op25b_app.openflow.flow_rule import NORMAL, FieldValue, FlowRule, Goto, OpaqueInstructions
from op25b_app.sync.reconcile import Comparison, reconcile
from op25b_app.sync.ruleset import MAX_READ, Ruleset

OURS = 0x25B0 << 48
TCP = (FieldValue("eth_type", 0x0800), FieldValue("ip_proto", 6))
PORT = FlowRule(0, 200, (FieldValue("in_port", 1),), Goto(1), OURS | 1)
OTHERWISE = FlowRule(0, 100, (), Goto(1), OURS | 2)
SMTP = FlowRule(1, 200, (*TCP, FieldValue("tcp_dst", 25)), None, OURS | 3)
EXCEPTION = FlowRule(
    2, 400, (FieldValue("eth_type", 0x0800), FieldValue("ipv4_src", 0x64400307)), NORMAL, OURS | 4, 3600
)
WANTED = (SMTP, PORT, OTHERWISE)


def installed(rule: FlowRule, *, idle_timeout: int = 0, flags: int = 0, duration: float = 0.0) -> FlowStats:
    return FlowStats(rule, idle_timeout, flags, duration)


def compared(*found: FlowRule, held: Ruleset | None = None) -> Comparison:
    return reconcile(Ruleset([WANTED]), [*map(installed, found)], held=held)


def test_an_empty_table_lacks_everything() -> None:
    assert compared().repairs == tuple(Change(FlowModCommand.ADD, rule) for rule in WANTED)
    assert [each.what for each in compared().differences] == ["missing"] * 3


def test_a_table_as_wanted_gets_nothing() -> None:
    assert compared(*reversed(WANTED)) == Comparison(UpdateStep(), (), ())


def test_what_is_there_is_not_sent_again() -> None:
    assert compared(SMTP, PORT).repairs == (Change(FlowModCommand.ADD, OTHERWISE),)


def test_what_was_recognised_before_hides_nothing() -> None:
    """Objects that were as wanted when they were read before are not looked at again, but counted."""
    wanted, read = Ruleset([WANTED]), [*map(installed, WANTED)]
    for _ in range(2):
        assert not reconcile(wanted, read).repairs
    assert {*wanted.recognised} == {*map(id, read)}
    smtp, port, otherwise = read
    other_flag, surplus = smtp._replace(flags=8), installed(FlowRule(5, 9, (), None, OURS | 9))
    for found, changes in (
        ([smtp, port], {(FlowModCommand.ADD, OTHERWISE)}),
        ([smtp, port, port], {(FlowModCommand.ADD, OTHERWISE)}),
        ([other_flag, port, otherwise], {(FlowModCommand.ADD, SMTP)}),
        ([*read, surplus], {(FlowModCommand.DELETE_STRICT, surplus.rule)}),
        ([], {(FlowModCommand.ADD, rule) for rule in WANTED}),
    ):
        assert {(each.command, each.rule) for each in reconcile(wanted, found).repairs} == changes


def test_rules_with_time_outs_are_looked_at_every_time() -> None:
    wanted = Ruleset([[EXCEPTION]])
    assert not reconcile(wanted, [installed(EXCEPTION, duration=1.0)]).renewals
    assert reconcile(wanted, [installed(EXCEPTION, duration=3000.0)]).renewals
    assert not wanted.recognised


def test_so_many_are_remembered_and_no_more() -> None:
    wanted = Ruleset([WANTED])
    for _ in range(20):
        assert not reconcile(wanted, [*map(installed, WANTED)]).repairs
        assert len(wanted.recognised) <= MAX_READ * len(WANTED)


def test_rules_of_ours_that_nobody_wants_go() -> None:
    surplus = FlowRule(5, 9, (), None, OURS | 9)
    assert compared(*WANTED, surplus).repairs == (Change(FlowModCommand.DELETE_STRICT, surplus, surplus),)


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (installed(SMTP._replace(action=NORMAL)), "has another action than wanted"),
        (installed(SMTP._replace(action=OpaqueInstructions(b"12345678"))), "has another action than wanted"),
        (installed(SMTP._replace(cookie=OURS | 99)), "has another cookie than wanted"),
        (installed(SMTP._replace(hard_timeout=60)), "has another time-out than wanted"),
        (installed(SMTP, idle_timeout=60), "has another time-out than wanted"),
        (installed(SMTP, flags=8), "has another flag than wanted"),
        (installed(SMTP, flags=16), "has another flag than wanted"),
    ],
)
def test_a_rule_that_differs_is_replaced(found: FlowStats, sentence: str) -> None:
    plan = reconcile(Ruleset([WANTED]), [found, installed(PORT), installed(OTHERWISE)])
    assert plan.repairs == (Change(FlowModCommand.ADD, SMTP, found.rule),)
    assert sentence in str(plan.differences[0])


def test_flags_that_do_nothing_to_a_rule_that_is_there_make_no_difference() -> None:
    """Tell of its removal, look for overlaps and reset counts as it is added."""
    found = [installed(rule, flags=1 | 2 | 4) for rule in WANTED]
    assert reconcile(Ruleset([WANTED]), found) == Comparison(UpdateStep(), (), ())


@pytest.mark.parametrize(
    ("left", "wanted", "prolonged", "shortened"),
    [
        (3600, 3600, False, False),
        (3599, 3600, False, False),
        (1800, 3600, True, False),
        (3700, 3600, False, True),
        (65535, 65535, False, False),
        (40000, 65535, False, False),
        (32000, 65535, True, False),
        (10, 10, False, False),
    ],
)
def test_exceptions_end_in_time_and_are_prolonged_in_time(
    left: int, wanted: int, prolonged: bool, shortened: bool
) -> None:
    rule = EXCEPTION._replace(hard_timeout=wanted)
    found = installed(rule._replace(hard_timeout=65535), duration=65535.0 - left)
    plan = reconcile(Ruleset([[rule]]), [found])
    change = Change(FlowModCommand.ADD, rule, found.rule)
    assert plan.renewals == (change,) * prolonged
    assert plan.repairs == (change,) * shortened
    assert bool(plan.differences) == shortened


def test_a_time_limit_that_is_missing_is_a_difference() -> None:
    found = installed(EXCEPTION._replace(hard_timeout=0))
    assert reconcile(Ruleset([[EXCEPTION]]), [found]).repairs == (
        Change(FlowModCommand.ADD, EXCEPTION, found.rule),
    )


def foreign(table: int, priority: int, *match: FieldValue) -> FlowRule:
    return FlowRule(table, priority, match, NORMAL, cookie=7)


@pytest.mark.parametrize("rule", [foreign(0, 0), foreign(0, 65535), foreign(1, 500, *TCP)])
def test_rules_of_others_are_left_alone(rule: FlowRule) -> None:
    assert compared(*WANTED, rule) == Comparison(UpdateStep(), (), (), (rule,))


def test_a_rule_of_others_in_the_place_of_ours_stays_in_table_0_unless_it_came_later() -> None:
    theirs = PORT._replace(cookie=7, action=NORMAL)
    held, another = Ruleset([[PORT, SMTP]]), Ruleset([[SMTP]])
    assert compared(SMTP, OTHERWISE, theirs).repairs == ()
    assert compared(SMTP, OTHERWISE, theirs, held=another).repairs == ()
    assert compared(SMTP, OTHERWISE, theirs, held=held).repairs == (Change(FlowModCommand.ADD, PORT, theirs),)


def test_a_rule_of_others_in_the_place_of_ours_is_replaced_in_a_table_of_ours() -> None:
    theirs = SMTP._replace(cookie=7, action=NORMAL)
    assert compared(theirs, PORT, OTHERWISE).repairs == (Change(FlowModCommand.ADD, SMTP, theirs),)


def test_a_difference_names_the_rule() -> None:
    assert str(compared(PORT, OTHERWISE).differences[0]) == (
        "missing: table 1 priority 200 eth_type=0x800,ip_proto=6,tcp_dst=25 -> drop"
    )


rules = st.builds(
    FlowRule,
    table=st.integers(0, 5),
    priority=st.integers(100, 102),
    match=st.sampled_from([(), (FieldValue("in_port", 1),), TCP]),
    action=st.sampled_from([None, NORMAL, Goto(6)]),
    cookie=st.sampled_from([OURS | 1, OURS | 2, 7]),
    hard_timeout=st.just(0),
)
tables = st.lists(rules, max_size=12, unique_by=lambda rule: rule.key)


@given(wanted=tables.map(lambda table: [rule for rule in table if rule.is_managed]), found=tables)
def test_repairs_carried_out_leave_what_is_wanted_and_what_is_others(
    wanted: list[FlowRule], found: list[FlowRule]
) -> None:
    table = {rule.key: rule for rule in found}
    for command, rule, before in reconcile(Ruleset([wanted]), [*map(installed, found)]).repairs:
        assert table.get(rule.key) == before
        if command is FlowModCommand.ADD:
            table[rule.key] = rule
        else:
            assert table.pop(rule.key).is_managed
    kept = {rule.key: rule for rule in found if not rule.is_managed}
    ours = {rule.key: rule for rule in wanted if rule.table > 0 or rule.key not in kept}
    assert table == kept | ours
    assert not reconcile(Ruleset([wanted]), [*map(installed, table.values())]).repairs
