"""Port numbers of a switch, as people and ``ovs-ofctl`` write them."""

from __future__ import annotations

from collections.abc import Iterable

from op25b_app.net.ranges import merged

NO_PORT = 0
"""Number that no port has (OpenFlow 1.3.5, section 7.2.1): that of a port whose name is not resolved."""
LOCAL_PORT = 0xFFFFFFFE
"""OFPP_LOCAL, the port of the switch's own network stack (OpenFlow 1.3.5, section 7.2.1)."""

MAX_NAME_BYTES = 15
"""Maximum size of a port's name in a description, which ends it with a 0 (OpenFlow 1.3.5, section 7.2.1)."""
PortNumbers = frozenset[tuple[str, int]]
"""The names and numbers of a switch's ports, as it describes them."""


def port_name(port: int) -> str:
    """Return a port number as ``ovs-ofctl`` writes it."""
    if port == NO_PORT:
        return "(by name)"
    return "LOCAL" if port == LOCAL_PORT else str(port)


def port_ranges(ports: Iterable[int]) -> list[str]:
    """Return ``1-3`` and ``7`` for 1, 2, 3 and 7, in any order."""
    ranges = merged([(port, port) for port in ports])
    return [port_name(first) if first == last else f"{first}-{last}" for first, last in ranges]
