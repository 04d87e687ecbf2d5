"""Minimal covers: the fewest prefixes that say the same.

Two forms are needed. A *cover* says which addresses are in a set and nothing of the others; its
minimum is unique. A *table* gives every address a label by longest prefix match; its minimum is
found by optimal route table construction (Draves, King, Venkatachary, Zill: "Constructing Optimal IP
Routing Tables", INFOCOM 1999), here on a path-compressed trie.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from op25b_app.policy.prefix import WIDTH, Prefix, merged_intervals

Label = TypeVar("Label")
Table = dict[Prefix, Label]
"""Labels by longest prefix match, all of one IP version."""


def of_version(prefixes: Iterable[Prefix], version: int) -> Iterator[Prefix]:
    return (prefix for prefix in prefixes if prefix.version == version)


def minimal_cover(version: int, prefixes: Iterable[Prefix], without: Iterable[Prefix] = ()) -> list[Prefix]:
    """The fewest disjoint prefixes that hold all of ``prefixes`` but nothing of ``without``, ascending."""
    inside = merged_intervals(of_version(prefixes, version))
    outside = merged_intervals(of_version(without, version))
    return [
        prefix
        for first, last in _difference(inside, outside)
        for prefix in cover_of_interval(version, first, last)
    ]


def minimal_table(version: int, table: Mapping[Prefix, Label], default: Label) -> Table[Label]:
    """A smallest table with the meaning of ``table``, in which ``default`` labels what nothing matches.

    The result always holds the prefix of length 0, so it is complete in itself.
    """
    labels = list(dict.fromkeys([default, *table.values()]))
    bit_of = {label: 1 << index for index, label in enumerate(labels)}
    root = _trie({prefix: bit_of[label] for prefix, label in table.items()}, bit_of[default])
    _gather(root, bit_of[default])
    chosen: list[tuple[int, int, int]] = []
    start = root.own if root.own & root.labels else root.labels & -root.labels
    chosen.append((0, 0, start))
    _choose(root, start, WIDTH[version], chosen)
    return {Prefix(version, network, length): labels[bit.bit_length() - 1] for network, length, bit in chosen}


def cover_of_label(version: int, table: Mapping[Prefix, Label], label: Label) -> list[Prefix]:
    """The fewest disjoint prefixes that hold the addresses to which ``table`` gives ``label``.

    Costs the square of how deeply entries of both kinds are nested, so it is for small tables.
    """
    cover: list[Prefix] = []
    for depth in sorted({prefix.length for prefix in table}):
        level = {prefix: table[prefix] == label for prefix in table if prefix.length == depth}
        added = [prefix for prefix, inside in level.items() if inside]
        cover = minimal_cover(version, [*cover, *added], [prefix for prefix in level if prefix not in added])
    return cover


def overlay(
    table: Mapping[Prefix, Label], over: Iterable[Prefix], change: Callable[[Label], Label], default: Label
) -> Table[Label]:
    """``table`` (of one version), with ``change`` applied to the labels of all addresses in ``over``."""
    marked = dict.fromkeys(over, True)
    places = sorted({*table, *marked})
    labels = longest_matches(table, places, default)
    covered = longest_matches(marked, places, False)
    return {
        prefix: change(label) if inside else label
        for prefix, label, inside in zip(places, labels, covered, strict=True)
    }


def longest_matches(
    table: Mapping[Prefix, Label], ascending: Iterable[Prefix], default: Label
) -> list[Label]:
    """For each of the ``ascending`` prefixes the label of the longest entry that covers it."""
    entries = sorted(table)
    found: list[Label] = []
    open_entries: list[Prefix] = []
    position = 0
    for prefix in ascending:
        while position < len(entries) and entries[position] <= prefix:
            _close(open_entries, entries[position])
            open_entries.append(entries[position])
            position += 1
        _close(open_entries, prefix)
        found.append(table[open_entries[-1]] if open_entries else default)
    return found


def entries_inside(ascending: list[Prefix], prefix: Prefix) -> list[Prefix]:
    """Those of the ``ascending`` prefixes that ``prefix`` covers."""
    low = bisect_left(ascending, Prefix(prefix.version, prefix.first, prefix.length))
    return ascending[
        low : bisect_right(ascending, Prefix(prefix.version, prefix.last, WIDTH[prefix.version]))
    ]


def _close(open_entries: list[Prefix], prefix: Prefix) -> None:
    while open_entries and not open_entries[-1].covers(prefix):
        open_entries.pop()


def _difference(inside: list[tuple[int, int]], outside: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    position = 0
    for first, last in inside:
        while position < len(outside) and outside[position][1] < first:
            position += 1
        hole = position
        while hole < len(outside) and outside[hole][0] <= last:
            if first < outside[hole][0]:
                yield first, outside[hole][0] - 1
            first = outside[hole][1] + 1
            hole += 1
        if first <= last:
            yield first, last


def cover_of_interval(version: int, first: int, last: int) -> Iterator[Prefix]:
    """The fewest prefixes that hold exactly the addresses ``first`` to ``last``."""
    width = WIDTH[version]
    while first <= last:
        aligned = (first & -first).bit_length() - 1 if first else width
        fitting = (last - first + 1).bit_length() - 1
        size = min(aligned, fitting)
        yield Prefix(version, first, width - size)
        first += 1 << size


class _Node:
    """A prefix of the table, or the place where two of them part. Labels are bits."""

    __slots__ = ("children", "label", "labels", "length", "network", "own")

    def __init__(self, network: int, length: int, label: int) -> None:
        self.network = network
        self.length = length
        self.label = label
        """The entry's label; 0 where there is none."""
        self.own = 0
        """The label of the addresses that no child holds."""
        self.labels = 0
        """Labels that a smallest table may give this place."""
        self.children: list[_Node] = []


def _trie(table: Mapping[Prefix, int], default: int) -> _Node:
    root = _Node(0, 0, default)
    path = [root]
    for prefix in sorted(table):
        version, network, length = prefix
        if length == 0:
            root.label = table[prefix]
            continue
        width = WIDTH[version]
        last = path[-1]
        common = min(width - (last.network ^ network).bit_length(), last.length, length)
        below = None
        while path[-1].length > common:
            below = path.pop()
        if below is not None and path[-1].length < common:
            fork = _Node(network >> (width - common) << (width - common), common, 0)
            path[-1].children[-1] = fork
            fork.children.append(below)
            path.append(fork)
        node = _Node(network, length, table[prefix])
        path[-1].children.append(node)
        path.append(node)
    return root


def _gather(node: _Node, inherited: int) -> None:
    """Pass two of the paper: from the leaves up, the labels that cost least."""
    own = node.own = node.label or inherited
    for child in node.children:
        _gather(child, own)
    if not node.children:
        node.labels = own
    elif len(node.children) == 1:
        child = node.children[0]
        node.labels = _along(child.labels, own, child.length - node.length)
    else:
        left, right = (_along(child.labels, own, child.length - node.length - 1) for child in node.children)
        node.labels = left & right or left | right


def _along(labels: int, own: int, steps: int) -> int:
    """What becomes of ``labels`` over ``steps`` levels whose other branch holds only ``own``."""
    if steps == 0:
        return labels
    if steps == 1 and not labels & own:
        return labels | own
    return own


def _choose(node: _Node, label: int, width: int, chosen: list[tuple[int, int, int]]) -> None:
    """Pass three: from the root down, an entry wherever the label in force cannot stay."""
    own = node.own
    if len(node.children) == 1 and label != own:
        chosen.append((*_beside(node.children[0], node.length + 1, width), own))
    for child in node.children:
        in_force = label
        if child.length > node.length + 1 and in_force != own:
            if child.length == node.length + 2 and child.labels & in_force and not child.labels & own:
                chosen.append((*_beside(child, child.length, width), own))
            else:
                chosen.append((*_above(child, node.length + 1, width), own))
                in_force = own
        if not child.labels & in_force:
            in_force = child.own if child.own & child.labels else child.labels & -child.labels
            chosen.append((child.network, child.length, in_force))
        _choose(child, in_force, width, chosen)


def _above(node: _Node, length: int, width: int) -> tuple[int, int]:
    shift = width - length
    return node.network >> shift << shift, length


def _beside(node: _Node, length: int, width: int) -> tuple[int, int]:
    network, length = _above(node, length, width)
    return network ^ 1 << (width - length), length
