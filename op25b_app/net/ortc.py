"""Smallest tables: the fewest entries that give every address its label by longest-prefix match.

Optimal route table construction (Draves, King, Venkatachary, Zill: "Constructing Optimal IP Routing Tables",
INFOCOM 1999), on a binary tree of entries and branching points only. A label is a single bit here, so a set
of labels is an integer too.
"""

from __future__ import annotations

import operator
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional

from op25b_app.net.prefix import WIDTH
from op25b_app.net.prefix_set import Key, LpmTable, end_of

NO, YES = 1, 2
"""Labels of a table that answers yes or no."""

PART = 512
"""Maximum number of entries that are computed together, and again only after one of them changes."""

_Cost = tuple[int, ...]
_NEVER = 1 << 20
"""Cost above that of any entries."""
_Node = tuple[Key, int, Any, Optional["_Node"], Optional["_Node"]]
"""Entry, or place where two of them part.

Fields: its key, the label of what no child holds, the labels that a smallest table may give it, its children.
"""

Entries = defaultdict[int, list[Key]]
"""Keys of the entries, by label."""


class Part(NamedTuple):
    """Neighbouring entries, their labels, the label ``around`` them, and what was computed from them."""

    keys: Sequence[Key]
    labels: Sequence[Any]
    around: int
    node: _Node | None
    chosen: dict[int, Entries]
    """Chosen entries, by the label in force around the part."""


class SmallestTable:
    """Smallest table with the meaning of ``table``; ``says`` holds the bit for each of its labels.

    Of equally small tables, this is one whose entry for everything has the default label, if there is one.
    ``previous`` may be the smallest table of an earlier moment, with the same costs: what is unchanged is not
    computed again. ``costs`` are those of entries that do not all cost the same.
    """

    def __init__(
        self,
        table: LpmTable[Any],
        says: Sequence[int],
        previous: SmallestTable | None = None,
        costs: Costs | None = None,
    ) -> None:
        self.says = says
        self.parts: dict[Key, Part] = {}
        """Parts by their first keys."""
        self.entries: Entries = defaultdict(list)
        """Keys by label; one of them has length 0, so every address has a label."""
        before = previous.parts if previous is not None and previous.says == says else {}
        self._version, default = table.version, says[table.default]
        gathering = _UnitCostPasses(table, says, before, self.parts)
        if costs is not None:
            gathering = _WeightedPasses(table, says, before, self.parts, costs)
        root = gathering.root()
        label = gathering.label_of_everything(root, default)
        self.entries[label].append(0)
        parts = {id(part.node): part for part in self.parts.values()}
        gathering.choose(root, label, self.entries, parts)

    def directly_within(self, label: int, around: int) -> list[Key]:
        """Return the entries with a label for which the next shorter entry has the label ``around``."""
        found: list[Key] = []
        open_entries: list[tuple[int, int]] = []
        for key, own in sorted((key, own) for own, keys in self.entries.items() for key in keys):
            while open_entries and open_entries[-1][0] <= key >> 8:
                open_entries.pop()
            if own == label and open_entries and open_entries[-1][1] == around:
                found.append(key)
            open_entries.append((end_of(self._version, key), own))
        return found


class _UnitCostPasses:
    """Passes one to three of the paper: from the leaves up the labels that cost least, then back down."""

    def __init__(
        self,
        table: LpmTable[Any],
        says: Sequence[int],
        before: Mapping[Key, Part],
        parts: dict[Key, Part],
    ) -> None:
        self._width = WIDTH[table.version]
        self._keys, self._labels = table.keys, table.values
        self._says, self._default = says, says[table.default]
        self._before, self._parts = before, parts

    def root(self) -> _Node:
        node = self._gather(0, len(self._keys), self._default)
        if node is None:
            return self._leaf(0, self._default)
        if node[0] == 0:
            return node
        return self._above(0, self._default, node)

    def _above(self, key: Key, own: int, child: _Node) -> _Node:
        return key, own, _along(child[2], own, (child[0] & 0xFF) - (key & 0xFF)), child, None

    def _gather(self, low: int, high: int, around: int, in_part: bool = False) -> _Node | None:
        """Return the tree of neighbouring entries; None where all of it has the label ``around``."""
        if low == high:
            return None
        if high - low <= PART and not in_part:
            return self._part(low, high, around)
        first, own = self._keys[low], around
        if high - low == 1:
            own = self._says[self._labels[low]]
            return None if own == around else self._leaf(first, own)
        network, length = first >> 8, first & 0xFF
        common = self._width - (network ^ self._keys[high - 1] >> 8).bit_length()
        if common < length:
            length = common
            first = _ancestor(self._width, first, length)
        else:
            own = self._says[self._labels[low]]
            low += 1
        upper_half = (first >> 8 | 1 << self._width - length - 1) << 8
        middle = bisect_left(self._keys, upper_half, low, high)
        left = self._gather(low, middle, own, in_part)
        right = self._gather(middle, high, own, in_part)
        if left is None or right is None:
            return self._with_child(first, own, around, left or right)
        return self._with_children(first, own, around, left, right)

    def _leaf(self, key: Key, own: int) -> _Node:
        return key, own, own, None, None

    def _with_child(self, key: Key, own: int, around: int, child: _Node | None) -> _Node | None:
        if own == around:
            return child
        return self._leaf(key, own) if child is None else self._above(key, own, child)

    def _with_children(self, key: Key, own: int, around: int, left: _Node, right: _Node) -> _Node | None:
        below = (key & 0xFF) + 1
        further_left, further_right = (left[0] & 0xFF) - below, (right[0] & 0xFF) - below
        if left[3] is right[3] is None and left[1] == right[1] and further_left == further_right == 0:
            return self._with_child(key, left[1], around, None)
        one, other = _along(left[2], own, further_left), _along(right[2], own, further_right)
        return key, own, one & other or one | other, left, right

    def _part(self, low: int, high: int, around: int) -> _Node | None:
        keys, labels = self._keys[low:high], self._labels[low:high]
        part = self._before.get(keys[0])
        if part is None or part[:3] != (keys, labels, around):
            part = Part(keys, labels, around, self._gather(low, high, around, True), {})
        self._parts[keys[0]] = part
        return part.node

    def label_of_everything(self, root: _Node, preferred: int) -> int:
        """Return the label of the entry for everything."""
        return preferred if preferred & root[2] else root[2] & -root[2]

    def choose(self, node: _Node, label: int, entries: Entries, parts: Mapping[int, Part]) -> None:
        """Choose from the root down an entry wherever the label in force cannot stay (pass three).

        ``label`` is that of ``node``, and ``parts`` are those below, by the identity of their nodes.
        """
        key, own, _, left, right = node
        below = (key & 0xFF) + 1
        if left is not None and right is None and label != own:
            entries[own].append(_sibling(self._width, left[0], below))
        for child in (left, right):
            if child is None:
                return
            chosen = self._choose_child(child, own, below, label, entries)
            if child[3] is None:
                continue
            part = parts.get(id(child))
            if part is None:
                self.choose(child, chosen, entries, parts)
                continue
            if chosen not in part.chosen:
                part.chosen[chosen] = defaultdict(list)
                self.choose(child, chosen, part.chosen[chosen], {})
            for each, keys in part.chosen[chosen].items():
                entries[each] += keys

    def _choose_child(self, child: _Node, own: int, level: int, label: int, entries: Entries) -> int:
        """Choose the entries down to a child; ``level`` is that of the half that holds it."""
        key, child_own, possible, _, _ = child
        length = key & 0xFF
        if length > level and label != own:
            if length == level + 1 and possible & label and not possible & own:
                entries[own].append(_sibling(self._width, key, length))
            else:
                entries[own].append(_ancestor(self._width, key, level))
                label = own
        if not possible & label:
            label = child_own if child_own & possible else possible & -possible
            entries[label].append(key)
        return label


class Costs:
    """Costs of entries: 1, or 2 with the label ``dear`` directly within one with the label ``around``.

    The entry for everything stands within ``last``: with that label, it costs nothing. The cost of a part of
    the tree is a number for each label that may be in force around it, less the least of them.
    """

    def __init__(self, labels: Sequence[int], dear: int, around: int, last: int) -> None:
        self.labels = tuple(labels)
        self.last = last
        self._dear, self._around = dear, around
        self._joined: dict[tuple[_Cost, _Cost], _Cost] = {}
        self._cheapest: dict[tuple[int, _Cost, int], int] = {}
        self.leaves = {
            own: self._closed(tuple(0 if label == own else _NEVER for label in self.labels))
            for own in self.labels
        }

    def entry(self, around: int, label: int) -> int:
        """Return the cost of an entry directly within one with the label ``around``; 0 for the same label."""
        if label == around:
            return 0
        return 2 if (around, label) == (self._around, self._dear) else 1

    def joined(self, one: _Cost, other: _Cost) -> _Cost:
        """Return the cost of both halves of a part together."""
        known = self._joined.get((one, other))
        if known is None:
            known = self._closed(tuple(map(operator.add, one, other)))
            self._joined[one, other] = known
        return known

    def along(self, cost: _Cost, own: int, steps: int) -> _Cost:
        """Return a cost after ``steps`` levels up, where the other branch holds only ``own``."""
        for _ in range(steps):
            above = self.joined(cost, self.leaves[own])
            if above == cost:
                break
            cost = above
        return cost

    def cheapest(self, around: int, below: _Cost, preferred: int) -> int:
        """Return the cheapest label for a part whose halves cost ``below``.

        Of equally cheap labels, return ``around`` first, then ``preferred``.
        """
        known = self._cheapest.get((around, below, preferred))
        if known is None:
            order = {around: 0, preferred: 1}
            _, _, known = min(
                (self.entry(around, label) + cost, order.get(label, 2), label)
                for label, cost in zip(self.labels, below, strict=True)
            )
            self._cheapest[around, below, preferred] = known
        return known

    def _closed(self, costs: _Cost) -> _Cost:
        found = [
            min(self.entry(around, label) + cost for label, cost in zip(self.labels, costs, strict=True))
            for around in self.labels
        ]
        least = min(found)
        return tuple(cost - least for cost in found)


class _WeightedPasses(_UnitCostPasses):
    """The same with unequal costs; a place holds its cost, not its cheapest labels."""

    def __init__(
        self,
        table: LpmTable[Any],
        says: Sequence[int],
        before: Mapping[Key, Part],
        parts: dict[Key, Part],
        costs: Costs,
    ) -> None:
        super().__init__(table, says, before, parts)
        self._costs = costs

    def _leaf(self, key: Key, own: int) -> _Node:
        return key, own, self._costs.leaves[own], None, None

    def _with_children(self, key: Key, own: int, around: int, left: _Node, right: _Node) -> _Node | None:
        both = [self._up_to(key, own, child) for child in (left, right)]
        return key, own, self._costs.joined(*both), left, right

    def _above(self, key: Key, own: int, child: _Node) -> _Node:
        cost = self._costs.joined(self._up_to(key, own, child), self._costs.leaves[own])
        return key, own, cost, child, None

    def _up_to(self, key: Key, own: int, child: _Node) -> _Cost:
        """Return the cost of the half that holds a child."""
        return self._costs.along(child[2], own, (child[0] & 0xFF) - (key & 0xFF) - 1)

    def _choose_child(self, child: _Node, own: int, level: int, label: int, entries: Entries) -> int:
        costs, width, (key, child_own, _, _, _) = self._costs, self._width, child
        for length in range(level, key & 0xFF):
            if label == own:
                break
            inner = costs.along(child[2], own, (key & 0xFF) - length - 1)
            halves = tuple(map(operator.add, inner, costs.leaves[own]))
            chosen = costs.cheapest(label, halves, own)
            if chosen != label:
                entries[chosen].append(_ancestor(width, key, length))
                label = chosen
            if label != own:
                entries[own].append(_sibling(width, key, length + 1))
        chosen = costs.cheapest(label, self._halves(child), child_own)
        if chosen != label:
            entries[chosen].append(key)
        return chosen

    def label_of_everything(self, root: _Node, preferred: int) -> int:
        return self._costs.cheapest(self._costs.last, self._halves(root), preferred)

    def _halves(self, node: _Node) -> _Cost:
        """Return the cost of the halves of a place, by the label that it is given."""
        key, own, _, left, right = node
        if left is None:
            return tuple(0 if label == own else _NEVER for label in self._costs.labels)
        both = [self._up_to(key, own, left), self._costs.leaves[own]]
        if right is not None:
            both[1] = self._up_to(key, own, right)
        return tuple(map(operator.add, *both))


def _along(labels: int, own: int, steps: int) -> int:
    """Return ``labels`` after ``steps`` levels up, where the other branch holds only ``own``."""
    if steps == 0:
        return labels
    if steps == 1 and not labels & own:
        return labels | own
    return own


def _ancestor(width: int, key: Key, length: int) -> Key:
    """Return the key of this length that covers ``key``."""
    shift = width - length + 8
    return key >> shift << shift | length


def _sibling(width: int, key: Key, length: int) -> Key:
    """Return the sibling of the key of this length that covers ``key``."""
    return _ancestor(width, key, length) ^ 256 << width - length
