"""A socket that reads with patience, over loopback."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from socket import SHUT_WR
from typing import Any, NamedTuple

import eventlet
import pytest
from ryu.lib import hub

from op25b_app.controller import buffered_socket
from op25b_app.controller.buffered_socket import PIECE_BYTES, BufferedSocket
from testing.patience import HANG_SECONDS

LIMIT = 0.1


class Ends(NamedTuple):
    ours: BufferedSocket
    theirs: Any
    reads: list[int]
    """How much was asked for, each time that ours was asked to read."""


@pytest.fixture
def ends() -> Iterator[Ends]:
    listener = eventlet.listen(("127.0.0.1", 0))
    theirs = eventlet.connect(listener.getsockname())
    socket, _ = listener.accept()
    socket.settimeout(LIMIT)
    reads: list[int] = []
    receive = socket.recv

    def noted(size: int) -> bytes:
        reads.append(size)
        received: bytes = receive(size)
        return received

    socket.recv = noted
    yield Ends(BufferedSocket(socket), theirs, reads)
    for each in (socket, theirs, listener):
        each.close()


def test_what_the_other_end_has_sent_is_unread_until_more_is_asked_for(ends: Ends) -> None:
    got: list[bytes] = []
    reader = hub.spawn(lambda: got.append(ends.ours.recv(8)))
    hub.sleep(0.01)
    assert not ends.ours.has_unread
    ends.theirs.sendall(b"a word")
    assert ends.ours.has_unread, "of the system"
    hub.joinall([reader])
    assert got == [b"a word"]
    assert ends.ours.has_unread, "as long as the reader may still deal with it"
    reader = hub.spawn(ends.ours.recv, 8)
    hub.sleep(0.01)
    assert not ends.ours.has_unread
    hub.kill(reader)


def test_it_is_seen_that_the_other_end_has_closed_before_all_is_read(ends: Ends) -> None:
    ends.theirs.sendall(b"a word")
    assert not ends.ours.is_abandoned
    ends.theirs.close()
    assert ends.ours.is_abandoned
    assert ends.ours.recv(8) == b"a word"
    ends.ours.close()
    assert ends.ours.is_abandoned


def test_what_is_sent_comes_in_order_whatever_is_asked_for(ends: Ends) -> None:
    chance = random.Random(25)
    content = chance.randbytes(300_000)
    hub.spawn(lambda: (ends.theirs.sendall(content), ends.theirs.shutdown(SHUT_WR)))
    received = b""
    while piece := ends.ours.recv(size := chance.choice([1, 8, 100, 60_000])):
        assert len(piece) <= min(size, PIECE_BYTES)
        received += piece
    assert received == content
    assert ends.ours.recv(8) == b""


def test_what_has_come_together_is_read_at_once(ends: Ends) -> None:
    ends.theirs.sendall(bytes(800))
    for _ in range(100):
        assert ends.ours.recv(8) == bytes(8)
    assert len(ends.reads) == 1


def test_nothing_wakes_who_waits_for_a_silent_switch(ends: Ends) -> None:
    reader = hub.spawn(ends.ours.recv, 8)
    hub.sleep(5 * LIMIT)
    assert len(ends.reads) == 1
    ends.theirs.sendall(b"12345678")
    assert reader.wait() == b"12345678"


MUCH = bytes(1 << 26)
"""More than sockets hold."""


def test_who_does_not_read_for_too_long_is_sent_no_more(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffered_socket, "SEND_SECONDS", 3 * LIMIT)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        ends.ours.sendall(MUCH)
    assert time.monotonic() - began >= 3 * LIMIT
    ends.theirs.sendall(b"12345678")
    assert ends.ours.recv(8) == b"12345678"


def test_who_reads_again_after_the_time_out_is_sent_the_rest(ends: Ends) -> None:
    sending = hub.spawn(ends.ours.sendall, MUCH)
    hub.sleep(5 * LIMIT)
    received = 0
    while received < len(MUCH) and (piece := ends.theirs.recv(1 << 20)):
        received += len(piece)
    sending.wait()
    assert received == len(MUCH)


def test_after_the_end_of_sending_a_silent_switch_is_not_waited_for(ends: Ends) -> None:
    reader = hub.spawn(ends.ours.recv, 8)
    hub.sleep(0)
    ends.ours.shutdown(SHUT_WR)
    with eventlet.Timeout(HANG_SECONDS):
        assert reader.wait() == b""


def test_a_socket_may_be_closed_after_the_end_of_sending(
    ends: Ends, caplog: pytest.LogCaptureFixture
) -> None:
    """What the hub catches, it logs."""
    ends.ours.shutdown(SHUT_WR)
    ends.ours.close()
    hub.sleep(2 * LIMIT)
    assert [record.getMessage() for record in caplog.records] == []


def test_a_tls_socket_that_this_side_has_ended_is_at_its_end() -> None:
    """Python's refuses to read then, and Ryu expects no such error."""

    class Ended:
        def gettimeout(self) -> float:
            return LIMIT

        def settimeout(self, limit: float | None) -> None: ...

        def shutdown(self, how: int) -> None: ...

        def recv(self, size: int) -> bytes:
            raise ValueError("Read on closed or unwrapped SSL socket.")

    socket = BufferedSocket(Ended())
    with pytest.raises(ValueError, match="closed or unwrapped"):
        socket.recv(8)
    socket.shutdown(SHUT_WR)
    assert socket.recv(8) == b""
