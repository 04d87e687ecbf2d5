"""Number the policies that a switch holds: each gets the revision after the one before."""

from __future__ import annotations

from collections.abc import Iterable

from op25b_app.compiler.marker import Marker, newest_marker
from op25b_app.openflow.flow_rule import FlowRule


def next_revision(digest: str, found: Iterable[FlowRule]) -> int:
    """Return the revision of a policy that an operator put in force.

    It is one more than the newest in ``found``, the same for the same policy, or 1 without a marker.
    """
    newest = newest_marker(found)
    if newest is None:
        return 1
    return newest.revision + (not digest.startswith(newest.digest))


def newer_policy(own: Marker, found: Iterable[FlowRule]) -> str | None:
    """Return a sentence where a switch holds another policy that is as new as ``own`` or newer, else None."""
    newest = newest_marker(found)
    if newest is None or newest.revision < own.revision or own.digest.startswith(newest.digest):
        return None
    return (
        f"holds revision {newest.revision} of another policy, and this one is revision {own.revision}: "
        f"nothing was sent; 'op25b reload' puts this one in force"
    )
