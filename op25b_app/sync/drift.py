"""Track drift: rules that differ from the desired state by now, as the switch has reported.

A switch with a flow monitor reports every change of a rule, from any source; another reports managed rules
that are gone. So the repairs are known before the table is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from op25b_app.compiler.marker import is_marker
from op25b_app.compiler.pipeline import Table
from op25b_app.openflow import flow_monitor
from op25b_app.openflow.codec import FlowStats
from op25b_app.openflow.flow_removed import RemovedReason, decode_flow_removed, is_flow_removed
from op25b_app.openflow.flow_rule import FlowRule
from op25b_app.sync.reconcile import Comparison, describe, reconcile
from op25b_app.sync.resync_schedule import Disturbance
from op25b_app.sync.ruleset import Key, Ruleset


class RuleReport(NamedTuple):
    """Report of a switch on one rule: it is present now or, if ``gone``, no longer.

    A rule that ``ended`` is gone by its time-out. Without a ``rule`` the report is incomplete. For a change
    over this connection it may have only the ``xid``, for a bundle that of its first message.
    """

    rule: FlowRule | None
    gone: bool = False
    ended: bool = False
    xid: int | None = None


def decode_rule_reports(message: bytes) -> Iterator[RuleReport]:
    """Yield the rule changes that a message reports, in their order; nothing for other messages.

    Raises ValueError for a message that breaks the format.
    """
    if is_flow_removed(message):
        removed = decode_flow_removed(message)
        yield RuleReport(removed.rule, gone=True, ended=_is_end(removed.reason))
    elif flow_monitor.is_flow_update(message):
        for update in flow_monitor.decode_updates(message):
            if update.event in (flow_monitor.FlowEvent.ADDED, flow_monitor.FlowEvent.MODIFIED):
                yield RuleReport(update.rule)
            elif update.event is flow_monitor.FlowEvent.REMOVED:
                yield RuleReport(update.rule, gone=True, ended=_is_end(update.reason))
            else:
                yield RuleReport(None, xid=update.xid if update.event is flow_monitor.FlowEvent.OWN else None)


def disturbance_of(report: RuleReport, wanted: Ruleset | None, marker: FlowRule | None) -> Disturbance:
    """Return how much a report disturbs a switch that shall hold these rules and this marker."""
    rule = report.rule
    if rule is None or wanted is None:
        return Disturbance.OURS
    if rule.key in wanted.by_key or (marker is not None and rule.key == marker.key):
        place = wanted.by_key.get(rule.key, marker)
        return Disturbance.NONE if rule == place and not report.gone else Disturbance.OURS
    if rule.is_managed:
        return Disturbance.NONE if report.gone else Disturbance.OURS
    if rule.table == Table.ADMIT:
        # Below the managed rule that matches every packet, no packet meets it.
        return Disturbance.OTHERS if rule.priority >= wanted.floor else Disturbance.NONE
    return Disturbance.OURS if rule.table <= wanted.last_own_table else Disturbance.NONE


class Drift:
    """Rules that have changed since a table was as wanted, by the latest report on each."""

    def __init__(self) -> None:
        self._found: dict[Key, FlowRule | None] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def note(self, report: RuleReport, wanted: Ruleset) -> None:
        """Remember a changed rule if it is to be repaired.

        Rules with a time-out are left to the next look at the table, since they only permit: how long they
        are to last depends on the moment. So are markers.
        """
        rule = report.rule
        if rule is None or is_marker(rule):
            return
        counterpart = wanted.by_key.get(rule.key)
        if counterpart is None and not rule.is_managed and rule.key not in self._found:
            return
        if counterpart is not None and counterpart.hard_timeout:
            return
        self._found[rule.key] = None if report.gone else rule

    def comparison(self, wanted: Ruleset) -> Comparison:
        """Return the repairs of all that has drifted, in no particular order."""
        meant = Ruleset([[wanted.by_key[key] for key in self._found if key in wanted.by_key]])
        found = [FlowStats(rule, 0, 0) for rule in self._found.values() if rule is not None]
        return reconcile(meant, found, held=meant)

    def table(self, wanted: Ruleset) -> Ruleset:
        """Return the present rules of a table that was as wanted."""
        changed = {id(wanted.by_key[key]) for key in self._found if key in wanted.by_key}
        present = [rule for rule in self._found.values() if rule is not None]
        return Ruleset([*wanted.segments_without(changed), present])


def describe_report(report: RuleReport) -> str:
    """Return, in words, what has happened to a rule."""
    if report.xid is not None:
        return "another application of this controller has changed rules"
    if report.rule is None:
        return "it has not reported all changes"
    if report.gone:
        rule = report.rule._replace(action=None)
        return f"a rule is gone: {describe(rule).rpartition(' -> ')[0]}"
    return f"a rule was added or changed: {describe(report.rule)}"


def supersedes(report: RuleReport, marker: FlowRule | None) -> bool:
    """Return whether a report is of a marker other than ``marker``, which another controller writes first."""
    return report.rule is not None and not report.gone and is_marker(report.rule) and report.rule != marker


def _is_end(reason: int) -> bool:
    return reason in (RemovedReason.HARD_TIMEOUT, RemovedReason.IDLE_TIMEOUT)
