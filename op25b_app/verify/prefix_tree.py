"""Prefixes with values as a tree by octets, from which the function of an address is made.

A tree never changes: a changed one shares with it every part in which nothing is added or removed, and the
functions of those parts.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterable, Sequence
from operator import eq, is_
from typing import Any, NamedTuple, TypeVar

from op25b_app.verify.diagram import Diagram
from op25b_app.verify.shared_diagrams import CHUNK, SharedDiagrams

_Item = TypeVar("_Item")
_MASK = (1 << CHUNK) - 1
_COMPARED_AT_ONCE = 1 << 12


class Ranked(NamedTuple):
    """Value that one prefix gives an address; of several, the highest rank decides."""

    rank: int
    value: Hashable


class Entry(NamedTuple):
    """A prefix by its first address and the number of its free bits, and what it gives."""

    network: int
    free: int
    ranked: Ranked


class Clash(NamedTuple):
    """Values of one rank that differ; which of them decides is undefined."""

    values: frozenset[Hashable]


def highest(one: Ranked | None, other: Ranked | None) -> Ranked | None:
    """Return what decides of two; None is nothing."""
    if one is None or other is None:
        return one or other
    if one.rank != other.rank:
        return one if one.rank > other.rank else other
    return one if one == other else Ranked(one.rank, Clash(_values(one) | _values(other)))


def overlaid(diagrams: SharedDiagrams, one: Diagram, other: Diagram) -> Diagram:
    """Return the function that decides between two functions to ``Ranked`` or None."""
    return diagrams.apply(highest, one, other, _if_one_is_nothing)


class PrefixTree:
    """Entries of which the first octets are known; ``shift`` is the number of bits behind the next octet."""

    __slots__ = ("_below", "_ends", "_functions", "_shift")

    def __init__(
        self,
        shift: int,
        ends: dict[tuple[int, int], tuple[Ranked, ...]] | None = None,
        below: dict[int, PrefixTree] | None = None,
    ) -> None:
        self._shift = shift
        self._ends = ends or {}
        """Values of prefixes that end in the next octet, by the first and the last octet of each."""
        self._below = below or {}
        self._functions: dict[int, Diagram] = {}

    @classmethod
    def of_width(cls, width: int) -> PrefixTree:
        """Return the empty tree for addresses of so many bits."""
        return cls(width - CHUNK)

    def changed(self, removed: Iterable[Entry], added: Iterable[Entry]) -> PrefixTree:
        """Return the tree without some of its entries, and with others.

        Raises ValueError where an entry to remove is not in it.
        """
        shift, ends, below = self._shift, {**self._ends}, {**self._below}
        deeper: dict[int, tuple[list[Entry], list[Entry]]] = {}
        for is_new, entries in enumerate((removed, added)):
            for entry in entries:
                network, free, ranked = entry
                octet = network >> shift & _MASK
                if free < shift:
                    changes = deeper.get(octet)
                    if changes is None:
                        changes = deeper[octet] = ([], [])
                    changes[is_new].append(entry)
                    continue
                place = octet, octet | (1 << free - shift) - 1
                here = ends.get(place, ())
                if is_new:
                    ends[place] = (*here, ranked)
                else:
                    left = list(here)
                    left.remove(ranked)
                    ends[place] = tuple(left)
                    if not left:
                        del ends[place]
        for octet, changes in deeper.items():
            part = below.get(octet) or PrefixTree(shift - CHUNK)
            part = part.changed(*changes)
            if part:
                below[octet] = part
            else:
                below.pop(octet, None)
        return PrefixTree(shift, ends, below)

    def __bool__(self) -> bool:
        """Return whether there are any entries."""
        return bool(self._ends or self._below)

    def function(self, diagrams: SharedDiagrams, level: int) -> Diagram:
        """Return what addresses are given, as ``Ranked`` or None; ``level`` tests the next octet."""
        known = self._functions.get(level)
        if known is None:
            known = self._functions[level] = diagrams.node(level, *self._edges(diagrams, level))
        return known

    def _edges(self, diagrams: SharedDiagrams, level: int) -> tuple[list[int], list[Diagram]]:
        below = self._below
        starts = {0, *below, *(octet + 1 for octet in below)}
        for first, last in self._ends:
            starts.add(first)
            starts.add(last + 1)
        starts.discard(_MASK + 1)
        places = sorted(starts)
        given: dict[int, Ranked | None] = {}
        # Prefixes are disjoint or within one another; the wider ones come first here.
        wide = sorted(self._ends, key=_size, reverse=True)
        for first, last in wide:
            own: Ranked | None = None
            for ranked in self._ends[first, last]:
                own = highest(own, ranked)
            if first == last:
                given[first] = highest(given.get(first), own)
                continue
            for place in places[bisect_left(places, first) : bisect_left(places, last + 1)]:
                given[place] = highest(given.get(place), own)
        children = []
        for place in places:
            around = given.get(place)
            if place not in below:
                children.append(diagrams.leaf(around))
                continue
            child = below[place].function(diagrams, level + 1)
            children.append(child if around is None else overlaid(diagrams, diagrams.leaf(around), child))
        return [*(place - 1 for place in places[1:]), _MASK], children


def difference(
    before: Sequence[_Item],
    after: Sequence[_Item],
    name: Callable[[_Item], Hashable],
    are_same: Callable[[Sequence[_Item], Sequence[_Item]], bool] = eq,
) -> tuple[list[_Item], list[_Item]]:
    """Return the items removed from a sequence and added to it, whatever their order.

    Items that are the same are passed over quickly at both ends, where ``are_same`` says that of parts of one
    length; between those, items of one ``name`` are the same.
    """
    start = _equal(before, after, are_same)
    rest = slice(start, len(before)), slice(start, len(after))
    old, new = before[rest[0]], after[rest[1]]
    back = _equal(old[::-1], new[::-1], are_same)
    old, new = old[: len(old) - back], new[: len(new) - back]
    left: dict[Hashable, list[_Item]] = {}
    for item in old:
        left.setdefault(name(item), []).append(item)
    added = []
    for item in new:
        same = left.get(name(item))
        if same:
            same.pop()
        else:
            added.append(item)
    return [item for same in left.values() for item in same], added


def are_identical(one: Sequence[object], other: Sequence[object]) -> bool:
    """Return whether two sequences of one length hold the same objects."""
    return all(map(is_, one, other))


def _equal(
    before: Sequence[_Item],
    after: Sequence[_Item],
    are_same: Callable[[Sequence[_Item], Sequence[_Item]], bool],
) -> int:
    """Return how many items are the same from the beginning on."""
    end = min(len(before), len(after))
    step, begin = _COMPARED_AT_ONCE, 0
    while begin < end and step:
        until = min(begin + step, end)
        if are_same(before[begin:until], after[begin:until]):
            begin = until
        else:
            step //= 2
    return begin


def _values(ranked: Ranked) -> frozenset[Any]:
    return ranked.value.values if isinstance(ranked.value, Clash) else frozenset((ranked.value,))


def _if_one_is_nothing(one: Diagram, other: Diagram) -> Diagram | None:
    if one is other or (other.is_leaf and other.value is None):
        return one
    return other if one.is_leaf and one.value is None else None


def _size(place: tuple[int, int]) -> int:
    return place[1] - place[0]
