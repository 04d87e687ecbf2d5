"""Compare a policy with its replacement: for every packet, and in flow rules.

In the public API this package is a function as well: ``diff(old, new, *, switches=None, at=None)``.
"""

from op25b_app.diff.blocking import stops_blocking, would_block_nothing
from op25b_app.diff.line_changes import Fate, LineChanges, line_changes
from op25b_app.diff.objections import Objections, objections
from op25b_app.diff.policy_diff import Effect, RuleChanges, SwitchEffect, effect
from op25b_app.diff.traffic import Kind, Traffic, VerdictChange

__all__ = [
    "Effect",
    "Fate",
    "Kind",
    "LineChanges",
    "Objections",
    "RuleChanges",
    "SwitchEffect",
    "Traffic",
    "VerdictChange",
    "effect",
    "line_changes",
    "objections",
    "stops_blocking",
    "would_block_nothing",
]
