"""Flow rules of any application as a switch holds them: a match and the steps of its actions."""

from __future__ import annotations

from typing import NamedTuple

from op25b_app.openflow.flow_rule import CONTROLLER_PORT, COOKIE_OWNER, Match, RuleRole


class OutputAction(NamedTuple):
    """Send the packet out of a port, which may be a reserved one such as NORMAL."""

    port: int


class SetField(NamedTuple):
    """Set a header field; ``mask`` None sets all of it."""

    name: str
    value: int
    mask: int | None = None


class PushVlan(NamedTuple):
    """Push a VLAN tag with number 0."""

    tpid: int


class PopVlan(NamedTuple):
    """Pop the outer VLAN tag."""


class SetVlanPriority(NamedTuple):
    """Set the priority of the outer VLAN tag; a packet without one gets a tag with number 0."""

    value: int


class PopMpls(NamedTuple):
    """Pop the outer MPLS label; the payload is of ``eth_type``.

    ``where`` and ``text`` are for messages.
    """

    eth_type: int
    where: str
    text: str


class PushMpls(NamedTuple):
    """Push an MPLS label."""

    eth_type: int
    where: str
    text: str


class GotoTable(NamedTuple):
    """Continue in another table and do not return; ``tracked``: through the connection tracker."""

    table: int
    tracked: bool = False


class WriteMetadata(NamedTuple):
    """Write the bits of ``value`` under ``mask`` to the metadata."""

    value: int
    mask: int


class WriteActions(NamedTuple):
    """Steps for the end of the pipeline (an action set, OpenFlow 1.3.5, section 5.10)."""

    steps: tuple[Step, ...]


class ClearActions(NamedTuple):
    """Clear the action set."""


class MayDrop(NamedTuple):
    """Step that drops some packets and not others, such as a meter; ``doubt`` says why, for messages."""

    doubt: str = "it drops what exceeds a meter"


class MaySend(NamedTuple):
    """Step that sends some packets and not others, such as a group; ``doubt`` says why, for messages."""

    doubt: str


class Unsupported(NamedTuple):
    """Step that the proof does not model; ``text`` as it is written."""

    text: str


HeaderChange = SetField | PushVlan | PopVlan | SetVlanPriority | PopMpls | PushMpls
"""Steps that change the packet."""
Step = (
    OutputAction
    | HeaderChange
    | GotoTable
    | WriteMetadata
    | WriteActions
    | ClearActions
    | MayDrop
    | MaySend
    | Unsupported
)


def sends(step: Step) -> bool:
    """Return whether a step sends the packet out of the switch; a copy to the controller is ignored."""
    return isinstance(step, OutputAction) and step.port != CONTROLLER_PORT


class StoredRule(NamedTuple):
    """Flow rule that a switch holds; ``where`` names the place where it was read, for messages."""

    table: int
    priority: int
    match: Match
    steps: tuple[Step, ...]
    cookie: int
    where: str
    text: str

    @property
    def is_managed(self) -> bool:
        """True where the cookie is op25b's."""
        return self.cookie >> 48 == COOKIE_OWNER

    @property
    def only_counts(self) -> bool:
        """True for a monitor-mode rule, known by its cookie; it permits what enforce mode would block."""
        return self.is_managed and self.cookie >> 40 & 0xFF == RuleRole.WOULD_BLOCK
