"""Find one packet as an example of many, with usual values."""

from __future__ import annotations

import functools
from bisect import bisect_left
from collections.abc import Hashable, Mapping
from types import MappingProxyType

from op25b_app.diff.address_text import AddressSet
from op25b_app.diff.regions import Region, ranges_of
from op25b_app.net.ranges import Ranges, common
from op25b_app.verify.counterexample import find_header
from op25b_app.verify.diagram import Diagram, Diagrams
from op25b_app.verify.header import FIELDS, LEVELS, SIZES

_USUAL: Mapping[str, int] = {
    "tcp_dst": 587,
    "ipv4_dst": 0xCB007101,
    "ipv4_src": 0xC6336401,
    "ipv6_dst": 0x2001_0DB8_0000_0000_0000_0000_0000_0001,
    "ipv6_src": 0x2001_0DB8_FFFF_0000_0000_0000_0000_0001,
}
"""Usual values: traffic that must keep working, between documentation addresses (RFC 5737, RFC 3849)."""
_IN_PORT = LEVELS["in_port"]


@functools.cache
def usual_header() -> Mapping[str, int]:
    """Return all fields of a header with usual values."""
    return MappingProxyType({**find_header(Diagrams(SIZES).leaf(True), bool, 1), **_USUAL})


def find_usual(diagram: Diagram, wanted: Hashable, ports: Ranges, usual_port: int) -> dict[str, int] | None:
    """Return a header at one of ``ports`` for which a function returns ``wanted``; None where none is."""
    if wanted not in diagram.values:
        return None
    usual = {**usual_header(), "in_port": usual_port}
    dead: set[Diagram] = set()

    def search(node: Diagram) -> dict[str, int] | None:
        if wanted not in node.values or node in dead:
            return None
        if node.level >= _IN_PORT:
            here = ports if node.is_leaf else common(ports, ranges_of(node, _IN_PORT, wanted))
            if not here:
                return None
            is_usual = any(first <= usual_port <= last for first, last in here)
            return usual if is_usual else {**usual, "in_port": here[0][0]}
        name = FIELDS[node.level]
        expected = node.children[bisect_left(node.bounds, usual[name])]
        for value, child in ((usual[name], expected), *((first, each) for first, _, each in node.edges)):
            found = search(child)
            if found is not None:
                return {**found, name: value}
        dead.add(node)
        return None

    return search(diagram)


def find_in_region(
    diagrams: Diagrams,
    where: Diagram,
    region: Region,
    constraints: Mapping[str, tuple[int, int]],
    usual_port: int,
) -> dict[str, int]:
    """Return a header in a region of ``where``, with its other fields within ``constraints``."""
    version = region.sources.version
    chosen = {
        name: _pick(addresses, _USUAL[name])
        for name, addresses in (
            (f"ipv{version}_dst", region.destinations),
            (f"ipv{version}_src", region.sources),
        )
    }
    for name, value in chosen.items():
        where = diagrams.fix(where, LEVELS[name], value)
    header = find_usual(where, True, region.ports, usual_port)
    assert header is not None, "a region is where it is true"
    header |= chosen
    for name, (first, last) in constraints.items():
        if not first <= header[name] <= last:
            header[name] = first
    return header


def _pick(addresses: AddressSet, usual: int) -> int:
    """Return the usual address, else the second of the first range, if it has two."""
    first, last = addresses.ranges[0]
    return usual if usual in addresses else min(first + 1, last)
