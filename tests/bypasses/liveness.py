"""What must keep working whatever the rules."""

from __future__ import annotations

from collections.abc import Callable

from tests.bypasses.network import LineNetwork


class Liveness:
    """Checks from lines of their own; each says what went wrong, or nothing."""

    def __init__(self, network: LineNetwork) -> None:
        self._network = network
        self.checks: dict[str, Callable[[], str]] = {}
