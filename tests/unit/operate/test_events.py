"""The journal of a controller."""

from __future__ import annotations

from op25b_app.operate.events import Journal

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
