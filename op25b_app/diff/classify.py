"""Name the kind of packets in a part of a diagram."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

from op25b_app.diff.example import usual_header
from op25b_app.diff.traffic import Kind
from op25b_app.policy.model import DHCP_PORTS, MAX_UDP_PORTS, PortRole
from op25b_app.policy.packet import ETH_IPV4, ETH_IPV6, UDP
from op25b_app.policy.packet_context import (
    TUNNELS,
    is_between_relays_and_servers,
    is_for_routers_and_servers,
    is_service,
)
from op25b_app.verify.counterexample import packet_of
from op25b_app.verify.diagram import Diagram
from op25b_app.verify.header import FIELDS, LEVELS

Constraints = Mapping[str, tuple[int, int]]
"""First and last value of each field that was tested, by OXM name."""
_FIRST_WITHOUT_KIND = LEVELS["arp_op"]
"""Level of the first field that does not decide the kind; addresses and ports follow."""
_SMTP = (25, 25)


def paths(changes: Diagram) -> Iterator[tuple[Constraints, Diagram]]:
    """Yield each way to a change through the fields that decide the kind, with the diagram that remains."""
    if changes.values == {None}:
        return
    if changes.level >= _FIRST_WITHOUT_KIND:
        yield {}, changes
        return
    for first, last, child in changes.edges:
        for constraints, part in paths(child):
            yield {FIELDS[changes.level]: (first, last), **constraints}, part


def mail_kind_of(role: PortRole, constraints: Constraints) -> Kind:
    """Return the kind of mail under the constraints, for a port role."""
    if role is PortRole.SUBSCRIBER:
        return Kind.MAIL
    if constraints.get("tcp_src") != _SMTP:
        return Kind.MAIL_FROM_UPLINK
    return Kind.BETWEEN_PORTS_25 if constraints.get("tcp_dst") == _SMTP else Kind.ANSWER_FROM_UPLINK


def kind_of(version: int, constraints: Constraints) -> Kind:
    """Return the kind of all packets under the constraints; ``Kind.OTHER`` where they are of several."""
    if _is_single_udp_port(constraints):
        return Kind.UDP_PORT
    header = {**usual_header(), "eth_type": ETH_IPV4 if version == 4 else ETH_IPV6}
    names = list(constraints)
    corners = [
        range(first, last + 1) if name == "ip_proto" else (first, last)
        for name, (first, last) in constraints.items()
    ]
    kinds = {
        _kind_of_packet({**header, **dict(zip(names, values, strict=True))})
        for values in itertools.product(*corners)
    }
    return kinds.pop() if len(kinds) == 1 else Kind.OTHER


def _is_single_udp_port(constraints: Constraints) -> bool:
    """Return whether these packets are UDP to a few neighbouring ports that a policy may name."""
    first, last = constraints.get("udp_dst", (0, 0xFFFF))
    return (
        constraints.get("ip_proto") == (UDP, UDP)
        and last - first < MAX_UDP_PORTS
        and not any(first <= port <= last for port in DHCP_PORTS)
    )


def _kind_of_packet(header: Mapping[str, int]) -> Kind:
    packet = packet_of(header)
    if packet.is_unreadable_tcp:
        return Kind.UNREADABLE
    if packet.protocol in TUNNELS:
        return Kind.TUNNEL
    if is_service(packet) or is_for_routers_and_servers(packet) or is_between_relays_and_servers(packet):
        return Kind.SERVICE
    return Kind.OTHER


def one_of_each_kind(named: Sequence[tuple[Kind, Constraints]]) -> Iterator[tuple[Kind, Constraints]]:
    """Yield the kinds of packets that share a change, each with its most usual constraints.

    A kind that a broader one among them includes is left out.
    """
    kinds = {kind for kind, _ in named}
    if Kind.OTHER in kinds:
        kinds = {Kind.OTHER}
    elif len(kinds) > 1:
        kinds.discard(Kind.BETWEEN_PORTS_25)
    usual = usual_header()
    for kind in sorted(kinds, key=list(Kind).index):
        alike = [constraints for each, constraints in named if each is kind]
        yield kind, min(alike, key=lambda constraints: _unusual(constraints, usual))


def _unusual(constraints: Constraints, usual: Mapping[str, int]) -> int:
    return sum(not first <= usual[name] <= last for name, (first, last) in constraints.items())
