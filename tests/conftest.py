"""An interrupted run cleans up as a finished one does."""

from __future__ import annotations

import signal
from types import FrameType

import pytest


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def pytest_configure(config: pytest.Config) -> None:
    """SIGTERM and SIGHUP do what SIGINT does: pytest ends the fixtures it has begun."""
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
