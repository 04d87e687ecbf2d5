"""The campaign in short, and what it judges by. At length: ``python -m tests.faults.campaign``."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

import pytest

from op25b_app.compiler.marker import Marker, marker_rule
from op25b_app.openflow.flow_monitor import FlowEvent
from op25b_app.openflow.flow_rule import NORMAL, FlowRule, RuleRole
from tests.faults.campaign.campaign import Settings, campaign
from tests.faults.campaign.disturb import KINDS as HARMS
from tests.faults.campaign.hostile import KINDS, files, floods, handshakes, identities, tables
from tests.faults.campaign.hostile.__main__ import slots
from tests.faults.campaign.promises import Found, false_protections, promises
from tests.faults.campaign.report import as_json, as_text
from tests.faults.campaign.watch import Deviation, StatusReport, Table

SECONDS = 25.0
POINTS = {22, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39}
"""Of the issue: those that connections, switches and files can hurt."""
OURS = 0x25B0 << 48 | RuleRole.BLOCK << 40
DROP = FlowRule(2, 10, (), None, OURS)
TIMES = 5.0
"""The other tests use the machine as well; how long all takes without them docs/under-attack.md says."""
FORWARD = FlowRule(1, 10, (), NORMAL, OURS)


@pytest.fixture(scope="module")
def found() -> Found:
    return campaign(Settings(seconds=SECONDS, hostile=len(KINDS), switches=4))


@pytest.mark.slow
def test_every_promise_is_kept(found: Found) -> None:
    broken = [promise.promise for promise in promises(found, TIMES) if not promise.holds]
    assert not broken, as_text(found)


@pytest.mark.slow
def test_every_kind_ran(found: Found) -> None:
    assert found.runs.keys() == KINDS.keys()
    assert {name for name, run in found.runs.items() if not run["deeds"]} == set()
    assert {harm.kind for harm in found.harms} == {*HARMS}
    assert all(reads > SECONDS for reads in found.reads.values())
    assert as_json(found)["harms"].keys() == {*HARMS}


def test_every_coroutine_of_the_hostile_modules_is_a_kind() -> None:
    written = {
        function
        for module in (files, floods, handshakes, identities, tables)
        for name, function in inspect.getmembers(module, inspect.iscoroutinefunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }
    assert written == {kind.visit for kind in KINDS.values()}


def test_every_point_has_a_kind() -> None:
    assert {point for kind in KINDS.values() for point in kind.points} >= POINTS


@pytest.mark.parametrize("count", [1, len(KINDS), 100, 1000])
def test_every_kind_has_a_slot(count: int) -> None:
    taken = slots(count, [*KINDS])
    assert {kind.name for kind in taken} == KINDS.keys()
    assert len(taken) == max(count, len(KINDS))
    assert all(kind.most is None or taken.count(kind) <= kind.most for kind in taken)


def test_a_table_is_right_until_somebody_changes_it() -> None:
    table = Table([DROP, FORWARD])
    table.read([DROP, FORWARD, marker_rule(Marker(1, "5eed" * 16), 5)], 1.0)
    assert table.is_right
    table.reported(FlowEvent.REMOVED, DROP, 2.0)
    table.reported(FlowEvent.ADDED, DROP._replace(cookie=0), 3.0)
    assert not table.is_right
    table.reported(FlowEvent.MODIFIED, DROP, 4.0)
    assert table.is_right
    [deviation] = table.deviations
    assert (deviation.begin, deviation.end, deviation.keys) == (2.0, 4.0, {DROP.key})


@pytest.mark.parametrize(
    "rules",
    [
        [FORWARD],
        [FORWARD, DROP._replace(action=NORMAL)],
        [FORWARD, DROP._replace(cookie=0)],
        [FORWARD, DROP, FlowRule(0, 65535, (), NORMAL, cookie=7)],
    ],
    ids=["missing", "changed", "overwritten", "another"],
)
def test_a_table_that_is_read_shows_what_nobody_told(rules: list[FlowRule]) -> None:
    table = Table([DROP, FORWARD])
    table.read(rules, 1.0)
    assert not table.is_right
    table.read([DROP, FORWARD], 2.0)
    assert table.is_right
    assert [(each.begin, each.end) for each in table.deviations] == [(1.0, 2.0)]


@pytest.mark.parametrize(
    ("states", "false"),
    [
        ({0.5: "protected", 3.0: "degraded"}, 2.0),
        ({0.5: "protected"}, 9.0),
        ({0.5: "checking", 9.0: "checking"}, 0.0),
        ({0.5: "checking", 4.0: "protected", 9.0: "protected"}, 6.0),
        ({0.5: "protected", 2.0: "checking", 4.0: "monitoring", 5.0: "degraded"}, 1.0),
        ({0.5: "protected", 20.0: "degraded"}, 9.0),
        ({20.0: "degraded"}, 9.0),
    ],
    ids=["told late", "never told", "told before", "said too early", "twice", "no answer", "none before"],
)
def test_the_last_word_stands_until_there_is_another(states: Mapping[float, str], false: float) -> None:
    """The table is wrong from 1 to 10 s."""
    reported = [StatusReport(at, 0.0, {"h1": state}, {"h1": ""}, 0.0, 0) for at, state in states.items()]
    [found] = false_protections("h1", [Deviation(1.0, 0.0, 10.0)], reported, 30.0)
    assert found.seconds == pytest.approx(false)
