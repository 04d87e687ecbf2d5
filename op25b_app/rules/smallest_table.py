"""Smallest tables: the fewest entries that give every address its label by longest prefix match.

Optimal route table construction (Draves, King, Venkatachary, Zill: "Constructing Optimal IP Routing Tables",
INFOCOM 1999), on a binary tree without the places where nothing happens. A label is a single bit here, so
that a set of labels is a number as well.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Optional

from op25b_app.policy.prefix import WIDTH
from op25b_app.rules.keys import Key

NO, YES = 1, 2
"""Labels of a table that answers a question."""

PART = 512
"""Entries that are worked on together; while none of them changes, once is enough."""

_Node = tuple[Key, int, int, Optional["_Node"], Optional["_Node"]]
"""An entry, or the place where two of them part: its key, the label of what no child holds, the labels that a
smallest table may give the place, and its children."""


class Part(NamedTuple):
    """Entries that were worked on together, and what came of them in what has the label ``around``."""

    keys: Sequence[Key]
    labels: Sequence[int]
    around: int
    node: _Node | None


class SmallestTable:
    """A smallest table that means what the ascending ``keys`` mean with their ``labels``.

    ``default`` is the label of what nothing matches. ``previous`` may be the table of an earlier moment: what
    has not changed since is not worked out again.
    """

    def __init__(
        self,
        version: int,
        keys: Sequence[Key],
        labels: Sequence[int],
        default: int,
        previous: SmallestTable | None = None,
    ) -> None:
        self.entries: dict[int, list[Key]] = {}
        """The entries by label. One has length 0, so every address has a label."""
        self._width = WIDTH[version]
        self.parts: dict[Key, Part] = {}
        """By the first key of each."""
        gathering = _Gathering(self._width, keys, labels, previous.parts if previous else {}, self.parts)
        root = gathering.gather(0, len(keys), default)
        if root is None or root[0] != 0:
            possible = default if root is None else _along(root[2], default, root[0] & 0xFF)
            root = (0, default, possible, root, None)
        label = root[1] if root[1] & root[2] else root[2] & -root[2]
        self._enter(0, label)
        self._choose(root, label)

    def _choose(self, node: _Node, label: int) -> None:
        """Pass three: from the root down, an entry wherever the label in force cannot stay."""
        key, own, _, left, right = node
        below = (key & 0xFF) + 1
        if left is not None and right is None and label != own:
            self._enter(_sibling(self._width, left[0], below), own)
        for child in (left, right):
            if child is None:
                return
            in_force = label
            child_key, child_own, possible, grandchild, _ = child
            length = child_key & 0xFF
            if length > below and in_force != own:
                if length == below + 1 and possible & in_force and not possible & own:
                    self._enter(_sibling(self._width, child_key, length), own)
                else:
                    self._enter(_ancestor(self._width, child_key, below), own)
                    in_force = own
            if not possible & in_force:
                in_force = child_own if child_own & possible else possible & -possible
                self._enter(child_key, in_force)
            if grandchild is not None:
                self._choose(child, in_force)

    def _enter(self, key: Key, label: int) -> None:
        self.entries.setdefault(label, []).append(key)


class _Gathering:
    """Passes one and two of the paper: from the leaves up, the labels that cost least."""

    def __init__(
        self,
        width: int,
        keys: Sequence[Key],
        labels: Sequence[int],
        before: Mapping[Key, Part],
        parts: dict[Key, Part],
    ) -> None:
        self._width = width
        self._keys, self._labels = keys, labels
        self._before, self._parts = before, parts

    def gather(self, low: int, high: int, around: int, in_part: bool = False) -> _Node | None:
        """The tree of neighbouring entries, in what has the label ``around``; None where all of it has."""
        if low == high:
            return None
        keys, own = self._keys, around
        if high - low <= PART and not in_part:
            return self._part(low, high, around)
        first = keys[low]
        if high - low == 1:
            own = self._labels[low]
            return None if own == around else (first, own, own, None, None)
        network, length = first >> 8, first & 0xFF
        common = self._width - (network ^ keys[high - 1] >> 8).bit_length()
        if common < length:
            length = common
            first = _ancestor(self._width, first, length)
        else:
            own = self._labels[low]
            low += 1
        middle = bisect_left(keys, (first >> 8 | 1 << self._width - length - 1) << 8, low, high)
        left = self.gather(low, middle, own, in_part)
        right = self.gather(middle, high, own, in_part)
        if left is None or right is None:
            return _with_child(first, own, around, left or right)
        return _with_children(first, own, around, left, right)

    def _part(self, low: int, high: int, around: int) -> _Node | None:
        keys, labels = self._keys[low:high], self._labels[low:high]
        part = self._before.get(keys[0])
        if part is None or part[:3] != (keys, labels, around):
            part = Part(keys, labels, around, self.gather(low, high, around, True))
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


def _ancestor(width: int, key: Key, length: int) -> Key:
    """The key of this length that covers ``key``."""
    shift = width - length + 8
    return key >> shift << shift | length


def _sibling(width: int, key: Key, length: int) -> Key:
    """The other half of what the two are halves of."""
    return _ancestor(width, key, length) ^ 256 << width - length
