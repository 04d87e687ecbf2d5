"""The journal of a controller."""

from __future__ import annotations

import random
from collections import Counter

from op25b_app.operate.events import CAPACITY, Journal

START = 1_800_000_000.0


def numbers(report: dict[str, object]) -> list[int]:
    events = report["events"]
    assert isinstance(events, list)
    return [event["number"] for event in events]


def test_events_are_numbered_and_told_once() -> None:
    journal = Journal(START)
    assert journal.report(0) == {
        "journal": "2027-01-15T08:00:00.000+00:00",
        "last": 0,
        "missed": 0,
        "events": [],
    }
    journal.record(START + 1.25, "access-1", "state", "protected")
    journal.record(START + 2, None, "reload", "applied")
    report = journal.report(0)
    assert report["events"][0] == {
        "number": 1,
        "time": "2027-01-15T08:00:01.250+00:00",
        "switch": "access-1",
        "kind": "state",
        "text": "protected",
    }
    assert (numbers(report), report["last"]) == ([1, 2], 2)
    assert numbers(journal.report(1)) == [2]
    assert numbers(journal.report(2)) == []


def test_it_is_bounded_and_says_how_many_are_gone() -> None:
    journal = Journal(START, capacity=3)
    for _ in range(10):
        journal.record(START, "access-1", "state", "lost")
    assert (numbers(journal.report(0)), journal.report(0)["missed"]) == ([8, 9, 10], 7)
    assert (numbers(journal.report(5)), journal.report(5)["missed"]) == ([8, 9, 10], 2)
    assert (numbers(journal.report(9)), journal.report(9)["missed"]) == ([10], 0)
    assert (numbers(journal.report(99)), journal.report(99)["missed"]) == ([], 0)


def test_strangers_push_nobodys_events_out() -> None:
    journal = Journal(START)
    journal.record(START, "access-1", "repair", "put right")
    journal.record(START, None, "policy", "in force")
    for number in range(10 * CAPACITY):
        journal.record(START, f"{number:#x}", "state", "unknown", stranger=True)
    report = journal.report(0)
    assert numbers(report)[:2] == [1, 2]
    assert numbers(report) == sorted(numbers(report))
    assert len(report["events"]) == CAPACITY
    assert report["missed"] == 9 * CAPACITY + 2
    assert journal.report(report["last"])["missed"] == 0


def test_a_switch_that_tells_much_keeps_its_repairs_and_those_of_others() -> None:
    journal = Journal(START)
    for switch in ("access-1", "access-2"):
        journal.record(START, switch, "repair", "put right")
    for _ in range(10 * CAPACITY):
        journal.record(START, "access-1", "state", "lost")
    events = journal.report(0)["events"]
    assert [event["switch"] for event in events if event["kind"] == "repair"] == ["access-1", "access-2"]


def test_more_switches_than_there_is_room_are_told_of_in_turn() -> None:
    journal = Journal(START, capacity=10)
    for number in range(100):
        journal.record(START, f"access-{number}", "state", "lost")
    assert numbers(journal.report(0)) == [*range(91, 101)]
    assert len(vars(journal)["_events"]) == 10


def test_it_is_the_most_that_lose_whatever_comes() -> None:
    journal, expected, chance = Journal(START, capacity=20), [], random.Random(25)
    for number in range(1, 2000):
        source = f"access-{min(chance.randrange(1, 9), chance.randrange(1, 9))}"
        journal.record(START, source, "state", "lost")
        expected.append((source, number))
        if len(expected) > 20:
            counts = Counter(each for each, _ in expected)
            kept = {event["number"] for event in journal.report(0)["events"]}
            (gone,) = [each for each in expected if each[1] not in kept]
            assert counts[gone[0]] == max(counts.values())
            assert gone == next(each for each in expected if each[0] == gone[0]), "the oldest of it"
            expected.remove(gone)
