"""Flow rules of anybody as a switch holds them: a match, and what is done step by step."""

from __future__ import annotations

from typing import NamedTuple

from op25b_app.openflow.flow_rule import (
    COOKIE_OWNER,
    TAG_MASK,
    FlowRule,
    Goto,
    Match,
    Opaque,
    Output,
    Role,
    Tagged,
)

CONTROLLER_PORT = 0xFFFFFFFD
"""OFPP_CONTROLLER (OpenFlow 1.3.5, section 7.2.1)."""


class Emit(NamedTuple):
    """Send the packet out: to a port, a reserved one such as NORMAL among them."""

    port: int


class SetField(NamedTuple):
    """Give a header field a value; ``mask`` None sets all of it."""

    name: str
    value: int
    mask: int | None = None


class PushTag(NamedTuple):
    """Put a VLAN tag with number 0 around the packet."""

    tpid: int


class PopTag(NamedTuple):
    """Take the outer VLAN tag off."""


class SetTagPriority(NamedTuple):
    """Give the outer VLAN tag a priority; a packet without one gets a tag with number 0."""

    value: int


class PopMpls(NamedTuple):
    """Take the outer MPLS label off; what was behind it is of ``eth_type``. ``where`` and ``text`` are for
    people."""

    eth_type: int
    where: str
    text: str


class PushMpls(NamedTuple):
    """Put an MPLS label around the packet."""

    eth_type: int
    where: str
    text: str


class Jump(NamedTuple):
    """Go on in another table and do not come back; ``tracked`` by way of the connection tracker."""

    table: int
    tracked: bool = False


class WriteMetadata(NamedTuple):
    value: int
    mask: int


class Later(NamedTuple):
    """Steps for the end of the pipeline (an action set, OpenFlow 1.3.5, section 5.10)."""

    steps: tuple[Step, ...]


class ClearLater(NamedTuple):
    """Forget the action set."""


class MayDrop(NamedTuple):
    """What drops some packets and not others, such as a meter; ``doubt`` says which, for people."""

    doubt: str = "it drops what exceeds a meter"


class MaySend(NamedTuple):
    """What sends some packets out and not others, such as a group; ``doubt`` says which, for people."""

    doubt: str


class Unmodelled(NamedTuple):
    """What the proof does not know; ``text`` as it is written."""

    text: str


Change = SetField | PushTag | PopTag | SetTagPriority | PopMpls | PushMpls
"""What the packet is not the same after."""
Step = Emit | Change | Jump | WriteMetadata | Later | ClearLater | MayDrop | MaySend | Unmodelled


def sends(step: Step) -> bool:
    """Does the packet itself leave the switch? A copy to the controller does not count."""
    return isinstance(step, Emit) and step.port != CONTROLLER_PORT


class StoredRule(NamedTuple):
    """A rule that a switch holds. ``where`` says where that was read, for people."""

    table: int
    priority: int
    match: Match
    steps: tuple[Step, ...]
    cookie: int
    where: str
    text: str

    @property
    def is_ours(self) -> bool:
        return self.cookie >> 48 == COOKIE_OWNER

    @property
    def only_counts(self) -> bool:
        """A rule of monitor mode, known by its cookie: it permits what enforce mode would block."""
        return self.is_ours and self.cookie >> 40 & 0xFF == Role.WOULD_BLOCK


def stored(rule: FlowRule, where: str, text: str) -> StoredRule:
    """A rule as a value of ours; opaque instructions stay unmodelled."""
    steps: tuple[Step, ...] = ()
    if isinstance(rule.action, Goto):
        steps = (Jump(rule.action.table),)
    elif isinstance(rule.action, Tagged):
        steps = (WriteMetadata(rule.action.tag, TAG_MASK), Jump(rule.action.table))
    elif isinstance(rule.action, Output):
        steps = (Emit(rule.action.port),)
    elif isinstance(rule.action, Opaque):
        steps = (Unmodelled(f"instructions {rule.action.instructions.hex()}"),)
    return StoredRule(rule.table, rule.priority, rule.match, steps, rule.cookie, where, text)
