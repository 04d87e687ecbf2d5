"""Find and describe the ends of a policy's exceptions."""

from __future__ import annotations

from collections.abc import Iterator

from op25b_app.diff.text import permission
from op25b_app.policy.model import Policy


def ended_exceptions(policy: Policy, since: float, at: float) -> Iterator[str]:
    """Yield a sentence for each exception that ended after ``since``, up to ``at`` (seconds since 1970)."""
    for exception in policy.exceptions:
        if exception.expires is not None and since < exception.expires <= at:
            yield f"exception '{exception.name}' has ended: {permission(exception)} ({exception.place})"


def next_end(policy: Policy, at: float) -> float | None:
    """Return the end of the next exception after ``at`` (seconds since 1970), None where none ends."""
    ends = (exception.expires for exception in policy.exceptions)
    return min((end for end in ends if end is not None and end > at), default=None)
