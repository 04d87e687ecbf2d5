"""Split the headers for which a diagram is true into sources, destinations and ports."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import NamedTuple

from op25b_app.diff.address_text import AddressSet
from op25b_app.net.ranges import Ranges, merged
from op25b_app.verify.diagram import Diagram, Diagrams
from op25b_app.verify.header import LEVELS, SIZES

MAX_SETS_OF_PORTS = 4
"""Maximum number of port sets with their own sources (bindings, say); more become one region."""


class Region(NamedTuple):
    """A product set on which a function is true.

    ``partly``: for each source and destination it is true on some port, but not on all of ``ports``, or not
    for every value of another field (an Ethernet address, say).
    """

    sources: AddressSet
    destinations: AddressSet
    ports: Ranges
    partly: bool


def regions(diagrams: Diagrams, where: Diagram, version: int) -> Iterator[Region]:
    """Yield disjoint regions that together cover exactly the headers for which a function is true.

    The function may test addresses of ``version``, the input port, and fields other than IP addresses.
    """
    destination, source = LEVELS[f"ipv{version}_dst"], LEVELS[f"ipv{version}_src"]
    in_port = LEVELS["in_port"]
    projected = exists_above(diagrams, where, destination)
    for below, destinations in classes(projected, destination).items():
        by_ports: dict[Ranges, list[tuple[int, int]]] = {}
        partly = projected is not where
        for port, sources in classes(exists_above(diagrams, below, source), source).items():
            somewhere = exists_above(diagrams, port, in_port)
            partly = partly or somewhere is not port
            if ports := ranges_of(somewhere, in_port, True):
                by_ports.setdefault(ports, []).extend(sources)
        if len(by_ports) > MAX_SETS_OF_PORTS:
            partly = True
            everywhere = merged([each for ports in by_ports for each in ports])
            by_ports = {everywhere: [each for found in by_ports.values() for each in found]}
        for ports, found in by_ports.items():
            yield Region(
                AddressSet(version, merged(found)), AddressSet(version, tuple(destinations)), ports, partly
            )


def exists_above(diagrams: Diagrams, where: Diagram, level: int) -> Diagram:
    """Return the function that is true where some values of the fields before ``level`` make it true."""
    if where.level >= level:
        return where
    return diagrams.either(*dict.fromkeys(exists_above(diagrams, child, level) for child in where.children))


def tests(diagram: Diagram, level: int) -> bool:
    """Return whether the function depends on the field of ``level``."""
    seen = {diagram}
    waiting = [diagram]
    while waiting:
        node = waiting.pop()
        if node.level == level:
            return True
        below = {child for child in node.children if child.level <= level} - seen
        seen |= below
        waiting += below
    return False


def classes(diagram: Diagram, level: int) -> Mapping[Diagram, list[tuple[int, int]]]:
    """Return the values of a field, by the function that remains for them."""
    if diagram.level != level:
        return {diagram: [(0, SIZES[level] - 1)]}
    found: dict[Diagram, list[tuple[int, int]]] = {}
    for first, last, child in diagram.edges:
        found.setdefault(child, []).append((first, last))
    return found


def ranges_of(diagram: Diagram, level: int, value: Hashable) -> Ranges:
    """Return the values for which a function that tests only one field returns ``value``."""
    found = classes(diagram, level)
    return tuple(next((ranges for child, ranges in found.items() if child.value == value), ()))
