"""Work of the client that has used the least time is next, and each has one piece of work waiting."""

from __future__ import annotations

import pytest

from op25b_app.operate import fair_queue
from op25b_app.operate.fair_queue import HALF_LIFE_SECONDS, FairQueue


def test_the_last_work_of_each_client_waits() -> None:
    queue: FairQueue[str, int] = FairQueue()
    assert not queue
    for client, work in (("a", 1), ("b", 2), ("a", 3)):
        queue.add(client, work)
    assert [queue.take(0.0), queue.take(0.0)] == [("a", 3), ("b", 2)]
    assert not queue
    with pytest.raises(ValueError, match="empty"):
        queue.take(0.0)


def test_the_client_that_has_used_less_time_goes_first() -> None:
    queue: FairQueue[str, int] = FairQueue()
    queue.count("a", 0.0, 3.0)
    queue.count("b", 3.0, 5.0)
    for client in "abc":
        queue.add(client, 0)
    assert [queue.take(5.0)[0] for _ in range(3)] == ["c", "b", "a"]


def test_used_time_counts_less_and_less() -> None:
    queue: FairQueue[str, int] = FairQueue()
    later = 2 * HALF_LIFE_SECONDS
    queue.count("a", 0.0, 3.0)
    queue.count("b", later, later + 1.0)
    for client in "ab":
        queue.add(client, 0)
    assert queue.take(later + 1.0)[0] == "a"


def test_of_too_many_clients_the_least_time_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair_queue, "MAX_COUNTED", 2)
    queue: FairQueue[str, int] = FairQueue()
    for client, seconds in (("a", 3.0), ("b", 1.0), ("c", 2.0)):
        queue.count(client, 0.0, seconds)
    for client in "acb":
        queue.add(client, 0)
    assert [queue.take(3.0)[0] for _ in range(3)] == ["b", "c", "a"]
