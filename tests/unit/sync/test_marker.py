"""The marker on a switch: written, read, and what becomes of one that somebody has changed or made up."""

from __future__ import annotations

import pytest

from op25b_app.compiler.marker import MAX_REVISIONS, Marker, is_marker, marker_rule, newest_marker
from op25b_app.openflow.flow_rule import NORMAL, FieldValue
from op25b_app.sync.update_plan import marker_changes
from testing.fake_switch.rules import put, remove, rules_on
from tests.world import DIGEST, READ_BACK, RULES, World, desired

ANOTHER_DIGEST = "beef" * 16
OURS = marker_rule(Marker(1, DIGEST), 2)


def test_what_is_written_is_read() -> None:
    marker = Marker(7, DIGEST)
    rule = marker_rule(marker, 2)
    assert is_marker(rule)
    assert newest_marker([rule]) == Marker(7, DIGEST[:32])
    assert newest_marker([marker_rule(Marker(9, "0" * 64), 5), rule]) == Marker(9, "0" * 32)
    assert newest_marker(RULES) is None


@pytest.mark.parametrize(
    "match",
    [
        (),
        OURS.match[:2],
        (OURS.match[0], OURS.match[1]._replace(value=0xED, mask=0xFF), OURS.match[2]),
        (*OURS.match[:2], OURS.match[2]._replace(value=1 << 8, mask=0xFF00)),
        (*OURS.match[:2], FieldValue("ipv6_dst", MAX_REVISIONS)),
        (*OURS.match[:2], FieldValue("ipv6_dst", (1 << 128) - 1)),
    ],
)
def test_a_marker_with_an_odd_match_says_nothing_and_goes(match: tuple[FieldValue, ...]) -> None:
    odd = OURS._replace(match=match)
    assert newest_marker([odd]) is None
    world = World()
    put(world.switch, odd)
    world.connect(desired())
    assert world.status == ("protected", READ_BACK)
    assert world.markers == [OURS]


def test_a_marker_that_does_something_is_made_to_do_nothing() -> None:
    assert [change.rule for change in marker_changes(OURS, [OURS._replace(action=NORMAL)])] == [OURS]
    world = World()
    world.connect(desired())
    put(world.switch, OURS._replace(action=NORMAL, hard_timeout=60))
    world.run_told()
    world.wait(1)
    assert world.markers == [OURS]


def test_a_marker_that_somebody_deletes_is_put_back() -> None:
    world = World()
    world.connect(desired())
    remove(world.switch, OURS)
    world.run_told()
    world.wait(1)
    assert world.markers == [OURS]
    assert world.status == ("protected", READ_BACK)
    assert world.events == []


def test_a_policy_with_other_tables_takes_its_marker_along() -> None:
    world = World()
    world.connect(desired())
    moved = [rule._replace(table=3) if rule.table == 2 else rule for rule in RULES]
    world.run(world.session.assign(desired(moved)._replace(digest=ANOTHER_DIGEST), world.now))
    assert [mark.table for mark in world.markers] == [3]
    assert newest_marker(rules_on(world.switch)) == Marker(2, ANOTHER_DIGEST[:32])


def test_of_two_controllers_with_the_same_revision_one_gives_way() -> None:
    """The one with the lesser digest, on whichever side it is found."""
    greater, lesser = (marker_rule(Marker(1, digest * 16), 2) for digest in ("beef", "1e55"))
    for theirs, state in ((greater, "degraded"), (lesser, "protected")):
        world = World()
        world.connect(desired())
        put(world.switch, theirs)
        world.run_told()
        world.wait(1)
        assert world.status[0] == state
        assert theirs in world.markers or state == "protected"
