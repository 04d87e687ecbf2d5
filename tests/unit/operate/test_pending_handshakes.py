"""Who goes when too many connections do not finish their handshake."""

from __future__ import annotations

from op25b_app.operate.pending_handshakes import LEAST, PendingHandshakes, handshake_limit


def test_while_there_is_room_nobody_goes() -> None:
    pending: PendingHandshakes[int] = PendingHandshakes(3)
    assert [pending.add(key, "192.0.2.1") for key in range(3)] == [None] * 3
    pending.remove(1)
    pending.remove(1)
    assert pending.add(3, "192.0.2.2") is None
    assert len(pending) == 3


def test_the_oldest_of_whom_most_are_there_goes() -> None:
    pending: PendingHandshakes[str] = PendingHandshakes(4)
    pending.add("switch", "192.0.2.1")
    for number in range(3):
        pending.add(f"flood {number}", "203.0.113.9")
    assert pending.add("another switch", "192.0.2.2") == "flood 0"
    assert pending.add("flood 3", "203.0.113.9") == "flood 1"
    assert len(pending) == 4


def test_a_flood_ends_no_handshake_of_others() -> None:
    pending: PendingHandshakes[object] = PendingHandshakes(100)
    for number in range(60):
        pending.add(number, f"192.0.2.{number}")
    gone = [pending.add(("flood", number), "203.0.113.9") for number in range(1000)]
    assert all(each is None or isinstance(each, tuple) for each in gone)
    assert len(pending) == 100


def test_nothing_is_remembered_of_who_has_gone() -> None:
    pending: PendingHandshakes[int] = PendingHandshakes(10)
    for key in range(100):
        pending.add(key, f"192.0.2.{key}")
    for key in range(100):
        pending.remove(key)
    assert len(pending) == 0
    assert not any(map(len, vars(pending)["_of"].values()))
    assert not vars(pending)["_of"]


def test_all_switches_may_come_at_once_and_leave_files_for_others() -> None:
    assert handshake_limit(1, 1 << 20) == LEAST + 2
    assert handshake_limit(10_000, 1 << 20) >= 20_000
    assert handshake_limit(1000, 1024) == 256
    assert handshake_limit(0, 0) == 1
