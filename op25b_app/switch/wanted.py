"""The rules wanted on a switch, with what is asked of them again and again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

from op25b_app.rules.flow import Action, FlowRule, Goto, Match, Tagged
from op25b_app.rules.pipeline import Table

Outcomes = Mapping[int, frozenset[Action]]
"""By table: what may become of a packet there."""


class Wanted:
    """Rules in an order in which they load safely; made once for all switches that shall have the same."""

    def __init__(self, rules: Iterable[FlowRule]) -> None:
        self.rules = tuple(rules)

    @cached_property
    def by_key(self) -> Mapping[tuple[int, int, Match], FlowRule]:
        return {rule.key: rule for rule in self.rules}

    @cached_property
    def outcomes(self) -> Outcomes:
        return outcomes_of(self.rules)

    @cached_property
    def timed(self) -> bool:
        """Whether some of the rules end by themselves, so that later ones are wanted with other time-outs."""
        return any(rule.hard_timeout for rule in self.rules)

    @cached_property
    def last_own_table(self) -> int:
        return max(self.outcomes, default=Table.ADMIT)

    @cached_property
    def last_table(self) -> int:
        """The last table that a rule is in or leads to, other applications' among them."""
        targets = set().union(*(next_tables(self.outcomes, table) for table in self.outcomes))
        return max((self.last_own_table, *targets))

    def __len__(self) -> int:
        return len(self.rules)


def outcomes_of(rules: Iterable[FlowRule]) -> Outcomes:
    """What may become of a packet in each table."""
    outcomes: dict[int, set[Action]] = {}
    for rule in rules:
        outcomes.setdefault(rule.table, set()).add(rule.action)
    return {table: frozenset(actions) for table, actions in outcomes.items()}


def next_tables(outcomes: Outcomes, table: int) -> set[int]:
    """The tables to which a packet may go on from ``table``."""
    return {action.table for action in outcomes.get(table, ()) if isinstance(action, (Goto, Tagged))}
