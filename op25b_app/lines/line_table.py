"""The table of learned lines: which line has which address, by what several sources say.

A claim is what one source says of one address or delegated prefix. Where claims of two lines overlap, the
older one holds until it ends; then the next older one does. The other claims wait, and are named.
"""

from __future__ import annotations

import heapq
from bisect import insort
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from operator import attrgetter
from typing import NamedTuple

from op25b_app.formats.lease_record import mac_text
from op25b_app.net.prefix import Prefix
from op25b_app.policy.model import Binding, LocatedPrefix, SourceLocation, SubscriberPort

MAX_CLAIMS = 1 << 20
"""Maximum number of claims of all sources; those of a million lines."""
MAX_OF_LINE = 64
"""Maximum number of addresses that one line holds; a subscriber can ask a DHCP server for any number."""
SHORTEST = {4: 16, 6: 32}
"""Shortest prefix that a line can hold, by IP version; a shorter one is a mistake of its source."""

_COMPACT_AT = 1 << 12


class Claim(NamedTuple):
    """Statement of one source: a prefix belongs to a line, from ``since`` to ``until``.

    Times are in seconds since 1970; ``until`` None is no end. ``mac`` None leaves the MAC address free.
    ``file_line`` is the line of the source's file; 0 where it has none.
    """

    prefix: Prefix
    line: SubscriberPort
    mac: int | None
    since: float
    until: float | None
    source: str
    file_line: int = 0

    def says_the_same(self, other: Claim) -> bool:
        """Return whether two claims can hold together: of the same line and MAC address."""
        return self.line == other.line and self.mac == other.mac


class Waiting(NamedTuple):
    """A claim that does not hold, and why."""

    claim: Claim
    reason: str


class ClaimNews(NamedTuple):
    """A claim that began or was renewed, or that ended."""

    claim: Claim
    ended: bool


class _Entry(NamedTuple):
    """A claim and its age: one with a smaller number came before."""

    number: int
    claim: Claim


_Key = tuple[str, Prefix]
_AGE = attrgetter("number")


class LineTable:
    """The claims of all sources; which of them hold, and which wait.

    ``changed`` holds the names of the switches whose learned bindings have changed since it was cleared.
    ``news`` holds what has happened to claims since it was cleared, the oldest first.
    """

    def __init__(self) -> None:
        self._entries: dict[_Key, _Entry] = {}
        self._by_prefix: dict[Prefix, dict[str, _Entry]] = {}
        """By source."""
        self._index = _PrefixIndex()
        self._holding: dict[_Key, Claim] = {}
        self._waiting: dict[_Key, str] = {}
        """Reasons."""
        self._of_line: Counter[SubscriberPort] = Counter()
        self._without_room: dict[SubscriberPort, set[_Key]] = {}
        """Claims that wait since their line holds too many addresses; some may be gone by now."""
        self._have_room: set[SubscriberPort] = set()
        """Lines that held too many addresses, and hold fewer now."""
        self._of_switch: dict[str, dict[_Key, Claim]] = {}
        self._of_source: dict[str, set[Prefix]] = {}
        self._ends: list[tuple[float, str, Prefix]] = []
        self._next_number = 0
        self.changed: set[str] = set()
        self.news: deque[ClaimNews] = deque(maxlen=MAX_CLAIMS)

    def __len__(self) -> int:
        return len(self._entries)

    def replace(self, source: str, claims: Iterable[Claim], *, keep_others: bool = False) -> bool:
        """Take all that a source says; with ``keep_others``, what it no longer names goes on.

        Returns False where there is no room for all of it: then nothing else has changed.
        """
        new = {claim.prefix: claim for claim in claims}
        before = self._of_source.get(source, set())
        gone = () if keep_others else [prefix for prefix in before if prefix not in new]
        if len(self) - len(gone) + len(new.keys() - before) > MAX_CLAIMS:
            return False
        touched = {prefix for prefix in gone if self._remove(source, prefix) is not None}
        touched.update(claim.prefix for claim in new.values() if self._add(claim))
        self._settle(touched)
        return True

    def add(self, claim: Claim) -> bool:
        """Take one claim; it replaces that of the same source for the same prefix.

        Returns False where there is no room for it.
        """
        if (claim.source, claim.prefix) not in self._entries and len(self) >= MAX_CLAIMS:
            return False
        if self._add(claim):
            self._settle([claim.prefix])
        return True

    def end(self, source: str, prefixes: Iterable[Prefix]) -> list[Claim]:
        """End claims of a source; returns those that there were."""
        gone = [found for prefix in prefixes if (found := self._remove(source, prefix)) is not None]
        self._settle(claim.prefix for claim in gone)
        return gone

    def forget_sources(self, known: Collection[str]) -> None:
        """End all claims of sources that are not ``known``."""
        for source in [each for each in self._of_source if each not in known]:
            self.end(source, [*self._of_source[source]])

    def expire(self, at: float, kept: Collection[str] = ()) -> list[Claim]:
        """End the claims whose end has come, except those of the sources in ``kept``; returns them."""
        ended: list[Claim] = []
        put_off: list[tuple[float, str, Prefix]] = []
        while self._ends and self._ends[0][0] <= at:
            entry = heapq.heappop(self._ends)
            until, source, prefix = entry
            known = self._entries.get((source, prefix))
            if known is None or known.claim.until != until:
                continue
            if source in kept:
                put_off.append(entry)
            else:
                ended += self.end(source, [prefix])
        for entry in put_off:
            heapq.heappush(self._ends, entry)
        return ended

    def next_end(self, kept: Collection[str] = ()) -> float | None:
        """Return when the next claim may end, in seconds since 1970; None where none does."""
        if not kept:
            return self._ends[0][0] if self._ends else None
        return min((until for until, source, _ in self._ends if source not in kept), default=None)

    def holding(self) -> Iterator[Claim]:
        """Yield the claims that hold."""
        yield from self._holding.values()

    def holding_of(self, switch: str | None) -> Iterator[Claim]:
        """Yield the claims that hold on a switch; on all of them for None."""
        held = self._holding if switch is None else self._of_switch.get(switch, {})
        yield from held.values()

    def claims(self) -> Iterator[Claim]:
        """Yield all claims, the oldest first."""
        yield from (entry.claim for entry in sorted(self._entries.values(), key=_AGE))

    def waiting(self) -> Iterator[Waiting]:
        """Yield the claims that do not hold, each with its reason."""
        for key, reason in self._waiting.items():
            yield Waiting(self._entries[key].claim, reason)

    def reason_to_wait(self, source: str, prefix: Prefix) -> Waiting | None:
        """Return the claim of a source for a prefix with its reason, if it does not hold."""
        reason = self._waiting.get((source, prefix))
        return None if reason is None else Waiting(self._entries[source, prefix].claim, reason)

    @property
    def waits(self) -> int:
        """Number of claims that do not hold."""
        return len(self._waiting)

    @property
    def holds(self) -> int:
        """Number of claims that hold."""
        return len(self._holding)

    def claims_of(self, source: str) -> list[Claim]:
        """Return the claims of a source."""
        return [self._entries[source, prefix].claim for prefix in self._of_source.get(source, ())]

    def count_of(self, source: str) -> int:
        """Return the number of claims of a source."""
        return len(self._of_source.get(source, ()))

    def concerns(self, source: str, switch: str) -> bool:
        """Return whether a claim of a source holds on a switch."""
        return any(name == source for name, _ in self._of_switch.get(switch, ()))

    def holders(self, prefix: Prefix) -> list[Claim]:
        """Return the claims that hold and overlap a prefix, the shortest prefix first."""
        found = {
            claim
            for other in self._index.overlapping(prefix)
            for source in self._by_prefix[other]
            if (claim := self._holding.get((source, other))) is not None
        }
        return sorted(found, key=lambda claim: (claim.prefix.length, claim.prefix, claim.source))

    def bindings(self, switch: str) -> tuple[Binding, ...]:
        """Return the learned bindings of a switch, one for each line and MAC address, in a fixed order."""
        groups: dict[tuple[int, int, int], list[Claim]] = {}
        for claim in self._of_switch.get(switch, {}).values():
            _, port, vlan = claim.line
            mac = -1 if claim.mac is None else claim.mac
            groups.setdefault((port, -1 if vlan is None else vlan, mac), []).append(claim)
        return tuple(_binding(groups[group]) for group in sorted(groups))

    def all_bindings(self) -> Mapping[str, tuple[Binding, ...]]:
        """Return the learned bindings by the names of their switches."""
        return {name: self.bindings(name) for name, held in self._of_switch.items() if held}

    def _add(self, claim: Claim) -> bool:
        """Add or renew a claim; returns whether it matters which claims hold now."""
        key = claim.source, claim.prefix
        before = self._entries.get(key)
        if before is not None and before.claim.says_the_same(claim):
            # A renewal keeps its age, and its beginning.
            self._put(_Entry(before.number, claim._replace(since=before.claim.since)))
            return False
        if before is not None:
            self._remove(*key)
        self._put(_Entry(self._next_number, claim))
        self._next_number += 1
        return True

    def _put(self, entry: _Entry) -> None:
        claim = entry.claim
        key = claim.source, claim.prefix
        before = self._entries.get(key)
        self._entries[key] = entry
        of_prefix = self._by_prefix.setdefault(claim.prefix, {})
        if not of_prefix:
            self._index.add(claim.prefix)
        of_prefix[claim.source] = entry
        self._of_source.setdefault(claim.source, set()).add(claim.prefix)
        if key in self._holding:  # renewed
            self._holding[key] = self._of_switch[claim.line.switch][key] = claim
        if before is None or before.claim != claim:
            self.news.append(ClaimNews(claim, ended=False))
        if claim.until is not None and (before is None or before.claim.until != claim.until):
            heapq.heappush(self._ends, (claim.until, *key))
            if len(self._ends) > 2 * len(self._entries) + _COMPACT_AT:
                self._compact()

    def _compact(self) -> None:
        """Drop the ends of claims that were renewed or are gone."""
        self._ends = [
            (entry.claim.until, *key) for key, entry in self._entries.items() if entry.claim.until is not None
        ]
        heapq.heapify(self._ends)

    def _remove(self, source: str, prefix: Prefix) -> Claim | None:
        entry = self._entries.pop((source, prefix), None)
        if entry is None:
            return None
        if waiting := self._without_room.get(entry.claim.line):
            waiting.discard((source, prefix))
        self.news.append(ClaimNews(entry.claim, ended=True))
        of_prefix = self._by_prefix[prefix]
        del of_prefix[source]
        if not of_prefix:
            del self._by_prefix[prefix]
            self._index.remove(prefix)
        self._of_source[source].discard(prefix)
        self._waiting.pop((source, prefix), None)
        self._let_go((source, prefix))
        return entry.claim

    def _let_go(self, key: _Key) -> None:
        claim = self._holding.pop(key, None)
        if claim is not None:
            if self._of_line[claim.line] == MAX_OF_LINE:
                self._have_room.add(claim.line)
            self._of_line[claim.line] -= 1
            if not self._of_line[claim.line]:
                del self._of_line[claim.line]
            del self._of_switch[claim.line.switch][key]
            self.changed.add(claim.line.switch)

    def _settle(self, touched: Iterable[Prefix]) -> None:
        """Decide again which claims hold, of all that overlap with what was touched, the oldest first."""
        pending = {self._index.widest(prefix) for prefix in touched}
        while pending:
            for widest in sorted(pending):
                inside = [*self._index.within(widest)]
                entries = [entry for prefix in inside for entry in self._by_prefix[prefix].values()]
                self._settle_among(sorted(entries, key=_AGE))
            pending = {
                self._index.widest(prefix)
                for line in self._have_room
                for _, prefix in self._without_room.pop(line, ())
            }
            self._have_room.clear()

    def _settle_among(self, entries: list[_Entry]) -> None:
        """Decide which of these claims hold; no other claim overlaps with them."""
        held = _PrefixIndex()
        holders: dict[Prefix, Claim] = {}
        for _, claim in entries:
            key = claim.source, claim.prefix
            against = self._against(claim, held, holders)
            if against is None and key not in self._holding and self._of_line[claim.line] >= MAX_OF_LINE:
                against = f"the line holds {MAX_OF_LINE} addresses already"
                self._without_room.setdefault(claim.line, set()).add(key)
            if against is not None:
                self._let_go(key)
                self._waiting[key] = against
                continue
            if claim.prefix not in holders:
                held.add(claim.prefix)
                holders[claim.prefix] = claim
            self._waiting.pop(key, None)
            if key not in self._holding:
                self._hold(key, claim)

    def _against(self, claim: Claim, held: _PrefixIndex, holders: Mapping[Prefix, Claim]) -> str | None:
        """Return why a claim cannot hold beside older ones; None where it can."""
        if claim.prefix.length < SHORTEST[claim.prefix.version]:
            shortest = SHORTEST[claim.prefix.version]
            return f"a line holds no IPv{claim.prefix.version} prefix shorter than /{shortest}"
        for prefix in held.overlapping(claim.prefix):
            older = holders[prefix]
            if older.line != claim.line:
                return f"{older.prefix} is at {older.line} by {older.source}, which said so before"
            if prefix == claim.prefix and older.mac != claim.mac:
                mac = "any MAC address" if older.mac is None else mac_text(older.mac)
                return f"it is there with {mac} by {older.source}, which said so before"
        return None

    def _hold(self, key: _Key, claim: Claim) -> None:
        self._holding[key] = claim
        self._of_line[claim.line] += 1
        self._of_switch.setdefault(claim.line.switch, {})[key] = claim
        self.changed.add(claim.line.switch)


class _PrefixIndex:
    """Prefixes, found by those that they lie in or contain; fast where few lengths are in use.

    A length stays in use, since finding all prefixes of a new one takes a while.
    """

    def __init__(self) -> None:
        self._prefixes: set[Prefix] = set()
        self._lengths: dict[int, list[int]] = {4: [], 6: []}
        """Sorted, by IP version."""
        self._inside: dict[Prefix, set[Prefix]] = {}
        """By each prefix of a length in use: the longer prefixes inside it."""

    def add(self, prefix: Prefix) -> None:
        """Add a prefix that is not there."""
        lengths = self._lengths[prefix.version]
        if prefix.length not in lengths:
            insort(lengths, prefix.length)
            for longer in self._longer_than(prefix):
                self._inside.setdefault(_cut(longer, prefix.length), set()).add(longer)
        self._prefixes.add(prefix)
        for above in self._above(prefix):
            self._inside.setdefault(above, set()).add(prefix)

    def remove(self, prefix: Prefix) -> None:
        """Remove a prefix that is there."""
        self._prefixes.discard(prefix)
        for above in self._above(prefix):
            inside = self._inside[above]
            inside.discard(prefix)
            if not inside:
                del self._inside[above]

    def overlapping(self, prefix: Prefix) -> Iterator[Prefix]:
        """Yield the prefixes that share an address with one."""
        yield from (above for above in self._above(prefix) if above in self._prefixes)
        yield from self.within(prefix)

    def widest(self, prefix: Prefix) -> Prefix:
        """Return the shortest prefix that contains one; the prefix itself where there is none."""
        return next((above for above in self._above(prefix) if above in self._prefixes), prefix)

    def within(self, prefix: Prefix) -> Iterator[Prefix]:
        """Yield the prefixes that lie in one, itself among them if it is there."""
        if prefix in self._prefixes:
            yield prefix
        if prefix.length in self._lengths[prefix.version]:
            yield from self._inside.get(prefix, ())
        else:
            yield from (longer for longer in self._longer_than(prefix) if prefix.covers(longer))

    def _above(self, prefix: Prefix) -> Iterator[Prefix]:
        """Yield the prefixes of each shorter length in use that contain one, the shortest first."""
        for length in self._lengths[prefix.version]:
            if length >= prefix.length:
                return
            yield _cut(prefix, length)

    def _longer_than(self, prefix: Prefix) -> Iterator[Prefix]:
        version, length = prefix.version, prefix.length
        if self._lengths[version] and self._lengths[version][-1] > length:
            yield from (each for each in self._prefixes if each.version == version and each.length > length)


def _cut(prefix: Prefix, length: int) -> Prefix:
    """Return the prefix of a shorter length that contains one."""
    shift = (32 if prefix.version == 4 else 128) - length
    return Prefix(prefix.version, prefix.network >> shift << shift, length)


def _binding(claims: list[Claim]) -> Binding:
    """Return the binding of one line and MAC address; a prefix that two sources name stands there once."""
    by_prefix = {claim.prefix: claim for claim in reversed(claims)}
    addresses = tuple(LocatedPrefix(prefix, _place(by_prefix[prefix])) for prefix in sorted(by_prefix))
    _, port, vlan = claims[0].line
    return Binding(port, claims[0].mac, addresses, addresses[0].place, vlan)


def _place(claim: Claim) -> SourceLocation:
    return SourceLocation(claim.source, claim.file_line, 1 if claim.file_line else 0)
