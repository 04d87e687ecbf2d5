"""Rulesets: flow rules in an order in which they load safely, with cached lookups."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence, Set
from functools import cached_property
from itertools import chain
from operator import itemgetter

from op25b_app.compiler.pipeline import Table
from op25b_app.openflow.flow_rule import Action, FlowRule, Goto, GotoWithTag, Match, without_copy

Key = tuple[int, int, Match]
MAX_READ = 3
"""Maximum number of objects remembered for each rule."""

_OUTCOME = itemgetter(FlowRule._fields.index("table"), FlowRule._fields.index("action"))
_HARD_TIMEOUT = itemgetter(FlowRule._fields.index("hard_timeout"))

Outcomes = Mapping[int, frozenset[Action]]
"""Actions of the rules, by table."""


class Recognised(dict[int, int]):
    """Identity of a rule by that of an object read from a switch that reports it.

    The objects live as long as this, so that no other one has their identity.
    """

    def __init__(self) -> None:
        super().__init__()
        self.alive: list[object] = []


class Ruleset:
    """All rules of a switch, wanted or found; made once for all switches that shall have the same.

    ``segments`` are the rules in order; with ``changes``, others will be wanted at some time. Two sets are
    compared quickly where they share segments and rules as objects.
    """

    def __init__(self, segments: Iterable[Sequence[FlowRule]], *, changes: bool = False) -> None:
        self.changes = changes
        self.segments = tuple(segments)
        self.recognised = Recognised()

    @cached_property
    def rules(self) -> tuple[FlowRule, ...]:
        """All rules, in order."""
        return tuple(chain.from_iterable(self.segments))

    @cached_property
    def by_key(self) -> Mapping[Key, FlowRule]:
        """Rules by table, priority and match."""
        return {rule.key: rule for rule in self.rules}

    @cached_property
    def outcomes(self) -> Outcomes:
        """Actions of the rules, by table."""
        return outcomes_of(self.rules)

    @cached_property
    def timed(self) -> bool:
        """True where other rules, or rules with other time-outs, are wanted later."""
        return self.changes or any(map(_HARD_TIMEOUT, self.rules))

    @cached_property
    def meaning(self) -> Hashable:
        """Value equal for rules that do the same, time-outs aside; of lasting rules the identity."""
        ending = [segment for segment in self.segments if any(map(_HARD_TIMEOUT, segment))]
        lasting = tuple(id(segment) for segment in self.segments if segment not in ending)
        return lasting, frozenset((rule.key, rule.action) for segment in ending for rule in segment)

    @cached_property
    def last_own_table(self) -> int:
        """Last table that a rule is in; 0 without rules."""
        return max(self.outcomes, default=Table.ADMIT)

    @cached_property
    def floor(self) -> int:
        """Priority of the rule of table 0 that matches every packet; -1 without one."""
        admitting = (rule for rule in self.rules if rule.table == Table.ADMIT and not rule.match)
        return max((rule.priority for rule in admitting), default=-1)

    @cached_property
    def last_table(self) -> int:
        """Last table that a rule is in or leads to, other applications' tables among them."""
        targets = set().union(*(next_tables(self.outcomes, table) for table in self.outcomes))
        return max((self.last_own_table, *targets))

    def __len__(self) -> int:
        return sum(map(len, self.segments))

    def recognise(self, read: object, rule: FlowRule) -> None:
        """Remember that this object, when read again, reports ``rule`` as wanted."""
        # A new one, since another thread may be using this.
        if len(self.recognised) >= MAX_READ * len(self):
            self.recognised = Recognised()
        self.recognised.alive.append(read)
        self.recognised[id(read)] = id(rule)

    def segments_without(self, identities: Set[int]) -> list[Sequence[FlowRule]]:
        """Return the segments without the rules of these identities (``id``)."""
        return [
            [rule for rule in segment if id(rule) not in identities]
            if not identities.isdisjoint(map(id, segment))
            else segment
            for segment in self.segments
        ]

    def without(self, other: Ruleset) -> list[FlowRule]:
        """Return the rules that are not, as objects, in ``other``."""
        shared = set(map(id, other.segments))
        mine = [segment for segment in self.segments if id(segment) not in shared]
        known = set(map(id, chain.from_iterable(other.segments))) if mine else set()
        return [rule for segment in mine for rule in segment if id(rule) not in known]


def outcomes_of(rules: Iterable[FlowRule]) -> Outcomes:
    """Return the actions of the rules, by table."""
    outcomes: dict[int, set[Action]] = {}
    for table, action in set(map(_OUTCOME, rules)):
        outcomes.setdefault(table, set()).add(action)
    return {table: frozenset(actions) for table, actions in outcomes.items()}


def next_tables(outcomes: Outcomes, table: int) -> set[int]:
    """Return the tables to which a packet may go on from ``table``."""
    actions = map(without_copy, outcomes.get(table, ()))
    return {action.table for action in actions if isinstance(action, (Goto, GotoWithTag))}
