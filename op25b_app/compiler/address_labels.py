"""Address sets and labels of a policy, computed once for all of its switches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from op25b_app.net.nat64 import embed
from op25b_app.net.ortc import NO, YES, Costs, SmallestTable
from op25b_app.net.prefix import Prefix
from op25b_app.net.prefix_set import Key, LpmTable, cover, difference, keys_of
from op25b_app.policy.address_space import Space
from op25b_app.policy.model import LocatedPrefix, Policy, SourceValidation

VERSIONS = (4, 6)

CLOSED, READABLE, EXEMPT = 1, 2, 4
"""Labels of a source, by what it may send to port 25.

CLOSED: nothing. READABLE: packets whose port a switch can read. EXEMPT: anything.
"""

_MAIL_COSTS = Costs((CLOSED, READABLE, EXEMPT), dear=READABLE, around=EXEMPT, last=CLOSED)
"""Costs of entries: READABLE directly within EXEMPT needs one more rule, which blocks the rest."""

ByVersion = Mapping[int, Sequence[Key]]


class Addresses:
    """Address sets and labels, each computed on first use and only once.

    What is unchanged since ``previous``, which is of an earlier policy, is taken from there.
    """

    def __init__(self, policy: Policy, previous: Addresses | None = None) -> None:
        self._policy = policy
        self._before = previous._tables if previous is not None else {}
        self._tables: dict[tuple[object, int], SmallestTable] = {}
        mail = prefixes_of(policy.mail_destinations)
        self.mail = _covers([*mail, *self.behind_nat64(mail)])
        self.space = policy.space.tables

    @property
    def own(self) -> list[Prefix]:
        """The prefixes of own space, as the policy lists them."""
        return prefixes_of((*self._policy.dynamic, *self._policy.static))

    @property
    def has_own(self) -> bool:
        """True where there is any own space."""
        return any(table.keys for table in self.space.values())

    def behind_nat64(self, prefixes: Iterable[Prefix]) -> list[Prefix]:
        """Return the IPv4 prefixes among ``prefixes`` as IPv6 hosts see them behind NAT64."""
        nat64 = prefixes_of(self._policy.nat64_prefixes)
        return [embed(outer, prefix) for prefix in prefixes if prefix.version == 4 for outer in nat64]

    @cached_property
    def own_cover(self) -> ByVersion:
        """The fewest disjoint keys that hold own space, by IP version."""
        return {version: cover(version, self.space[version].keys) for version in VERSIONS}

    @cached_property
    def own_cover_without_mail(self) -> ByVersion:
        """The fewest disjoint keys that hold own space without mail destinations, by IP version."""
        return {
            version: difference(version, self.own_cover[version], self.mail[version]) for version in VERSIONS
        }

    @cached_property
    def space_by_line(self) -> Mapping[int, LpmTable[Space]]:
        """The space by IP version, with static space that is bound to a line of any switch as ``BOUND``."""
        if not self._policy.static:  # bindings of other addresses change nothing here
            return self.space
        bound = _covers(listed.prefix for _, listed in self._policy.bound_prefixes())
        return {
            version: table.changed(bound[version], _only_on_its_line) for version, table in self.space.items()
        }

    def is_dynamic(self, version: int) -> SmallestTable:
        """Return the smallest table that says YES to dynamic space."""
        says = [YES if space is Space.DYNAMIC else NO for space in Space]
        return self._smallest("dynamic", self.space[version], says)

    def may_send_mail(self, version: int) -> SmallestTable:
        """Return the smallest table of ``CLOSED``, ``READABLE`` and ``EXEMPT``, by the source alone."""
        hardening = self._policy.hardening
        unlisted = CLOSED
        if hardening.source_validation is SourceValidation.OFF:
            unlisted = READABLE if hardening.block_unreadable_tcp else EXEMPT
        says = [CLOSED, EXEMPT, CLOSED, unlisted]
        costs = _MAIL_COSTS if unlisted == READABLE else None
        return self._smallest("mail", self.space_by_line[version], says, costs)

    def is_own_but_not_mail(self, version: int) -> SmallestTable:
        """Return the smallest table that says YES to own space without mail destinations."""
        own = self._own[version].changed(self.mail[version], lambda _: NO)
        return self._smallest("own but not mail", own, range(3))

    def is_behind(self, served: Sequence[Prefix] | None, version: int) -> SmallestTable:
        """Return the smallest table that says YES to own space, or only to its ``served`` part, if given."""
        own = self._own[version]
        if served is not None:
            both: list[Key] = []
            for key in cover(version, keys_of(version, served)):
                both += [key] if own.label(key) == YES else own.inside(key)
            own = LpmTable(version, dict.fromkeys(both, YES), NO)
        return self._smallest(("behind", served), own, range(3))

    @cached_property
    def _own(self) -> Mapping[int, LpmTable[int]]:
        return {
            version: LpmTable(version, dict.fromkeys(table.keys, YES), NO)
            for version, table in self.space.items()
        }

    def _smallest(
        self,
        question: object,
        table: LpmTable[Space] | LpmTable[int],
        says: Sequence[int],
        costs: Costs | None = None,
    ) -> SmallestTable:
        """Return the smallest table for a question; ``says`` holds the answer to each label of ``table``."""
        known = question, table.version
        if known not in self._tables:
            self._tables[known] = SmallestTable(table, says, self._before.get(known), costs)
        return self._tables[known]


def prefixes_of(listed: Iterable[LocatedPrefix]) -> list[Prefix]:
    """Return the prefixes of ``listed``, in its order."""
    return [prefix for prefix, _ in listed]


def _covers(prefixes: Iterable[Prefix]) -> ByVersion:
    chosen = list(prefixes)
    return {version: cover(version, keys_of(version, chosen)) for version in VERSIONS}


def _only_on_its_line(space: Space) -> Space:
    return Space.BOUND if space is Space.STATIC else space
