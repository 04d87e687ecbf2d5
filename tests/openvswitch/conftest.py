"""One private Open vSwitch for all tests of this folder; each test adds bridges with names of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from testing.private_ovs import PrivateOvs


@pytest.fixture(scope="session")
def ovs() -> Iterator[PrivateOvs]:
    with PrivateOvs() as private:
        yield private
