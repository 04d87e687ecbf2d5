"""A turn ends by bytes, by messages or by time, whichever comes first."""

from __future__ import annotations

import pytest

from op25b_app.operate.turns import (
    LEAST_BYTES,
    MAX_SAVED,
    MAX_SECONDS,
    SLICE_SECONDS,
    TURN_BYTES,
    TURN_SECONDS,
    ConnectionClass,
    TurnUsage,
    chosen_next,
    class_of,
)


@pytest.mark.parametrize(
    ("size", "seconds", "most"),
    [
        (TURN_BYTES // 4, 0.0, 4),
        (8, 0.0, TURN_BYTES // LEAST_BYTES),
        (8, TURN_SECONDS / 2, 2),
        (TURN_BYTES * 4, TURN_SECONDS / 9, 1),
    ],
    ids=["bytes", "small messages", "time", "one large message"],
)
def test_a_turn_ends(size: int, seconds: float, most: int) -> None:
    share = TurnUsage()
    for _ in range(most):
        assert not share.is_used_up
        share.charge(size, seconds)
    assert share.is_used_up
    share.reset()
    assert not share.is_used_up


def test_who_took_several_turns_at_once_waits_for_several() -> None:
    share = TurnUsage()
    share.charge(8, TURN_SECONDS * 14.5)
    turns = 0
    while share.is_used_up:
        share.renew()
        turns += 1
    assert turns == 14
    share.renew()
    share.charge(TURN_BYTES - 1, 0.0)
    assert not share.is_used_up, "what was saved is not kept"
    share.charge(LEAST_BYTES, 0.0)
    assert share.is_used_up


def test_whoever_has_a_slice_does_not_wait_within_it() -> None:
    share = TurnUsage()
    for _ in range(100):
        share.charge(8, TURN_SECONDS)
        assert share.is_used_up
        share.recover(SLICE_SECONDS)
        assert not share.is_used_up


def test_of_a_slice_not_everything_is_saved() -> None:
    share = TurnUsage()
    share.recover(3600.0)
    for _ in range(MAX_SAVED):
        share.charge(8, TURN_SECONDS)
        assert not share.is_used_up
    share.charge(8, TURN_SECONDS)
    assert share.is_used_up


def test_who_waits_has_not_worked() -> None:
    share = TurnUsage()
    share.charge(8, 3600.0)
    turns = 0
    while share.is_used_up:
        share.renew()
        turns += 1
    assert turns == pytest.approx(MAX_SECONDS / TURN_SECONDS, abs=1)


def test_only_the_connection_in_use_of_a_switch_in_the_policy_has_time_of_its_own() -> None:
    assert class_of(in_use=True, in_policy=True) is ConnectionClass.IN_USE
    assert class_of(in_use=False, in_policy=True) is ConnectionClass.STANDBY
    assert {class_of(in_use=each, in_policy=False) for each in (True, False)} == {ConnectionClass.OTHER}


def test_by_turns_the_first_and_the_least_read_go_on() -> None:
    waiting = {name: TurnUsage() for name in ("first", "second", "third")}
    waiting["first"].charge(TURN_BYTES, 0.0)
    waiting["second"].charge(TURN_BYTES // 2, 0.0)
    assert [chosen_next(waiting, number) for number in range(4)] == ["first", "third", "first", "third"]


def test_a_copy_is_charged_by_its_time_alone() -> None:
    share = TurnUsage()
    for _ in range(9):
        share.charge_time(TURN_SECONDS / 10)
    assert not share.is_used_up
    share.charge_time(TURN_SECONDS / 5)
    assert share.is_used_up
    share.reset()
    share.charge_time(10 * MAX_SECONDS)
    assert share.spent == MAX_SECONDS / TURN_SECONDS
