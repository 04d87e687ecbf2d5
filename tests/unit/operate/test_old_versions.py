"""A switch that is too old is reported, and not at each of its attempts."""

from __future__ import annotations

import pytest

from op25b_app.operate.old_versions import AGAIN_SECONDS, OldVersions


@pytest.mark.parametrize(
    ("spoken", "version"),
    [([1], "1.0"), ([1, 3, 2], "1.2"), ([1, 4], None), ([6], None), ([0], "0"), ([0x63], None)],
)
def test_the_newest_version_decides(spoken: list[int], version: str | None) -> None:
    assert OldVersions().too_old("192.0.2.1", spoken, 0.0) == version


def test_an_address_is_reported_once_in_a_while() -> None:
    old = OldVersions()
    assert old.too_old("192.0.2.1", [1], 5.0) == "1.0"
    assert old.too_old("192.0.2.1", [1], 4.9 + AGAIN_SECONDS) is None
    assert old.too_old("192.0.2.2", [1], 6.0) == "1.0"
    assert old.too_old("192.0.2.1", [1], 5.0 + AGAIN_SECONDS) == "1.0"
