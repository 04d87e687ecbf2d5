"""Sets of addresses as the fewest prefixes, and labels by longest-prefix match.

Prefixes of one IP version are handled as keys, plain integers, since there may be very many.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from functools import cached_property
from typing import Generic, TypeVar

from op25b_app.net.prefix import WIDTH, Prefix

Key = int
"""Prefix of a known IP version as ``network << 8 | length``; it sorts before all that it covers."""

Label = TypeVar("Label")

FEW = 1000
"""Maximum number of changes to a table that are made one by one; for more, it is made anew."""


def keys_of(version: int, prefixes: Iterable[Prefix]) -> list[Key]:
    """Return the keys of the prefixes of one IP version, in their order."""
    # There may be very many, and a named tuple is slower to unpack than to index.
    return [prefix[1] << 8 | prefix[2] for prefix in prefixes if prefix[0] == version]


def key_of(prefix: Prefix) -> Key:
    """Return the key of a prefix."""
    return prefix.network << 8 | prefix.length


def prefix_of(version: int, key: Key) -> Prefix:
    """Return the prefix of a key."""
    return Prefix(version, key >> 8, key & 0xFF)


def end_of(version: int, key: Key) -> int:
    """Return the first address after those that a key holds."""
    return (key >> 8) + (1 << WIDTH[version] - (key & 0xFF))


def cover(version: int, keys: Iterable[Key]) -> list[Key]:
    """Return the fewest disjoint keys that hold what ``keys`` hold, ascending."""
    width = WIDTH[version]
    found: list[Key] = []
    end = 0
    for key in sorted(keys):
        if key < end:
            continue
        length = key & 0xFF
        upper_half = 256 << width - length
        end = key - length + upper_half
        while key & upper_half and found and found[-1] == key ^ upper_half:
            found.pop()
            key = (key ^ upper_half) - 1
            upper_half <<= 1
        found.append(key)
    return found


def difference(version: int, keys: Sequence[Key], without: Sequence[Key]) -> list[Key]:
    """Return the fewest disjoint keys that hold what ``keys`` hold and ``without`` do not, ascending.

    Both must be covers.
    """
    width = WIDTH[version]
    found: list[Key] = []
    for key in keys if without else ():
        low = bisect_left(without, key)
        if low and end_of(version, without[low - 1]) > key >> 8:
            continue
        holes = without[low : bisect_left(without, end_of(version, key) << 8, low)]
        found += _around(width, key, holes) if holes else (key,)
    return found if without else [*keys]


def halves(width: int, key: Key) -> tuple[Key, Key]:
    """Return the two halves of a key, the lower first; ``width`` is that of an address in bits."""
    lower = key + 1
    return lower, lower | 256 << (width - (lower & 0xFF))


def common_ancestor(width: int, one: Key, other: Key) -> Key:
    """Return the longest key that covers both; ``one`` sorts before ``other``."""
    length = min(one & 0xFF, width - (one >> 8 ^ other >> 8).bit_length())
    shift = width - length + 8
    return one >> shift << shift | length


def _around(width: int, key: Key, holes: Sequence[Key]) -> Iterator[Key]:
    if not holes:
        yield key
    elif holes[0] != key:
        lower, upper = halves(width, key)
        middle = bisect_left(holes, upper)
        yield from _around(width, lower, holes[:middle])
        yield from _around(width, upper, holes[middle:])


class LpmTable(Generic[Label]):
    """Labels of addresses of one IP version by longest-prefix match; ``default`` where nothing matches."""

    def __init__(self, version: int, labels: Mapping[Key, Label], default: Label) -> None:
        self.version = version
        self.labels = labels
        self.default = default
        self.keys = sorted(labels)
        """Keys of the entries, ascending."""
        self.values = [labels[key] for key in self.keys]
        """Labels of the entries, in the same order."""
        self._lengths = sorted({key & 0xFF for key in self.keys}, reverse=True)

    def label(self, key: Key) -> Label:
        """Return the label of the longest entry that covers ``key``."""
        width, network, labels = WIDTH[self.version], key >> 8, self.labels
        for length in self._lengths:
            if length <= key & 0xFF:
                host = width - length
                entry = network >> host << host + 8 | length
                if entry in labels:
                    return labels[entry]
        return self.default

    def inside(self, key: Key) -> Sequence[Key]:
        """Return the entries that ``key`` covers, ascending."""
        return self.keys[slice(*self._range(key))]

    def _range(self, key: Key) -> tuple[int, int]:
        """Return where the entries begin and end that ``key`` covers."""
        low = bisect_left(self.keys, key)
        return low, bisect_left(self.keys, end_of(self.version, key) << 8, low)

    def updated(self, changes: Mapping[Key, Label | None]) -> LpmTable[Label]:
        """Return a table in which some entries have other labels, or are removed (None)."""
        if not changes:
            return self
        labels = dict(self.labels)
        for key, label in changes.items():
            if label is None:
                labels.pop(key, None)
            else:
                labels[key] = label
        if len(changes) > FEW:
            return LpmTable(self.version, labels, self.default)
        table = copy(self)
        table.labels, table.keys, table.values = labels, [*self.keys], [*self.values]
        table._lengths = sorted({*self._lengths, *(key & 0xFF for key in changes)}, reverse=True)
        for key in changes:
            position = bisect_left(table.keys, key)
            stop = position + (key in self.labels)
            table.keys[position:stop] = [key] if key in labels else []
            table.values[position:stop] = [labels[key]] if key in labels else []
        if "sizes" in vars(self):
            table.sizes = self._sizes_with(table, changes)
        return table

    def changed(self, over: Iterable[Key], change: Callable[[Label], Label]) -> LpmTable[Label]:
        """Return a table with other labels for all addresses that ``over``, disjoint keys, hold."""
        changes: dict[Key, Label | None] = {}
        for key in over:
            changes[key] = change(self.label(key))
            changes.update((entry, change(self.labels[entry])) for entry in self.inside(key))
        return self.updated(changes)

    def cover_of(self, label: Label) -> list[Key]:
        """Return the fewest disjoint keys that hold the addresses that have ``label``."""
        held: list[Key] = []
        self._gather(held, label, 0, 0, len(self.keys), self.default == label)
        return cover(self.version, held)

    @cached_property
    def sizes(self) -> Mapping[Label, int]:
        """Number of addresses that have each label by an entry, without those that match no entry."""
        return self._sizes(0, len(self.keys))

    def _sizes(self, low: int, high: int) -> Counter[Label]:
        """Count the addresses of each label in the entries from ``low`` to ``high``.

        One pass, in which each entry takes its addresses from the closest one that covers it.
        """
        width = WIDTH[self.version]
        found: Counter[Label] = Counter()
        size_of = [1 << width - length for length in range(width + 1)]
        outer: list[tuple[int, Label]] = []
        """Ends and labels of the entries that cover the innermost one of the current place."""
        end, innermost = 0, self.default
        for key, label in zip(self.keys[low:high], self.values[low:high], strict=True):
            network, size = key >> 8, size_of[key & 0xFF]
            while outer and network >= end:
                end, innermost = outer.pop()
            if network < end:
                found[innermost] -= size
                outer.append((end, innermost))
            found[label] += size
            end, innermost = network + size, label
        return found

    def _sizes_with(self, table: LpmTable[Label], changes: Iterable[Key]) -> Mapping[Label, int]:
        """Return the sizes of ``table``, in which the entries at ``changes`` differ from this one's."""
        sizes = Counter(self.sizes)
        for block in cover(self.version, (self._outermost(table, key) for key in changes)):
            sizes.update(table._sizes(*table._range(block)))
            sizes.subtract(self._sizes(*self._range(block)))
        return +sizes

    def _outermost(self, table: LpmTable[Label], key: Key) -> Key:
        """Return the shortest entry of either table that covers ``key``, or ``key``."""
        width, network = WIDTH[self.version], key >> 8
        for length in range(key & 0xFF):
            host = width - length
            entry = network >> host << host + 8 | length
            if entry in self.labels or entry in table.labels:
                return entry
        return key

    def _gather(self, held: list[Key], label: Label, block: Key, low: int, high: int, is_held: bool) -> None:
        """Add what ``block`` holds of ``label`` to ``held``; entries ``low`` to ``high`` are those in it."""
        width, keys = WIDTH[self.version], self.keys
        while low < high:
            if not is_held:
                block = common_ancestor(width, keys[low], keys[high - 1])
            if keys[low] != block:
                break
            is_held = self.values[low] == label
            low += 1
        if low == high:
            held += [block] if is_held else []
            return
        lower, upper = halves(width, block)
        middle = bisect_left(keys, upper, low, high)
        self._gather(held, label, lower, low, middle, is_held)
        self._gather(held, label, upper, middle, high, is_held)
