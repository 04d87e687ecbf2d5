"""Describe the ports of a switch: those that are present, and those that the policy does not name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from op25b_app.net.port_number import LOCAL_PORT, PortNumbers, port_name
from op25b_app.openflow import codec
from op25b_app.policy.diagnostic import names_in_words
from op25b_app.policy.model import Switch


class DescribedPort(Protocol):
    """A switch's description of a port (OpenFlow 1.3.5, section 7.2.1)."""

    port_no: int
    name: bytes | str
    config: int
    state: int


def present_ports(described: Iterable[DescribedPort]) -> frozenset[int]:
    """Return the numbers of a switch's ports; LOCAL is one of them while it is up.

    Open vSwitch describes a LOCAL port of every bridge. No frame comes from it until its device is set up.
    """
    return frozenset(
        port.port_no
        for port in described
        if port.port_no < codec.FIRST_RESERVED_PORT
        or (port.port_no == LOCAL_PORT and not port.config & _PORT_DOWN and not port.state & _LINK_DOWN)
    )


def ports_without_link(described: Iterable[DescribedPort]) -> frozenset[int]:
    """Return the numbers of the ports of which nobody is at the other end."""
    return frozenset(port.port_no for port in described if port.state & _LINK_DOWN)


_PORT_DOWN = 1
"""OFPPC_PORT_DOWN."""
_LINK_DOWN = 1
"""OFPPS_LINK_DOWN."""


def port_numbers(described: Iterable[DescribedPort]) -> PortNumbers:
    """Return the names and numbers of a switch's ports; LOCAL is one of them, up or down."""
    return frozenset(
        (_text(port.name), port.port_no)
        for port in described
        if port.port_no < codec.FIRST_RESERVED_PORT or port.port_no == LOCAL_PORT
    )


def _text(name: bytes | str) -> str:
    """Return a name, up to the 0 that ends it in a description."""
    text = name.decode(errors="replace") if isinstance(name, bytes) else name
    return text.partition("\0")[0]


def name_problems(switch: Switch) -> Sequence[str]:
    """Return sentences on names of ports in the policy that fit no port, or not one."""
    return switch.resolution.problems if switch.resolution is not None else ()


def strange_ports(switch: Switch, ports: Iterable[int]) -> Iterator[str]:
    """Yield a sentence on ports other than LOCAL that the policy does not name."""
    named = (port for port in sorted(ports) if port != LOCAL_PORT and not switch.has_role(port))
    if strange := [port_name(port) for port in named]:
        yield (
            f"no role in the policy for port{'s' * (len(strange) > 1)} {names_in_words(strange)}, treated as "
            f"subscriber ports: name them in {switch.name}"
        )


def local_port_notes(switch: Switch, ports: Iterable[int]) -> Iterator[str]:
    """Yield a note where LOCAL is up without a role.

    Open vSwitch has it on every bridge, used or not, so it is no fault by itself.
    """
    if LOCAL_PORT in ports and not switch.has_role(LOCAL_PORT):
        yield f"LOCAL is up without a role and counts as a subscriber port: name it in {switch.name}"
