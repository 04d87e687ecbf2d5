"""Choose the target rules: those the policy wants, as far as the switch has room and takes them.

Where less than the whole would open something, the target is what the policy before wanted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from op25b_app.compiler.marker import is_marker
from op25b_app.compiler.pipeline import Table
from op25b_app.openflow.codec import FlowModCommand, FlowStats
from op25b_app.openflow.errors import ABOUT_MATCHES, explain
from op25b_app.openflow.flow_mods import Change
from op25b_app.openflow.flow_rule import FlowRule, RuleRole
from op25b_app.openflow.oxm import ReportedMatch
from op25b_app.sync.capacity import fit, is_dispensable
from op25b_app.sync.protocol import RefusedChange
from op25b_app.sync.reconcile import describe
from op25b_app.sync.ruleset import Key, Ruleset
from op25b_app.sync.update_orders import DROP_ALL
from op25b_app.sync.update_plan import GATES, MARKERS
from op25b_app.sync.words import count

_RESTRICTING = (RuleRole.BLOCK, RuleRole.WOULD_BLOCK, RuleRole.SELECT)
"""Roles of rules that block, or hand over to a table that does."""


class MarkedRuleset(NamedTuple):
    """Rules that a policy wants on a switch, and its marker."""

    rules: Ruleset
    marker: FlowRule


class TargetRules(NamedTuple):
    """Target rules, and sentences on what prevents all that the policy wants.

    Without a ``ruleset`` the table is to stay as it is. ``losses`` are what the switch lacks although all
    that the policy says can be had.
    """

    ruleset: MarkedRuleset | None
    violations: list[str]
    losses: Sequence[str] = ()


def choose_target(
    wanted: MarkedRuleset,
    before: Callable[[], MarkedRuleset | None],
    found: Sequence[FlowStats],
    capacity: Mapping[int, int],
    refused: Mapping[Key, RefusedChange],
    settings_without: Callable[[Iterable[Key]], list[str]] = lambda keys: [],
) -> TargetRules:
    """Return the target rules for a table with the rules ``found``.

    ``before`` returns the present rules of the policy that the switch last held completely, if any.
    ``capacity`` is the capacity by table, in rules, and ``refused`` has changes by key. ``settings_without``
    names the settings that do without rules of these keys.
    """
    rules, shortage = fitting(wanted.rules, found, capacity)
    about_rules = {key: each for key, each in refused.items() if not is_marker(each.change.rule)}
    losses = [_without_marker(each) for key, each in refused.items() if key not in about_rules]
    refusals = _refusals(about_rules, wanted.rules, settings_without)
    violations = [*([shortage] if shortage else ()), *refusals]
    if rules is not None and (taken := _acceptable(rules, refused)) is not None:
        return TargetRules(wanted._replace(rules=taken), violations, losses[:1])
    earlier, present = before(), {each.rule.key: each.rule.action for each in found}
    if earlier is not None:
        rules, shortage = fitting(earlier.rules, found, capacity)
        if rules is not None and not shortage and (taken := _acceptable(rules, refused)) is not None:
            kept = "it keeps the rules of the policy before"
            return TargetRules(earlier._replace(rules=taken), [*violations, kept])
    if DROP_ALL.key in present:
        return TargetRules(None, [*violations, "everything is blocked, so that nothing opens"])
    if earlier is not None and earlier.marker == wanted.marker:
        restricting = (
            rule
            for rule in wanted.rules.rules
            if (rule.key in present and present[rule.key] == rule.action)
            or (rule.role in _RESTRICTING and rule.key not in refused)
        )
        partial = wanted._replace(rules=Ruleset([[*restricting]], changes=wanted.rules.changes))
        return TargetRules(partial, [*violations, "no other permitting rule is put right"])
    closed = all(table > Table.ADMIT or action is None for (table, _, _), action in present.items())
    kept = "no more was sent, so that nothing opens" + (", and everything is blocked" if closed else "")
    return TargetRules(None, [*violations, kept])


def fitting(
    wanted: Ruleset, found: Sequence[FlowStats], capacity: Mapping[int, int]
) -> tuple[Ruleset | None, str]:
    """Return the wanted rules that the tables have room for, and in words what there is no room for.

    The rules are None where those that block do not fit. Reported capacity is advice (OpenFlow 1.3.5, section
    7.3.5.5); what a switch holds is a fact. Some places are kept for markers and the gate.
    """
    most = len(found) + len(wanted) + MARKERS + GATES
    if most <= min(capacity.values(), default=most):
        return wanted, ""
    held = Counter(each.rule.table for each in found)
    others = Counter(each.rule.table for each in found if not each.rule.is_managed)
    others[wanted.last_own_table] += MARKERS
    others[Table.ADMIT] += GATES
    left = {table: max(places, held[table]) - others[table] for table, places in capacity.items()}
    return fit(wanted, left)


def _acceptable(wanted: Ruleset, refused: Mapping[Key, RefusedChange]) -> Ruleset | None:
    """Return the wanted rules without refused ones; None where more would pass without those.

    Only rules that permit something to some addresses can be left out. Changes that are no longer wanted are
    ignored. So is a rule with op25b's cookie that the switch reports unreadably and does not delete: no
    policy relies on it.
    """
    left_out: set[Key] = set()
    for key, (change, _) in refused.items():
        rule = wanted.by_key.get(key)
        is_wanted = rule is None if change.command is FlowModCommand.DELETE_STRICT else rule is not None
        if isinstance(change.rule.match, ReportedMatch):
            continue
        if is_marker(change.rule) or not is_wanted or (rule and rule.action != _meant(change, wanted).action):
            continue
        if rule is None or not is_dispensable(rule):
            return None
        if change.before is None or change.before.action != rule.action:
            left_out.add(key)
    return Ruleset([[rule for rule in wanted.rules if rule.key not in left_out]]) if left_out else wanted


def _meant(change: Change, wanted: Ruleset) -> FlowRule:
    """Return the rule that a change makes, or the one in whose place it blocks at first."""
    rule = wanted.by_key.get(change.rule.key)
    return rule if rule is not None and change.rule == rule._replace(action=None) else change.rule


def _refusals(
    refused: Mapping[Key, RefusedChange],
    wanted: Ruleset,
    settings_without: Callable[[Iterable[Key]], list[str]],
) -> Iterator[str]:
    """Yield what a switch has refused, why, and what to write instead."""
    for why, number in Counter(each.why for each in refused.values()).items():
        alike = [each.change for each in refused.values() if each.why == why]
        text = f"refused {count(number, 'rule')}: {explain(*why)}, first {describe(_meant(alike[0], wanted))}"
        keys = [change.rule.key for change in alike if change.rule.key in wanted.by_key]
        settings = settings_without(keys) if keys and why[0] in ABOUT_MATCHES else []
        named = " and ".join(f"'{setting}'" for setting in settings)
        verb = "does" if len(settings) == 1 else "do"
        yield f"{text}, which {named} {verb} without" if settings else text


def _without_marker(refused: RefusedChange) -> str:
    return (
        f"it takes no rule that says which policy it holds ({explain(*refused.why)}), so after a start the "
        "controller cannot distinguish a newer policy from its own"
    )
