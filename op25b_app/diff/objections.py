"""Name what a policy may do to the network only if an operator agrees to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from op25b_app.diff.blocking import stops_blocking
from op25b_app.diff.line_changes import LineChanges, line_changes
from op25b_app.diff.line_text import cuts_off, opens_lines
from op25b_app.policy.exposure import newly_exposed
from op25b_app.policy.model import Policy


class Objections(NamedTuple):
    """Sentences on what nobody may mean: a switch stops blocking, many lines are cut off, port 25 opens."""

    stops_blocking: tuple[str, ...] = ()
    cuts_off: tuple[str, ...] = ()
    opens: tuple[str, ...] = ()

    @property
    def sentences(self) -> tuple[str, ...]:
        """All of them, those on lines first."""
        return (*self.cuts_off, *self.stops_blocking, *self.opens)


def objections(
    old: Policy,
    new: Policy,
    at: float,
    is_over: Callable[[], bool] = lambda: False,
    lines: LineChanges | None = None,
) -> Objections:
    """Return what speaks against ``new`` in the place of ``old``, ``at`` in seconds since 1970.

    ``lines`` is what becomes of all lines, where that is known already. Work ends early where ``is_over``,
    called now and then, returns True.
    """
    changes = line_changes(old, new) if lines is None else lines
    return Objections(
        tuple(stops_blocking(old, new, at, is_over)),
        tuple(cuts_off(changes)),
        (*newly_exposed(old, new, at), *opens_lines(changes)),
    )
