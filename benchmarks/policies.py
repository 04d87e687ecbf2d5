"""Address spaces of any size and policies over them, the same at every run.

A smaller generated space is the beginning of a larger one, and the subscribers live in what all of them hold:
so the same traffic can be sent under each.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from op25b_app.net.prefix import WIDTH, Prefix, format_address
from op25b_app.net.prefix_cover import minimal_cover, of_version
from op25b_app.policy.loader import load
from op25b_app.policy.model import Policy

SEED = 25
AT = 1_800_000_000.0
"""The moment of every policy, in seconds since 1970."""
SWITCH = "access-1"
LINES = range(1, 9)
"""Subscriber ports. One line in four has static addresses, which are bound to it."""
UPLINK = 9
MAIL_DESTINATIONS = 100
VERSIONS = (4, 6)

HARDENINGS: Mapping[str, str] = {
    "unhardened": "{source_validation: off, encapsulation: permit, tunnels: permit, unreadable_tcp: permit}",
    "defaults": "{}",
    "prefix": "{source_validation: prefix, tunnels: block}",
    "binding": "{source_validation: binding, tunnels: block}",
}
"""What stands under ``hardening``, by the name it has in tables."""

_POOLS = {4: ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12"), 6: ("2001:db8::/33", "fd00:25::/32")}
_LENGTHS = {4: range(16, 29), 6: range(40, 65)}
_SCATTERED_LENGTHS = {4: range(26, 33), 6: range(56, 65)}
_MAIL_POOLS = {4: "198.18.0.0/15", 6: "2001:db8:8000::/33"}
_MAIL_LENGTHS = {4: range(24, 33), 6: range(48, 65)}
_STATIC_ODDS, _IPV6_ODDS = 0.25, 0.25
_FIRST = (*((4, False),) * 5, *((4, True),) * 2, *((6, False),) * 2, (6, True))
"""IP version, and whether static, of the prefixes that every generated space begins with."""


class Space(NamedTuple):
    """The own space of an ISP."""

    name: str
    dynamic: tuple[Prefix, ...]
    static: tuple[Prefix, ...]
    enclosed_by: tuple[Prefix, ...]
    """Disjoint and ascending; what is in none of these is outside."""

    def __len__(self) -> int:
        return len(self.dynamic) + len(self.static)


class Subscriber(NamedTuple):
    """What is connected to a port, with its address of each IP version."""

    port: int
    is_static: bool
    addresses: Mapping[int, int]


def generated_space(size: int) -> Space:
    """The first ``size`` (at least 10) prefixes of an endless list: 3 of 4 dynamic, 3 of 4 IPv4."""
    return _space(f"{size:,} prefixes", islice(_prefixes(_LENGTHS), size))


def scattered_space(size: int) -> Space:
    """The same, of prefixes so long that few lie in one another: nearly each needs rules of its own."""
    return _space(f"{size:,} scattered prefixes", islice(_prefixes(_SCATTERED_LENGTHS), size))


def _space(name: str, prefixes: Iterable[tuple[Prefix, bool]]) -> Space:
    chosen = list(prefixes)
    return Space(
        name,
        tuple(prefix for prefix, is_static in chosen if not is_static),
        tuple(prefix for prefix, is_static in chosen if is_static),
        tuple(sorted(Prefix.parse(pool) for version in VERSIONS for pool in _POOLS[version])),
    )


def listed_space(path: Path) -> Space:
    """The prefixes of a file, one a line, ``#`` begins a comment; every fourth is taken for static."""
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    prefixes = [Prefix.parse(line) for line in dict.fromkeys(lines) if line]
    dynamic: list[Prefix] = []
    static: list[Prefix] = []
    for version in VERSIONS:
        for number, prefix in enumerate(of_version(prefixes, version)):
            (static if number % 4 == 3 else dynamic).append(prefix)
    cover = [prefix for version in VERSIONS for prefix in minimal_cover(version, prefixes)]
    return Space(f"{path.stem}, {len(prefixes):,}", tuple(dynamic), tuple(static), tuple(cover))


@cache
def mail_destinations() -> tuple[Prefix, ...]:
    source = random.Random(SEED)
    found: dict[Prefix, None] = {}
    while len(found) < MAIL_DESTINATIONS:
        version = 6 if source.random() < _IPV6_ODDS else 4
        found[_inside(source, Prefix.parse(_MAIL_POOLS[version]), _MAIL_LENGTHS[version])] = None
    return tuple(found)


def subscribers(space: Space) -> list[Subscriber]:
    """Who is connected; the same for every generated space."""
    found = []
    for number, port in enumerate(LINES):
        is_static = number % 4 == 3
        addresses = {}
        for version in VERSIONS:
            own = of_version(space.static if is_static else space.dynamic, version)
            first = list(islice(own, _FIRST.count((version, is_static))))
            addresses[version] = first[number % len(first)].first + 1 + number
        found.append(Subscriber(port, is_static, addresses))
    return found


def write_policy(folder: Path, space: Space, hardening: str, *, switches: int = 1) -> Path:
    """A policy file, beside it its lists of prefixes; ``hardening`` is one of ``HARDENINGS``.

    Bindings are those of the first of the switches, which are alike and have datapath ids from 1 on.
    """
    _write_list(folder / "mail.txt", mail_destinations())
    _write_list(folder / "dynamic.txt", space.dynamic)
    _write_list(folder / "static.txt", space.static)
    lines = [
        "isp: {mail_destinations: [{file: mail.txt}]}",
        "address_space: {dynamic: [{file: dynamic.txt}], static: [{file: static.txt}]}",
        f"hardening: {HARDENINGS[hardening]}",
        "switches:",
        *(f"  access-{dpid}: {{dpid: {dpid:#x}, {_PORTS}}}" for dpid in range(2, switches + 1)),
        f"  {SWITCH}: {{dpid: 0x1, {_PORTS}, bindings: [",
    ]
    for line in subscribers(space):
        if line.is_static or hardening == "binding":
            addresses = [format_address(*address) for address in line.addresses.items()]
            lines.append(f"    {{port: {line.port}, addresses: {addresses}}},")
    path = folder / "policy.yaml"
    path.write_text("\n".join([*lines, "  ]}", ""]))
    return path


_PORTS = f"subscriber_ports: [{LINES[0]}-{LINES[-1]}], uplink_ports: [{UPLINK}]"


def read_policy(path: Path) -> Policy:
    loaded = load(path, AT)
    assert loaded.policy is not None, loaded.errors
    return loaded.policy


def policy_of(space: Space, hardening: str) -> Policy:
    with TemporaryDirectory() as folder:
        return read_policy(write_policy(Path(folder), space, hardening))


def _write_list(path: Path, prefixes: Iterable[Prefix]) -> None:
    path.write_text("".join(f"{prefix}\n" for prefix in prefixes))


def _prefixes(lengths: Mapping[int, range]) -> Iterator[tuple[Prefix, bool]]:
    """Prefixes and whether they are static, each once; none lies in one of the first or around it."""
    source = random.Random(SEED)
    seen: set[Prefix] = set()
    first: list[Prefix] = []
    while True:
        is_first = len(first) < len(_FIRST)
        version = 6 if source.random() < _IPV6_ODDS else 4
        is_static = source.random() < _STATIC_ODDS
        if is_first:
            version, is_static = _FIRST[len(first)]
        prefix = _inside(source, Prefix.parse(source.choice(_POOLS[version])), lengths[version])
        if prefix in seen or any(prefix.covers(other) or other.covers(prefix) for other in first):
            continue
        seen.add(prefix)
        if is_first:
            first.append(prefix)
        yield prefix, is_static


def _inside(source: random.Random, pool: Prefix, lengths: range) -> Prefix:
    width = WIDTH[pool.version]
    length = source.choice([length for length in lengths if length >= pool.length])
    host = width - length
    network = pool.network | source.getrandbits(width - pool.length) >> host << host
    return Prefix(pool.version, network, length)
