"""IP prefixes as integers, the smallest value everything else is made of."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import NamedTuple

WIDTH = {4: 32, 6: 128}
"""Address length in bits by IP version."""


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


def merged_intervals(prefixes: Iterable[Prefix]) -> list[tuple[int, int]]:
    """First and last addresses of what ``prefixes`` (of one version) hold, ascending and apart."""
    merged: list[tuple[int, int]] = []
    for prefix in sorted(prefixes):
        first, last = prefix.first, prefix.last
        if merged and first <= merged[-1][1] + 1:
            if last > merged[-1][1]:
                merged[-1] = (merged[-1][0], last)
        else:
            merged.append((first, last))
    return merged


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
