"""What is wrong with a policy, told with its place and its remedy."""

from __future__ import annotations

from typing import Literal, NamedTuple

from op25b_app.policy.model import Place


class Problem(NamedTuple):
    """One error (the policy cannot be used) or warning (it can, and should be looked at)."""

    place: Place
    severity: Literal["error", "warning"]
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.severity}: {self.message}"


def error(place: Place, message: str) -> Problem:
    return Problem(place, "error", message)


def warning(place: Place, message: str) -> Problem:
    return Problem(place, "warning", message)
