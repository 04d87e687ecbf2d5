"""Who goes when too many connections do not finish their handshake."""

from __future__ import annotations

from op25b_app.operate.pending_handshakes import LEAST, Newcomers, room


def test_while_there_is_room_nobody_goes() -> None:
    newcomers: Newcomers[int] = Newcomers(3)
    assert [newcomers.come(key, "192.0.2.1") for key in range(3)] == [None] * 3
    newcomers.go(1)
    newcomers.go(1)
    assert newcomers.come(3, "192.0.2.2") is None
    assert len(newcomers) == 3


def test_the_oldest_of_whom_most_are_there_goes() -> None:
    newcomers: Newcomers[str] = Newcomers(4)
    newcomers.come("switch", "192.0.2.1")
    for number in range(3):
        newcomers.come(f"flood {number}", "203.0.113.9")
    assert newcomers.come("another switch", "192.0.2.2") == "flood 0"
    assert newcomers.come("flood 3", "203.0.113.9") == "flood 1"
    assert len(newcomers) == 4


def test_a_flood_ends_no_handshake_of_others() -> None:
    newcomers: Newcomers[object] = Newcomers(100)
    for number in range(60):
        newcomers.come(number, f"192.0.2.{number}")
    gone = [newcomers.come(("flood", number), "203.0.113.9") for number in range(1000)]
    assert all(each is None or isinstance(each, tuple) for each in gone)
    assert len(newcomers) == 100


def test_nothing_is_remembered_of_who_has_gone() -> None:
    newcomers: Newcomers[int] = Newcomers(10)
    for key in range(100):
        newcomers.come(key, f"192.0.2.{key}")
    for key in range(100):
        newcomers.go(key)
    assert len(newcomers) == 0
    assert not any(map(len, vars(newcomers)["_of"].values()))
    assert not vars(newcomers)["_of"]


def test_all_switches_may_come_at_once_and_leave_files_for_others() -> None:
    assert room(1, 1 << 20) == LEAST + 2
    assert room(10_000, 1 << 20) >= 20_000
    assert room(1000, 1024) == 256
    assert room(0, 0) == 1
