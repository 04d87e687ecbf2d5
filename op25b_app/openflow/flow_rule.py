"""Flow rules (flow entries of OpenFlow 1.3) as values, independent of their bytes."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from op25b_app.openflow.fields import OXM_ORDER

CONTROLLER_PORT = 0xFFFFFFFD
"""OFPP_CONTROLLER (OpenFlow 1.3.5, section 7.2.1)."""
COOKIE_OWNER = 0x25B0
"""Top 16 bits of every op25b cookie; an unmanaged rule is touched only in the place of a managed one."""


def cut_cookies(cookie: int) -> frozenset[int]:
    """Return what switches with short cookies, or none, keep of a cookie: its lowest bits, or 0."""
    return frozenset(cookie & (1 << bits) - 1 for bits in (0, 16, 32, 48))


class RuleRole(enum.IntEnum):
    """Purpose of a rule; bits 40 to 47 of its cookie."""

    MARKER = 0
    PORT = 1
    """Table 0: the role of a port selects the tables of one direction."""
    FORWARD = 2
    """Forwarding of frames that no rule above concerns."""
    SELECT = 3
    """Port of interest, handed over to the table of addresses."""
    SUBMISSION = 4
    """Ports 465 and 587, counted to show how far subscribers have moved."""
    MAIL_DESTINATION = 5
    EXCEPTION = 6
    STATIC = 7
    """Source prefix that may send mail, such as static space."""
    BLOCK = 8
    WOULD_BLOCK = 9
    """Block of monitor mode: counted and let through."""
    SERVICE = 10
    """Traffic that a line needs before it has an address: ARP, neighbour discovery, DHCP."""
    SOURCE = 11
    """Source that passes source validation."""
    TUNNEL = 12
    """Tunnels to permitted destinations."""
    SNOOP = 13
    """DHCP of which the controller gets a copy; table 0 does the same with it as without one."""


class FieldValue(NamedTuple):
    """One match field by its OXM name (OpenFlow 1.3.5, section 7.2.3.7); ``mask`` None is exact."""

    name: str
    value: int
    mask: int | None = None


Match = tuple[FieldValue, ...]
"""Match fields in OXM order, prerequisites included."""


def match_of(fields: Iterable[FieldValue]) -> Match:
    """Return a match of ``fields``, which may come in any order and repeat."""
    return tuple(sorted(set(fields), key=lambda field: OXM_ORDER[field.name]))


def matches(match: Match, fields: Mapping[str, int]) -> bool:
    """Return whether a packet with these header fields matches; a field that it lacks never matches."""
    for name, value, mask in match:
        have = fields.get(name)
        if have is None or (have if mask is None else have & mask) != value:
            return False
    return True


@dataclass(frozen=True)
class Goto:
    """Continue in a later table."""

    table: int


TAG_MASK = 0xFF
"""Bits of the metadata that carry a tag."""


@dataclass(frozen=True)
class GotoWithTag:
    """Continue in a later table with a tag, 0 to 255; rules match it as metadata under ``TAG_MASK``."""

    table: int
    tag: int


@dataclass(frozen=True)
class Output:
    """Apply the action OUTPUT to a port, which may be a reserved one such as NORMAL."""

    port: int


@dataclass(frozen=True)
class CopyToController:
    """Send a copy of the whole frame to the controller, and do ``onward`` with the frame itself."""

    onward: Goto | GotoWithTag | Output


@dataclass(frozen=True)
class OpaqueInstructions:
    """Instructions that no other action here expresses, as wire bytes."""

    instructions: bytes


NORMAL = Output(0xFFFFFFFA)
"""OFPP_NORMAL: forward as a switch without OpenFlow would."""

Action = Goto | GotoWithTag | Output | CopyToController | OpaqueInstructions | None
"""Action on a frame that matches; None drops it (an empty instruction set).

These are no tuples: as tuples, ``Goto(5)`` and ``Output(5)`` would be equal.
"""


def without_copy(action: Action) -> Action:
    """Return what an action does with the frame itself, whether or not the controller gets a copy."""
    return action.onward if isinstance(action, CopyToController) else action


def with_onward(action: Action, onward: Goto | GotoWithTag | Output) -> Action:
    """Return an action that does ``onward`` with the frame, and copies it where ``action`` does."""
    return CopyToController(onward) if isinstance(action, CopyToController) else onward


class FlowRule(NamedTuple):
    """One flow rule.

    ``hard_timeout`` is in seconds (16 bits, 0 for none) from the moment the rule is added.
    """

    table: int
    priority: int
    match: Match
    action: Action
    cookie: int
    hard_timeout: int = 0

    @property
    def key(self) -> tuple[int, int, Match]:
        """Table, priority and match, which identify a rule to a switch (OpenFlow 1.3.5, section 6.4)."""
        return self.table, self.priority, self.match

    @property
    def is_managed(self) -> bool:
        """True where the cookie is op25b's."""
        return self.cookie >> 48 == COOKIE_OWNER

    @property
    def role(self) -> RuleRole:
        """Role of an op25b rule.

        Raises ValueError for a cookie that no op25b rule can have.
        """
        if not self.is_managed:
            raise ValueError(f"cookie {self.cookie:#x} is not one of ours")
        return RuleRole(self.cookie >> 40 & 0xFF)
