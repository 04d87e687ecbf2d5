"""Review a table that was read, or a policy that follows another: decide what to send or to report.

All functions take and return values, so they can run beside the event loop while the session goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import filterfalse
from typing import NamedTuple

from op25b_app.compiler.marker import Marker, marker_rule
from op25b_app.openflow import codec
from op25b_app.openflow.codec import FlowStats
from op25b_app.openflow.flow_mods import UpdateStep
from op25b_app.openflow.flow_rule import FlowRule
from op25b_app.sync.desired_state import DesiredState
from op25b_app.sync.protocol import SwitchLimits
from op25b_app.sync.read_back import ReadBack
from op25b_app.sync.reconcile import Comparison, difference, markers_among, reconcile
from op25b_app.sync.revisions import newer_policy, next_revision
from op25b_app.sync.ruleset import Key, Ruleset
from op25b_app.sync.target_rules import MarkedRuleset, TargetRules, choose_target, fitting
from op25b_app.sync.update_plan import UpdatePlan, marker_changes, plan_changes
from op25b_app.sync.words import summary


class ReviewContext(NamedTuple):
    """Knowledge of a session at a review; nothing changes these values.

    ``now`` and ``asked``, when the table was asked for, are in seconds since 1970. ``wanted`` is None where
    the rules must be compiled for this moment. ``last`` is the desired state and the marker that the
    switch last held completely, ``held`` the rules that it held completely over this connection. ``may_plan``
    is true where another plan may be sent.
    """

    desired: DesiredState
    tables: int
    limits: SwitchLimits
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
    is as new, or newer. Where ``needs_capacity`` is true, the switch is to be asked for the capacity of its
    tables. Otherwise there is a ``plan`` to carry out, or else the table stays as it is, with ``violations``
    if it is not as wanted. ``losses`` are what the switch lacks although it is as wanted. ``capacity`` is the
    capacity by table, ``markers`` and ``others`` are rules found that stay. ``read_back``
    is the updated knowledge of how the switch reports rules; with ``any_cookie`` rules are to be deleted
    whatever their cookies are.
    """

    problem: str = ""
    superseded: bool = False
    wanted: Ruleset | None = None
    revision: int | None = None
    needs_capacity: bool = False
    capacity: Mapping[int, int] = {}
    marker: FlowRule | None = None
    plan: UpdatePlan | None = None
    comparison: Comparison | None = None
    violations: Sequence[str] = ()
    markers: Sequence[FlowRule] = ()
    others: Sequence[FlowRule] = ()
    losses: Sequence[str] = ()
    read_back: ReadBack | None = None
    any_cookie: bool = False


class ChangeOver(NamedTuple):
    """Plan from one policy to the next, on a switch that is known to hold the one before."""

    wanted: Ruleset
    revision: int
    marker: FlowRule
    plan: UpdatePlan


def review(parts: Iterable[bytes], context: ReviewContext) -> Review:
    """Compare a table, as the messages that it came in, with what the policy wants.

    The result has a ``problem`` for malformed messages, and for rules that need more tables.
    """
    desired, limits = context.desired, context.limits
    try:
        reported = [rule for part in parts for rule in codec.decode_flow_stats(part)]
    except ValueError as problem:
        return Review(str(problem))
    read_back = context.read_back
    found = read_back.as_sent(reported)
    markers, rest = markers_among(found)
    revision = context.revision
    if revision is None:
        known = markers if context.last is None else (*markers, context.last[1])
        revision = next_revision(desired.digest, known)
    elif refusal := newer_policy(Marker(revision, desired.digest), markers):
        return Review(refusal, superseded=True)
    try:
        wanted = context.wanted or desired.wanted(context.now, context.tables)
    except ValueError as problem:
        return Review(str(problem), revision=revision)
    reviewed = Review(wanted=wanted, revision=revision, markers=markers)
    if limits.needs_capacity(len(wanted) - len(found)):
        return reviewed._replace(needs_capacity=True)
    capacity = limits.capacity_seen(found)
    asked = MarkedRuleset(wanted, marker_rule(Marker(revision, desired.digest), wanted.last_own_table))
    chosen = _target(context, asked, found, capacity)
    reviewed = reviewed._replace(capacity=capacity, losses=chosen.losses)
    if chosen.ruleset is None:
        return reviewed._replace(violations=chosen.violations)
    target, marker = chosen.ruleset
    age = context.now - context.asked
    comparison = reconcile(target, rest, held=context.held, age=age)
    if read_back.find_images(comparison, rest):
        rest = read_back.as_sent(rest)
        comparison = reconcile(target, rest, held=context.held, age=age)
    read_back.note_ineffective(comparison, context.now, all_taken=limits.all_taken)
    reviewed = reviewed._replace(
        marker=marker,
        comparison=comparison,
        others=comparison.others,
        read_back=read_back,
        any_cookie=read_back.cuts_cookies or not all(each.is_managed for each in markers),
    )
    plan = _plan(context, capacity, comparison, rest, (marker, markers), target) if context.may_plan else None
    if plan:
        return reviewed._replace(plan=plan, violations=chosen.violations)
    return reviewed._replace(violations=[*chosen.violations, *_not_as_sent(comparison)])


def change_over(held: Ruleset, marker: FlowRule, context: ReviewContext) -> ChangeOver | None:
    """Return the change from ``held`` with its marker to what the policy wants, without reading the table.

    Return None where the table should be read first.
    """
    desired, limits = context.desired, context.limits
    try:
        wanted = desired.wanted(context.now, context.tables)
    except ValueError:
        return None
    _, shortage = fitting(wanted, (), limits.known.usable.capacity)
    if context.revision is None:
        known = [marker] if context.last is None else [marker, context.last[1]]
        revision = next_revision(desired.digest, known)
    else:
        revision = context.revision
        if newer_policy(Marker(revision, desired.digest), [marker]):
            return None
    if shortage:
        return None
    new_marker = marker_rule(Marker(revision, desired.digest), wanted.last_own_table)
    plan = plan_changes(difference(held, wanted), held, wanted, limits.known.usable)
    return ChangeOver(wanted, revision, new_marker, plan._replace(first=marker_changes(new_marker, [marker])))


def _target(
    context: ReviewContext, wanted: MarkedRuleset, found: Sequence[FlowStats], capacity: Mapping[int, int]
) -> TargetRules:
    def before() -> MarkedRuleset | None:
        if context.last is None:
            return None
        desired, marker = context.last
        try:
            return MarkedRuleset(desired.wanted(context.now, context.tables), marker)
        except ValueError:  # the switch came back with fewer tables
            return None

    def settings_without(keys: Iterable[Key]) -> list[str]:
        return context.desired.settings_without(keys, context.now, context.tables)

    return choose_target(wanted, before, found, capacity, context.limits.refused, settings_without)


def _plan(
    context: ReviewContext,
    capacity: Mapping[int, int],
    comparison: Comparison,
    found: Sequence[FlowStats],
    markers: tuple[FlowRule, Sequence[FlowRule]],
    wanted: Ruleset,
) -> UpdatePlan:
    """Return the plan without changes that were refused, or had no effect a moment ago.

    ``markers`` are the wanted marker and those found.
    """
    limits, read_back, now = context.limits, context.read_back, context.now
    repairs = comparison.repairs
    if read_back.next_at(now) is not None:
        repairs = UpdateStep(change for change in repairs if not read_back.is_deferred(change, now))
    first = (*marker_changes(*markers), *comparison.renewals)
    if limits.refused:
        repairs = UpdateStep(filterfalse(limits.has_refused, repairs))
        first = (*filterfalse(limits.has_refused, first),)
    plan = UpdatePlan((), first=first)
    if repairs:
        table = Ruleset([[each.rule for each in found]])
        able = limits.known.usable._replace(capacity=capacity)
        plan = plan_changes(repairs, table, wanted, able)._replace(first=first)
    return plan


def _not_as_sent(comparison: Comparison) -> Iterable[str]:
    if comparison.differences:
        yield f"its table is not as sent: {summary(comparison.differences)}"
        if any(change.before is not None for change in comparison.repairs):
            yield "the switch reports it in another form"
