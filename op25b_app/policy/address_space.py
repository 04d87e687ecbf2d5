"""Label the addresses of an ISP by longest-prefix match: dynamic, static or unlisted."""

from __future__ import annotations

import enum
from collections.abc import Iterable

from op25b_app.net.prefix import WIDTH, Prefix
from op25b_app.net.prefix_set import LpmTable, key_of, keys_of


class Space(enum.IntEnum):
    """Label of an address in the address space of an ISP."""

    DYNAMIC = 0
    STATIC = 1
    BOUND = 2
    """Static, on one line only."""
    UNLISTED = 3


class AddressSpace:
    """Dynamic and static prefixes, as tables by IP version; a prefix listed as both is static.

    ``before`` is an earlier space; only the differences from it are computed.
    """

    def __init__(
        self, dynamic: Iterable[Prefix], static: Iterable[Prefix], before: AddressSpace | None = None
    ) -> None:
        self._dynamic, self._static = frozenset(dynamic), frozenset(static)
        self.in_both = self._dynamic & self._static
        if before is None:
            self.tables = {version: self._table(version) for version in WIDTH}
        else:
            changed = (self._dynamic ^ before._dynamic) | (self._static ^ before._static)
            self.tables = {version: self._since(table, changed) for version, table in before.tables.items()}

    def spaces_in(self, prefix: Prefix) -> set[Space]:
        """Return the spaces that a prefix lies in: by its longest match, and by the prefixes inside it."""
        table, key = self.tables[prefix.version], key_of(prefix)
        return {table.label(key), *(table.labels[inner] for inner in table.inside(key))}

    def _table(self, version: int) -> LpmTable[Space]:
        labels = dict.fromkeys(keys_of(version, self._dynamic), Space.DYNAMIC)
        labels.update(dict.fromkeys(keys_of(version, self._static), Space.STATIC))
        return LpmTable(version, labels, Space.UNLISTED)

    def _since(self, table: LpmTable[Space], changed: Iterable[Prefix]) -> LpmTable[Space]:
        version = table.version
        return table.updated(
            {key_of(prefix): self._listed_as(prefix) for prefix in changed if prefix.version == version}
        )

    def _listed_as(self, prefix: Prefix) -> Space | None:
        if prefix in self._static:
            return Space.STATIC
        return Space.DYNAMIC if prefix in self._dynamic else None
