"""Diagrams that live longer than one proof: they remember the result of every operation.

A field of an address is split into levels of eight bits. So another prefix makes a few small nodes anew, and
what the rest of the table needs is found by its nodes. The functions are the same as those of ``Diagrams``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from op25b_app.verify.budget import Budget
from op25b_app.verify.diagram import LEAF_LEVEL, Diagram, Diagrams, Operation, Shortcut

CHUNK: Final = 8
"""Bits of an address that one level tests."""

_Range: TypeAlias = tuple[int, int, Diagram]


class SharedDiagrams(Diagrams):
    """Make diagrams over fields of the given sizes; those in ``split``, by width, take several levels.

    Fields are numbers of their place in ``sizes``. Operations and changes of values are remembered by their
    identity: they must be hashable, and equal ones must do the same.
    """

    def __init__(self, sizes: Sequence[int], split: Mapping[int, int], budget: Budget | None = None) -> None:
        self.levels: list[int] = []
        """The first level of each field."""
        by_level: list[int] = []
        for field, size in enumerate(sizes):
            self.levels.append(len(by_level))
            by_level += [1 << CHUNK] * (split[field] // CHUNK) if field in split else [size]
        super().__init__(by_level, budget)
        self._split_width = split
        self._operations: dict[Hashable, dict[tuple[Diagram, Diagram], Diagram]] = {}
        self._changes: dict[Hashable, dict[Diagram, Diagram]] = {}
        self._choices: dict[tuple[Diagram, Diagram, Diagram], Diagram] = {}

    @property
    def size(self) -> int:
        """The number of edges and results that are remembered, each about 100 bytes."""
        results = sum(len(memo) for memo in self._operations.values())
        changes = sum(len(memo) for memo in self._changes.values())
        return self.edge_count + results + changes + len(self._choices)

    def intervals(self, level: int, inside: Iterable[_Range], otherwise: Diagram) -> Diagram:
        """Return a test of one field: ascending disjoint (first, last, diagram), else ``otherwise``.

        ``level`` is the number of the field.
        """
        width = self._split_width.get(level)
        if width is None:
            return super().intervals(self.levels[level], inside, otherwise)
        return self._of_chunks(self.levels[level], width - CHUNK, list(inside), otherwise)

    def _of_chunks(self, level: int, shift: int, inside: list[_Range], otherwise: Diagram) -> Diagram:
        """Return a test of the bits of a field from ``shift`` up to the chunk of ``level``, and below."""
        if shift == 0:
            return super().intervals(level, inside, otherwise)
        whole: list[_Range] = []
        parts: dict[int, list[_Range]] = {}
        full = (1 << shift) - 1
        for first, last, child in inside:
            low, high = first >> shift, last >> shift
            if low == high and (first & full or last & full != full):
                parts.setdefault(low, []).append((first & full, last & full, child))
                continue
            if first & full:
                parts.setdefault(low, []).append((first & full, full, child))
                low += 1
            if last & full != full:
                parts.setdefault(high, []).append((0, last & full, child))
                high -= 1
            if low <= high:
                whole.append((low, high, child))
        for chunk, within in parts.items():
            whole.append((chunk, chunk, self._of_chunks(level + 1, shift - CHUNK, within, otherwise)))
        return super().intervals(level, sorted(whole, key=_first), otherwise)

    def apply(
        self, operation: Operation, one: Diagram, other: Diagram, shortcut: Shortcut | None = None
    ) -> Diagram:
        """Return the function whose value is ``operation`` of the values of both."""
        memo = self._operations.setdefault(operation, {})

        def combine(one: Diagram, other: Diagram) -> Diagram:
            key = (one, other)
            result = memo.get(key)
            if result is None:
                result = shortcut(one, other) if shortcut is not None else None
                if result is None:
                    result = made(one, other)
                memo[key] = result
            return result

        def made(one: Diagram, other: Diagram) -> Diagram:
            level = one.level
            if level < other.level:
                by_child = {child: combine(child, other) for child in set(one.children)}
                return self.node(level, one.bounds, [by_child[child] for child in one.children])
            if level > other.level:
                by_child = {child: combine(one, child) for child in set(other.children)}
                return self.node(other.level, other.bounds, [by_child[child] for child in other.children])
            if level == LEAF_LEVEL:
                return self.leaf(operation(one.value, other.value))
            bounds, pairs = _pairs(one, other)
            by_pair = {pair: combine(*pair) for pair in set(pairs)}
            return self.node(level, bounds, [by_pair[pair] for pair in pairs])

        return combine(one, other)

    def choose(self, condition: Diagram, then: Diagram, otherwise: Diagram) -> Diagram:
        """Return ``then`` where ``condition`` (a function to booleans) is true, else ``otherwise``."""
        memo, yes, no = self._choices, self.leaf(True), self.leaf(False)

        def chosen(condition: Diagram, then: Diagram, otherwise: Diagram) -> Diagram:
            if condition is yes or then is otherwise:
                return then
            if condition is no:
                return otherwise
            if then is yes and otherwise is no:
                return condition
            key = (condition, then, otherwise)
            result = memo.get(key)
            if result is None:
                result = memo[key] = self._split(chosen, condition, then, otherwise)
            return result

        return chosen(condition, then, otherwise)

    def map(self, change: Callable[[Any], Hashable], diagram: Diagram) -> Diagram:
        """Return the function whose value is ``change`` of the value of ``diagram``."""
        memo = self._changes.setdefault(change, {})

        def changed(diagram: Diagram) -> Diagram:
            result = memo.get(diagram)
            if result is None:
                if diagram.level == LEAF_LEVEL:
                    result = self.leaf(change(diagram.value))
                else:
                    by_child = {child: changed(child) for child in set(diagram.children)}
                    children = [by_child[child] for child in diagram.children]
                    result = self.node(diagram.level, diagram.bounds, children)
                memo[diagram] = result
            return result

        return changed(diagram)

    def results_within(self, diagram: Diagram, field: int, first: int, free: int) -> frozenset[Hashable]:
        """Return all values for a field's values from ``first``, of which the lowest ``free`` bits are any.

        The diagram tests no field before it. ``free`` bits of ``first`` are zero.
        """
        level, shift = self.levels[field], self._split_width[field]
        last_level = level + shift // CHUNK
        last = first | (1 << free) - 1
        while level <= diagram.level < last_level:
            below = shift - CHUNK * (diagram.level - level + 1)
            low, high = (value >> below & (1 << CHUNK) - 1 for value in (first, last))
            if low != high or below <= free:
                return frozenset().union(
                    *(child.values for start, end, child in diagram.edges if start <= high and low <= end)
                )
            diagram = next(child for start, end, child in diagram.edges if start <= low <= end)
        return diagram.values


def _pairs(one: Diagram, other: Diagram) -> tuple[list[int], list[tuple[Diagram, Diagram]]]:
    """Return the bounds of the edges of two nodes of one level together, and the children behind each."""
    bounds, pairs = [], []
    edges, others = zip(one.bounds, one.children, strict=True), zip(other.bounds, other.children, strict=True)
    (bound, child), (other_bound, other_child) = next(edges), next(others)
    while True:
        pairs.append((child, other_child))
        if bound < other_bound:
            bounds.append(bound)
            bound, child = next(edges)
        elif bound > other_bound:
            bounds.append(other_bound)
            other_bound, other_child = next(others)
        else:
            bounds.append(bound)
            following = next(edges, None)
            if following is None:
                return bounds, pairs
            bound, child = following
            other_bound, other_child = next(others)


def _first(part: _Range) -> int:
    return part[0]
