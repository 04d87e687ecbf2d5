"""Connections, switches and files that are up to no good, by kind; a process of its own makes them."""

from tests.faults.campaign.hostile import files, floods, handshakes, identities, tables
from tests.faults.campaign.hostile.registry import KINDS, Hostile

__all__ = ["KINDS", "Hostile", "files", "floods", "handshakes", "identities", "tables"]
