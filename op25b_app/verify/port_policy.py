"""The policy at one port of a switch, with the addresses of its line as conditions of their own.

Most lines differ only in their addresses. So an address or MAC address that belongs to the line of a port is
no number here: a header has, beside each address field, a field that says in which part of the line's
addresses it is (a cell; 0 for none). What holds for all values of both fields holds for every packet. So
lines whose rules and bindings are alike, cell for cell, are proven together.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import pairwise
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias

from op25b_app.net.prefix import WIDTH, Prefix
from op25b_app.policy.canonical import meaning
from op25b_app.policy.model import Binding, MailException, Policy, SubscriberPort, Switch
from op25b_app.verify.address_classes import CELL_FIELDS, CELLS, AddressDiagrams, ClassDiagrams, Range
from op25b_app.verify.diagram import Diagram
from op25b_app.verify.header import LEVELS
from op25b_app.verify.prefix_tree import Entry, PrefixTree, Ranked, difference
from op25b_app.verify.symbolic_policy import Side, SymbolicPolicy, with_nat64

_PREFIX = itemgetter(0)
_OF_PARTS = frozenset(
    {"dynamic", "static", "mail_destinations", "exceptions", "exceptions_by_name", "switches", "lines"}
)
"""Fields of a policy that are known in parts, permit nothing, or are felt as learned bindings."""
_FIELDS = tuple(field.name for field in fields(Policy) if field.compare)
_MAX_LABELS = 1 << 18

_Condition: TypeAlias = Callable[[Any], bool]


class Bound(NamedTuple):
    """A binding, by the cells of its addresses (by IP version) and of its MAC address, if any."""

    addresses: tuple[tuple[Range, ...], tuple[Range, ...]]
    mac: Range | None
    vlan: int | None


class Line(NamedTuple):
    """The bindings of a port; and for each cell of an address what the policy says of it otherwise.

    ``labels`` are by IP version; those of a cell are all that an address in it may have.
    """

    bindings: tuple[Bound, ...]
    labels: tuple[tuple[frozenset[Hashable], ...], tuple[frozenset[Hashable], ...]]


NO_LINE = Line((), ((), ()))


class Cells:
    """The addresses of a port's bindings, cut where one of ``cuts``, by kind, begins or ends."""

    def __init__(self, bindings: Iterable[Binding], cuts: Mapping[int, Iterable[Range]]) -> None:
        self._bindings = tuple(bindings)
        self._ranges: dict[int, list[Range]] = {0: [], 4: [], 6: []}
        bound: dict[int, list[Range]] = {0: [], 4: [], 6: []}
        for binding in self._bindings:
            if binding.mac is not None:
                bound[0].append((binding.mac, binding.mac))
            for prefix, _ in binding.addresses:
                bound[prefix.version].append((prefix.first, prefix.last))
        for kind, ranges in bound.items():
            self._ranges[kind] = list(_cut(ranges, cuts.get(kind, ())))
        self._first = {
            kind: {each[0]: n for n, each in enumerate(ranges, 1)} for kind, ranges in self._ranges.items()
        }
        self._last = {
            kind: {each[1]: n for n, each in enumerate(ranges, 1)} for kind, ranges in self._ranges.items()
        }

    def of(self, kind: int, values: Range) -> Range | None:
        """Return the first and last cell of a range of addresses; None where cells do not make it up."""
        first, last = self._first[kind].get(values[0]), self._last[kind].get(values[1])
        if first is None or last is None:
            return None
        gaps = any(one[1] + 1 != other[0] for one, other in pairwise(self._ranges[kind][first - 1 : last]))
        return None if gaps else (first, last)

    def line(self, context: PolicyContext) -> Line:
        """Return the line that has these cells."""
        bindings = []
        for binding in self._bindings:
            cells: dict[int, list[Range]] = {4: [], 6: []}
            for prefix, _ in binding.addresses:
                found = self.of(prefix.version, (prefix.first, prefix.last))
                assert found is not None, "cells are cut where a prefix begins or ends"
                cells[prefix.version].append(found)
            mac = None if binding.mac is None else self.of(0, (binding.mac, binding.mac))
            bindings.append(Bound((tuple(cells[4]), tuple(cells[6])), mac, binding.vlan))
        labels = self._labels(context, 4), self._labels(context, 6)
        return Line(tuple(bindings), labels)

    def _labels(self, context: PolicyContext, version: int) -> tuple[frozenset[Hashable], ...]:
        listed = [prefix for binding in self._bindings for prefix, _ in binding.addresses]
        around = [prefix for prefix in listed if prefix.version == version]
        return tuple(
            context.labels(next(prefix for prefix in around if prefix.first <= first <= prefix.last))
            for first, _ in self._ranges[version]
        )


class PolicyContext:
    """Common part of all ports under a policy; the trees of ``before`` are changed for it."""

    def __init__(
        self, addresses: AddressDiagrams, policy: Policy, before: PolicyContext | None = None
    ) -> None:
        self.policy = policy
        self.ports_of_exceptions: dict[str, frozenset[int]] = {}
        """Ports with exceptions of their own, by the name of the switch."""
        for entry in policy.exceptions:
            if isinstance(entry.source, SubscriberPort):
                name, port, _ = entry.source
                ports = self.ports_of_exceptions.get(name, frozenset())
                self.ports_of_exceptions[name] = ports | {port}
        self._in_force: tuple[float, tuple[MailException, ...]] | None = None
        self._rest = meaning(policy, without=_OF_PARTS)
        self._says: tuple[float, Hashable] | None = None
        self._addresses = addresses
        self._labels: dict[Prefix, frozenset[Hashable]] = {}
        self._lists: Mapping[str, Sequence[Prefix]]
        if before is not None and before.differs_in_lines_from(policy):
            self._lists = before._lists
        else:
            self._lists = {
                "dynamic": tuple(map(_PREFIX, policy.dynamic)),
                "static": tuple(map(_PREFIX, policy.static)),
                "mail": tuple(map(_PREFIX, policy.mail_destinations)),
            }
        self._nat64 = tuple(map(_PREFIX, policy.nat64_prefixes))
        self._bindings = {name: switch.bindings for name, switch in policy.switches.items()}
        self._trees: dict[tuple[str, int], PrefixTree] = {**before._trees} if before is not None else {}
        for name in ("dynamic", "static"):
            self._change("space", *self._differences(name, before), name)
        if before is not None and before._nat64 == self._nat64:
            less, more = self._differences("mail", before)
            self._change("mail", self._as_seen(less), self._as_seen(more), "mail")
        else:
            self._trees.pop(("mail", 4), None)
            self._trees.pop(("mail", 6), None)
            self._change("mail", (), self._as_seen(self._lists["mail"]), "mail")
        self._change("bound", *self._differences_of_bindings(before), "bound")
        self.functions = self._functions()
        """Functions of an address, by name and IP version."""
        self.answers = tuple(self.functions.values())
        is_small = before is not None and len(before._labels) < _MAX_LABELS
        if before is not None and is_small and before.functions == self.functions:
            self._labels = before._labels

    def differs_in_lines_from(self, policy: Policy) -> bool:
        """Return whether a policy is known to differ in its switches alone."""
        return all(
            getattr(policy, name) is getattr(self.policy, name) for name in _FIELDS if name != "switches"
        )

    def _differences(self, name: str, before: PolicyContext | None) -> tuple[list[Prefix], list[Prefix]]:
        old = before._lists[name] if before is not None else ()
        if old is self._lists[name]:
            return [], []
        return difference(old, self._lists[name], _itself)

    def _differences_of_bindings(self, before: PolicyContext | None) -> tuple[list[Prefix], list[Prefix]]:
        old = before._bindings if before is not None else {}
        removed, added = [], []
        for name in {**old, **self._bindings}:
            one, other = old.get(name, ()), self._bindings.get(name, ())
            if one is not other:
                less, more = difference(_prefixes(one), _prefixes(other), _itself)
                removed += less
                added += more
        return removed, added

    def _as_seen(self, prefixes: Iterable[Prefix]) -> list[Prefix]:
        """Return mail destinations and, of IPv4 ones, what IPv6 hosts see behind NAT64."""
        return with_nat64(self.policy, prefixes)

    def _change(self, name: str, removed: Iterable[Prefix], added: Iterable[Prefix], value: str) -> None:
        changes: dict[int, tuple[list[Entry], list[Entry]]] = {4: ([], []), 6: ([], [])}
        for is_new, prefixes in enumerate((removed, added)):
            for version, network, length in prefixes:
                rank = 2 * length + (value == "static") if name == "space" else 0
                entry = Entry(network, WIDTH[version] - length, Ranked(rank, value))
                changes[version][is_new].append(entry)
        for version, (less, more) in changes.items():
            tree = self._trees.get((name, version)) or PrefixTree.of_width(WIDTH[version])
            self._trees[name, version] = tree.changed(less, more) if less or more else tree

    def _functions(self) -> dict[tuple[str, int], Diagram]:
        addresses = self._addresses
        found = {}
        for version in WIDTH:
            space, mail, bound = (
                self._trees[name, version].function(addresses, addresses.level(version))
                for name in ("space", "mail", "bound")
            )
            found["space", version] = addresses.apply(_label, space, bound)
            found["mail", version] = addresses.map(_value, mail)
        return found

    def in_force(self, at: float) -> tuple[MailException, ...]:
        """Return the exceptions in force at a moment (seconds since 1970)."""
        if self._in_force is None or self._in_force[0] != at:
            self._in_force = at, tuple(entry for entry in self.policy.exceptions if entry.in_force(at))
        return self._in_force[1]

    def says(self, at: float) -> Hashable:
        """Return what verdicts depend on beside what is given to addresses, and beside the switch."""
        if self._says is None or self._says[0] != at:
            excepted = tuple(map(self._meaning_of, self.in_force(at)))
            self._says = at, (self._rest, excepted)
        return self._says[1]

    def _meaning_of(self, exception: MailException) -> Hashable:
        """Return what an exception means, with the addresses of its line."""
        line = exception.source
        bound = self.policy.bound_to(line) if isinstance(line, SubscriberPort) else ()
        return meaning(exception), tuple(map(_PREFIX, bound))

    @property
    def labelled_by_version(self) -> tuple[Diagram, ...]:
        """Results of ``labelled`` for IPv4 and IPv6."""
        return tuple(map(self.labelled, WIDTH))

    def labelled(self, version: int) -> Diagram:
        """Return the label of an address: all that a line's rules may depend on beside its cells."""
        return self.functions["space", version]

    def labels(self, prefix: Prefix) -> frozenset[Hashable]:
        """Return all labels that addresses of a prefix have."""
        found = self._labels.get(prefix)
        if found is None:
            version, network, length = prefix
            function, free = self.labelled(version), WIDTH[version] - length
            found = self._labels[prefix] = self._addresses.answers(function, version, network, free)
        return found


class PortPolicy(SymbolicPolicy):
    """The verdicts at one port; None is any port of which the policy says nothing but its role.

    Without a ``line``, the addresses of the port's bindings are no cells.
    """

    _diagrams: ClassDiagrams

    def __init__(
        self,
        diagrams: ClassDiagrams,
        context: PolicyContext,
        switch: Switch,
        at: float,
        port: int | None,
        line: Line | None,
    ) -> None:
        super().__init__(diagrams, context.policy, switch, at)
        self.context = context
        self._port = port
        self.line = line

    def _side(self, version: int) -> Side:
        return _PortSide(self, version)

    def one_of(self, name: str, values: Iterable[int]) -> Diagram:
        """Return the condition that a field has one of these values."""
        if name == "in_port":
            return self._diagrams.leaf(self._port in set(values))
        return super().one_of(name, values)

    def _claimed_by_arp(self) -> Diagram:
        if self.line is None:
            return super()._claimed_by_arp()
        return self.of_line(self.line, "arp_spa", ("eth_src", "arp_sha"))

    def from_vlan(self, vlan: int | None) -> Diagram:
        """Return the condition that a frame comes from a VLAN of the port."""
        return self.from_line(self._port, vlan) if self._port is not None else self._diagrams.leaf(False)

    def of_line(self, line: Line, name: str, macs: Sequence[str]) -> Diagram:
        """Return the condition that an address, and MAC addresses with it, are those of a line."""
        diagrams, found = self._diagrams, []
        for addresses, mac, vlan in line.bindings:
            conditions = [in_cells(diagrams, name, addresses[CELL_FIELDS[name] == 6])]
            conditions.append(self.from_vlan(vlan))
            if mac is not None:
                conditions += [in_cells(diagrams, each, (mac,)) for each in macs]
            found.append(diagrams.both(*conditions))
        return diagrams.either(*found)

    def domain(self) -> Diagram:
        """Return a condition that holds for every header in which cells are those of the addresses."""
        diagrams, conditions = self._diagrams, []
        labels_of = self.line.labels if self.line is not None else ((), ())
        for version, by_cell in zip((4, 6), labels_of, strict=True):
            name = f"ipv{version}_src"
            for labels in sorted(set(by_cell), key=repr):
                cells = [(cell, cell) for cell, each in enumerate(by_cell, 1) if each == labels]
                elsewhere = diagrams.negation(in_cells(diagrams, name, cells))
                there = diagrams.map(_Among(labels), self.answer("space", version, name))
                conditions.append(diagrams.either(elsewhere, there))
        return diagrams.both(*conditions)

    def answer(self, question: str, version: int, name: str) -> Diagram:
        """Return what the policy gives an address in a field: "space" or "mail"."""
        return self._diagrams.answered(LEVELS[name], question, self.context.functions[question, version])


class _PortSide(Side):
    _symbolic: PortPolicy

    @cached_property
    def own_source(self) -> Diagram:
        return self._is(_listed, "space", self.source)

    def _bound_anywhere(self) -> Diagram:
        """Return the condition that a static source is bound to a line of any switch."""
        return self._is(_is_bound, "space", self.source)

    def _longest(self, name: str, is_static: bool) -> Diagram:
        return self._is(_is_static if is_static else _is_dynamic, "space", name)

    @cached_property
    def to_mail(self) -> Diagram:
        return self._is(_listed, "mail", self.destination)

    @cached_property
    def from_mail(self) -> Diagram:
        return self._is(_listed, "mail", self.source)

    def _bound(self, name: str, check_mac: bool) -> Diagram:
        line = self._symbolic.line
        if line is None:
            return super()._bound(name, check_mac)
        return self._symbolic.of_line(line, name, ("eth_src",) if check_mac else ())

    def _is(self, condition: _Condition, tree: str, name: str) -> Diagram:
        return self._diagrams.map(condition, self._symbolic.answer(tree, self.version, name))


@dataclass(frozen=True)
class _Among:
    """The condition that a label is one of some."""

    labels: frozenset[Hashable]

    def __call__(self, label: Hashable) -> bool:
        return label in self.labels


def in_cells(diagrams: ClassDiagrams, name: str, cells: Iterable[Range]) -> Diagram:
    """Return the condition that an address field is in one of some cells."""
    merged: list[Range] = []
    for first, last in sorted(cells):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(last, merged[-1][1])
        else:
            merged.append((first, last))
    yes, no = diagrams.leaf(True), diagrams.leaf(False)
    return diagrams.intervals(CELLS[name], ((*each, yes) for each in merged), no)


def _cut(ranges: Sequence[Range], cuts: Iterable[Range]) -> Iterator[Range]:
    """Yield the parts of some ranges, ascending, cut where any range begins or ends."""
    if len(ranges) == 1 and all(cut == ranges[0] for cut in cuts):
        yield ranges[0]
        return
    places = sorted({place for first, last in (*ranges, *cuts) for place in (first, last + 1)})
    for first, following in pairwise(places):
        if any(one <= first <= other for one, other in ranges):
            yield first, following - 1


def _prefixes(bindings: Iterable[Binding]) -> list[Prefix]:
    return [entry.prefix for binding in bindings for entry in binding.addresses]


def _itself(prefix: Prefix) -> Prefix:
    return prefix


def _listed(label: Hashable) -> bool:
    return label is not None


def _is_static(label: Hashable) -> bool:
    return label in ("static", "bound")


def _is_dynamic(label: Hashable) -> bool:
    return label == "dynamic"


def _is_bound(label: Hashable) -> bool:
    return label == "bound"


def _value(ranked: Ranked | None) -> Hashable:
    return None if ranked is None else ranked.value


def _label(space: Ranked | None, bound: Ranked | None) -> Hashable:
    return "bound" if bound is not None and _value(space) == "static" else _value(space)
