"""Prove tables again and again, in time that grows with what has changed.

A proof is a comparison of two functions of the header, as in ``verify/prove.py``: what the rules do, and what
the policy says. Both are made from parts that are remembered, of other switches and of earlier policies. No
part is trusted: each is a pure function of rules, or of the policy, and equal functions are one object.

A packet comes in at one port. So the ports of a switch are proven one by one, and lines that are alike only
once (``verify/port_policy.py``). Where that does not show that a table is right, it may still be so; a proof
from scratch tells, and finds the packet that is treated differently.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from op25b_app.net.port_number import LOCAL_PORT
from op25b_app.openflow.flow_rule import FlowRule
from op25b_app.policy.canonical import meaning
from op25b_app.policy.model import Binding, Policy, PortRole, SubscriberPort, Switch, Verdict
from op25b_app.verify.address_classes import CELL_FIELDS, ClassDiagrams, Range
from op25b_app.verify.budget import Budget, OverBudgetError, steps_for
from op25b_app.verify.diagram import Diagram
from op25b_app.verify.port_policy import NO_LINE, Cells, Line, PolicyContext, PortPolicy
from op25b_app.verify.prefix_tree import Ranked
from op25b_app.verify.prove import LAST_PORT, ethernet_domain
from op25b_app.verify.rule_index import (
    Jump,
    NotModelledError,
    PreparedRule,
    RuleIndex,
    Shape,
    function_of,
    function_of_family,
    together,
)

MAX_SIZE = 1 << 24
"""Edges and results of diagrams that are remembered; above it, all are forgotten before the next proof."""
ROOM = 1 << 21
"""The same, that what was may take, apart from twice what the first proof needs: lines come and go."""
_LARGE = 1 << 10
"""Rules from which a segment is compared with the one before it."""
_OF_PORTS = frozenset(
    {"name", "dpid", "certificate", "subscriber_ports", "uplink_ports", "trusted_ports", "vlans", "bindings"}
)
"""Fields of a switch that do not matter at a port, or that are known for each port."""

Segments: TypeAlias = Iterable[Sequence[FlowRule]]
_Name = TypeVar("_Name", bound=Hashable)
_Value = TypeVar("_Value")


class Prover:
    """Proves tables of op25b's rules for policies that follow one another; one thread may use it at a time.

    What is remembered is bounded: there is a largest size, at which everything is forgotten, and what two
    successive policies did not need is forgotten with them.
    """

    def __init__(self, max_size: int = MAX_SIZE) -> None:
        self._max_size = max_size
        self._limit: int
        self._is_new: bool
        self._forget()

    @property
    def size(self) -> int:
        """The number of edges and results of diagrams that are remembered."""
        return self._diagrams.size

    def proves(
        self,
        policy: Policy,
        switch: Switch,
        segments: Segments,
        at: float,
        others: Iterable[FlowRule] = (),
        is_over: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Return whether a table is shown to do what the policy says at a moment (seconds since 1970).

        False means that it is not shown, and no more. The table has the rules of ``segments`` and ``others``.
        Segments that other tables have too are best the same objects.
        """
        if self.size > self._limit or len(self._policies) > _MAX_KNOWN:
            self._forget()
        used = tuple(tuple(segment) for segment in segments if segment)  # a list might change later
        budget = Budget(steps_for(sum(map(len, used))), is_over)
        self._diagrams.budget = self._diagrams.addresses.budget = budget
        try:
            context = self._context_of(policy)
            table, places = self._prepared(context, switch, used)
            if any(map(table.may_meet, others)):
                return False
            holds = all(self._holds(context, table, switch, at, place) for place in places)
            if self._is_new:
                self._limit = min(self._max_size, 2 * self.size + ROOM)
                self._is_new = False
            return holds
        except (NotModelledError, OverBudgetError):
            return False

    def _forget(self) -> None:
        self._limit, self._is_new = self._max_size, True
        self._diagrams = ClassDiagrams()
        self._context: PolicyContext | None = None
        self._indices: _Recent[int, RuleIndex] = _Recent()
        self._latest: _Recent[Hashable, RuleIndex] = _Recent()
        self._meanings: _Recent[int, tuple[Switch, Hashable]] = _Recent()
        self._alike: _Recent[_PortLine, _PortLine] = _Recent()
        """One object for all lines that are alike."""
        self._tables: _Recent[Hashable, _Table] = _Recent()
        """One object for all tables that differ in the rules of ports only."""
        self._switches: _Recent[str, tuple[_MadeOf, _Table, list[_Place]]] = _Recent()
        self._held: _Recent[_Kind, bool] = _Recent()
        self._policies: dict[Hashable, int] = {}
        """Numbers of what policies say, apart from prefixes and switches."""

    def _context_of(self, policy: Policy) -> PolicyContext:
        before = self._context
        if before is None or before.policy is not policy:
            self._context = None
            for known in (
                ()
                if before is not None and before.differs_in_lines_from(policy)
                else (
                    self._indices,
                    self._latest,
                    self._meanings,
                    self._alike,
                    self._tables,
                    self._switches,
                    self._held,
                )
            ):
                known.turn()
            before = self._context = PolicyContext(self._diagrams.addresses, policy, before)
        return before

    def _index_of(self, switch: Switch, segment: Sequence[FlowRule]) -> RuleIndex:
        known = self._indices.get(id(segment))
        if len(segment) < _LARGE:
            if known is None:
                known = RuleIndex(self._diagrams.addresses, segment)
                if not known.by_port:  # the rules of ports would be most of what is remembered
                    self._indices.put(id(segment), known)
            return known
        first = segment[0]
        names = tuple(field.name for field in first.match)
        kind = first.table, first.cookie >> 40, names, first.action
        if known is None:
            before = self._latest.get((switch.name, kind)) or self._latest.get(kind)
            known = RuleIndex(self._diagrams.addresses, segment, before)
            self._indices.put(id(segment), known)
        self._latest.put(kind, known)
        self._latest.put((switch.name, kind), known)
        return known

    def _prepared(
        self, context: PolicyContext, switch: Switch, segments: Sequence[Sequence[FlowRule]]
    ) -> tuple[_Table, list[_Place]]:
        """Return the table of a switch, and ports that stand for all: no two of them are alike."""
        excepted = context.ports_of_exceptions.get(switch.name, frozenset())
        known = self._switches.get(switch.name)
        made_of = _MadeOf(switch, segments, context.labelled_by_version, excepted)
        if known is None or not known[0].is_same(made_of):
            indices = [self._index_of(switch, segment) for segment in segments]
            table = _Table(self._diagrams, indices, switch.forwarding_table)
            places = self._places(context, switch, indices, excepted)
            table = self._tables.get(table.common) or table
            self._tables.put(table.common, table)
            known = made_of, table, places
            self._switches.put(switch.name, known)
        else:
            for segment in segments:
                if len(segment) >= _LARGE:
                    self._index_of(switch, segment)  # to remember it for the next policy
        return known[1:]

    def _places(
        self,
        context: PolicyContext,
        switch: Switch,
        indices: Iterable[RuleIndex],
        excepted: frozenset[int],
    ) -> list[_Place]:
        rules: dict[int | None, list[PreparedRule]] = {}
        for index in indices:
            for number, found in index.by_port.items():
                rules.setdefault(number, []).extend(found)
        bound: dict[int | None, list[Binding]] = {}
        for binding in switch.bindings:
            bound.setdefault(binding.port, []).append(binding)
        places: dict[Hashable, _Place] = {}
        for port, role in _ports(switch, rules.keys()):
            own, bindings = tuple(rules.get(port, ())), tuple(bound.get(port, ()))
            line = _port_line(context, own, bindings) if own or bindings else _NO_PORT_LINE
            line = self._alike.get(line) or line
            self._alike.put(line, line)
            tags = None if port is None else switch.vlans.get(port)
            alike = role, line, tags, port if port in excepted else None
            places.setdefault(alike, _Place(port, role, line, own, bindings, tags))
        return list(places.values())

    def _holds(self, context: PolicyContext, table: _Table, switch: Switch, at: float, place: _Place) -> bool:
        """Return whether what comes in at a port is treated as the policy says."""
        port, role, line, rules, bindings, tags = place
        own = tuple(
            number
            for number, entry in enumerate(context.in_force(at))
            if isinstance(entry.source, SubscriberPort) and entry.source[:2] == (switch.name, port)
        )
        says = self._policies.setdefault(context.says(at), len(self._policies))
        meant = self._meaning_of(switch)
        kind = _Kind(role, line, (), tags, meant, table.common, says, context.answers, own)
        policy = PortPolicy(self._diagrams, context, switch, at, port, line.line)
        if self._holds_of_kind(kind, policy, table):
            return True
        if not bindings:
            return False
        plain = _PortLine(NO_LINE, frozenset(_LineRule(rule, ()) for rule in rules))
        policy = PortPolicy(self._diagrams, context, switch, at, port, None)
        return self._holds_of_kind(kind._replace(line=plain, bindings=meaning(bindings)), policy, table)

    def _holds_of_kind(self, kind: _Kind, policy: PortPolicy, table: _Table) -> bool:
        held = self._held.get(kind)
        if held is None:
            held = self._compared(policy, kind.role, _Port(self._diagrams, table, kind.line.rules))
            self._held.put(kind, held)
        return held

    def _compared(self, policy: PortPolicy, role: PortRole, port: _Port) -> bool:
        diagrams = self._diagrams
        diagrams.begin({})
        while True:
            wanted, here = policy.verdicts(role), port.verdicts()
            domain = diagrams.both(ethernet_domain(diagrams, role), policy.domain())
            if not diagrams.classes.has_grown:
                break
            diagrams.classes.settle()
        domain = diagrams.both(diagrams.existing(), domain)
        nothing = diagrams.leaf(None)
        return diagrams.choose(domain, wanted, nothing) is diagrams.choose(domain, here, nothing)

    def _meaning_of(self, switch: Switch) -> Hashable:
        known = self._meanings.get(id(switch))
        if known is None:
            known = switch, meaning(switch, without=_OF_PORTS)
            self._meanings.put(id(switch), known)
        return known[1]


class _LineRule(NamedTuple):
    """A rule of a port; ``cells`` are those of the fields in which they say what is accepted."""

    rule: PreparedRule
    cells: tuple[tuple[str, Range], ...]


class _PortLine(NamedTuple):
    line: Line
    rules: frozenset[_LineRule]


_NO_PORT_LINE = _PortLine(NO_LINE, frozenset())


class _MadeOf(NamedTuple):
    """All that the table and the ports of a switch are made of."""

    switch: Switch
    segments: Sequence[Sequence[FlowRule]]
    labelled: tuple[Diagram, ...]
    excepted: frozenset[int]

    def is_same(self, other: _MadeOf) -> bool:
        """Return whether they are the same for the same switch, as an object."""
        return self.switch is other.switch and self[1:] == other[1:]


class _Place(NamedTuple):
    """A port with its role, rules, bindings and tags; None is any port of which nothing is said."""

    port: int | None
    role: PortRole
    line: _PortLine
    rules: tuple[PreparedRule, ...]
    bindings: tuple[Binding, ...]
    tags: frozenset[int | None] | None


class _Kind(NamedTuple):
    """All that the proof of a port depends on."""

    role: PortRole
    line: _PortLine
    bindings: Hashable
    """Bindings to the port, where they are not in the line."""
    tags: frozenset[int | None] | None
    switch: Hashable
    table: Hashable
    policy: int
    """Number of the statements of the policy, apart from prefixes and switches."""
    answers: tuple[Diagram, ...]
    """Its statements about addresses."""
    of_line: tuple[int, ...]
    """Places of the exceptions for the line, among those in force."""


class _Table:
    """All rules of a switch."""

    def __init__(self, diagrams: ClassDiagrams, indices: Sequence[RuleIndex], handover: int | None) -> None:
        self.handover = handover
        families: dict[Shape, list[Diagram]] = {}
        for index in indices:
            for shape, function in index.families.items():
                families.setdefault(shape, []).append(function)
        self.single = frozenset().union(*(index.single for index in indices))
        self.families = {
            shape: together(diagrams.addresses, functions) for shape, functions in families.items()
        }
        """Functions of an address that rules of one shape make, of no single port and many alike."""
        of_ports = itertools.chain.from_iterable(index.by_port.values() for index in indices)
        others = itertools.chain(self.single, *of_ports)
        self._reached = frozenset((0, *(shape.table for shape in families), *(rule.table for rule in others)))
        self.common = self.single, frozenset(self.families.items()), handover, self._reached
        """All but the rules of single ports."""
        every = [rule for rule in self.single if not rule.fields]
        self._floors = {rule.table: rule.ranked.rank for rule in sorted(every, key=_rank)}

    def may_meet(self, rule: FlowRule) -> bool:
        """Return whether a packet may come to a rule of another application, or of a marker.

        None does where no rule of op25b is, nor where one of higher priority takes every packet.
        """
        return rule.table in self._reached and rule.priority >= self._floors.get(rule.table, 0)


class _Port:
    """Rules of a switch, as they treat packets of one port."""

    def __init__(self, diagrams: ClassDiagrams, table: _Table, rules: Iterable[_LineRule]) -> None:
        self._diagrams = diagrams
        self._handover = table.handover
        self._rules = [
            *((rule, {}) for rule in table.single),
            *((rule, dict(cells)) for rule, cells in rules),
        ]
        self._families = self._flat(table.families)

    def _flat(self, families: Mapping[Shape, Diagram]) -> list[tuple[Shape, Diagram]]:
        """Return families with one priority where that makes no difference: none competes with its rules."""
        ranks: dict[int, set[int]] = {}
        for rule, _ in self._rules:
            ranks.setdefault(rule.table, set()).add(rule.ranked.rank)
        spans = {shape: _span(function) for shape, function in families.items()}
        found = []
        for shape, function in families.items():
            low, high = spans[shape]
            competes = any(low <= rank <= high for rank in ranks.get(shape.table, ())) or any(
                other.table == shape.table and other != shape and span[0] <= high and low <= span[1]
                for other, span in spans.items()
            )
            if not competes:
                function = self._diagrams.addresses.map(_OfRank(high), function)
            found.append((shape, function))
        return found

    def verdicts(self) -> Diagram:
        """Return the verdicts for packets that enter the first table."""
        diagrams = self._diagrams
        parts: dict[int, list[Diagram]] = {}
        for shape, function in self._families:
            parts.setdefault(shape.table, []).append(function_of_family(diagrams, shape, function))
        for rule, cells in self._rules:
            parts.setdefault(rule.table, []).append(function_of(diagrams, rule, cells))
        found: dict[int, Diagram] = {}
        for table in sorted({0, *parts}, reverse=True):
            found[table] = self._after_table(table, together(diagrams, parts.get(table, [])), found)
        return found[0]

    def _after_table(self, table: int, winners: Diagram, later: Mapping[int, Diagram]) -> Diagram:
        """Return the verdicts for packets that enter a table; ``later`` are those of the tables behind it."""
        diagrams = self._diagrams
        result = diagrams.map(_outcome_of, winners)
        for jump in sorted(value for value in result.values if isinstance(value, Jump)):
            if jump.table == self._handover:
                after = diagrams.leaf(Verdict.WOULD_BLOCK if jump.only_counts else Verdict.PERMIT)
            elif jump.table <= table:
                raise NotModelledError
            else:
                after = later.get(jump.table, diagrams.leaf(Verdict.BLOCK))
            graft = _Graft(jump)
            result = diagrams.apply(graft, result, after, graft.shortcut)
        return result


@dataclass(frozen=True)
class _OfRank:
    """The change of an answer to the same with another rank."""

    rank: int

    def __call__(self, ranked: Ranked | None) -> Ranked | None:
        return None if ranked is None else ranked._replace(rank=self.rank)


def _span(function: Diagram) -> Range:
    """Return the lowest and the highest rank of the values of a function."""
    ranks = [ranked.rank for ranked in function.values if isinstance(ranked, Ranked)]
    return min(ranks), max(ranks)


def _rank(rule: PreparedRule) -> int:
    return rule.ranked.rank


@dataclass(frozen=True)
class _Graft:
    """The operation that puts the verdicts after a jump in the place of the jump."""

    jump: Jump

    def __call__(self, value: Hashable, reached: Hashable) -> Hashable:
        return reached if value == self.jump else value

    def shortcut(self, result: Diagram, target: Diagram) -> Diagram | None:
        if self.jump not in result.values:
            return result
        return target if result.is_leaf else None


def _outcome_of(ranked: Ranked | None) -> Hashable:
    return Verdict.BLOCK if ranked is None else ranked.value


def _port_line(
    context: PolicyContext, rules: Iterable[PreparedRule], bindings: Sequence[Binding]
) -> _PortLine:
    """Return the rules and bindings of a port, in cells of its addresses where those make up a match."""
    cuts: dict[int, set[Range]] = {0: set(), 4: set(), 6: set()}
    for rule in rules:
        for name, accepted in rule.fields:
            if name in CELL_FIELDS:
                cuts[CELL_FIELDS[name]].update(accepted)
    cells = Cells(bindings, cuts)
    found = []
    for rule in rules:
        fields, in_cells = [], []
        for field in rule.fields:
            name, accepted = field
            place = None
            if name in CELL_FIELDS and len(accepted) == 1:
                place = cells.of(CELL_FIELDS[name], accepted[0])
            if place is None:
                fields.append(field)
            else:
                in_cells.append((name, place))
                fields.append((name, ()))
        found.append(_LineRule(rule._replace(fields=tuple(fields)), tuple(in_cells)))
    return _PortLine(cells.line(context), frozenset(found))


def _ports(switch: Switch, with_rules: Iterable[int | None]) -> Iterable[tuple[int | None, PortRole]]:
    """Yield the ports of a switch with their roles; None is every port of which nothing is said."""
    yield None, PortRole.SUBSCRIBER
    others = switch.uplink_ports | switch.trusted_ports
    yield from ((port, switch.role_of(port)) for port in others)
    bound = {binding.port for binding in switch.bindings}
    for port in {*switch.subscriber_ports, *switch.vlans, *bound, *with_rules} - others:
        if port is not None and (1 <= port <= LAST_PORT or port == LOCAL_PORT):
            yield port, PortRole.SUBSCRIBER


_MAX_KNOWN = 1 << 16


class _Recent(Generic[_Name, _Value]):
    """Values that were used since the last turn but one."""

    def __init__(self) -> None:
        self._now: dict[_Name, _Value] = {}
        self._before: dict[_Name, _Value] = {}

    def get(self, name: _Name) -> _Value | None:
        found = self._now.get(name)
        if found is None:
            found = self._before.get(name)
            if found is not None:
                self.put(name, found)
        return found

    def put(self, name: _Name, value: _Value) -> None:
        if len(self._now) >= _MAX_KNOWN:
            self.turn()
        self._now[name] = value

    def turn(self) -> None:
        self._before = self._now
        self._now = {}
