"""Whoever has slept long enough has a turn while many connections are served."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from eventlet import hubs
from eventlet.green import socket
from ryu.lib import hub

from op25b_app.controller import event_loop, garbage, ryu_patches
from op25b_app.controller.garbage import Collector
from tests.cyclic_garbage import make_in_another_thread

CONNECTIONS = 200


@pytest.fixture(autouse=True)
def few_in_a_row(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    collector = Collector()
    for module in (event_loop, garbage):
        monkeypatch.setattr(module, "collector", collector)
    ryu_patches.serve_few_in_a_row()
    yield
    del hubs.get_hub().do_poll
    gc.enable()


def test_others_have_a_turn_while_many_connections_are_served() -> None:
    served = 0
    between: list[int] = []

    def read(end: socket.socket) -> None:
        nonlocal served
        assert end.recv(1) == b"x"
        served += 1

    with ExitStack() as stack:
        pairs = [socket.socketpair() for _ in range(CONNECTIONS)]
        for each in (end for pair in pairs for end in pair):
            stack.enter_context(each)
        readers = [hub.spawn(read, mine) for mine, _ in pairs]
        hub.sleep(0)
        for _, theirs in pairs:
            assert theirs.fd.send(b"x") == 1
        while served < CONNECTIONS:
            before = served
            hub.sleep(0)
            between.append(served - before)
        hub.joinall(readers)
    assert max(between) == event_loop.MAX_IN_A_ROW


def test_the_loop_collects_the_garbage_of_other_threads_between_its_turns() -> None:
    """Whoever waits for the loop has no need to make an object himself."""
    ended_in = make_in_another_thread(2_000)
    assert ended_in == []
    mine, theirs = socket.socketpair()
    with mine, theirs:  # without a connection there are no turns
        reader = hub.spawn(mine.recv, 1)
        hub.sleep(0)
        theirs.fd.send(b"x")
        hub.joinall([reader])
    assert set(ended_in) == {threading.get_ident()}
