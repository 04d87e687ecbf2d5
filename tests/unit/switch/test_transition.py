"""The orders of changes, on small tables of any kind: every packet, at every moment of every plan.

What the compiler makes of policies is of one kind, and random policies seldom differ in the ways in which an
order goes wrong; tests/property/test_transition.py has those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, reduce
from itertools import groupby, product
from operator import or_
from typing import NamedTuple

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from op25b_app.rules.flow import NORMAL, Action, Field, FlowRule, Goto, Match, Role, Tagged
from op25b_app.switch.batch import Group
from op25b_app.switch.codec import Command, InstalledRule
from op25b_app.switch.reconcile import reconcile
from op25b_app.switch.ruleset import Ruleset
from op25b_app.switch.transition import (
    GATE,
    STAGE_PRIORITY,
    behind_gate,
    closed_first,
    in_place,
    needs_tags,
    staged,
)

OURS = 0x25B0 << 48 | Role.PORT << 40
TABLES = range(4)
THEIRS = 7
"""A table of another application, which forwards what comes without a tag."""
FIELDS = ("eth_dst", "eth_src")
PACKETS = [*product(range(4), range(4))]
"""Values of the fields."""
ALL = (1 << len(PACKETS)) - 1

Rules = frozenset[FlowRule]
Order = Callable[[Group, Ruleset, Ruleset], "list[Group] | None"]


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


def verdicts(rules: Iterable[FlowRule]) -> Verdicts:
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
                if isinstance(rule.action, (Goto, Tagged)):
                    made |= walk(here, rule.action.table, getattr(rule.action, "tag", tag))
                else:
                    made |= Verdicts(here, 0) if rule.action == NORMAL else Verdicts(0, here)
            packets &= ~taken
        return made | Verdicts(0, packets)

    return walk(ALL, 0, 0)


def matches() -> st.SearchStrategy[Match]:
    one = st.sampled_from(((0, 2), (2, 2), (0, None), (1, None), (2, None), (3, None)))
    field = st.one_of(st.none(), one)
    return st.tuples(field, field).map(
        lambda pair: tuple(Field(name, *part) for name, part in zip(FIELDS, pair, strict=True) if part)
    )


@st.composite
def actions(draw: st.DrawFn) -> Callable[[int], st.SearchStrategy[Action]]:
    """What rules of a table may do: most tables do one thing with all that they do not block."""
    of_table: dict[int, st.SearchStrategy[Action]] = {}
    for table in TABLES:
        onward = [NORMAL, Goto(THEIRS), *(Goto(later) for later in TABLES if later > table)]
        only = draw(st.sampled_from(onward))
        several = draw(st.integers(0, 3)) == 0
        of_table[table] = st.sampled_from([None, *onward] if several else [None, only])
    return lambda table: of_table[table]


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


@st.composite
def rulesets(draw: st.DrawFn, count: int) -> list[Rules]:
    """Several that have rules in common, each with a last rule in every table that it leads to."""
    doing = draw(actions())
    places = st.tuples(st.sampled_from(TABLES), st.integers(3, 8), matches())
    common = draw(st.lists(places, min_size=4, max_size=18, unique=True))
    found = []
    for _ in range(count):
        used = draw(st.sets(st.sampled_from(TABLES[1:]))) | {0}
        chosen = [place for place in common if place[0] in used and draw(st.integers(0, 3))]
        rules = []
        for place in (*chosen, *((table, 2, ()) for table in used)):
            action = draw(doing(place[0]))
            if not isinstance(action, Goto) or action.table in used or action.table == THEIRS:
                rules.append(FlowRule(*place, action, OURS))
            elif place[1] == 2:
                rules.append(FlowRule(*place, None, OURS))
        found.append(frozenset(unambiguous(rules)))
    return found


def others() -> st.SearchStrategy[Rules]:
    """Rules of another application, in table 0."""
    doing: st.SearchStrategy[Action] = st.sampled_from((None, NORMAL, Goto(THEIRS)))
    rule = st.builds(FlowRule, st.just(0), st.sampled_from((1, 5, 9)), matches(), doing, st.just(7))
    return st.lists(rule, max_size=2, unique_by=lambda rule: rule.key).map(frozenset)


def moments(
    data: st.DataObject, order: Order, found: Rules, wanted: Rules
) -> tuple[list[Rules], Rules] | None:
    """What a switch holds after each message, in an order in which it may handle them, and at the end."""
    before, after = Ruleset([sorted_rules(found)]), Ruleset([sorted_rules(wanted)])
    changes = reconcile(after, [InstalledRule(rule, 0, 0, 0.0, 0, 0) for rule in before.rules]).repairs
    groups = order(changes, before, after)
    if groups is None:
        return None
    holding = {rule.key: rule for rule in found}
    seen = [found]
    for group in groups:
        assert group
        for change in data.draw(st.permutations(group)):
            if change.command is Command.ADD:
                assert change.before in (None, holding.get(change.rule.key)), "what stands there is known"
                holding[change.rule.key] = change.rule
            elif holding.get(change.rule.key) == change.rule:
                del holding[change.rule.key]
            seen.append(frozenset(holding.values()))
    return seen, seen[-1]


def sorted_rules(rules: Iterable[FlowRule]) -> Sequence[FlowRule]:
    return sorted(rules, key=lambda rule: (rule[:2], str(rule.match)))


def gated(changes: Group, found: Ruleset, wanted: Ruleset) -> list[Group]:
    return behind_gate(changes, wanted)


def meant(found: Rules, wanted: Rules) -> Rules:
    """What a switch is to hold in the end: rules of others stay, and where they stand none of ours comes."""
    theirs = {rule.key: rule for rule in found if not rule.ours and rule.table == 0}
    return frozenset({**{rule.key: rule for rule in wanted}, **theirs}.values())


def check(data: st.DataObject, order: Order, found: Rules, wanted: Rules, *, may_block: bool = False) -> None:
    told = moments(data, order, found, wanted)
    assume(told is not None)
    assert told is not None
    seen, end = told
    assert end == meant(found, wanted)
    permitted = [verdicts(found), verdicts(end), Verdicts(0, ALL if may_block else 0)]
    for holding in dict.fromkeys(seen):
        assert verdicts(holding).among(*permitted)


def interrupted(data: st.DataObject, found: Rules, wanted: Rules) -> Rules:
    """What is there when some plan stops somewhere."""
    order = data.draw(st.sampled_from((in_place, staged, staged, closed_first, gated)))
    told = moments(data, order, found, wanted)
    assume(told is not None)
    assert told is not None
    return data.draw(st.sampled_from(told[0]))


STRICT = st.sampled_from((in_place, staged))
CLOSING = st.sampled_from((closed_first, gated))


@settings(max_examples=300, deadline=None)
@given(st.data(), rulesets(2), others(), STRICT)
def test_every_packet_is_treated_as_before_or_after(
    data: st.DataObject, both: list[Rules], theirs: Rules, order: Order
) -> None:
    found, wanted = both
    check(data, order, meant(theirs, found), wanted)


@settings(max_examples=300, deadline=None)
@given(st.data(), rulesets(3), others(), STRICT)
def test_so_it_is_after_a_plan_that_was_interrupted(
    data: st.DataObject, three: list[Rules], theirs: Rules, order: Order
) -> None:
    first, second, third = three
    found = interrupted(data, meant(theirs, first), second)
    if data.draw(st.booleans()):
        found = interrupted(data, found, data.draw(st.sampled_from(three)))
    check(data, order, found, third)


@settings(max_examples=300, deadline=None)
@given(st.data(), rulesets(3), others(), CLOSING, st.booleans())
def test_nothing_is_permitted_that_neither_permits_where_there_is_no_room(
    data: st.DataObject, three: list[Rules], theirs: Rules, order: Order, again: bool
) -> None:
    first, second, third = three
    found = meant(theirs, first)
    if again:
        found = interrupted(data, found, second)
    check(data, order, found, third, may_block=True)


def rule(table: int, priority: int, action: Action, *match: Field) -> FlowRule:
    return FlowRule(table, priority, match, action, OURS)


def planned(order: Order, found: Iterable[FlowRule], wanted: Iterable[FlowRule]) -> list[Group] | None:
    before, after = Ruleset([[*found]]), Ruleset([[*wanted]])
    changes = reconcile(after, [InstalledRule(rule, 0, 0, 0.0, 0, 0) for rule in before.rules]).repairs
    return order(changes, before, after)


ONE, OTHER = Field("eth_dst", 1), Field("eth_dst", 2)
LEADING = (rule(0, 5, Goto(1)), rule(1, 5, Goto(2)), rule(2, 5, NORMAL))


def test_what_blocks_in_one_table_and_permits_in_another_needs_no_stage() -> None:
    """In either direction, as each table does one thing with what it does not block."""
    old, new = (*LEADING, rule(1, 6, None, ONE)), (*LEADING, rule(2, 6, None, ONE))
    for before, after in ((old, new), (new, old)):
        groups = planned(in_place, before, after)
        assert groups is not None
        assert [change.command for group in groups for change in group] == [
            Command.ADD,
            Command.DELETE_STRICT,
        ]


def test_tables_apart_from_each_other_may_do_whatever_they_like() -> None:
    apart = (rule(0, 6, Goto(1), ONE), rule(0, 5, Goto(2)), rule(1, 5, NORMAL), rule(2, 5, Goto(THEIRS)))
    changed = (rule(1, 6, Goto(THEIRS), OTHER), rule(2, 6, NORMAL, ONE), rule(2, 7, None, OTHER))
    assert planned(in_place, apart, (*apart, *changed)) is not None


def test_a_table_that_nobody_sees_is_changed_before_or_after_the_others() -> None:
    there, gone = rule(3, 5, None, ONE), rule(3, 6, NORMAL)
    onward = rule(0, 6, Goto(3), ONE)
    opening = planned(in_place, LEADING, (*LEADING, onward, there, gone))
    closing = planned(in_place, (*LEADING, onward, there, gone), LEADING)
    assert opening is not None
    assert closing is not None
    assert [{change.rule for change in group} for group in opening] == [{there, gone}, {onward}]
    assert [{change.rule for change in group} for group in closing] == [{onward}, {there, gone}]


def test_what_nothing_in_place_can_do_is_staged_above_all_else() -> None:
    old = (*LEADING, rule(1, 6, Goto(THEIRS), ONE))
    new = (*LEADING, rule(1, 6, NORMAL, OTHER), rule(2, 6, None, OTHER))
    assert planned(in_place, old, new) is None
    groups = planned(staged, old, new)
    assert groups is not None
    tagged = {change.rule for group in groups for change in group if needs_tags(change.rule)}
    assert {each.priority >= STAGE_PRIORITY for each in tagged if each.table != 0} == {True}
    assert {each.table for each in tagged} == {0, 1, 2}


def test_a_table_that_another_application_takes_over_is_not_staged() -> None:
    """Nobody knows what becomes of tagged packets in it while rules of ours are there."""
    there, onward = rule(3, 5, None), rule(2, 5, Goto(3))
    assert planned(staged, (*LEADING, there), (*LEADING[:2], onward)) is None
    assert planned(staged, LEADING, (*LEADING[:2], onward)) is not None


def test_a_stage_that_was_left_behind_is_not_taken_for_a_new_one() -> None:
    old, new = LEADING, (*LEADING, rule(2, 6, None, ONE))
    groups = planned(staged, old, new)
    assert groups is not None
    left = [change.rule for change in groups[0]]
    again = planned(staged, [*old, *left], new)
    assert again is not None
    assert {change.rule for change in again[0]} == {*left}
    assert {change.command for change in again[0]} == {Command.DELETE_STRICT}


def test_nothing_is_gated_where_nothing_is_blocked_afterwards() -> None:
    groups = planned(gated, (*LEADING, rule(1, 6, None, ONE)), LEADING)
    assert groups is not None
    gate = [change.command for group in groups for change in group if change.rule == GATE]
    assert gate == [Command.DELETE_STRICT]
