"""Compare the verdicts of two policies at the ports of one role, VLAN tags apart from all other fields.

Under a tag that a port may not carry, no other field matters; under any other tag, the tag matters only to
lines that are one VLAN of a port. So a port with tags of its own does not cost a diagram of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

from op25b_app.diff.regions import classes, ranges_of, tests
from op25b_app.diff.traffic import change_of
from op25b_app.net.ranges import Ranges, common, merged
from op25b_app.policy.model import Policy, PortRole, Switch
from op25b_app.policy.packet import ETH_LENGTH
from op25b_app.verify.diagram import Diagram, Diagrams
from op25b_app.verify.header import LEVELS
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


class TagsAndPorts(NamedTuple):
    """Tags (in the proof's domain), and ports that may carry all or none of them, before and after."""

    tags: Ranges
    ports: Ranges
    carried: Carried


class PolicyComparison:
    """The changes for packets at ``ports``, which have one role before and one after."""

    def __init__(
        self,
        diagrams: Diagrams,
        old: SwitchPolicy,
        new: SwitchPolicy,
        roles: Roles,
        ports: Ranges,
        at: float,
        symbolic: tuple[SymbolicPolicy, SymbolicPolicy] | None = None,
    ) -> None:
        """Compare; ``symbolic`` are both policies as functions, where these are made already."""
        self.roles = roles
        self.ports = ports
        self._diagrams = diagrams
        before, after = symbolic or (SymbolicPolicy(diagrams, *each, at) for each in (old, new))
        self._blocks = before.block, after.block
        self._verdicts = before.under_permitted_tags(roles[0]), after.under_permitted_tags(roles[1])
        self.forbidden = before.forbidden_tag(roles[0]), after.forbidden_tag(roles[1])
        """Conditions that a frame has a tag that its port may not carry, before and after."""
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

    @cached_property
    def tag_matters(self) -> bool:
        """True where a verdict depends on which of its permitted tags a frame has."""
        return any(tests(verdicts, _VLAN) for verdicts in self._verdicts)

    def changes_under(self, carried: Carried, tags: Ranges) -> Diagram:
        """Return ``changes``; where the tag matters, only those under ``tags``."""
        changes = self.changes(carried)
        if not self.tag_matters:
            return changes
        return self._diagrams.choose(self._diagrams.within(_VLAN, tags), changes, self._diagrams.leaf(None))

    def changes_of_carried(self) -> Diagram:
        """Return the changes for packets at the usable ports; no ethertype is below 0x600.

        Where the tag matters, only those under tags that the port may carry before and after.
        """
        diagrams, changes = self._diagrams, self.changes((True, True))
        ethertypes = diagrams.within(LEVELS["eth_type"], [(ETH_LENGTH, 0xFFFF)])
        here = diagrams.both(ethertypes, diagrams.within(_IN_PORT, self.usable_ports))
        if self.tag_matters:
            here = diagrams.both(here, diagrams.negation(diagrams.either(*self.forbidden)))
        return diagrams.choose(here, changes, diagrams.leaf(None))

    @cached_property
    def situations(self) -> tuple[TagsAndPorts, ...]:
        """All tags at all of the ports, the lowest tags first."""
        forbidden = self._diagrams.apply(lambda before, after: (before, after), *self.forbidden)
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

    def with_usual_tag(self, header: Mapping[str, int]) -> dict[str, int]:
        """Return a header of ``changes_of_carried`` with a tag that its port may carry."""
        if self.tag_matters:
            return {**header}
        return {**header, "vlan_vid": self._usual_tag(header["in_port"])}

    def _usual_tag(self, port: int) -> int:
        """Return the lowest tag (in the proof's domain) that a usable port may carry before and after."""
        return next(
            situation.tags[0][0]
            for situation in self.situations
            if all(situation.carried) and common(situation.ports, ((port, port),))
        )
