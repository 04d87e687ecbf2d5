"""The orders of changes, on small tables of any kind: every packet, at every moment of every plan.

What the compiler makes of policies is of one kind, and random policies seldom differ in the ways in which an
order goes wrong; tests/property/test_update_orders.py has those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, lru_cache, reduce
from itertools import groupby, permutations, product
from operator import or_
from typing import NamedTuple

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from op25b_app.openflow.codec import FlowModCommand, FlowStats
from op25b_app.openflow.flow_mods import Change, UpdateStep
from op25b_app.openflow.flow_rule import (
    NORMAL,
    Action,
    FieldValue,
    FlowRule,
    Goto,
    GotoWithTag,
    Match,
    RuleRole,
)
from op25b_app.sync.reconcile import reconcile
from op25b_app.sync.ruleset import Ruleset
from op25b_app.sync.update_orders import (
    DROP_ALL,
    STAGE_PRIORITY,
    behind_gate,
    closed_first,
    in_place,
    needs_tags,
    opened_last,
    staged,
)

OURS = 0x25B0 << 48 | RuleRole.PORT << 40
TABLES = range(4)
THEIRS = 7
"""A table of another application, which forwards what comes without a tag."""
FIELDS = ("eth_dst", "eth_src")
PACKETS = [*product(range(4), range(4))]
"""Values of the fields."""
ALL = (1 << len(PACKETS)) - 1

Rules = frozenset[FlowRule]
Order = Callable[[UpdateStep, Ruleset, Ruleset], "list[UpdateStep] | None"]
Arrangement = Callable[[UpdateStep], Sequence[Change]]


class Verdicts(NamedTuple):
    """Which packets may pass and which may be blocked, as bits."""

    passing: int
    blocked: int

    def __or__(self, other: Verdicts) -> Verdicts:
        return Verdicts(self.passing | other.passing, self.blocked | other.blocked)

    def among(self, *others: Verdicts) -> bool:
        return reduce(or_, others) | self == reduce(or_, others)


@cache
def matched(match: Match) -> int:
    """The packets that a match is about, tags aside."""
    bits = 0
    for number, packet in enumerate(PACKETS):
        asked = [(packet[FIELDS.index(name)], value, mask) for name, value, mask in match if name in FIELDS]
        if all(has & (3 if mask is None else mask) == value for has, value, mask in asked):
            bits |= 1 << number
    return bits


def tag_asked(rule: FlowRule) -> int | None:
    return next((value for name, value, _ in rule.match if name == "metadata"), None)


@lru_cache(1 << 12)
def verdicts(rules: Rules) -> Verdicts:
    """What may become of every packet: of rules of one priority, a switch takes any."""
    tables: dict[int, list[tuple[FlowRule, ...]]] = {}
    order = sorted(rules, key=lambda rule: (rule.table, -rule.priority))
    for place, equal in groupby(order, key=lambda rule: (rule.table, rule.priority)):
        tables.setdefault(place[0], []).append(tuple(equal))

    def walk(packets: int, table: int, tag: int) -> Verdicts:
        if table == THEIRS:
            return Verdicts(packets, 0) if tag == 0 else Verdicts(0, packets)
        made = Verdicts(0, 0)
        for equal in tables.get(table, ()):
            taken = 0
            for rule in equal:
                here = packets & matched(rule.match) if tag_asked(rule) in (None, tag) else 0
                taken |= here
                if not here:
                    continue
                if isinstance(rule.action, (Goto, GotoWithTag)):
                    made |= walk(here, rule.action.table, getattr(rule.action, "tag", tag))
                else:
                    made |= Verdicts(here, 0) if rule.action == NORMAL else Verdicts(0, here)
            packets &= ~taken
        return made | Verdicts(0, packets)

    return walk(ALL, 0, 0)


def matches() -> st.SearchStrategy[Match]:
    one = st.sampled_from((None, (0, 2), (2, 2), (0, None), (3, None)))
    return st.tuples(one, one).map(
        lambda pair: tuple(FieldValue(name, *part) for name, part in zip(FIELDS, pair, strict=True) if part)
    )


def unambiguous(rules: Iterable[FlowRule]) -> Iterator[FlowRule]:
    """Without rules of one priority that do different things with one packet."""
    kept: list[FlowRule] = []
    for rule in rules:
        if not any(
            (rule.table, rule.priority) == (other.table, other.priority)
            and rule.action != other.action
            and matched(rule.match) & matched(other.match)
            for other in kept
        ):
            kept.append(rule)
            yield rule


class Plans(NamedTuple):
    """What the rules of one table may be, in several rulesets."""

    places: list[tuple[int, Match]]
    does: list[list[Action]]
    changes: bool


@st.composite
def plans(draw: st.DrawFn, table: int, count: int) -> Plans:
    """Most tables do one thing with all that they do not block, and many do not change."""
    onward: list[Action] = [NORMAL, Goto(THEIRS), *(Goto(later) for later in TABLES if later > table)]
    one: st.SearchStrategy[list[Action]] = st.sampled_from(onward).map(lambda action: [None, action])
    does = draw(st.one_of(one, one, one, st.just([None, *onward])))
    kinds = [does] * count if draw(st.integers(0, 3)) else draw(st.lists(one, min_size=count, max_size=count))
    places = st.lists(st.tuples(st.integers(3, 6), matches()), max_size=6, unique=True)
    return Plans(draw(places), kinds, draw(st.booleans()))


@st.composite
def of_any_kind(draw: st.DrawFn, count: int) -> list[Rules]:
    """Several that have rules in common, each with a last rule in every table that it leads to."""
    found: list[set[FlowRule]] = [set() for _ in range(count)]
    used = draw(st.lists(st.sets(st.sampled_from(TABLES[1:])), min_size=1, max_size=2))
    for table in TABLES:
        places, does, changes = draw(plans(table, count))
        same: list[FlowRule] | None = None
        for number, rules in enumerate(found):
            there = {0, *used[number % len(used)]}
            if table not in there:
                continue
            if same is None or changes:
                chosen = [place for place in places if draw(st.booleans())]
                action = st.sampled_from(does[number])
                same = [FlowRule(table, *place, draw(action), OURS) for place in (*chosen, (2, ()))]
            rules.update(unambiguous(led_to(there, rule) for rule in same))
    return [frozenset(rules) for rules in found]


ROADS: Sequence[tuple[tuple[Action, ...], ...]] = (
    ((Goto(1),), (Goto(2),), (Goto(3),), (NORMAL,)),
    ((Goto(1), Goto(2)), (Goto(3),), (Goto(3),), (NORMAL,)),
    ((Goto(1), Goto(3)), (Goto(2),), (NORMAL,), (NORMAL,)),
    ((Goto(1), Goto(2), Goto(3)), (NORMAL,), (NORMAL,), (Goto(THEIRS),)),
)
"""By table: where its packets may go on to."""


@st.composite
def of_roads(draw: st.DrawFn, count: int) -> list[Rules]:
    """Several in which tables only block or hand on, but for table 0, which stays as it is."""
    roads = draw(st.lists(st.sampled_from(ROADS), min_size=1, max_size=2))
    way = st.tuples(st.just(3), matches(), st.sampled_from([*roads[0][0], None]))
    admitting = [FlowRule(0, *each, OURS) for each in draw(st.lists(way, max_size=2))]
    first = {FlowRule(0, 2, (), roads[0][0][0], OURS), *unambiguous(admitting)}
    place = st.tuples(st.sampled_from(TABLES[1:]), st.integers(3, 5), matches(), st.booleans())
    places = draw(st.lists(place, min_size=2, max_size=8, unique_by=lambda place: place[:3]))
    found = []
    for number in range(count):
        road = roads[number % len(roads)]
        last = [FlowRule(table, 2, (), road[table][0], OURS) for table in TABLES[1:]]
        some = [place for place in places if draw(st.booleans())]
        rules = [
            FlowRule(table, priority, match, road[table][0] if hands_on else None, OURS)
            for table, priority, match, hands_on in some
        ]
        found.append(frozenset((*first, *last, *unambiguous(rules))))
    return found


def rulesets(count: int) -> st.SearchStrategy[list[Rules]]:
    return of_any_kind(count) | of_roads(count)


def led_to(tables: Iterable[int], rule: FlowRule) -> FlowRule:
    """The rule, if it leads to one of these tables or of others, and otherwise one that blocks."""
    known = not isinstance(rule.action, Goto) or rule.action.table in (*tables, THEIRS)
    return rule if known else rule._replace(action=None)


@st.composite
def with_others(draw: st.DrawFn, first: Rules, last: Rules) -> Rules:
    """The first with rules of another application in table 0, some of which stand in the place of ours."""
    taken = [(rule.priority, rule.match) for rule in sorted_rules(last) if rule.table == 0]
    places = st.one_of(st.tuples(st.sampled_from((1, 5, 9)), matches()), st.sampled_from(taken))
    does: st.SearchStrategy[Action] = st.sampled_from((None, NORMAL, Goto(THEIRS)))
    theirs = [FlowRule(0, *place, draw(does), 7) for place in draw(st.lists(places, max_size=2))]
    return frozenset({rule.key: rule for rule in (*first, *theirs)}.values())


def moments(order: Order, found: Rules, wanted: Rules, arranged: Arrangement) -> list[Rules] | None:
    """What a switch holds before and after each message, which it handles ``arranged`` within each step."""
    before, after = Ruleset([sorted_rules(found)]), Ruleset([sorted_rules(wanted)])
    changes = reconcile(after, [FlowStats(rule, 0, 0) for rule in before.rules]).repairs
    steps = order(changes, before, after)
    if steps is None:
        return None
    holding = {rule.key: rule for rule in found}
    seen = [found]
    for step in steps:
        assert step
        for change in arranged(step):
            if change.command is FlowModCommand.ADD:
                assert change.rule == DROP_ALL or change.before == holding.get(change.rule.key)
                holding[change.rule.key] = change.rule
            elif holding.get(change.rule.key) == change.rule:
                del holding[change.rule.key]
            seen.append(frozenset(holding.values()))
    return seen


def sorted_rules(rules: Iterable[FlowRule]) -> Sequence[FlowRule]:
    return sorted(rules, key=lambda rule: (rule[:2], str(rule.match)))


def filled(changes: UpdateStep, found: Ruleset, wanted: Ruleset) -> list[UpdateStep] | None:
    return opened_last(changes, found, wanted) or in_place(changes, found, wanted)


def gated(changes: UpdateStep, found: Ruleset, wanted: Ruleset) -> list[UpdateStep]:
    return behind_gate(changes, wanted)


def meant(found: Rules, wanted: Rules) -> Rules:
    """What a switch is to hold in the end: rules of others stay, and where they stand none of ours comes."""
    theirs = {rule.key: rule for rule in found if not rule.is_managed and rule.table == 0}
    return frozenset({**{rule.key: rule for rule in wanted}, **theirs}.values())


def check(order: Order, found: Rules, wanted: Rules, arranged: Arrangement) -> list[Rules] | None:
    """The moments of a plan, where there is one, all as they should be."""
    seen = moments(order, found, wanted, arranged)
    if seen is None:
        return None
    assert seen[-1] == meant(found, wanted)
    blocked = Verdicts(0, ALL if order in (closed_first, gated) else 0)
    for holding in dict.fromkeys(seen):
        assert verdicts(holding).among(verdicts(found), verdicts(seen[-1]), blocked)
    return seen


def interrupted(data: st.DataObject, found: Rules, wanted: Rules) -> Rules:
    """What is there when some plan stops somewhere."""
    order = data.draw(st.sampled_from((filled, in_place, staged, staged, closed_first, gated)))
    seen = moments(order, found, wanted, shuffled(data))
    assume(seen is not None)
    return data.draw(st.sampled_from(seen or ()))


def shuffled(data: st.DataObject) -> Arrangement:
    return lambda step: data.draw(st.permutations(step))


STRICT = st.sampled_from((filled, in_place, staged))
CLOSING = st.sampled_from((closed_first, gated))


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.data(), rulesets(2), STRICT)
def test_every_packet_is_treated_as_before_or_after(
    data: st.DataObject, both: list[Rules], order: Order
) -> None:
    found, wanted = both
    assume(check(order, data.draw(with_others(found, wanted)), wanted, shuffled(data)))


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.data(), rulesets(1))
def test_so_it_is_while_an_empty_switch_is_filled(data: st.DataObject, only: list[Rules]) -> None:
    assert check(filled, frozenset(), only[0], shuffled(data))
    assert check(in_place, frozenset(), only[0], shuffled(data))


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.data(), rulesets(3), STRICT)
def test_so_it_is_after_a_plan_that_was_interrupted(
    data: st.DataObject, three: list[Rules], order: Order
) -> None:
    found = data.draw(with_others(three[0], three[1]))
    for _ in range(data.draw(st.integers(1, 2))):
        found = interrupted(data, found, data.draw(st.sampled_from(three)))
    assume(check(order, found, data.draw(st.sampled_from(three)), shuffled(data)))


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.data(), rulesets(3), CLOSING, st.booleans())
def test_nothing_is_permitted_that_neither_permits_where_there_is_no_room(
    data: st.DataObject, three: list[Rules], order: Order, again: bool
) -> None:
    found = data.draw(with_others(three[0], three[1]))
    if again:
        found = interrupted(data, found, three[1])
    assume(check(order, found, data.draw(st.sampled_from(three)), shuffled(data)))


def rule(table: int, priority: int, action: Action, *match: FieldValue) -> FlowRule:
    return FlowRule(table, priority, match, action, OURS)


def planned(order: Order, found: Iterable[FlowRule], wanted: Iterable[FlowRule]) -> list[UpdateStep] | None:
    before, after = Ruleset([[*found]]), Ruleset([[*wanted]])
    changes = reconcile(after, [FlowStats(rule, 0, 0) for rule in before.rules]).repairs
    return order(changes, before, after)


ONE, OTHER = FieldValue("eth_dst", 1), FieldValue("eth_dst", 2)
LEADING = (rule(0, 5, Goto(1)), rule(1, 5, Goto(2)), rule(2, 5, NORMAL))


CASES = {
    "layers": ([rule(0, 5, NORMAL)], [rule(0, 7, NORMAL), rule(0, 6, None), rule(0, 5, NORMAL)]),
    "actions": (
        [rule(0, 7, NORMAL, ONE), rule(0, 6, None), rule(0, 5, NORMAL)],
        [rule(0, 7, None, OTHER), rule(0, 6, NORMAL), rule(0, 5, None)],
    ),
    "chain": (
        [*LEADING, rule(1, 6, None, ONE), rule(2, 6, None, OTHER)],
        [*LEADING, rule(1, 6, None, OTHER), rule(2, 6, None, ONE)],
    ),
    "roads": (
        [*LEADING, rule(0, 6, NORMAL, ONE), rule(1, 6, None, OTHER), rule(1, 7, NORMAL, OTHER)],
        [rule(0, 5, Goto(2)), rule(2, 6, None, ONE), rule(2, 5, Goto(3)), rule(3, 5, Goto(THEIRS))],
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("backwards", [False, True])
def test_each_order_at_each_moment_and_each_plan_after_that(case: str, backwards: bool) -> None:
    """Messages of a step are handled as they are sent, or the last one first."""
    arranged: Arrangement = (lambda step: step[::-1]) if backwards else tuple
    both = [frozenset(rules) for rules in CASES[case]]
    orders: Sequence[Order] = (filled, in_place, staged, closed_first, gated)
    for found, wanted in permutations(both):
        seen = [each for order in orders for each in check(order, found, wanted, arranged) or ()]
        for holding, then, order in product(dict.fromkeys(seen), both, orders):
            check(order, holding, then, arranged)


def test_what_blocks_in_one_table_and_permits_in_another_needs_no_stage() -> None:
    """In either direction, as each table does one thing with what it does not block."""
    old, new = (*LEADING, rule(1, 6, None, ONE)), (*LEADING, rule(2, 6, None, ONE))
    for before, after in ((old, new), (new, old)):
        steps = planned(in_place, before, after)
        assert steps is not None
        assert [change.command for step in steps for change in step] == [
            FlowModCommand.ADD,
            FlowModCommand.DELETE_STRICT,
        ]


def test_two_tables_that_block_more_and_permit_more_are_not_changed_in_place() -> None:
    """What one blocks no more the other does not block yet, whichever comes first."""
    old = (*LEADING, rule(1, 6, None, ONE), rule(2, 6, None, OTHER))
    new = (*LEADING, rule(1, 6, None, OTHER), rule(2, 6, None, ONE))
    assert planned(in_place, old, new) is None
    assert planned(in_place, new, old) is None


def test_a_table_that_leads_to_another_one_only_afterwards_is_not_changed_in_place() -> None:
    roads = (rule(0, 6, Goto(2), OTHER), rule(0, 5, Goto(1)), rule(2, 5, NORMAL))
    old = (*roads, rule(1, 5, NORMAL), rule(2, 6, None, ONE))
    new = (*roads, rule(1, 5, Goto(2)))
    assert planned(in_place, old, new) is None


def test_tables_that_meet_in_a_third_one_are_changed_together() -> None:
    roads = (rule(0, 6, Goto(2), ONE), rule(0, 5, Goto(1)), *(rule(each, 5, Goto(3)) for each in (1, 2)))
    old = (*roads, rule(3, 5, NORMAL), rule(3, 6, None, ONE))
    new = (*roads, rule(3, 5, NORMAL), rule(2, 6, None, ONE), rule(1, 6, None, OTHER))
    assert check(in_place, frozenset(old), frozenset(new), tuple)


def test_tables_apart_from_each_other_may_do_whatever_they_like() -> None:
    apart = (rule(0, 6, Goto(1), ONE), rule(0, 5, Goto(2)), rule(1, 5, NORMAL), rule(2, 5, Goto(THEIRS)))
    changed = (rule(1, 6, Goto(THEIRS), OTHER), rule(2, 6, NORMAL, ONE), rule(2, 7, None, OTHER))
    assert planned(in_place, apart, (*apart, *changed)) is not None


def test_what_is_left_of_a_stage_that_no_packet_sees_stands_in_no_way() -> None:
    """Whatever it does: it goes first, all at once."""
    before = (*LEADING[:2], rule(2, 5, Goto(THEIRS)), rule(1, 6, None, ONE), rule(2, 6, None, OTHER))
    steps = planned(staged, before, (*before, rule(2, 7, None, ONE)))
    assert steps is not None
    left = {change.rule for change in steps[0]}
    assert len(left) == 5
    then = planned(in_place, (*before, *left), (*before[:3], rule(1, 6, None, OTHER)))
    assert then is not None
    assert {change.rule for change in then[0]} == left


def test_a_table_that_nobody_sees_is_changed_before_or_after_the_others() -> None:
    there, gone = rule(3, 5, None, ONE), rule(3, 6, NORMAL)
    onward = rule(0, 6, Goto(3), ONE)
    opening = planned(in_place, LEADING, (*LEADING, onward, there, gone))
    closing = planned(in_place, (*LEADING, onward, there, gone), LEADING)
    assert opening is not None
    assert closing is not None
    assert [{change.rule for change in step} for step in opening] == [{there, gone}, {onward}]
    assert [{change.rule for change in step} for step in closing] == [{onward}, {there, gone}]


def test_an_empty_switch_is_filled_with_one_wait() -> None:
    """What stands above another rule that does not block, blocks in its place until then."""
    blocks, behind = [rule(0, 8, None, OTHER), rule(0, 4, None)], rule(1, 5, NORMAL)
    opens = [rule(0, 7, Goto(1)), rule(0, 6, NORMAL), rule(0, 5, Goto(1), ONE)]
    steps = planned(opened_last, [], (behind, *blocks, *opens))
    assert steps is not None
    closed, opening = steps
    in_place_of = {each: each._replace(action=None) for each in opens[:2]}
    assert {change.rule for change in closed} == {behind, *blocks, *in_place_of.values()}
    assert {(change.rule, change.before) for change in opening} == {
        (each, in_place_of.get(each)) for each in opens
    }


def test_what_blocks_in_a_table_0_that_is_all_there_is_comes_first_and_what_opens_it_by_priority() -> None:
    blocks, opens = [rule(0, 8, None, OTHER), rule(0, 5, None)], [rule(0, 7, NORMAL, ONE), rule(0, 6, NORMAL)]
    steps = planned(in_place, [], (*blocks, *opens))
    assert steps is not None
    assert [{change.rule for change in step} for step in steps] == [{*blocks}, *({each} for each in opens)]


def test_neither_a_switch_in_use_nor_one_with_table_0_alone_is_opened_last() -> None:
    assert planned(opened_last, LEADING, (*LEADING, rule(1, 6, None))) is None
    assert planned(opened_last, [], [rule(0, 5, NORMAL), rule(0, 6, None)]) is None


def test_what_nothing_in_place_can_do_is_staged_above_all_else() -> None:
    old = (*LEADING, rule(1, 6, Goto(THEIRS), ONE))
    new = (*LEADING, rule(1, 6, NORMAL, OTHER), rule(2, 6, None, OTHER))
    assert planned(in_place, old, new) is None
    steps = planned(staged, old, new)
    assert steps is not None
    tagged = {change.rule for step in steps for change in step if needs_tags(change.rule)}
    assert {each.priority >= STAGE_PRIORITY for each in tagged if each.table != 0} == {True}
    assert {each.table for each in tagged} == {0, 1, 2}


def test_a_table_that_another_application_takes_over_is_not_staged() -> None:
    """Nobody knows what becomes of tagged packets in it while rules of ours are there."""
    there, onward = rule(3, 5, None), rule(2, 5, Goto(3))
    assert planned(staged, (*LEADING, there), (*LEADING[:2], onward)) is None
    assert planned(staged, LEADING, (*LEADING[:2], onward)) is not None


def test_a_stage_that_was_left_behind_is_not_taken_for_a_new_one() -> None:
    old, new = LEADING, (*LEADING, rule(2, 6, None, ONE))
    steps = planned(staged, old, new)
    assert steps is not None
    left = [change.rule for change in steps[0]]
    again = planned(staged, [*old, *left], new)
    assert again is not None
    assert {change.rule for change in again[0]} == {*left}
    assert {change.command for change in again[0]} == {FlowModCommand.DELETE_STRICT}


def test_nothing_passes_a_gate() -> None:
    found = frozenset((rule(0, 0xFFFE, NORMAL), rule(1, 5, None)))
    seen = moments(gated, found, frozenset((*LEADING, rule(1, 6, None, ONE))), tuple)
    assert seen is not None
    passing = [verdicts(each).passing for each in seen]
    assert set(passing[1:-1]) == {0}
    assert passing[-1]


def test_nothing_is_gated_where_nothing_is_blocked_afterwards() -> None:
    steps = planned(gated, (*LEADING, rule(1, 6, None, ONE)), LEADING)
    assert steps is not None
    gate = [change.command for step in steps for change in step if change.rule == DROP_ALL]
    assert gate == [FlowModCommand.DELETE_STRICT]
