"""Sets of addresses as text: in prefixes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter

from op25b_app.net.prefix import WIDTH, Prefix
from op25b_app.net.prefix_cover import cover_of_interval, held_by, minimal_table
from op25b_app.net.ranges import Ranges, complement, size

_MAX_WITH_HOLES = 1000
"""Maximum number of prefixes for which holes are tried; a longer list is not read in full."""


@dataclass(frozen=True)
class AddressSet:
    """Addresses of one IP version."""

    version: int
    ranges: Ranges

    def __contains__(self, address: int) -> bool:
        place = bisect_right(self.ranges, address, key=itemgetter(0)) - 1
        return place >= 0 and address <= self.ranges[place][1]

    @cached_property
    def count(self) -> int:
        """The number of addresses."""
        return size(self.ranges)

    @property
    def is_everything(self) -> bool:
        """True where the set holds all addresses of its version."""
        return self.count == 1 << WIDTH[self.version]

    @cached_property
    def is_shorter_by_exclusion(self) -> bool:
        """True where the complement has fewer ranges, or as many and fewer addresses."""
        rest = self.others
        return (len(rest.ranges), rest.count) < (len(self.ranges), self.count)

    @cached_property
    def others(self) -> AddressSet:
        """The complement: all other addresses of the version."""
        return AddressSet(self.version, complement(self.ranges, 0, (1 << WIDTH[self.version]) - 1))

    def prefixes(self) -> Iterator[Prefix]:
        """Yield the fewest prefixes that hold exactly these addresses, ascending."""
        for first, last in self.ranges:
            yield from cover_of_interval(self.version, first, last)

    @cached_property
    def pieces(self) -> list[PrefixWithHoles]:
        """The set as prefixes, with holes where that is much shorter."""
        cover = list(self.prefixes())
        whole = [PrefixWithHoles(prefix, []) for prefix in cover]
        if not 2 < len(cover) <= _MAX_WITH_HOLES:
            return whole
        table = minimal_table(self.version, dict.fromkeys(cover, True), False)
        if 2 * len(table) > len(cover):
            return whole
        found: list[PrefixWithHoles] = []
        around: list[PrefixWithHoles] = []
        for prefix in sorted(table):
            while around and not around[-1].prefix.covers(prefix):
                around.pop()
            if table[prefix]:
                around.append(PrefixWithHoles(prefix, []))
                found.append(around[-1])
            elif around:
                around[-1].holes.append(prefix)
        return found


@dataclass(frozen=True, slots=True)
class PrefixWithHoles:
    """A prefix without its holes; prefixes inside a hole are pieces of their own."""

    prefix: Prefix
    holes: list[Prefix]

    @property
    def count(self) -> int:
        """The number of addresses."""
        return self.prefix.last - self.prefix.first + 1 - size(held_by(self.holes))
