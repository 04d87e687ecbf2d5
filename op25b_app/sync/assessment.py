"""Describe a switch: the policy that it holds, differences, ports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from op25b_app.compiler.marker import Marker, newest_marker
from op25b_app.net.port_number import LOCAL_PORT, port_name
from op25b_app.openflow import codec
from op25b_app.openflow.flow_rule import FlowRule
from op25b_app.policy.diagnostic import MAX_NAMES, names_in_words
from op25b_app.policy.model import Switch
from op25b_app.sync.reconcile import Difference


def next_revision(digest: str, found: Iterable[FlowRule]) -> int:
    """Return the revision of a policy that an operator put in force.

    It is one more than the newest in ``found``, the same for the same policy, or 1 without a marker.
    """
    newest = newest_marker(found)
    if newest is None:
        return 1
    return newest.revision + (not digest.startswith(newest.digest))


def newer_policy(own: Marker, found: Iterable[FlowRule]) -> str | None:
    """Return a sentence where a switch holds another policy that is as new as ``own`` or newer, else None."""
    newest = newest_marker(found)
    if newest is None or newest.revision < own.revision or own.digest.startswith(newest.digest):
        return None
    return (
        f"holds revision {newest.revision} of another policy, and this one is revision {own.revision}: "
        f"nothing was sent; 'op25b reload' puts this one in force"
    )


class DescribedPort(Protocol):
    """A switch's description of a port (OpenFlow 1.3.5, section 7.2.1)."""

    port_no: int
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


_PORT_DOWN = 1
"""OFPPC_PORT_DOWN."""
_LINK_DOWN = 1
"""OFPPS_LINK_DOWN."""


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


def contest(addresses: Sequence[str]) -> list[str]:
    """Return one sentence where these addresses claim one datapath id; empty without addresses."""
    if not addresses:
        return []
    number = "two" if len(addresses) == 2 else str(len(addresses))
    places = " and ".join(addresses) if len(addresses) <= MAX_NAMES else names_in_words(addresses)
    return [
        f"{number} connections claim this datapath id, from {places}: "
        f"only {addresses[0]} is used; give every switch a datapath id of its own"
    ]


def summary(differences: Sequence[Difference]) -> str:
    """Return the first difference and the number of further ones, in words."""
    more = len(differences) - 1
    return f"{differences[0]}" + (f" and {more} more" if more else "")


def count(number: int, noun: str) -> str:
    """Return a number and its noun, in the plural unless the number is 1."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
