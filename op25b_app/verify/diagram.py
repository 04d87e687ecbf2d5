"""Ordered decision diagrams over intervals, for functions of a packet's header.

A node tests one header field; its edges are intervals that cover the field's whole domain. Fields have one
fixed order along every path, equal parts are one object, and neighbouring edges of a node lead to different
places. So two functions are equal exactly if they are the same object. (Bryant 1986, with intervals for bits:
prefixes are intervals, and a table of 100,000 of them is one node.)
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import cache
from itertools import compress
from operator import is_, is_not
from typing import Any, Final

from op25b_app.verify.budget import Budget

LEAF_LEVEL: Final = 1 << 30


class Diagram:
    """A function of the header: a leaf (``value``) or a node (``level``, ``bounds``, ``children``).

    ``level`` is the position of the node's field in the order. Child ``i`` holds the values above
    ``bounds[i - 1]`` up to and including ``bounds[i]``. ``values`` are all possible results.
    """

    __slots__ = ("bounds", "children", "level", "value", "values")

    def __init__(
        self,
        level: int,
        value: Hashable,
        bounds: tuple[int, ...],
        children: tuple[Diagram, ...],
        values: frozenset[Hashable],
    ) -> None:
        self.level = level
        self.value = value
        self.bounds = bounds
        self.children = children
        self.values = values

    @property
    def is_leaf(self) -> bool:
        """True for a leaf."""
        return self.level == LEAF_LEVEL

    @property
    def edges(self) -> Iterable[tuple[int, int, Diagram]]:
        """First and last value, and child, of each edge of a node, ascending."""
        firsts = (0, *(bound + 1 for bound in self.bounds[:-1]))
        return zip(firsts, self.bounds, self.children, strict=True)


Operation = Callable[[Any, Any], Hashable]
"""Operation on one value of each of two functions."""
Shortcut = Callable[[Diagram, Diagram], Diagram | None]

_FEW = 12


class Diagrams:
    """Make diagrams over fields of the given sizes (the number of values of each, in order).

    Every method that makes one raises OverBudgetError where ``budget`` is used up, and TooManyStepsError
    where only its share is.
    """

    def __init__(self, sizes: Sequence[int], budget: Budget | None = None) -> None:
        self.budget = budget or Budget()
        self._sizes = tuple(sizes)
        self._leaves: dict[Hashable, Diagram] = {}
        self._nodes: dict[tuple[int, tuple[int, ...], tuple[Diagram, ...]], Diagram] = {}
        self.edge_count = 0

    def leaf(self, value: Hashable) -> Diagram:
        """Return the function that always returns ``value``."""
        leaf = self._leaves.get(value)
        if leaf is None:
            leaf = self._leaves[value] = Diagram(LEAF_LEVEL, value, (), (), frozenset((value,)))
        return leaf

    def node(self, level: int, bounds: Sequence[int], children: Iterable[Diagram]) -> Diagram:
        """Return the function that tests one field; ``bounds`` ascend to the last value of its domain."""
        self.budget.spend(len(bounds))
        kept_bounds, kept = tuple(bounds), tuple(children)
        if any(map(is_, kept, kept[1:])):
            ends = [*map(is_not, kept, kept[1:]), True]
            kept_bounds, kept = tuple(compress(kept_bounds, ends)), tuple(compress(kept, ends))
        if len(kept) == 1:
            return kept[0]
        key = (level, kept_bounds, kept)
        node = self._nodes.get(key)
        if node is None:
            values = frozenset().union(*{child.values for child in set(kept)})
            node = self._nodes[key] = Diagram(level, None, kept_bounds, kept, values)
            self.edge_count += len(kept)
        return node

    def intervals(
        self, level: int, inside: Iterable[tuple[int, int, Diagram]], otherwise: Diagram
    ) -> Diagram:
        """Return a test of one field: ascending disjoint (first, last, diagram), else ``otherwise``."""
        bounds: list[int] = []
        children: list[Diagram] = []
        free = 0
        for first, last, child in inside:
            if first > free:
                bounds.append(first - 1)
                children.append(otherwise)
            bounds.append(last)
            children.append(child)
            free = last + 1
        if free < self._sizes[level]:
            bounds.append(self._sizes[level] - 1)
            children.append(otherwise)
        return self.node(level, bounds, children)

    def within(self, level: int, ranges: Iterable[tuple[int, int]]) -> Diagram:
        """Return the condition that a field's value is in one of the ranges: disjoint, ascending."""
        yes, no = self.leaf(True), self.leaf(False)
        return self.intervals(level, ((first, last, yes) for first, last in ranges), no)

    def apply(
        self, operation: Operation, one: Diagram, other: Diagram, shortcut: Shortcut | None = None
    ) -> Diagram:
        """Return the function whose value is ``operation`` of the values of both.

        ``shortcut`` may return the result for two whole functions, or None to look into them.
        """

        @cache
        def combine(one: Diagram, other: Diagram) -> Diagram:
            result = shortcut(one, other) if shortcut is not None else None
            if result is None:
                result = self._constant(operation, one, other)
            return result if result is not None else self._split(combine, one, other)

        return combine(one, other)

    def choose(self, condition: Diagram, then: Diagram, otherwise: Diagram) -> Diagram:
        """Return ``then`` where ``condition`` (a function to booleans) is true, else ``otherwise``."""

        @cache
        def chosen(condition: Diagram, then: Diagram, otherwise: Diagram) -> Diagram:
            if condition.is_leaf:
                return then if condition.value else otherwise
            return then if then is otherwise else self._split(chosen, condition, then, otherwise)

        return chosen(condition, then, otherwise)

    def overlay(self, upper: Diagram, lower: Diagram, transparent: Hashable) -> Diagram:
        """Return ``upper``, and ``lower`` where ``upper`` returns ``transparent``."""

        def shortcut(upper: Diagram, lower: Diagram) -> Diagram | None:
            if transparent not in upper.values:
                return upper
            return lower if upper.is_leaf else None

        return self.apply(
            lambda above, below: below if above == transparent else above, upper, lower, shortcut
        )

    def both(self, *conditions: Diagram) -> Diagram:
        """Return the conjunction: true where all conditions are."""
        result = self.leaf(True)
        for condition in conditions:
            result = self.choose(condition, result, self.leaf(False))
        return result

    def either(self, *conditions: Diagram) -> Diagram:
        """Return the disjunction: true where any condition is.

        It is built in pairs: thousands in a row would take quadratic time.
        """
        if len(conditions) <= 1:
            return conditions[0] if conditions else self.leaf(False)
        middle = len(conditions) // 2
        one, other = self.either(*conditions[:middle]), self.either(*conditions[middle:])
        return self.choose(other, self.leaf(True), one)

    def negation(self, condition: Diagram) -> Diagram:
        """Return the negation of ``condition``."""
        return self.choose(condition, self.leaf(False), self.leaf(True))

    def map(self, change: Callable[[Any], Hashable], diagram: Diagram) -> Diagram:
        """Return the function whose value is ``change`` of the value of ``diagram``."""
        return self.apply(lambda value, _: change(value), diagram, self.leaf(None))

    def fix(self, diagram: Diagram, level: int, value: int) -> Diagram:
        """Return the function for headers in which the field of ``level`` has ``value``."""

        @cache
        def fixed(diagram: Diagram) -> Diagram:
            if diagram.level > level:
                return diagram
            if diagram.level == level:
                return diagram.children[bisect_left(diagram.bounds, value)]
            return self.node(diagram.level, diagram.bounds, map(fixed, diagram.children))

        return fixed(diagram)

    def _constant(self, operation: Operation, one: Diagram, other: Diagram) -> Diagram | None:
        """Return the leaf that results for every header, if the values alone show it."""
        if len(one.values) * len(other.values) > _FEW:
            return None
        results = {operation(left, right) for left in one.values for right in other.values}
        return self.leaf(results.pop()) if len(results) == 1 else None

    def _split(self, combine: Callable[..., Diagram], *diagrams: Diagram) -> Diagram:
        """Call ``combine`` for each interval of the first field that any of the diagrams tests."""
        level = min(diagram.level for diagram in diagrams)
        asking = [diagram for diagram in diagrams if diagram.level == level]
        if len(asking) == 1:
            place = diagrams.index(asking[0])
            before, after = diagrams[:place], diagrams[place + 1 :]
            children = [combine(*before, child, *after) for child in asking[0].children]
            return self.node(level, asking[0].bounds, children)
        bounds: list[int] = []
        found: list[Diagram] = []
        cursors = [0] * len(diagrams)
        asks = [diagram.level == level for diagram in diagrams]
        last = self._sizes[level] - 1
        while not bounds or bounds[-1] < last:
            pairs = list(zip(diagrams, cursors, asks, strict=True))
            end = min(diagram.bounds[cursor] for diagram, cursor, asked in pairs if asked)
            bounds.append(end)
            found.append(
                combine(*(diagram.children[cursor] if asked else diagram for diagram, cursor, asked in pairs))
            )
            cursors = [cursor + (asked and diagram.bounds[cursor] == end) for diagram, cursor, asked in pairs]
        return self.node(level, bounds, found)


def count_paths(diagram: Diagram) -> int:
    """Return the number of header classes that the diagram distinguishes."""

    @cache
    def count(diagram: Diagram) -> int:
        return 1 if diagram.is_leaf else sum(map(count, diagram.children))

    return count(diagram)
