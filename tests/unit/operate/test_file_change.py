"""Files are read again once whoever writes them is done."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

from op25b_app.operate.file_change import LONGEST_SECONDS, ChangeDetector, FileAttributes, snapshot_of


def test_a_change_counts_once_it_has_stood_still(tmp_path: Path) -> None:
    policy, pools = tmp_path / "policy.yaml", tmp_path / "pools.txt"
    policy.write_text("a")
    changes = ChangeDetector(snapshot_of([policy, pools]))

    def settled() -> bool:
        return changes.settled(snapshot_of([policy, pools]), 0.0)

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
    before = snapshot_of([policy])
    changes = ChangeDetector(before)
    policy.write_text("bb")
    assert not changes.settled(snapshot_of([policy]), 0.0)
    assert not changes.settled(before, 2.0)
    assert not changes.settled(before, 4.0)


LEASES, POLICY = Path("leases.txt"), Path("policy.yaml")


def seen(number: int) -> FileAttributes:
    return number, 100, number


def test_a_file_that_never_stands_still_is_read_after_the_longest_wait() -> None:
    """A lease file that a program replaces every 1.5 s looks new at each look, every 2 s."""
    changes = ChangeDetector({LEASES: seen(0)})
    looks = [now for now in range(2, 60, 2) if changes.settled({LEASES: seen(now)}, now)]
    assert looks[0] - 2 == LONGEST_SECONDS
    assert len(looks) == 4
    assert all(later - earlier == LONGEST_SECONDS + 2 for earlier, later in pairwise(looks))


def test_a_restless_file_holds_up_another_no_longer_than_the_longest_wait() -> None:
    changes = ChangeDetector({LEASES: seen(0), POLICY: seen(1)})
    settled = []
    for now in range(2, 40, 2):
        policy = seen(1 if now < 8 else 2)
        if changes.settled({LEASES: seen(now), POLICY: policy}, now):
            settled.append((now, policy))
    assert settled[0] == (12, seen(2))


def test_a_file_that_is_still_being_written_is_waited_for_though_another_is_done() -> None:
    changes = ChangeDetector({LEASES: seen(0), POLICY: seen(1)})
    assert not changes.settled({LEASES: seen(5), POLICY: seen(2)}, 2)
    assert not changes.settled({LEASES: seen(6), POLICY: seen(2)}, 4), "half a file of leases"
    assert changes.settled({LEASES: seen(6), POLICY: seen(2)}, 6)


def test_the_wait_begins_anew_with_each_change() -> None:
    """What has stood still for an hour, then changes, is not read at its first change."""
    changes = ChangeDetector({LEASES: seen(0)})
    assert not changes.settled({LEASES: seen(0)}, 0)
    assert not changes.settled({LEASES: seen(1)}, 3600)
    assert changes.settled({LEASES: seen(1)}, 3602)
