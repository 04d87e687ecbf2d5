"""Review a table that was read, or a policy that follows another: decide what to send or to report.

All functions take and return values, so they can run beside the event loop while the session goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import filterfalse
from typing import NamedTuple

from op25b_app.compiler.marker import Marker, marker_rule
from op25b_app.openflow import codec
from op25b_app.openflow.codec import InstalledRule
from op25b_app.openflow.flow_mods import UpdateStep
from op25b_app.openflow.flow_rule import FlowRule
from op25b_app.sync.assessment import newer_policy, next_revision, summary
from op25b_app.sync.desired_state import DesiredState
from op25b_app.sync.protocol import Limits
from op25b_app.sync.read_back import ReadBack
from op25b_app.sync.reconcile import Comparison, difference, markers_among, reconcile
from op25b_app.sync.ruleset import Key, Ruleset
from op25b_app.sync.target_rules import Intent, Target, choose_target, fitting
from op25b_app.sync.update_plan import Plan, mark_changes, plan_changes


class Situation(NamedTuple):
    """Knowledge of a session at a review; nothing changes these values.

    ``now`` and ``asked``, when the table was asked for, are in seconds since 1970. ``wanted`` is None where
    the rules must be compiled for this moment. ``last`` is the desired state and the marker that the
    switch last held completely, ``held`` the rules that it held completely over this connection. ``may_plan``
    is true where another plan may be sent.
    """

    desired: DesiredState
    tables: int
    limits: Limits
    read_back: ReadBack
    now: float
    asked: float
    wanted: Ruleset | None = None
    revision: int | None = None
    last: tuple[DesiredState, FlowRule] | None = None
    held: Ruleset | None = None
    may_plan: bool = True


class Review(NamedTuple):
    """Result of a review.

    ``problem`` says why the table cannot be used; ``superseded`` is true where it holds another policy that
    is as new, or newer. Where ``needs_room`` is true, the switch is to be asked for the capacity of its
    tables. Otherwise there is a ``plan`` to carry out, or else the table stays as it is, with ``violations``
    if it is not as wanted. ``losses`` are what the switch lacks although it is as wanted. ``room`` is the
    capacity by table, ``marks`` are the markers and ``others`` the other rules found that stay. ``read_back``
    is the updated knowledge of how the switch reports rules; with ``any_cookie`` rules are to be deleted
    whatever their cookies are.
    """

    problem: str = ""
    superseded: bool = False
    wanted: Ruleset | None = None
    revision: int | None = None
    needs_room: bool = False
    room: Mapping[int, int] = {}
    mark: FlowRule | None = None
    plan: Plan | None = None
    comparison: Comparison | None = None
    violations: Sequence[str] = ()
    marks: Sequence[FlowRule] = ()
    others: Sequence[FlowRule] = ()
    losses: Sequence[str] = ()
    read_back: ReadBack | None = None
    any_cookie: bool = False


class ChangeOver(NamedTuple):
    """Plan from one policy to the next, on a switch that is known to hold the one before."""

    wanted: Ruleset
    revision: int
    mark: FlowRule
    plan: Plan


def review(parts: Iterable[bytes], situation: Situation) -> Review:
    """Compare a table, as the messages that it came in, with what the policy wants.

    The result has a ``problem`` for malformed messages, and for rules that need more tables.
    """
    desired, limits = situation.desired, situation.limits
    try:
        told = [rule for part in parts for rule in codec.decode_flow_stats(part)]
    except ValueError as problem:
        return Review(str(problem))
    read_back = situation.read_back
    found = read_back.as_sent(told)
    marks, rest = markers_among(found)
    revision = situation.revision
    if revision is None:
        known = marks if situation.last is None else (*marks, situation.last[1])
        revision = next_revision(desired.digest, known)
    elif refusal := newer_policy(Marker(revision, desired.digest), marks):
        return Review(refusal, superseded=True)
    try:
        wanted = situation.wanted or desired.wanted(situation.now, situation.tables)
    except ValueError as problem:
        return Review(str(problem), revision=revision)
    reviewed = Review(wanted=wanted, revision=revision, marks=marks)
    if limits.needs_room(len(wanted) - len(found)):
        return reviewed._replace(needs_room=True)
    room = limits.room_seen(found)
    reviewed = reviewed._replace(room=room)
    intent = Intent(wanted, marker_rule(Marker(revision, desired.digest), wanted.last_own_table))
    chosen = _target(situation, intent, found, room)
    reviewed = reviewed._replace(losses=chosen.losses)
    if chosen.intent is None:
        return reviewed._replace(violations=chosen.violations)
    target, mark = chosen.intent
    age = situation.now - situation.asked
    comparison = reconcile(target, rest, held=situation.held, age=age)
    if read_back.knows_better(comparison, rest):
        rest = read_back.as_sent(rest)
        comparison = reconcile(target, rest, held=situation.held, age=age)
    read_back.learn(comparison, situation.now, all_taken=limits.all_taken)
    reviewed = reviewed._replace(
        mark=mark,
        comparison=comparison,
        others=comparison.others,
        read_back=read_back,
        any_cookie=read_back.cuts_cookies or not all(each.is_managed for each in marks),
    )
    plan = _plan(situation, room, comparison, rest, (mark, marks), target) if situation.may_plan else None
    if plan:
        return reviewed._replace(plan=plan, violations=chosen.violations)
    return reviewed._replace(violations=[*chosen.violations, *_not_as_sent(comparison)])


def change_over(held: Ruleset, mark: FlowRule, situation: Situation) -> ChangeOver | None:
    """Return the change from ``held`` with its marker to what the policy wants, without reading the table.

    Return None where the table should be read first.
    """
    desired, limits = situation.desired, situation.limits
    try:
        wanted = desired.wanted(situation.now, situation.tables)
    except ValueError:
        return None
    _, shortage = fitting(wanted, (), limits.able.room)
    if situation.revision is None:
        known = [mark] if situation.last is None else [mark, situation.last[1]]
        revision = next_revision(desired.digest, known)
    else:
        revision = situation.revision
        if newer_policy(Marker(revision, desired.digest), [mark]):
            return None
    if shortage:
        return None
    new_mark = marker_rule(Marker(revision, desired.digest), wanted.last_own_table)
    plan = plan_changes(difference(held, wanted), held, wanted, limits.able)
    return ChangeOver(wanted, revision, new_mark, plan._replace(first=mark_changes(new_mark, [mark])))


def _target(
    situation: Situation, wanted: Intent, found: Sequence[InstalledRule], room: Mapping[int, int]
) -> Target:
    def before() -> Intent | None:
        if situation.last is None:
            return None
        desired, mark = situation.last
        try:
            return Intent(desired.wanted(situation.now, situation.tables), mark)
        except ValueError:  # the switch came back with fewer tables
            return None

    def settings_without(keys: Iterable[Key]) -> list[str]:
        return situation.desired.settings_without(keys, situation.now, situation.tables)

    return choose_target(wanted, before, found, room, situation.limits.refused, settings_without)


def _plan(
    situation: Situation,
    room: Mapping[int, int],
    comparison: Comparison,
    found: Sequence[InstalledRule],
    marks: tuple[FlowRule, Sequence[FlowRule]],
    wanted: Ruleset,
) -> Plan:
    """Return the plan without changes that were refused, or had no effect a moment ago.

    ``marks`` are the wanted marker and those found.
    """
    limits, read_back, now = situation.limits, situation.read_back, situation.now
    repairs = comparison.repairs
    if read_back.next_at(now) is not None:
        repairs = UpdateStep(change for change in repairs if not read_back.waits(change, now))
    first = (*mark_changes(*marks), *comparison.renewals)
    if limits.refused:
        repairs = UpdateStep(filterfalse(limits.has_refused, repairs))
        first = (*filterfalse(limits.has_refused, first),)
    plan = Plan((), first=first)
    if repairs:
        table = Ruleset([[each.rule for each in found]])
        able = limits.able._replace(room=room)
        plan = plan_changes(repairs, table, wanted, able)._replace(first=first)
    return plan


def _not_as_sent(comparison: Comparison) -> Iterable[str]:
    if comparison.differences:
        yield f"its table is not as sent: {summary(comparison.differences)}"
        if any(change.before is not None for change in comparison.repairs):
            yield "the switch reports it in another form"
