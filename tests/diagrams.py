"""The value of a decision diagram for one header."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from op25b_app.verify.diagram import Diagram


def evaluate(diagram: Diagram, header: Sequence[int]) -> Any:
    """The function's value for one header (a value for each field, in order)."""
    while not diagram.is_leaf:
        diagram = diagram.children[bisect_left(diagram.bounds, header[diagram.level])]
    return diagram.value
