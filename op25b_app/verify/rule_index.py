"""Rules of a switch, prepared once for all proofs that meet them again.

Rules that differ in one address only are a tree, which changes with the rules that come and go. The rules of
a port are kept apart.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from op25b_app.openflow.fields import BY_NAME
from op25b_app.openflow.flow_rule import FlowRule, Goto, Match, Output, without_copy
from op25b_app.openflow.instruction_decoder import stored_rule
from op25b_app.openflow.stored_rule import GotoTable, sends
from op25b_app.policy.model import Verdict
from op25b_app.verify.address_classes import ADDRESS_FIELDS, CELLS, AddressDiagrams, ClassDiagrams, Range
from op25b_app.verify.diagram import Diagram
from op25b_app.verify.header import LEVELS, SIZES, TooManyIntervalsError, intervals
from op25b_app.verify.prefix_tree import Entry, PrefixTree, Ranked, are_identical, difference, overlaid
from op25b_app.verify.shared_diagrams import SharedDiagrams

Fields: TypeAlias = tuple[tuple[str, tuple[Range, ...]], ...]
"""Names of header fields, each with the accepted ranges of values."""


class Shape(NamedTuple):
    """Common part of rules that differ in one address, outcome and priority."""

    table: int
    name: str
    """Name of the address field, behind which no rule tests another field."""
    others: Match


class NotModelledError(Exception):
    """Only the proof from scratch can tell what these rules do."""


@dataclass(frozen=True, order=True)
class Jump:
    """The packet goes on to another table; ``only_counts`` for a rule of monitor mode."""

    table: int
    only_counts: bool


class PreparedRule(NamedTuple):
    """A rule by its table, the accepted values of each match field, its priority and its outcome."""

    table: int
    fields: Fields
    ranked: Ranked


class RuleIndex:
    """Rules that a policy wants, or some of them; ``before`` is an index of others, most of them the same.

    Raises NotModelledError where a rule does what op25b's usual rules never do.
    """

    def __init__(
        self, addresses: AddressDiagrams, rules: Sequence[FlowRule], before: RuleIndex | None = None
    ) -> None:
        self.rules = rules
        """The rules themselves, known by their identity; no other has it as long as this lives."""
        self._trees: dict[Shape, PrefixTree] = {}
        self._single: dict[int, PreparedRule] = {}
        self._of_ports: dict[int, tuple[int, PreparedRule]] = {}
        removed: Sequence[FlowRule] = ()
        added = rules
        if before is not None:
            less, more = difference(before.rules, rules, id, are_identical)
            if len(less) + len(more) < len(rules) // 2:
                removed, added = less, more
                self._trees = {**before._trees}
                self._single = {**before._single}
                self._of_ports = {**before._of_ports}
        self._change(removed, added)
        self.families = {
            shape: tree.function(addresses, addresses.level(ADDRESS_FIELDS[LEVELS[shape.name]]))
            for shape, tree in self._trees.items()
        }
        """Functions of an address that rules of one shape make, to ``Ranked`` or None."""
        self.single = frozenset(self._single.values())
        """The other rules of no single port."""
        self.by_port: dict[int, list[PreparedRule]] = {}
        for port, rule in self._of_ports.values():
            self.by_port.setdefault(port, []).append(rule)

    def _change(self, removed: Iterable[FlowRule], added: Iterable[FlowRule]) -> None:
        changes: dict[Shape, tuple[list[Entry], list[Entry]]] = {}
        singles: dict[Shape, tuple[list[FlowRule], list[FlowRule]]] = {}
        for is_new, rules in enumerate((removed, added)):
            for rule in rules:
                port, place = _plan_of(rule.match)
                if not is_new and (id(rule) in self._single or id(rule) in self._of_ports):
                    self._single.pop(id(rule), None)
                    self._of_ports.pop(id(rule), None)
                    continue
                if port is not None:
                    self._of_ports[id(rule)] = _port_rule(rule, port)
                    continue
                entry = _entry(rule, place) if place is not None else None
                if entry is None or place is None:
                    self._single[id(rule)] = _prepared(rule)
                    continue
                match = rule.match
                shape = Shape(rule.table, match[place].name, match[:place] + match[place + 1 :])
                changes.setdefault(shape, ([], []))[is_new].append(entry)
                singles.setdefault(shape, ([], []))[is_new].append(rule)
        for shape, (less, more) in changes.items():
            tree = self._trees.get(shape)
            if tree is None and len(more) < _FEW:
                self._single.update((id(rule), _prepared(rule)) for rule in singles[shape][1])
                continue
            tree = (tree or PrefixTree.of_width(BY_NAME[shape.name].bits)).changed(less, more)
            if tree:
                self._trees[shape] = tree
            else:
                self._trees.pop(shape, None)


def function_of(diagrams: ClassDiagrams, rule: PreparedRule, cells: Mapping[str, Range]) -> Diagram:
    """Return the function of one rule; ``cells`` are for the fields that test those."""
    inside = [
        (CELLS[name], (cells[name],)) if name in cells else (LEVELS[name], accepted)
        for name, accepted in rule.fields
    ]
    return _nested(diagrams, inside, diagrams.leaf(rule.ranked))


def function_of_family(diagrams: ClassDiagrams, shape: Shape, function: Diagram) -> Diagram:
    """Return the function of the rules of one shape; ``function`` is that of the address."""
    answers = diagrams.answered(LEVELS[shape.name], ("rules", shape), function)
    inside = [(LEVELS[name], _ranges(name, value, mask)) for name, value, mask in shape.others]
    return _nested(diagrams, inside, answers)


def together(diagrams: SharedDiagrams, functions: Sequence[Diagram]) -> Diagram:
    """Return the function that decides between many; none of them is no rule."""
    if len(functions) <= 1:
        return functions[0] if functions else diagrams.leaf(None)
    middle = len(functions) // 2
    return overlaid(diagrams, together(diagrams, functions[:middle]), together(diagrams, functions[middle:]))


class _Plan(NamedTuple):
    """Places in a match: of the port, and of an address behind which no other field is tested."""

    port: int | None
    address: int | None


_plans: dict[tuple[str, ...], _Plan] = {}


def _plan_of(match: Match) -> _Plan:
    names = tuple([field[0] for field in match])
    plan = _plans.get(names)
    if plan is None:
        port = names.index("in_port") if "in_port" in names else None
        levels = [LEVELS.get(name, -1) for name in names]
        last = max(levels, default=-1)
        address = levels.index(last) if last in ADDRESS_FIELDS and min(levels) >= 0 else None
        plan = _Plan(port, address)
        if len(_plans) < _MAX_PLANS:
            _plans[names] = plan
    return plan


_MAX_PLANS = 1 << 10
_FEW = 4
"""Rules of one shape from which they are a tree."""


def _entry(rule: FlowRule, place: int) -> Entry | None:
    """Return the entry of a rule in a tree; None where its address is no prefix."""
    name, value, mask = rule.match[place]
    if mask is None:
        return Entry(value, 0, _ranked(rule))
    full = (1 << BY_NAME[name].bits) - 1
    free = full & ~mask
    if free & (free + 1) or value & ~mask or mask & ~full:
        return None
    return Entry(value, free.bit_length(), _ranked(rule))


def _port_rule(rule: FlowRule, place: int) -> tuple[int, PreparedRule]:
    _, port, mask = rule.match[place]
    if mask is not None:
        raise NotModelledError
    match = rule.match[:place] + rule.match[place + 1 :]
    return port, PreparedRule(rule.table, _fields(match), _ranked(rule))


def _prepared(rule: FlowRule) -> PreparedRule:
    return PreparedRule(rule.table, _fields(rule.match), _ranked(rule))


def _fields(match: Match) -> Fields:
    return tuple([(name, _ranges(name, value, mask)) for name, value, mask in match])


def _ranges(name: str, value: int, mask: int | None) -> tuple[Range, ...]:
    if name in LEVELS and name != "vlan_vid":
        full = SIZES[LEVELS[name]] - 1
        free = 0 if mask is None else full & ~mask
        if not free & (free + 1):
            return ((value, value | free),) if not value & (free | ~full) else ()
    try:
        return tuple((first, last) for first, last in intervals(name, value, mask))
    except (KeyError, TooManyIntervalsError):
        raise NotModelledError from None


def _nested(
    diagrams: ClassDiagrams, accepted: Iterable[tuple[int, tuple[Range, ...]]], function: Diagram
) -> Diagram:
    """Return ``function`` where all fields are in their ranges, else nothing; it tests later fields only."""
    nothing = diagrams.leaf(None)
    for field, ranges in sorted(accepted, reverse=True):
        function = diagrams.intervals(field, ((*each, function) for each in ranges), nothing)
    return function


_outcomes: dict[Hashable, Verdict | Jump] = {}


def _ranked(rule: FlowRule) -> Ranked:
    name = rule.action, rule.cookie >> 40
    outcome = _outcomes.get(name)
    if outcome is None:
        action = without_copy(rule.action)
        if not rule.is_managed or not (action is None or isinstance(action, (Goto, Output))):
            raise NotModelledError
        outcome = _outcome(rule)
        if len(_outcomes) < _MAX_PLANS:
            _outcomes[name] = outcome
    return Ranked(rule.priority, outcome)


def _outcome(rule: FlowRule) -> Verdict | Jump:
    held = stored_rule(rule, "")
    permit = Verdict.WOULD_BLOCK if held.only_counts else Verdict.PERMIT
    for step in held.steps:
        if isinstance(step, GotoTable):
            return Jump(step.table, held.only_counts)
        if sends(step):
            return permit
    return Verdict.BLOCK
