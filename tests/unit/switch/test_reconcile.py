"""What is planned for a table, and when a table counts as wanted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from op25b_app.rules.flow import NORMAL, Field, FlowRule, Goto, Opaque
from op25b_app.switch.codec import Command, InstalledRule
from op25b_app.switch.reconcile import Change, Plan, reconcile

OURS = 0x25B0 << 48
TCP = (Field("eth_type", 0x0800), Field("ip_proto", 6))
PORT = FlowRule(0, 200, (Field("in_port", 1),), Goto(1), OURS | 1)
OTHERWISE = FlowRule(0, 100, (), Goto(1), OURS | 2)
SMTP = FlowRule(1, 200, (*TCP, Field("tcp_dst", 25)), None, OURS | 3)
EXCEPTION = FlowRule(
    2, 400, (Field("eth_type", 0x0800), Field("ipv4_src", 0x64400307)), NORMAL, OURS | 4, 3600
)
WANTED = (SMTP, PORT, OTHERWISE)


def installed(
    rule: FlowRule, *, idle_timeout: int = 0, flags: int = 0, duration: float = 0.0
) -> InstalledRule:
    return InstalledRule(rule, idle_timeout, flags, duration, 1, 60)


def plan(*found: FlowRule) -> Plan:
    return reconcile(WANTED, map(installed, found))


def test_an_empty_table_gets_everything_in_the_order_given() -> None:
    assert plan().changes == tuple(Change(Command.ADD, rule) for rule in WANTED)
    assert [each.what for each in plan().differences] == ["missing"] * 3


def test_a_table_as_wanted_gets_nothing() -> None:
    assert plan(*reversed(WANTED)) == Plan((), (), ())


def test_what_is_there_is_not_sent_again() -> None:
    assert plan(SMTP, PORT).changes == (Change(Command.ADD, OTHERWISE),)


def test_rules_of_ours_that_nobody_wants_go_after_the_additions_first_table_first() -> None:
    late = FlowRule(5, 9, (), None, OURS | 9)
    early = FlowRule(0, 150, (Field("in_port", 9),), Goto(1), OURS | 8)
    assert plan(late, PORT, early, OTHERWISE).changes == (
        Change(Command.ADD, SMTP),
        Change(Command.DELETE_STRICT, early),
        Change(Command.DELETE_STRICT, late),
    )


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (installed(SMTP._replace(action=NORMAL)), "has another action than wanted"),
        (installed(SMTP._replace(action=Opaque(b"12345678"))), "has another action than wanted"),
        (installed(SMTP._replace(cookie=OURS | 99)), "has another cookie than wanted"),
        (installed(SMTP._replace(hard_timeout=60)), "has another time-out than wanted"),
        (installed(SMTP, idle_timeout=60), "has another time-out than wanted"),
        (installed(SMTP, flags=1), "has another flag than wanted"),
    ],
)
def test_a_rule_that_differs_is_replaced(found: InstalledRule, sentence: str) -> None:
    plan = reconcile(WANTED, [found, installed(PORT), installed(OTHERWISE)])
    assert plan.repairs == (Change(Command.ADD, SMTP),)
    assert sentence in str(plan.differences[0])


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
    plan = reconcile([rule], [found])
    assert plan.renewals == (Change(Command.ADD, rule),) * prolonged
    assert plan.repairs == (Change(Command.ADD, rule),) * shortened
    assert bool(plan.differences) == shortened


def test_a_time_limit_that_is_missing_is_a_difference() -> None:
    found = installed(EXCEPTION._replace(hard_timeout=0))
    assert reconcile([EXCEPTION], [found]).repairs == (Change(Command.ADD, EXCEPTION),)


def foreign(table: int, priority: int, *match: Field) -> FlowRule:
    return FlowRule(table, priority, match, NORMAL, cookie=7)


@pytest.mark.parametrize("rule", [foreign(0, 0), foreign(0, 65535), foreign(1, 500, *TCP)])
def test_rules_of_others_are_left_alone(rule: FlowRule) -> None:
    assert plan(*WANTED, rule) == Plan((), (), ())


def test_a_rule_of_others_in_the_place_of_ours_is_not_replaced() -> None:
    theirs = PORT._replace(cookie=7, action=NORMAL)
    result = plan(SMTP, theirs)
    assert result.changes == (Change(Command.ADD, OTHERWISE),)


def test_a_difference_names_the_rule() -> None:
    assert str(plan(PORT, OTHERWISE).differences[0]) == (
        "missing: table 1 priority 200 eth_type=0x800,ip_proto=6,tcp_dst=25 -> drop"
    )


rules = st.builds(
    FlowRule,
    table=st.integers(0, 5),
    priority=st.integers(100, 102),
    match=st.sampled_from([(), (Field("in_port", 1),), TCP]),
    action=st.sampled_from([None, NORMAL, Goto(6)]),
    cookie=st.sampled_from([OURS | 1, OURS | 2, 7]),
    hard_timeout=st.just(0),
)
tables = st.lists(rules, max_size=12, unique_by=lambda rule: rule.key)


@given(wanted=tables.map(lambda table: [rule for rule in table if rule.ours]), found=tables)
def test_a_plan_carried_out_leaves_what_is_wanted_and_what_is_others(
    wanted: list[FlowRule], found: list[FlowRule]
) -> None:
    table = {rule.key: rule for rule in found}
    for command, rule in reconcile(wanted, map(installed, found)).changes:
        if command is Command.ADD:
            assert table.get(rule.key, rule).ours
            table[rule.key] = rule
        else:
            assert table.pop(rule.key).ours
    others = {rule.key: rule for rule in found if not rule.ours}
    assert table == {rule.key: rule for rule in wanted} | others
    assert not reconcile(wanted, map(installed, table.values())).changes
