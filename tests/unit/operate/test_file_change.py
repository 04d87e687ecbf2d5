"""Files are read again once whoever writes them is done."""

from __future__ import annotations

import os
from pathlib import Path

from op25b_app.operate.file_change import Changes, look_at


def test_a_change_counts_once_it_has_stood_still(tmp_path: Path) -> None:
    policy, pools = tmp_path / "policy.yaml", tmp_path / "pools.txt"
    policy.write_text("a")
    changes = Changes(look_at([policy, pools]))

    def settled() -> bool:
        return changes.settled(look_at([policy, pools]))

    assert not settled()
    pools.write_text("1")
    assert not settled(), "a file that was not there"
    pools.write_text("1\n2")
    assert not settled(), "still being written"
    assert settled()
    assert not settled(), "once"
    policy.with_suffix(".new").write_text("b")
    os.replace(policy.with_suffix(".new"), policy)
    assert [settled(), settled(), settled()] == [False, True, False]
    pools.unlink()
    assert [settled(), settled(), settled()] == [False, True, False]


def test_a_change_that_is_taken_back_in_between_is_none(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("a")
    before = look_at([policy])
    changes = Changes(before)
    policy.write_text("bb")
    assert not changes.settled(look_at([policy]))
    assert not changes.settled(before)
    assert not changes.settled(before)
