"""When tables are looked at: never all at once, soon after a disturbance, and not all the time."""

from __future__ import annotations

import pytest

from op25b_app.openflow.flow_rule import FieldValue, FlowRule
from op25b_app.sync.resync_schedule import Disturbance, LookBudget, RepairBudget, audit_delay
from testing.fake_switch.rules import put, remove
from tests.world import RULES, THEIRS, World, desired

ABOVE = THEIRS._replace(priority=500)


def test_audits_of_many_switches_are_spread_over_half_the_interval() -> None:
    delays = [audit_delay(300.0, dpid, audits=3) for dpid in range(1000)]
    assert min(delays) >= 225
    assert max(delays) <= 375
    for part in range(225, 375, 15):
        assert 80 <= sum(part <= delay < part + 15 for delay in delays) <= 120
    assert len({audit_delay(300.0, 1, audits) for audits in range(100)}) == 100


def look(budget: LookBudget, began: float, seconds: float) -> float:
    """Take a look; when the next one may be after that."""
    budget.note(began, began + seconds)
    return budget.next_at(Disturbance.OURS)


@pytest.mark.parametrize("seconds", [0.01, 0.1, 1.0, 3.0, 60.0])
def test_looks_take_a_third_of_the_time_and_are_twice_a_second_at_most(seconds: float) -> None:
    budget, begin = LookBudget(100.0), 200.0
    at, looks = begin, 0
    while at < begin + 1000:
        at = look(budget, at, seconds)
        looks += 1
    assert looks * seconds <= 1000 / 3 + LookBudget.MAX_SAVED + seconds + 1
    assert looks <= 1000 * 2 + LookBudget.MAX_SAVED / LookBudget.LEAST_COST + 1
    assert at - look(LookBudget(at), at, 0.0) <= 0


def test_after_a_quiet_time_some_looks_follow_each_other_at_once() -> None:
    budget = LookBudget(0.0)
    ends = [look(budget, at, 0.8) - at for at in (100.0, 101.0, 102.0, 103.0, 104.0)]
    assert ends == pytest.approx([0.8, 0.8, 0.8, 0.8, 2.0])
    assert look(budget, 110.0, 0.8) == pytest.approx(110.8)


def test_rules_of_others_wait_for_twenty_times_what_a_look_took() -> None:
    budget = LookBudget(0.0)
    budget.note(100.0, 100.1)
    assert budget.next_at(Disturbance.OTHERS) == pytest.approx(105.1)
    budget.note(200.0, 203.0)
    assert budget.next_at(Disturbance.OTHERS) == pytest.approx(263.0)


def test_what_comparing_takes_counts_as_a_part_of_a_look() -> None:
    """The time at which a step ends is known only afterwards."""
    world = World()
    world.connect(desired())
    began, ended = world.now, world.now + 4.0
    world.session.ended(began, ended)
    put(world.switch, ABOVE)
    world.run_told()
    assert world.session.due_at - ended == pytest.approx(20 * 4)
    remove(world.switch, RULES[0])
    world.run_told()
    rest = 2 * 4 - LookBudget.MAX_SAVED / LookBudget.PART
    assert world.session.due_at - ended == pytest.approx(rest)
    world.session.ended(ended - 1, ended + 100)
    assert world.session.due_at - ended == pytest.approx(rest)


def test_a_disturbance_after_a_quiet_time_is_looked_at_at_once() -> None:
    world = World()
    world.connect(desired())
    world.now += world.session.due_at - world.now - 1.0
    put(world.switch, FlowRule(0, 101, (FieldValue("in_port", 2),), None, 7))
    world.run_told()
    assert world.session.due_at <= world.now


def test_repairs_on_the_news_have_a_budget_that_fills_up_again() -> None:
    budget = RepairBudget(100.0)
    assert sum(budget.take(1.0, 100.0) for _ in range(1000)) == RepairBudget.MOST
    assert not budget.take(1.0, 100.5)
    assert budget.take(1.0, 101.5)
    assert not budget.take(1.0, 101.6)
    assert budget.take(RepairBudget.MOST, 1e6)
    assert not budget.take(1.0, 1e6)
    assert not budget.take(1.0, 0.0), "time that goes back fills nothing"
