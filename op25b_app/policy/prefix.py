"""IP prefixes as integers, the smallest value everything else is made of."""

from __future__ import annotations

import ipaddress
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import NamedTuple

WIDTH = {4: 32, 6: 128}
"""Address length in bits by IP version."""

_OCTETS = {str(number): number for number in range(256)}
_LENGTHS = {
    version: {None: width, **{str(length): length for length in range(width + 1)}}
    for version, width in WIDTH.items()
}
"""By IP version; a prefix that is written without a length is an address."""
_HOST_BITS = {
    version: [(1 << width - length) - 1 for length in range(width + 1)] for version, width in WIDTH.items()
}
_HEXADECIMAL = re.compile("[0-9a-fA-F:]+").fullmatch


class Prefix(NamedTuple):
    """An IPv4 or IPv6 prefix; ``network`` has no bits set beyond ``length``."""

    version: int
    network: int
    length: int

    @classmethod
    def parse(cls, text: str) -> Prefix:
        """Read ``192.0.2.0/24``, ``2001:db8::/32`` or a bare address (a host prefix).

        Raises ValueError, its text a remedy, for anything else and for host bits beyond the length.
        """
        prefix = _plain(text)
        if prefix is not None:
            return prefix
        try:
            network = ipaddress.ip_network(text)
        except ValueError as error:
            raise ValueError(_remedy(text, error)) from None
        return cls(network.version, int(network.network_address), network.prefixlen)

    @property
    def first(self) -> int:
        return self.network

    @property
    def last(self) -> int:
        return self.network | ((1 << (WIDTH[self.version] - self.length)) - 1)

    @property
    def mask(self) -> int:
        width = WIDTH[self.version]
        return ((1 << self.length) - 1) << (width - self.length)

    def contains(self, version: int, address: int) -> bool:
        return version == self.version and address & self.mask == self.network

    def covers(self, other: Prefix) -> bool:
        return other.length >= self.length and self.contains(other.version, other.network)

    def __str__(self) -> str:
        return f"{format_address(self.version, self.network)}/{self.length}"


class Intervals:
    """The addresses that some prefixes hold."""

    def __init__(self, prefixes: Iterable[Prefix]) -> None:
        self._firsts: dict[int, list[int]] = {version: [] for version in WIDTH}
        self._lasts: dict[int, list[int]] = {version: [] for version in WIDTH}
        for version, first, length in sorted(prefixes):
            firsts, lasts = self._firsts[version], self._lasts[version]
            last = first | ((1 << (WIDTH[version] - length)) - 1)
            if not lasts or first > lasts[-1] + 1:
                firsts.append(first)
                lasts.append(last)
            elif last > lasts[-1]:
                lasts[-1] = last

    def end(self, version: int, address: int) -> int | None:
        """The last address of the unbroken stretch that holds ``address``; None where nothing holds it."""
        before = bisect_right(self._firsts[version], address) - 1
        if before < 0 or self._lasts[version][before] < address:
            return None
        return self._lasts[version][before]

    def cover(self, prefix: Prefix) -> bool:
        """Is every address of ``prefix`` held?"""
        end = self.end(prefix.version, prefix.first)
        return end is not None and end >= prefix.last

    def touch(self, prefix: Prefix) -> bool:
        """Is any address of ``prefix`` held?"""
        if self.end(prefix.version, prefix.first) is not None:
            return True
        after = bisect_left(self._firsts[prefix.version], prefix.first)
        firsts = self._firsts[prefix.version]
        return after < len(firsts) and firsts[after] <= prefix.last


def parse_address(text: str) -> tuple[int, int]:
    """An address as (IP version, value); ValueError, its text a remedy, otherwise."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f"'{text}' is not an IPv4 or IPv6 address") from None
    return address.version, int(address)


def format_address(version: int, address: int) -> str:
    return str(ipaddress.IPv4Address(address) if version == 4 else ipaddress.IPv6Address(address))


def _remedy(text: str, error: ValueError) -> str:
    if "host bits set" in str(error):
        return f"'{text}' has bits set beyond its length; write {ipaddress.ip_network(text, strict=False)}"
    return f"'{text}' is not an IPv4 or IPv6 prefix; write one like 192.0.2.0/24 or 2001:db8::/32"


def _plain(text: str) -> Prefix | None:
    """A prefix written in the usual way, read quickly; None for all else, be it right or wrong."""
    try:
        if ":" in text:
            version = 6
            address, slash, written = text.partition("/")
            network = _hextets(address)
        else:
            version = 4
            first, second, third, last = text.split(".")
            fourth, slash, written = last.partition("/")
            network = _OCTETS[first] << 24 | _OCTETS[second] << 16 | _OCTETS[third] << 8 | _OCTETS[fourth]
        length = _LENGTHS[version][written if slash else None]
    except (KeyError, ValueError):
        return None
    return None if network & _HOST_BITS[version][length] else Prefix(version, network, length)


def _hextets(text: str) -> int:
    """RFC 4291, section 2.2, forms 1 and 2; ValueError for other texts."""
    head, gap, tail = text.partition("::")
    before, after = head.split(":") if head else [], tail.split(":") if tail else []
    missing = 8 - len(before) - len(after)
    if not _HEXADECIMAL(text) or (missing < 1 if gap else missing != 0):
        raise ValueError
    return _joined(before) << 16 * (missing + len(after)) | (_joined(after) if after else 0)


def _joined(groups: Iterable[str]) -> int:
    value = 0
    for group in groups:
        if len(group) > 4:
            raise ValueError
        value = value << 16 | int(group, 16)
    return value
