"""What a switch tells of its rules: which reports matter, and what repairs what they report."""

from __future__ import annotations

import pytest

from op25b_app.compiler.marker import Marker, marker_rule
from op25b_app.openflow.codec import FlowModCommand
from op25b_app.openflow.flow_mods import Change
from op25b_app.openflow.flow_rule import NORMAL, FieldValue, FlowRule
from op25b_app.sync.drift import Drift, RuleReport, disturbance_of, supersedes
from op25b_app.sync.resync_schedule import Disturbance
from op25b_app.sync.ruleset import Ruleset
from tests.world import DIGEST, OURS, RULES, THEIRS

WANTED = Ruleset([RULES[:5], RULES[5:]])
MARK = marker_rule(Marker(3, DIGEST), 2)
OUR_OWN = FlowRule(2, 77, (), NORMAL, OURS | 77)


@pytest.mark.parametrize(
    ("report", "disturbance"),
    [
        (RuleReport(OUR_OWN), Disturbance.OURS),
        (RuleReport(OUR_OWN, gone=True), Disturbance.NONE),
        (RuleReport(RULES[0]), Disturbance.NONE),
        (RuleReport(RULES[0], gone=True), Disturbance.OURS),
        (RuleReport(RULES[0]._replace(action=NORMAL)), Disturbance.OURS),
        (RuleReport(RULES[0]._replace(cookie=7)), Disturbance.OURS),
        (RuleReport(RULES[-1]._replace(cookie=7)), Disturbance.OURS),
        (RuleReport(THEIRS._replace(table=2)), Disturbance.OURS),
        (RuleReport(THEIRS._replace(table=2), gone=True), Disturbance.OURS),
        (RuleReport(THEIRS._replace(priority=100)), Disturbance.OTHERS),
        (RuleReport(THEIRS._replace(priority=100), gone=True), Disturbance.OTHERS),
        (RuleReport(THEIRS), Disturbance.NONE),
        (RuleReport(THEIRS._replace(table=3)), Disturbance.NONE),
        (RuleReport(MARK), Disturbance.NONE),
        (RuleReport(MARK, gone=True), Disturbance.OURS),
        (RuleReport(marker_rule(Marker(2, DIGEST), 2), gone=True), Disturbance.NONE),
        (RuleReport(None), Disturbance.OURS),
    ],
)
def test_reports_matter_by_the_rule_and_by_where_it_is(report: RuleReport, disturbance: Disturbance) -> None:
    assert disturbance_of(report, WANTED, MARK) is disturbance


def test_without_a_known_table_all_news_matter() -> None:
    assert disturbance_of(RuleReport(THEIRS), None, None) is Disturbance.OURS


def test_drift_is_put_right_by_the_latest_news_of_each_rule() -> None:
    drift = Drift()
    overwritten = RULES[-1]._replace(action=NORMAL, cookie=7)
    for report in (
        RuleReport(RULES[0], gone=True),
        RuleReport(OUR_OWN),
        RuleReport(RULES[1]._replace(action=None)),
        RuleReport(RULES[2], gone=True),
        RuleReport(RULES[2]),
        RuleReport(overwritten),
        RuleReport(THEIRS),
        RuleReport(MARK, gone=True),
    ):
        drift.note(report, WANTED)
    assert {*drift.comparison(WANTED).repairs} == {
        Change(FlowModCommand.ADD, RULES[0]),
        Change(FlowModCommand.DELETE_STRICT, OUR_OWN, OUR_OWN),
        Change(FlowModCommand.ADD, RULES[1], RULES[1]._replace(action=None)),
        Change(FlowModCommand.ADD, RULES[-1], overwritten),
    }
    assert {*drift.table(WANTED).rules} == {
        *RULES[2:-1],
        RULES[1]._replace(action=None),
        OUR_OWN,
        overwritten,
    }


def test_a_rule_of_another_application_beside_ours_is_not_touched() -> None:
    drift = Drift()
    drift.note(RuleReport(THEIRS), WANTED)
    drift.note(RuleReport(THEIRS._replace(table=2)), WANTED)
    assert not drift


def test_a_rule_that_is_to_end_is_left_to_the_next_look_at_the_table() -> None:
    ending = FlowRule(2, 400, (FieldValue("in_port", 1),), NORMAL, OURS | 99, 300)
    drift = Drift()
    drift.note(RuleReport(ending, gone=True), Ruleset([RULES, [ending]]))
    assert not drift


def test_a_marker_of_another_policy_supersedes_ours() -> None:
    assert supersedes(RuleReport(marker_rule(Marker(4, "beef" * 16), 2)), MARK)
    assert not supersedes(RuleReport(MARK), MARK)
    assert not supersedes(RuleReport(marker_rule(Marker(4, "beef" * 16), 2), gone=True), MARK)
