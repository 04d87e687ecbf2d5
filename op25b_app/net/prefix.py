"""IP prefixes and addresses as integers: parsing, formatting and comparison."""

from __future__ import annotations

import ipaddress
from binascii import unhexlify
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

WIDTH = {4: 32, 6: 128}
"""Address length in bits by IP version."""

_HOST_BITS = {
    version: [(1 << width - length) - 1 for length in range(width + 1)] for version, width in WIDTH.items()
}
_LENGTHS = {
    version: {"": width, **{f"/{length}": length for length in range(width + 1)}}
    for version, width in WIDTH.items()
}
"""Lengths by IP version and written form; a prefix without one is an address."""
_FIRST, _SECOND, _THIRD = ({str(octet): octet << shift for octet in range(256)} for shift in (24, 16, 8))
"""Value of an octet of an IPv4 address, by place and written form."""
_FOURTH = {
    f"{octet}{written}": (octet, length)
    for octet in range(256)
    for written, length in _LENGTHS[4].items()
    if not octet & _HOST_BITS[4][length]
}
"""Last octet and length, by their written form, where the octet has no host bits."""
_ZEROS = {1: "000", 2: "00", 3: "0", 4: ""}
"""Zeros that a group of an IPv6 address leaves out, by its number of digits."""
_BEHIND = {groups: 128 - 16 * groups for groups in range(1, 8)}
"""Bits that ``::`` stands for at the end of an IPv6 address, by the number of groups before it."""


class Prefix(NamedTuple):
    """An IPv4 or IPv6 prefix; ``network`` has no bits set beyond ``length``."""

    version: int
    network: int
    length: int

    @classmethod
    def parse(cls, text: str) -> Prefix:
        """Parse ``192.0.2.0/24``, ``2001:db8::/32`` or a bare address (a host prefix).

        Raises ValueError, its text a remedy, for anything else and for host bits beyond the length.
        """
        try:
            return _ipv6(text) if ":" in text else _ipv4(text)
        except (LookupError, ValueError):
            return _other(text)

    @property
    def first(self) -> int:
        """The lowest address, as an integer."""
        return self.network

    @property
    def last(self) -> int:
        """The highest address, as an integer."""
        return self.network | ((1 << (WIDTH[self.version] - self.length)) - 1)

    @property
    def mask(self) -> int:
        """The netmask, as an integer."""
        width = WIDTH[self.version]
        return ((1 << self.length) - 1) << (width - self.length)

    def contains(self, version: int, address: int) -> bool:
        """Return whether the prefix holds an address of an IP version."""
        return version == self.version and address & self.mask == self.network

    def covers(self, other: Prefix) -> bool:
        """Return whether the prefix holds every address of ``other``."""
        return other.length >= self.length and self.contains(other.version, other.network)

    def __str__(self) -> str:
        return f"{format_address(self.version, self.network)}/{self.length}"


def parse_prefixes(text: str) -> list[Prefix]:
    """Parse a prefix or an address, or a range ``192.0.2.5-192.0.2.9`` into the prefixes that it is.

    Raises ValueError, its text a remedy, for anything else.
    """
    if "-" not in text:
        return [Prefix.parse(text)]
    begin, _, end = (part.strip() for part in text.partition("-"))
    try:
        version, first = parse_address(begin)
    except ValueError:
        return [Prefix.parse(text)]
    try:
        version_of_end, last = parse_address(end)
    except ValueError:
        raise ValueError(f"{quoted(text)} is not a range; write one like 192.0.2.5-192.0.2.9") from None
    if version != version_of_end:
        raise ValueError(f"the ends of {quoted(text)} are IPv4 and IPv6; write both as one of them")
    if first > last:
        raise ValueError(f"the range {quoted(text)} is empty; write the lower address first")
    return [*prefixes_of_range(version, first, last)]


def prefixes_of_range(version: int, first: int, last: int) -> Iterator[Prefix]:
    """Yield the fewest prefixes that together are the addresses from ``first`` to ``last``, both included."""
    width = WIDTH[version]
    while first <= last:
        bits = min((first & -first).bit_length() - 1 if first else width, (last - first + 1).bit_length() - 1)
        yield Prefix(version, first, width - bits)
        first += 1 << bits


class Intervals:
    """Addresses that some prefixes hold."""

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
        """Return the last address of the interval that holds ``address``; None where there is none."""
        before = bisect_right(self._firsts[version], address) - 1
        if before < 0 or self._lasts[version][before] < address:
            return None
        return self._lasts[version][before]

    def cover(self, prefix: Prefix) -> bool:
        """Return whether every address of ``prefix`` is held."""
        end = self.end(prefix.version, prefix.first)
        return end is not None and end >= prefix.last

    def touch(self, prefix: Prefix) -> bool:
        """Return whether any address of ``prefix`` is held."""
        if self.end(prefix.version, prefix.first) is not None:
            return True
        after = bisect_left(self._firsts[prefix.version], prefix.first)
        firsts = self._firsts[prefix.version]
        return after < len(firsts) and firsts[after] <= prefix.last


def parse_address(text: str) -> tuple[int, int]:
    """Return an address as (IP version, value).

    Raises ValueError, its text a remedy, for anything else.
    """
    _refuse_zone(text)
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f"{quoted(text)} is not an IPv4 or IPv6 address") from None
    return address.version, int(address)


def quoted(text: str) -> str:
    """Return a text in quotes, at most 60 characters of it, with unprintable ones escaped."""
    shown = text if len(text) <= 60 else text[:57] + "..."
    return "'" + "".join(each if each.isprintable() else ascii(each)[1:-1] for each in shown) + "'"


def format_address(version: int, address: int) -> str:
    """Return an address, given as an integer, as text."""
    return str(ipaddress.IPv4Address(address) if version == 4 else ipaddress.IPv6Address(address))


def _remedy(text: str, error: ValueError) -> str:
    if "host bits set" in str(error):
        return (
            f"{quoted(text)} has bits set beyond its length; write {ipaddress.ip_network(text, strict=False)}"
        )
    return f"{quoted(text)} is not an IPv4 or IPv6 prefix; write one like 192.0.2.0/24 or 2001:db8::/32"


def _refuse_zone(text: str) -> None:
    """Raise ValueError for ``fe80::1%eth0``: a match has no interface (RFC 4007, section 11)."""
    address, percent, zone = text.partition("%")
    if percent:
        meant = "".join([address, *zone.partition("/")[1:]])
        raise ValueError(f"{quoted(text)} names an interface behind %; write {quoted(meant)[1:-1]}")


def _refuse_wildcard(text: str, network: ipaddress.IPv4Network) -> None:
    """Raise ValueError for ``10.0.0.0/0.0.0.255``: the ones of a netmask come first."""
    mask = text.partition("/")[2]
    if "." in mask and int(ipaddress.IPv4Address(mask)) != int(network.netmask):
        raise ValueError(f"{quoted(text)} has no netmask behind its /; write {network}")


# Lists are long: the usual forms are parsed quickly, and their tuples made without a call of Prefix.
_made = tuple.__new__


def _ipv4(text: str) -> Prefix:
    """Parse ``192.0.2.0/24`` or an address; raise LookupError or ValueError for all else, right or wrong."""
    first, second, third, fourth = text.split(".")
    last, length = _FOURTH[fourth]
    network = _FIRST[first] | _SECOND[second] | _THIRD[third] | last
    if network & _HOST_BITS[4][length]:
        raise ValueError
    return _made(Prefix, (4, network, length))


def _ipv6(text: str) -> Prefix:
    """Parse ``2001:db8::/32``; raise LookupError or ValueError for all else, right or wrong."""
    high, written = text.split("::")
    groups = high.split(":")
    digits = "".join([_ZEROS[len(group)] + group for group in groups])
    network = int.from_bytes(unhexlify(digits), "big") << _BEHIND[len(groups)]
    length = _LENGTHS[6][written]
    if network & _HOST_BITS[6][length]:
        raise ValueError
    return _made(Prefix, (6, network, length))


def _other(text: str) -> Prefix:
    """Parse any other form of a prefix; raise ValueError, its text a remedy, for anything else."""
    _refuse_zone(text)
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(_remedy(text, error)) from None
    if isinstance(network, ipaddress.IPv4Network):
        _refuse_wildcard(text, network)
    return Prefix(network.version, int(network.network_address), network.prefixlen)
