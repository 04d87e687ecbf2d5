"""Smallest tables: the fewest entries that give every address its label by longest prefix match.

Optimal route table construction (Draves, King, Venkatachary, Zill: "Constructing Optimal IP Routing Tables",
INFOCOM 1999), on a binary tree without the places where nothing happens. A label is a single bit here, so
that a set of labels is a number as well.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional

from op25b_app.policy.keys import Key, PrefixTable
from op25b_app.policy.prefix import WIDTH

NO, YES = 1, 2
"""Labels of a table that answers a question."""

PART = 512
"""Entries that are worked on together; while none of them changes, once is enough."""

_Node = tuple[Key, int, int, Optional["_Node"], Optional["_Node"]]
"""An entry, or the place where two of them part: its key, the label of what no child holds, the labels that a
smallest table may give the place, and its children."""

Entries = defaultdict[int, list[Key]]
"""By label."""


class Part(NamedTuple):
    """Neighbouring entries and their labels, in what has the label ``around``, and what came of them."""

    keys: Sequence[Key]
    labels: Sequence[Any]
    around: int
    node: _Node | None
    chosen: dict[int, Entries]
    """By the label in force around it."""


class SmallestTable:
    """A smallest table with the meaning of ``table``; ``says`` holds the bit for each of its labels.

    Of equally small ones it is one whose entry for everything has the default label, if there is one.
    ``previous`` may be the smallest table of an earlier moment: what is as it was is not worked out again.
    """

    def __init__(
        self, table: PrefixTable[Any], says: Sequence[int], previous: SmallestTable | None = None
    ) -> None:
        self.says = says
        self.parts: dict[Key, Part] = {}
        """By their first keys."""
        self.entries: Entries = defaultdict(list)
        """One of them has length 0, so every address has a label."""
        before = previous.parts if previous is not None and previous.says == says else {}
        root = _Gathering(table, says, before, self.parts).root()
        _, _, possible, _, _ = root
        default = says[table.default]
        label = default if default & possible else possible & -possible
        self.entries[label].append(0)
        parts = {id(part.node): part for part in self.parts.values()}
        _choose(WIDTH[table.version], root, label, self.entries, parts)


class _Gathering:
    """Passes one and two of the paper: from the leaves up, the labels that cost least."""

    def __init__(
        self,
        table: PrefixTable[Any],
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
            return 0, self._default, self._default, None, None
        if node[0] == 0:
            return node
        return 0, self._default, _along(node[2], self._default, node[0] & 0xFF), node, None

    def _gather(self, low: int, high: int, around: int, in_part: bool = False) -> _Node | None:
        """The tree of neighbouring entries, in what has the label ``around``; None where all of it has."""
        if low == high:
            return None
        if high - low <= PART and not in_part:
            return self._part(low, high, around)
        first, own = self._keys[low], around
        if high - low == 1:
            own = self._says[self._labels[low]]
            return None if own == around else (first, own, own, None, None)
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
            return _with_child(first, own, around, left or right)
        return _with_children(first, own, around, left, right)

    def _part(self, low: int, high: int, around: int) -> _Node | None:
        keys, labels = self._keys[low:high], self._labels[low:high]
        part = self._before.get(keys[0])
        if part is None or part[:3] != (keys, labels, around):
            part = Part(keys, labels, around, self._gather(low, high, around, True), {})
        self._parts[keys[0]] = part
        return part.node


def _with_child(key: Key, own: int, around: int, child: _Node | None) -> _Node | None:
    if own == around:
        return child
    if child is None:
        return key, own, own, None, None
    return key, own, _along(child[2], own, (child[0] & 0xFF) - (key & 0xFF)), child, None


def _with_children(key: Key, own: int, around: int, left: _Node, right: _Node) -> _Node | None:
    below = (key & 0xFF) + 1
    further_left, further_right = (left[0] & 0xFF) - below, (right[0] & 0xFF) - below
    if left[3] is right[3] is None and left[1] == right[1] and further_left == further_right == 0:
        return _with_child(key, left[1], around, None)
    possible_left, possible_right = _along(left[2], own, further_left), _along(right[2], own, further_right)
    return key, own, possible_left & possible_right or possible_left | possible_right, left, right


def _along(labels: int, own: int, steps: int) -> int:
    """What becomes of ``labels`` over ``steps`` levels whose other branch holds only ``own``."""
    if steps == 0:
        return labels
    if steps == 1 and not labels & own:
        return labels | own
    return own


def _choose(width: int, node: _Node, label: int, entries: Entries, parts: Mapping[int, Part]) -> None:
    """Pass three: from the root down, an entry wherever the label in force cannot stay.

    ``parts`` are those below, by the identity of their nodes.
    """
    key, own, _, left, right = node
    below = (key & 0xFF) + 1
    if left is not None and right is None and label != own:
        entries[own].append(_sibling(width, left[0], below))
    for child in (left, right):
        if child is None:
            return
        in_force = label
        child_key, child_own, possible, grandchild, _ = child
        length = child_key & 0xFF
        if length > below and in_force != own:
            if length == below + 1 and possible & in_force and not possible & own:
                entries[own].append(_sibling(width, child_key, length))
            else:
                entries[own].append(_ancestor(width, child_key, below))
                in_force = own
        if not possible & in_force:
            in_force = child_own if child_own & possible else possible & -possible
            entries[in_force].append(child_key)
        if grandchild is None:
            continue
        part = parts.get(id(child))
        if part is None:
            _choose(width, child, in_force, entries, parts)
            continue
        if in_force not in part.chosen:
            part.chosen[in_force] = defaultdict(list)
            _choose(width, child, in_force, part.chosen[in_force], {})
        for chosen, keys in part.chosen[in_force].items():
            entries[chosen] += keys


def _ancestor(width: int, key: Key, length: int) -> Key:
    """The key of this length that covers ``key``."""
    shift = width - length + 8
    return key >> shift << shift | length


def _sibling(width: int, key: Key, length: int) -> Key:
    """The other half of what the two are halves of."""
    return _ancestor(width, key, length) ^ 256 << width - length
