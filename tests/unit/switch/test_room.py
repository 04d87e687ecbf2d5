"""Tables that have too little room: what is left out, what is learned, and how rules change places."""

from __future__ import annotations

import pytest

from op25b_app.rules.flow import NORMAL, Field, FlowRule, Goto, Role
from op25b_app.switch import exchange
from op25b_app.switch.aim import fitting
from op25b_app.switch.codec import InstalledRule
from op25b_app.switch.room import fit
from op25b_app.switch.ruleset import Ruleset
from op25b_app.switch.session import RETRY_SECONDS
from op25b_app.switch.table_features import is_table_features_reply
from op25b_app.switch.transition import GATE
from tests.fake_switch import Abilities
from tests.fake_switch.rules import put, remove
from tests.world import OURS, RULES, STATIC, TCP, THEIRS, World, assignment

BLOCK = 0x25B0 << 48 | Role.BLOCK << 40
BUNDLES = pytest.mark.parametrize("bundles", [True, False], ids=["bundles", "groups"])
TOLD = pytest.mark.parametrize("told", [True, False], ids=["told", "learned"])


def permits(first: int, count: int) -> list[FlowRule]:
    return [
        FlowRule(2, 132, (*TCP, Field("ipv4_src", number)), NORMAL, STATIC | number)
        for number in range(first, first + count)
    ]


def blocks(first: int, count: int) -> list[FlowRule]:
    return [
        FlowRule(2, 132, (*TCP, Field("ipv4_src", number)), None, BLOCK | number)
        for number in range(first, first + count)
    ]


def with_rules(*rules: FlowRule) -> list[FlowRule]:
    return [RULES[0], *rules, *RULES[-3:]]


class Crowded(World):
    """A switch whose table 2 has room for 30 rules."""

    def __init__(self, *, bundles: bool, told: bool, first: list[FlowRule]) -> None:
        super().__init__(abilities=Abilities(room_of={2: 30}, bundles=bundles, table_features=told))
        self.connect(assignment(first))
        self._policies = 0

    def change_to(self, rules: list[FlowRule]) -> None:
        self._policies += 1
        digest = f"{self._policies:064x}"
        self.run(self.session.assign(assignment(rules)._replace(digest=digest), self.now))


@BUNDLES
@TOLD
@pytest.mark.parametrize("rules_of", [permits, blocks])
def test_a_full_table_takes_as_many_other_rules(bundles: bool, told: bool, rules_of: object) -> None:
    assert callable(rules_of)
    world = Crowded(bundles=bundles, told=told, first=with_rules(*rules_of(1, 27)))
    assert world.status[0] == "protected"
    for first in (101, 201):
        new = with_rules(*rules_of(first, 27))
        world.change_to(new)
        assert world.status[0] == "protected"
        assert set(world.rules) == set(new)


@BUNDLES
@TOLD
def test_a_table_is_not_thought_smaller_with_each_policy(bundles: bool, told: bool) -> None:
    world = Crowded(bundles=bundles, told=told, first=with_rules(*permits(1, 29)))
    for first in (11, 21, 3):
        world.change_to(with_rules(*permits(first, 40)))
        held = len([rule for rule in world.rules if rule.table == 2])
        assert held in ((28,) if told else (28, 29))
        assert world.status == (
            "degraded",
            f"room for {held} of 41 rules in table 2: what the others would permit is blocked",
        )
        assert len(world.marks) == 1
    world.change_to(with_rules(*permits(3, 27)))
    assert world.status[0] == "protected"


@BUNDLES
@pytest.mark.parametrize(("most", "room", "asked_after"), [(100, 30, None), (100, 8, 13), (13, 30, 0)])
def test_room_is_asked_for_before_many_rules_or_once_a_table_was_full(
    monkeypatch: pytest.MonkeyPatch, bundles: bool, most: int, room: int, asked_after: int | None
) -> None:
    """Counted in the rules that were sent when the switch answered first."""
    monkeypatch.setattr(exchange, "MOST_TRIED", most)
    world = World(abilities=Abilities(room_of={2: room}, bundles=bundles))
    counts: list[int] = []

    def count(message: bytes) -> list[bytes]:
        if is_table_features_reply(message):
            counts.append(len(world.sent))
        return [message]

    world.on_wire = count
    world.connect(assignment(with_rules(*permits(1, 10))))
    assert counts[:1] == ([] if asked_after is None else [asked_after])
    world.wait(3 * RETRY_SECONDS)
    assert set(counts) == set(counts[:1])


@BUNDLES
def test_room_that_others_make_is_used(bundles: bool) -> None:
    world = Crowded(bundles=bundles, told=False, first=RULES[-3:])  # type: ignore[arg-type]
    theirs = [THEIRS._replace(table=2, priority=number) for number in range(900, 915)]
    put(world.switch, *theirs)
    world.change_to(with_rules(*permits(1, 20)))
    assert world.status[1].startswith("room for 13 of 21 rules in table 2")
    remove(world.switch, *theirs)
    world.wait(RETRY_SECONDS)
    assert world.status[0] == "protected"


def test_room_that_was_too_little_is_tried_again_with_the_next_policy() -> None:
    world = Crowded(bundles=False, told=False, first=with_rules(*permits(1, 40)))
    assert world.status[0] == "degraded"
    world.switch.tables.room_of = {}
    world.change_to(with_rules(*permits(1, 40)))
    assert world.status[0] == "protected"


def test_a_switch_that_says_less_than_it_holds_keeps_what_it_holds() -> None:
    """But for two places, in which markers may come."""
    held = [InstalledRule(rule, 0, 0) for rule in RULES]
    wanted, shortage = fitting(Ruleset([RULES]), held, {2: 12})
    assert wanted is not None
    assert len(wanted) == len(RULES) - 2
    assert shortage.startswith("room for 19 of 21 rules in table 2")


def test_a_repair_in_a_full_table_needs_no_gate() -> None:
    world = Crowded(bundles=False, told=False, first=with_rules(*permits(1, 40)))
    seen: list[bool] = []
    world.switch.on_handled = lambda: seen.append(GATE in world.rules)
    lost = [rule for rule in world.rules if rule.table == 0 or rule.priority == 200]
    remove(world.switch, *lost)
    world.run_told()
    world.wait(1)
    assert seen
    assert not any(seen)
    assert set(lost) <= set(world.rules)


def test_what_permits_is_left_out_in_order_and_what_blocks_or_leads_on_never() -> None:
    exception = FlowRule(2, 500, (Field("in_port", 1),), NORMAL, 0x25B0 << 48 | Role.EXCEPTION << 40)
    destination = exception._replace(priority=600, cookie=0x25B0 << 48 | Role.MAIL_DESTINATION << 40)
    leading = FlowRule(2, 700, (), Goto(3), OURS)
    rules = [*permits(1, 2), exception, destination, leading, *blocks(1, 2)]
    assert fit(Ruleset([rules]), {2: 7, 1: 0}) is None
    for room, kept in ((6, rules[1:]), (5, rules[2:]), (4, rules[3:]), (3, rules[4:])):
        fitting = fit(Ruleset([rules]), {2: room})
        assert fitting is not None
        assert fitting.wanted is not None
        assert set(fitting.wanted.rules) == set(kept)
    too_little = fit(Ruleset([rules]), {2: 2})
    assert too_little is not None
    assert too_little.wanted is None
    assert too_little.shortage == ("room for 2 of 7 rules in table 2, too little for those that block")
