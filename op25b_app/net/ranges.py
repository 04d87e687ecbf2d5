"""Sets of numbers (ports, tags, addresses) as ranges."""

from __future__ import annotations

Ranges = tuple[tuple[int, int], ...]
"""First and last values, both included, ascending and apart."""


def complement(ranges: Ranges, first: int, last: int) -> Ranges:
    """Return the numbers from ``first`` to ``last`` that are not in ``ranges``."""
    gaps = []
    for begin, end in ranges:
        if first <= (until := min(begin - 1, last)):
            gaps.append((first, until))
        first = max(first, end + 1)
    if first <= last:
        gaps.append((first, last))
    return tuple(gaps)


def common(one: Ranges, other: Ranges) -> Ranges:
    """Return the numbers that are in both."""
    found = []
    here = there = 0
    while here < len(one) and there < len(other):
        first, last = max(one[here][0], other[there][0]), min(one[here][1], other[there][1])
        if first <= last:
            found.append((first, last))
        if one[here][1] < other[there][1]:
            here += 1
        else:
            there += 1
    return tuple(found)


def merged(ranges: list[tuple[int, int]]) -> Ranges:
    """Return ``ranges``, in any order and overlapping or not, as one set."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(last, found[-1][1])
        else:
            found.append((first, last))
    return tuple(found)


def size(ranges: Ranges) -> int:
    """Return the number of values in ``ranges``."""
    return sum(last - first + 1 for first, last in ranges)
