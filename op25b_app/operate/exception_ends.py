"""Find and describe the starts and ends of a policy's exceptions."""

from __future__ import annotations

from collections.abc import Iterator

from op25b_app.diff.text import permission
from op25b_app.policy.model import Policy


def ended_exceptions(policy: Policy, since: float, at: float) -> Iterator[str]:
    """Yield a sentence for each exception that ended after ``since``, up to ``at`` (seconds since 1970)."""
    for exception in policy.exceptions:
        if exception.expires is not None and since < exception.expires <= at:
            yield f"exception '{exception.name}' has ended: {permission(exception)} ({exception.place})"


def started_exceptions(policy: Policy, since: float, at: float) -> Iterator[str]:
    """Yield a sentence for each exception that started after ``since``, up to ``at`` (seconds since 1970)."""
    for exception in policy.exceptions:
        if exception.starts is not None and since < exception.starts <= at:
            yield f"exception '{exception.name}' has started: {permission(exception)} ({exception.place})"


def next_change(policy: Policy, at: float) -> float | None:
    """Return when the next exception starts or ends after ``at`` (seconds since 1970); None for none."""
    moments = (moment for exception in policy.exceptions for moment in (exception.starts, exception.expires))
    return min((moment for moment in moments if moment is not None and moment > at), default=None)
