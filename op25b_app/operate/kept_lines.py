"""Put the learned lines that a controller keeps on disk into the policy of a command."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from op25b_app.net.port_number import PortNumbers
from op25b_app.operate.line_learning import LineLearning
from op25b_app.operate.line_store import LineStore, line_store_path
from op25b_app.operate.policy_store import StoreError
from op25b_app.operate.state_directory import probable_state_directory
from op25b_app.policy.facts import Facts, in_effect
from op25b_app.policy.model import Policy

RECENT_SECONDS = 60.0
"""Moments that are so near are now, for what is kept."""


class WithLines(NamedTuple):
    """A policy with the learned lines that are kept for it, and what to tell of them; None for nothing."""

    policy: Policy
    note: str | None


def with_kept_lines(
    path: Path,
    written: Policy,
    at: float,
    now: float,
    ports: Mapping[str, PortNumbers] = MappingProxyType({}),
) -> WithLines:
    """Return a policy as it is in effect; ``path`` is its file, times are in seconds since 1970.

    ``ports`` are the ports of switches, by their names.
    """
    policy = in_effect(written, Facts(ports=ports))
    if written.lines is None:
        return WithLines(policy, None)
    directory = probable_state_directory()
    if directory is None:
        return WithLines(policy, "learned lines are left out: this user has no state directory")
    store = LineStore(line_store_path(directory, path.absolute()))
    try:
        claims = store.recall(at if at < now - RECENT_SECONDS else None)
    except StoreError as failure:
        return WithLines(policy, f"learned lines are left out: {failure}")
    learning = LineLearning(claims)
    learning.follow(policy, at)
    held = learning.table.holds
    if not held:
        what = f"learned lines are left out: none are kept in {store.path}"
        return WithLines(policy, f"{what}; with OP25B_STATE_DIRECTORY name the controller's directory")
    facts = learning.facts()._replace(ports=ports)
    return WithLines(in_effect(written, facts), f"with {held:,} learned addresses of {store.path}")
