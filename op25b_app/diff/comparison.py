"""Compare the verdicts of two policies at the ports of one role, VLAN tags apart from all other fields.

Under a tag that a port may not carry, no other field matters; under any other tag, the tag does not. So a
port with tags of its own does not cost a diagram of its own.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from types import MappingProxyType
from typing import NamedTuple

from op25b_app.diff.regions import classes, ranges_of
from op25b_app.diff.traffic import change_of
from op25b_app.net.ranges import Ranges, common, merged
from op25b_app.policy.model import Mode, Policy, PortRole, Switch, Verdict
from op25b_app.policy.packet import ETH_LENGTH
from op25b_app.verify.diagram import Diagram, Diagrams
from op25b_app.verify.header import LEVELS, UNTAGGED
from op25b_app.verify.symbolic_policy import SymbolicPolicy

Roles = tuple[PortRole, PortRole]
"""Roles of a port, before and after."""
Carried = tuple[bool, bool]
"""True where a port may carry a tag; before and after."""
_VLAN, _IN_PORT = LEVELS["vlan_vid"], LEVELS["in_port"]


class SwitchPolicy(NamedTuple):
    """A policy and the switch in it that is compared."""

    policy: Policy
    switch: Switch

    def verdicts(self, diagrams: Diagrams, role: PortRole, at: float) -> Diagram:
        """Return the function from headers to verdicts under a tag that a port of ``role`` may carry."""
        untagged = replace(self.switch, vlans=MappingProxyType({}))
        verdicts = SymbolicPolicy(diagrams, self.policy, untagged, at).verdicts(role)
        return diagrams.fix(verdicts, _VLAN, UNTAGGED)

    def forbidden_tag(self, diagrams: Diagrams, role: PortRole, at: float) -> Diagram:
        """Return the condition that a frame has a tag that its port may not carry."""
        if role is PortRole.TRUSTED:
            return diagrams.leaf(False)
        return SymbolicPolicy(diagrams, *self, at).forbidden_tag(role)

    @property
    def block(self) -> Verdict:
        """The verdict for a frame with a tag that its port may not carry."""
        return Verdict.BLOCK if self.switch.mode is Mode.ENFORCE else Verdict.WOULD_BLOCK


class TagsAndPorts(NamedTuple):
    """Tags (in the proof's domain), and ports that may carry all or none of them, before and after."""

    tags: Ranges
    ports: Ranges
    carried: Carried


class PolicyComparison:
    """The changes for packets at ``ports``, which have one role before and one after."""

    def __init__(
        self, diagrams: Diagrams, old: SwitchPolicy, new: SwitchPolicy, roles: Roles, ports: Ranges, at: float
    ) -> None:
        self.roles = roles
        self.ports = ports
        self._diagrams = diagrams
        self._blocks = old.block, new.block
        self._verdicts = old.verdicts(diagrams, roles[0], at), new.verdicts(diagrams, roles[1], at)
        self._forbidden = (
            old.forbidden_tag(diagrams, roles[0], at),
            new.forbidden_tag(diagrams, roles[1], at),
        )
        self._changes: dict[Carried, Diagram] = {}

    def changes(self, carried: Carried) -> Diagram:
        """Return the function from headers to ``VerdictChange`` or None, for tags that ports may carry so."""
        if carried not in self._changes:
            diagrams = self._diagrams
            before, after = (
                verdicts if may else diagrams.leaf(block)
                for may, verdicts, block in zip(carried, self._verdicts, self._blocks, strict=True)
            )
            unchanged = diagrams.leaf(None)
            self._changes[carried] = diagrams.apply(
                change_of, before, after, lambda one, other: unchanged if one is other else None
            )
        return self._changes[carried]

    def changes_within(self, carried: Carried, ports: Ranges) -> Diagram:
        """Return ``changes`` for packets that can come in at these ports: no ethertype is below 0x600."""
        diagrams, changes = self._diagrams, self.changes(carried)
        ethertypes = diagrams.within(LEVELS["eth_type"], [(ETH_LENGTH, 0xFFFF)])
        here = diagrams.both(ethertypes, diagrams.within(_IN_PORT, ports))
        return diagrams.choose(here, changes, diagrams.leaf(None))

    @cached_property
    def situations(self) -> tuple[TagsAndPorts, ...]:
        """All tags at all of the ports, the lowest tags first."""
        forbidden = self._diagrams.apply(lambda before, after: (before, after), *self._forbidden)
        return tuple(
            TagsAndPorts(tuple(tags), ports, (may_before, may_after))
            for where, tags in classes(forbidden, _VLAN).items()
            for may_before in (True, False)
            for may_after in (True, False)
            if (ports := common(self.ports, ranges_of(where, _IN_PORT, (not may_before, not may_after))))
        )

    @cached_property
    def usable_ports(self) -> Ranges:
        """Ports that may carry some tag, or untagged frames, both before and after."""
        return merged(
            [port for situation in self.situations if all(situation.carried) for port in situation.ports]
        )

    def usual_tag(self, port: int) -> int:
        """Return the lowest tag (in the proof's domain) that a usable port may carry before and after."""
        return next(
            situation.tags[0][0]
            for situation in self.situations
            if all(situation.carried) and common(situation.ports, ((port, port),))
        )
