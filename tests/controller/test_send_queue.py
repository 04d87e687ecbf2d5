"""What is sent leaves in order, and nobody waits for a switch that does not read."""

from __future__ import annotations

import pytest
from ryu.lib import hub

from op25b_app.controller import send_queue
from op25b_app.controller.send_queue import SendQueue
from testing.patience import HANG_SECONDS

PIECES = [bytes([number]) for number in range(10)]
ROOM = 4


class Datapath:
    """As much of Ryu's as sends: a queue, and whoever finds it full waits."""

    def __init__(self) -> None:
        self.send_q = hub.Queue(ROOM)
        self.closed = 0

    def send_own(self, piece: bytes) -> bool:
        if self.send_q is None:
            return False
        self.send_q.put(piece)
        return True

    def close(self) -> None:
        self.closed += 1

    def take(self, count: int) -> list[bytes]:
        """As the thread that sends does."""
        taken = []
        for _ in range(count):
            taken.append(self.send_q.get())
            hub.sleep(0)
        return taken


@pytest.fixture
def datapath() -> Datapath:
    return Datapath()


def test_what_ryu_takes_is_handed_over_at_once(datapath: Datapath) -> None:
    SendQueue(datapath).send(PIECES[: ROOM // 2])
    assert datapath.send_q.qsize() == ROOM // 2
    assert datapath.take(ROOM // 2) == PIECES[: ROOM // 2]


def test_more_than_that_waits_without_the_sender_and_in_order(datapath: Datapath) -> None:
    box = SendQueue(datapath)
    with hub.Timeout(HANG_SECONDS):
        box.send(PIECES[:6])
        box.send(PIECES[6:])
    hub.sleep(0)
    assert datapath.send_q.qsize() == ROOM
    assert datapath.take(len(PIECES)) == PIECES
    box.send(PIECES)
    assert datapath.take(len(PIECES)) == PIECES


def test_what_waits_is_forgotten_with_the_connection(datapath: Datapath) -> None:
    box = SendQueue(datapath)
    box.send(PIECES)
    hub.sleep(0)
    box.close()
    assert datapath.take(ROOM) == PIECES[:ROOM]
    hub.sleep(0)
    assert datapath.send_q.empty()
    assert not datapath.closed


def test_no_more_waits_than_a_plan_may_have(datapath: Datapath, monkeypatch: pytest.MonkeyPatch) -> None:
    """A switch may ask for answers and read none."""
    monkeypatch.setattr(send_queue, "MAX_PIECES", 100)
    waiting = SendQueue(datapath)
    for _ in range(100 // len(PIECES) + 1):
        waiting.send(PIECES)
    assert len(waiting._waiting) <= 100
    hub.sleep(0)
    assert datapath.closed


def test_a_connection_on_which_ryu_sends_no_more_is_closed_once_and_later(datapath: Datapath) -> None:
    datapath.send_q = None
    box = SendQueue(datapath)
    box.send(PIECES)
    before = datapath.closed
    hub.sleep(0)
    assert (before, datapath.closed) == (0, 1)
