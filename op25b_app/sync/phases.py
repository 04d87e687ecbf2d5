"""Hold the phases of an exchange with a switch, and which may follow which.

``docs/architecture.md`` shows them. Tests hold that no other phase follows, and that each entry occurs.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping


class Phase(enum.Enum):
    """Step under way, in words that continue "no answer while"."""

    IDLE = "idle"
    READING = "reading its table"
    REVIEWING = "comparing its table"
    BUNDLING = "filling a bundle"
    CONFIRMING = "waiting for it to confirm changes"


NEXT_PHASES: Mapping[Phase, frozenset[Phase]] = {
    Phase.IDLE: frozenset({Phase.READING, Phase.BUNDLING, Phase.CONFIRMING}),
    Phase.READING: frozenset({Phase.IDLE, Phase.REVIEWING, Phase.BUNDLING, Phase.CONFIRMING}),
    Phase.REVIEWING: frozenset({Phase.IDLE, Phase.BUNDLING, Phase.CONFIRMING}),
    Phase.BUNDLING: frozenset({Phase.IDLE, Phase.CONFIRMING}),
    Phase.CONFIRMING: frozenset({Phase.IDLE}),
}
"""Phases that may follow. Each reading begins from ``IDLE``: it drops the work under way."""


def drawing() -> str:
    """Return the phases as a Mermaid state diagram."""
    lines = ["    [*] --> idle"]
    lines += [f"    {phase.name.lower()}: {phase.value}" for phase in Phase if phase is not Phase.IDLE]
    for phase, following in NEXT_PHASES.items():
        lines += [f"    {phase.name.lower()} --> {each.name.lower()}" for each in Phase if each in following]
    return "\n".join(["stateDiagram-v2", *lines])
