"""Order changes so that no packet passes that neither the old nor the new rules permit.

A switch may handle messages between two barriers in any order, so a plan is a sequence of steps. Whatever
part of a step is in force, on top of all steps before, every packet gets its old verdict or its new one.
The last two orders may also block it:

- :func:`opened_last` fills a switch that blocks everything because table 0 has no rules. The rules of table 0
  come last. Those above the lowest of them block in their places until then.
- :func:`in_place` changes the rules where they are. In one table: new rules from the highest priority to the
  lowest, then rules with another action, then deletions from the lowest priority to the highest. A packet
  changes from its old rule to its new one once, and never matches a third. Blocking rules of a table without
  rules go first. This order does not suit every change of several tables that one packet visits.
- :func:`staged` suits every change of op25b's own tables. It adds the new rules beside the old ones, matched
  by a tag that no packet has. Then table 0 writes that tag (a two-phase update: Reitblatt et al.,
  "Abstractions for Network Update", SIGCOMM 2012). It needs room for both.
- :func:`closed_first` is for a switch without room for that. It may block for a moment, and never permits
  what neither the old nor the new rules permit. It suits tables that only block or hand on.
- :func:`behind_gate` suits every change: table 0 blocks everything meanwhile, which takes a place there.

All orders assume that each wanted table has a rule for what none of its other rules matches. A switch with
bundles needs no order (OpenFlow 1.4.1, section 6.9).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, groupby

from op25b_app.compiler.pipeline import Table
from op25b_app.compiler.rule_factory import rule_of
from op25b_app.openflow.codec import FlowModCommand
from op25b_app.openflow.flow_mods import Change, UpdateStep, deletions_first
from op25b_app.openflow.flow_rule import (
    TAG_MASK,
    FieldValue,
    FlowRule,
    Goto,
    GotoWithTag,
    RuleRole,
    match_of,
    with_onward,
    without_copy,
)
from op25b_app.sync.ruleset import Outcomes, Ruleset, next_tables, outcomes_of

TAGS = range(1, 0x100)
STAGE_PRIORITY = 0x4000
"""Offset of the priorities of rules for tagged packets, above all rules for any packet."""

DROP_ALL = rule_of(Table.ADMIT, 0xFFFF, RuleRole.BLOCK, None)
"""Rule of table 0 that blocks everything."""


def opened_last(changes: Sequence[Change], found: Ruleset, wanted: Ruleset) -> list[UpdateStep] | None:
    """Return the steps for a switch without rules in table 0, whose rules come last.

    Return None where table 0 has rules or is the only table wanted. In table 0 a packet meets its own rule or
    one that blocks, so the last rules may come in any order.
    """
    if Table.ADMIT in found.outcomes or wanted.last_own_table == Table.ADMIT:
        return None
    opening = [change for change in changes if _opens(change)]
    lowest = min((change.rule.priority for change in opening), default=0)
    blocking = {
        change.rule.key: change.rule._replace(action=None)
        for change in opening
        if change.rule.priority > lowest
    }
    closed = [change for change in changes if not _opens(change)]
    closed += (Change(FlowModCommand.ADD, rule) for rule in blocking.values())
    steps = (
        UpdateStep(closed),
        UpdateStep(change._replace(before=blocking.get(change.rule.key)) for change in opening),
    )
    return [step for step in steps if step]


def _opens(change: Change) -> bool:
    return change.rule.table == Table.ADMIT and change.rule.action is not None


def in_place(changes: Sequence[Change], found: Ruleset, wanted: Ruleset) -> list[UpdateStep] | None:
    """Return the steps that change ``found``, a whole table, to ``wanted``; None where this does not suit.

    Tables that no packet visits before are changed first, those that none visits afterwards last. With the
    first go blocking rules of a table without rules, which blocks everything already. Other tables that one
    packet may visit together are changed one after the other, if :func:`_chain` finds an order.
    """
    live, after = _written_tags(found), wanted.outcomes
    before = found.outcomes
    if live != {0} or any(_tag_of(change.rule) for change in changes):
        before = outcomes_of(rule for rule in found.rules if _tag_of(rule) in live)
    visited_before, visited_after = visited(before), visited(after)
    first: list[Change] = []
    last: list[Change] = []
    by_table: dict[int, list[Change]] = {}
    for change in changes:
        unseen = change.rule.table not in visited_before or _tag_of(change.rule) not in live
        if unseen or (change.rule.action is None and change.rule.table not in before):
            first.append(change)
        elif change.rule.table not in visited_after:
            last.append(change)
        else:
            by_table.setdefault(change.rule.table, []).append(change)

    steps = [UpdateStep(first)]
    for tables in _visited_together(by_table.keys(), before, after):
        chained = _chain({table: by_table[table] for table in tables}, before, after)
        if chained is None:
            return None
        steps += chained
    steps.append(UpdateStep(last))
    return [step for step in steps if step]


def staged(changes: Iterable[Change], found: Ruleset, wanted: Ruleset) -> list[UpdateStep] | None:
    """Return the steps that change ``found``, a whole table, to ``wanted`` by way of tagged packets.

    Return None where a changed table is handed over to another application: its rules for a tag are unknown.
    """
    live = _written_tags(found)
    tag = next(each for each in TAGS if each not in live)
    own = frozenset(wanted.outcomes)
    admitting = [change for change in changes if change.rule.table == Table.ADMIT]
    later = [change for change in changes if change.rule.table != Table.ADMIT]
    if not visited(wanted.outcomes).isdisjoint({change.rule.table for change in later} - own):
        return None
    behind = [rule for rule in wanted.rules if rule.table != Table.ADMIT]
    stage = [_staged_rule(rule, tag, own) for rule in behind]
    plain, tagging = _tagging(admitting, found, wanted, tag, own)
    steps = [
        UpdateStep(change for change in later if _tag_of(change.rule) not in live),
        UpdateStep(Change(FlowModCommand.ADD, rule) for rule in stage),
        *_make_before_break(tagging),
        UpdateStep(change for change in later if _tag_of(change.rule) in live),
        UpdateStep(plain),
        UpdateStep(Change(FlowModCommand.DELETE_STRICT, rule, rule) for rule in stage),
    ]
    return [step for step in steps if step]


def closed_first(changes: Sequence[Change], found: Ruleset, wanted: Ruleset) -> list[UpdateStep] | None:
    """Return steps that block more, then steps that permit more; None where a table does more than that.

    In each of the two, deletions make room for additions.
    """
    tables = {change.rule.table for change in changes}
    if not all(_only_blocks_or_hands_on(table, found.outcomes, wanted.outcomes) for table in tables):
        return None
    closing = [change for change in changes if _blocks_more(change)]
    opening = [change for change in changes if not _blocks_more(change)]
    return [*_going_first(closing), *_going_first(opening)]


def behind_gate(
    changes: Iterable[Change], wanted: Ruleset, makes_room: Callable[[Change], bool] = lambda change: False
) -> list[UpdateStep]:
    """Return the steps behind the gate; without a gate where nothing is blocked afterwards.

    Changes for which ``makes_room`` is true go before the gate; they must only block more.
    """
    gated = any(None in actions for actions in wanted.outcomes.values())
    others = [change for change in changes if change.rule != DROP_ALL]
    before = [change for change in others if makes_room(change)]
    between = _going_first(change for change in others if not makes_room(change))
    opened, closed = (
        Change(FlowModCommand.DELETE_STRICT, DROP_ALL, DROP_ALL),
        Change(FlowModCommand.ADD, DROP_ALL),
    )
    steps = [UpdateStep(before), UpdateStep([closed] * gated), *between, UpdateStep([opened])]
    return [step for step in steps if step]


def _going_first(changes: Iterable[Change]) -> list[UpdateStep]:
    """Return deletions, and then all other changes."""
    ordered = sorted(changes, key=deletions_first)
    return [UpdateStep(step) for _, step in groupby(ordered, key=deletions_first)]


def _make_before_break(changes: Sequence[Change]) -> list[UpdateStep]:
    """Return the order for one table."""
    gone = [change for change in changes if change.command is FlowModCommand.DELETE_STRICT]
    added = [change for change in changes if change.command is FlowModCommand.ADD]
    new = [change for change in added if change.before is None]
    changed = [change for change in added if change.before is not None]
    steps = [*_by_priority(new, highest_first=True), UpdateStep(changed), *_by_priority(gone)]
    return [step for step in steps if step]


def _by_priority(changes: list[Change], *, highest_first: bool = False) -> Iterator[UpdateStep]:
    ordered = sorted(changes, key=_priority, reverse=highest_first)
    return (UpdateStep(step) for _, step in groupby(ordered, key=_priority))


def _priority(change: Change) -> int:
    return change.rule.priority


def _chain(by_table: dict[int, list[Change]], before: Outcomes, after: Outcomes) -> list[UpdateStep] | None:
    """Return the order for tables that one packet may visit together; None where there is none.

    One table always has an order. Several have one where each only blocks or hands on, always the same way:
    then a packet passes if all of them let it. Tables that only block more come first and those that only
    permit more last, so no packet slips through in between. Only one table may do both.
    """
    if len(by_table) > 1:
        if not all(_only_blocks_or_hands_on(table, before, after) for table in by_table):
            return None
        if sum(_rank(changes) == 1 for changes in by_table.values()) > 1:
            return None
    ordered = sorted(by_table.values(), key=_rank)
    return list(chain.from_iterable(map(_make_before_break, ordered)))


def _only_blocks_or_hands_on(table: int, before: Outcomes, after: Outcomes) -> bool:
    """Return whether a table does one thing with all packets that it does not block."""
    return len((before.get(table, frozenset()) | after.get(table, frozenset())) - {None}) <= 1


def _rank(changes: Iterable[Change]) -> int:
    """Return 0 where all changes of a table only block more, 2 where they only permit more, else 1."""
    blocks_more = {_blocks_more(change) for change in changes}
    return 1 if len(blocks_more) > 1 else 0 if True in blocks_more else 2


def _blocks_more(change: Change) -> bool:
    """Return whether a change of a table that blocks or hands on blocks more; else it permits more."""
    return (change.command is FlowModCommand.DELETE_STRICT) is (change.rule.action is not None)


def _visited_together(tables: Iterable[int], before: Outcomes, after: Outcomes) -> Iterator[tuple[int, ...]]:
    """Yield ``tables`` in sets, so that no packet visits tables of two sets."""
    edges = {table: next_tables(before, table) | next_tables(after, table) for table in {*before, *after}}
    pending = sorted(tables)
    while pending:
        together = {pending[0]}
        while more := {
            table
            for table in pending
            if table not in together
            and any(table in _reach(edges, one) or one in _reach(edges, table) for one in together)
        }:
            together |= more
        yield tuple(sorted(together))
        pending = [table for table in pending if table not in together]


def visited(outcomes: Outcomes) -> set[int]:
    """Return the tables that packets may visit, table 0 among them."""
    return _reach({table: next_tables(outcomes, table) for table in outcomes}, Table.ADMIT)


def _reach(edges: dict[int, set[int]], start: int) -> set[int]:
    """Return ``start`` and all tables that can follow it."""
    reached: set[int] = set()
    pending = {start}
    while pending:
        reached |= pending
        pending = set().union(*(edges.get(table, set()) for table in pending)) - reached
    return reached


def needs_tags(rule: FlowRule) -> bool:
    """Return whether a rule matches, writes or removes a tag."""
    return _tag_of(rule) != 0 or isinstance(without_copy(rule.action), GotoWithTag)


def _written_tags(found: Ruleset) -> set[int]:
    """Return the tags that packets may have; 0 is none."""
    actions = map(without_copy, chain.from_iterable(found.outcomes.values()))
    return {0, *(action.tag for action in actions if isinstance(action, GotoWithTag))}


def _tag_of(rule: FlowRule) -> int:
    """Return the tag that a rule matches; 0 for none."""
    return next((field.value for field in rule.match if field.name == "metadata"), 0)


def _staged_rule(rule: FlowRule, tag: int, own: frozenset[int]) -> FlowRule:
    """Return the rule for packets with a tag; it removes the tag before a table outside ``own``."""
    action, onward = rule.action, without_copy(rule.action)
    if isinstance(onward, Goto) and onward.table not in own:
        action = with_onward(action, GotoWithTag(onward.table, 0))
    match = match_of((FieldValue("metadata", tag, TAG_MASK), *rule.match))
    return rule._replace(priority=rule.priority + STAGE_PRIORITY, match=match, action=action)


def _tagging(
    changes: Sequence[Change], found: Ruleset, wanted: Ruleset, tag: int, own: frozenset[int]
) -> tuple[list[Change], list[Change]]:
    """Return the changes of table 0 that remove the tag again, and those that write it first.

    ``changes`` would make table 0 the wanted one without tags.
    """
    by_key = {change.rule.key: change for change in changes}
    present = {rule.key: rule for rule in found.rules if rule.table == Table.ADMIT}
    plain: list[Change] = []
    tagging = [change for change in changes if change.command is FlowModCommand.DELETE_STRICT]
    for rule in wanted.rules:
        before = present.get(rule.key)
        if rule.table != Table.ADMIT or not (before is None or before.is_managed or rule.key in by_key):
            continue
        onward = without_copy(rule.action)
        if isinstance(onward, Goto) and onward.table in own:
            tagged = rule._replace(action=with_onward(rule.action, GotoWithTag(onward.table, tag)))
            tagging.append(Change(FlowModCommand.ADD, tagged, before))
            plain.append(Change(FlowModCommand.ADD, rule, tagged))
        elif rule.key in by_key:
            tagging.append(by_key[rule.key])
    return plain, tagging
