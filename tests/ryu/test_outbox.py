"""What is sent leaves in order, and nobody waits for a switch that does not read."""

from __future__ import annotations

import pytest
from ryu.lib import hub

from op25b_app.outbox import Outbox

PIECES = [bytes([number]) for number in range(10)]
ROOM = 3


class Datapath:
    """As much of Ryu's as sends: a queue, and whoever finds it full waits."""

    def __init__(self) -> None:
        self.send_q = hub.Queue(ROOM)
        self.closed = 0

    def send(self, piece: bytes) -> bool:
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
    Outbox(datapath).send(PIECES[:ROOM])
    assert datapath.take(ROOM) == PIECES[:ROOM]


def test_more_than_that_waits_without_the_sender_and_in_order(datapath: Datapath) -> None:
    outbox = Outbox(datapath)
    with hub.Timeout(1):
        outbox.send(PIECES[:6])
        outbox.send(PIECES[6:])
    assert datapath.send_q.qsize() == ROOM
    assert datapath.take(len(PIECES)) == PIECES
    outbox.send(PIECES)
    assert datapath.take(len(PIECES)) == PIECES


def test_what_waits_is_forgotten_with_the_connection(datapath: Datapath) -> None:
    outbox = Outbox(datapath)
    outbox.send(PIECES)
    hub.sleep(0)
    outbox.close()
    assert datapath.take(ROOM) == PIECES[:ROOM]
    hub.sleep(0)
    assert datapath.send_q.empty()
    assert not datapath.closed


def test_a_connection_on_which_ryu_sends_no_more_is_closed_once_and_later(datapath: Datapath) -> None:
    datapath.send_q = None
    outbox = Outbox(datapath)
    outbox.send(PIECES)
    before = datapath.closed
    hub.sleep(0)
    assert (before, datapath.closed) == (0, 1)
