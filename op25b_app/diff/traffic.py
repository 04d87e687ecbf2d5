"""Kinds of packets, and the changes of their verdicts under another policy."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from op25b_app.diff.address_text import AddressSet
from op25b_app.net.ranges import Ranges
from op25b_app.policy.model import PortRole, Verdict


class VerdictChange(enum.Enum):
    """Change of a packet's verdict."""

    BLOCKED = "becomes blocked"
    PERMITTED = "becomes permitted"
    COUNTED = "would become blocked"
    """In monitor mode: counted from now on, and let through as before."""
    UNCOUNTED = "would become permitted"
    """In monitor mode: no longer counted."""
    ENFORCED = "is enforced"
    """Monitor mode ends: packets that were only counted are blocked."""
    LET_THROUGH = "is let through"
    """Monitor mode begins: packets that were blocked are only counted."""


_CHANGES = {
    (Verdict.PERMIT, Verdict.BLOCK): VerdictChange.BLOCKED,
    (Verdict.BLOCK, Verdict.PERMIT): VerdictChange.PERMITTED,
    (Verdict.PERMIT, Verdict.WOULD_BLOCK): VerdictChange.COUNTED,
    (Verdict.WOULD_BLOCK, Verdict.PERMIT): VerdictChange.UNCOUNTED,
    (Verdict.WOULD_BLOCK, Verdict.BLOCK): VerdictChange.ENFORCED,
    (Verdict.BLOCK, Verdict.WOULD_BLOCK): VerdictChange.LET_THROUGH,
}


def change_of(old: Verdict, new: Verdict) -> VerdictChange | None:
    """Return the change from one verdict to another; None where there is none."""
    return _CHANGES.get((old, new))


class Kind(enum.Enum):
    """Kind of packets, in the order of reports; the values are names in JSON."""

    MODE = "mode"
    ROLE = "role"
    MAIL = "mail"
    """TCP to port 25 from a subscriber port."""
    MAIL_FROM_UPLINK = "mail-from-uplink"
    ANSWER_FROM_UPLINK = "answer-from-uplink"
    """TCP from port 25, including the return leg of triangular spamming."""
    BETWEEN_PORTS_25 = "between-ports-25"
    """TCP from port 25 to port 25 from an uplink, where it differs from both."""
    OTHER = "other"
    UNREADABLE = "unreadable"
    TUNNEL = "tunnel"
    UDP_PORT = "udp-port"
    """UDP to single ports, as ``block_udp_ports`` names them."""
    SERVICE = "service"
    ARP = "arp"
    ETHERTYPE = "ethertype"
    TAG = "tag"

    @property
    def is_mail(self) -> bool:
        """True for the kinds of TCP to or from port 25."""
        return self in _MAIL


_MAIL = (Kind.MAIL, Kind.MAIL_FROM_UPLINK, Kind.ANSWER_FROM_UPLINK, Kind.BETWEEN_PORTS_25)


@dataclass(frozen=True, slots=True)
class Traffic:
    """Packets of one kind whose verdict changes in the same way.

    Of a kind with addresses, these are all packets from one of ``sources`` to one of ``destinations`` on one
    of ``ports``, under any tag that the port may carry before and after; where ``partly``, only some of them.
    Empty ``ports`` are all ports of the role that may carry any frame; otherwise ``other_ports`` are those of
    them that are not concerned. ``example`` is one packet's header, by OXM name, in values of the proof's
    domain.
    """

    kind: Kind
    change: VerdictChange
    roles: tuple[PortRole, PortRole]
    ports: Ranges = ()
    other_ports: Ranges = ()
    sources: AddressSet | None = None
    destinations: AddressSet | None = None
    tags: Ranges = ()
    """For ``Kind.TAG``: tags in the proof's domain, 0 for untagged, N + 1 for VLAN id N."""
    partly: bool = False
    example: Mapping[str, int] = field(default_factory=dict, compare=False)
