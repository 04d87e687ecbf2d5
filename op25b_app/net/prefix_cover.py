"""Minimal covers and tables: the fewest prefixes with the same meaning.

A *cover* holds the addresses of a set and no others; its minimum is unique. A *table* gives every address a
label by longest-prefix match.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from op25b_app.net.ortc import SmallestTable
from op25b_app.net.prefix import WIDTH, Prefix
from op25b_app.net.prefix_set import Label, LpmTable, cover, difference, key_of, keys_of, prefix_of
from op25b_app.net.ranges import Ranges, merged


def of_version(prefixes: Iterable[Prefix], version: int) -> Iterator[Prefix]:
    """Yield the prefixes of one IP version."""
    return (prefix for prefix in prefixes if prefix.version == version)


def held_by(prefixes: Iterable[Prefix]) -> Ranges:
    """Return the addresses of ``prefixes``, all of one version, as ranges."""
    return merged([(prefix.first, prefix.last) for prefix in prefixes])


def minimal_cover(version: int, prefixes: Iterable[Prefix], without: Iterable[Prefix] = ()) -> list[Prefix]:
    """Return the fewest disjoint prefixes that hold ``prefixes`` but nothing of ``without``, ascending."""
    inside = cover(version, keys_of(version, prefixes))
    outside = cover(version, keys_of(version, without))
    return [prefix_of(version, key) for key in difference(version, inside, outside)]


def cover_of_interval(version: int, first: int, last: int) -> Iterator[Prefix]:
    """Yield the fewest prefixes that hold exactly the addresses ``first`` to ``last``, ascending."""
    width = WIDTH[version]
    while first <= last:
        aligned = (first & -first).bit_length() - 1 if first else width
        fitting = (last - first + 1).bit_length() - 1
        size = min(aligned, fitting)
        yield Prefix(version, first, width - size)
        first += 1 << size


def minimal_table(version: int, table: Mapping[Prefix, Label], default: Label) -> dict[Prefix, Label]:
    """Return a smallest table with the meaning of ``table``; ``default`` labels what nothing matches.

    The result always holds the prefix of length 0, so it is complete in itself.
    """
    labels = list(dict.fromkeys([default, *table.values()]))
    number = {label: index for index, label in enumerate(labels)}
    numbers = {key_of(prefix): number[label] for prefix, label in table.items()}
    smallest = SmallestTable(LpmTable(version, numbers, 0), [1 << index for index in number.values()])
    return {
        prefix_of(version, key): labels[bit.bit_length() - 1]
        for bit, keys in smallest.entries.items()
        for key in keys
    }
