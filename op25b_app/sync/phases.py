"""Hold the phases of an exchange with a switch, and which may follow which.

``scripts/write_pages.py`` shows them in ``docs/architecture.md``. Tests hold that no other phase follows, and
that each entry occurs.
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
