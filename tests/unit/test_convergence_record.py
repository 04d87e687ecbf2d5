"""What a campaign says of a packet, from what was known of the switch between its sending and its end."""

from __future__ import annotations

from math import inf

import pytest

from benchmarks.convergence.record import Kind, Record
from benchmarks.convergence.traffic import dealt_with

OLD, NEW = 0, 1


@pytest.fixture
def record() -> Record:
    """A change asked for at 10, confirmed at 11; the cache was looked through at 13."""
    record = Record(5.0)
    record.changing(10.0, OLD, NEW)
    record.confirmed(11.0, NEW, before=OLD)
    record.looked_through(13.0, NEW)
    return record


@pytest.mark.parametrize(
    ("sent", "decided_by", "kind", "policies"),
    [
        (6.0, 6.1, Kind.STEADY, [OLD]),
        (9.9, 9.95, Kind.STEADY, [OLD]),
        (9.0, 10.5, Kind.CHANGING, [OLD, NEW]),
        (10.5, 10.6, Kind.CHANGING, [OLD, NEW]),
        (11.5, 11.6, Kind.REVALIDATING, [OLD, NEW]),
        (12.9, 12.91, Kind.REVALIDATING, [OLD, NEW]),
        (12.9, 14.0, Kind.REVALIDATING, [OLD, NEW]),
        (13.0, 13.1, Kind.STEADY, [NEW]),
        (9.0, inf, Kind.REVALIDATING, [OLD, NEW]),
        (20.0, inf, Kind.STEADY, [NEW]),
    ],
)
def test_every_policy_counts_that_may_have_decided(
    record: Record, sent: float, decided_by: float, kind: Kind, policies: list[int]
) -> None:
    """A packet waits in a queue for as long as it takes, and a flow in the cache until it is looked at."""
    assert record.judge(sent, decided_by) == (kind, policies)


@pytest.mark.parametrize(
    ("sent", "decided_by", "confirmed"),
    [(9.9, 9.95, True), (9.9, 10.1, False), (10.9, 11.1, False), (11.5, 14.0, True), (9.0, inf, False)],
)
def test_the_tables_are_confirmed_where_no_change_is_on_its_way(
    record: Record, sent: float, decided_by: float, confirmed: bool
) -> None:
    assert record.is_confirmed(sent, decided_by) is confirmed


def test_a_packet_that_is_under_way_when_a_switch_ends_may_end_with_it(record: Record) -> None:
    record.emptied(30.0, NEW)
    assert record.judge(28.0, 28.1) == (Kind.STEADY, [NEW])
    assert record.judge(28.0, 31.0) == (Kind.EMPTY, [NEW])


def test_a_packet_was_decided_before_a_later_one_of_its_port_arrived() -> None:
    ports = [1, 2, 1, 1, 2, 1]
    assert dealt_with(ports, {0: 1.0, 3: 4.0, 4: 9.0}, {}) == [1.0, 9.0, 4.0, 4.0, 9.0, inf]
    assert dealt_with(ports, {}, {}) == [inf] * 6


def test_a_packet_was_decided_before_what_always_passes_arrived_behind_it() -> None:
    ports = [1, 2, 1, 1, 2, 1]
    behind = {1: [(0, 1.5), (3, 4.5)], 2: [(0, 1.6), (3, 4.6)]}
    assert dealt_with(ports, {3: 4.0}, behind) == [1.5, 4.6, 4.0, 4.0, inf, inf]
