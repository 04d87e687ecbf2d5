"""An interrupted run cleans up as a finished one does, and a slow machine fails no test."""

from __future__ import annotations

import signal
from types import FrameType

import pytest
from hypothesis import HealthCheck, settings


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def pytest_configure(config: pytest.Config) -> None:
    """SIGTERM and SIGHUP do what SIGINT does: pytest ends the fixtures it has begun.

    Hypothesis gives examples as long as they take.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("patient")
