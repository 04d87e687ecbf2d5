"""Choose the rules to leave out where a table has no room for all of them, or does not take some."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from op25b_app.openflow.flow_rule import FlowRule, RuleRole
from op25b_app.sync.ruleset import Ruleset

_DISPENSABLE_ROLES = (
    RuleRole.SNOOP,
    RuleRole.TUNNEL,
    RuleRole.SOURCE,
    RuleRole.STATIC,
    RuleRole.EXCEPTION,
    RuleRole.MAIL_DESTINATION,
    RuleRole.SERVICE,
)
"""Roles of rules that only copy, or permit something to some addresses, the first to be left out first."""


def fit(wanted: Ruleset, capacity: Mapping[int, int]) -> tuple[Ruleset | None, str]:
    """Leave out rules that permit, so that tables with little room block more than they should, not less.

    ``capacity`` is the number of managed rules that a table has room for; a table not named has enough.
    Return the rules that fit, and in words what does not. The rules are None where those that block, or that
    all else depends on, do not fit.
    """
    sizes = Counter(rule.table for rule in wanted.rules)
    full = {table: capacity[table] for table in sizes if sizes[table] > capacity.get(table, sizes[table])}
    if not full:
        return wanted, ""
    words = [
        f"room for {max(0, full[table])} of {sizes[table]} rules in table {int(table)}"
        for table in sorted(full)
    ]
    left_out: set[FlowRule] = set()
    for table, places in full.items():
        dispensable = _dispensable(wanted, table)
        missing = sizes[table] - places
        if missing > len(dispensable):
            return None, f"{' and '.join(words)}, too little for those that block"
        left_out |= {*dispensable[:missing]}
    kept = Ruleset([[rule for rule in wanted.rules if rule not in left_out]], changes=wanted.changes)
    return kept, f"{' and '.join(words)}: what the others would permit is blocked"


def is_dispensable(rule: FlowRule) -> bool:
    """Return whether a rule is managed and a table without it only blocks more, or copies less."""
    return rule.is_managed and rule.cookie >> 40 & 0xFF in _DISPENSABLE_ROLES and rule.action is not None


def _dispensable(wanted: Ruleset, table: int) -> list[FlowRule]:
    """Return the rules without which a table only blocks more, the first to be left out first."""
    return sorted(
        (rule for rule in wanted.rules if rule.table == table and is_dispensable(rule)),
        key=lambda rule: _DISPENSABLE_ROLES.index(rule.role),
    )
