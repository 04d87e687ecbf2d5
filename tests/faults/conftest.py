"""One controller for the tests of a file; each takes switches of its own, and must leave it undisturbed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.rig import HURRIED, Rig

ECHO = {"echo_request_interval": 0.5, "maximum_unreplied_echo_requests": 16}
"""Eight seconds of silence: the switches of these tests do not take so long on a loaded machine."""


@pytest.fixture(scope="module")
def shared_rig() -> Iterator[Rig]:
    with Rig(120, applications=[HURRIED], options=ECHO) as rig:
        yield rig


@pytest.fixture
def rig(shared_rig: Rig) -> Iterator[Rig]:
    yield shared_rig
    try:
        shared_rig.assert_undisturbed()
    finally:
        shared_rig.end_test()
