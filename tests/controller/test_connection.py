"""In which turns connections are read, and when they end, over loopback."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import eventlet
import pytest
from ryu.base import app_manager
from ryu.controller.ofp_handler import OFPHandler
from ryu.lib import hub

from op25b_app.controller import connection as connections
from op25b_app.controller.connection import (
    BATCH_SECONDS,
    REST_SECONDS,
    WASTED_BYTES,
    Connection,
    ConnectionEnded,
)
from op25b_app.operate.turns import MAX_SAVED, MAX_SECONDS, TURN_BYTES, TURN_SECONDS, ConnectionClass
from op25b_app.sync.message_filter import Stage

UNASKED = bytes.fromhex("0413ffff00000001") + bytes(0xFFF7)
"""A multipart reply."""
CROWD = 20


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setitem(app_manager.SERVICE_BRICKS, "ofp_event", OFPHandler())
    with eventlet.listen(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def pairs(listener: Any) -> Iterator[list[tuple[Connection, Any]]]:
    """Connections with their other ends."""
    pairs = []
    for _ in range(CROWD + 1):
        theirs = eventlet.connect(listener.getsockname())
        pairs.append((Connection(*listener.accept()), theirs))
    yield pairs
    for ours, theirs in pairs:
        ours.close()
        ours.socket.close()
        theirs.close()


def turn_seconds(connection: Connection, its_class: ConnectionClass) -> float:
    began = time.monotonic()
    connection.await_turn(its_class)
    return time.monotonic() - began


def flood(connection: Connection, its_class: ConnectionClass) -> Any:
    """Have a connection use up each of its turns."""

    def use() -> None:
        while True:
            connection.await_turn(its_class)
            connection.charge(8, 10 * TURN_SECONDS)

    return hub.spawn(use)


@pytest.mark.parametrize("its_class", [ConnectionClass.OTHER, ConnectionClass.STANDBY])
def test_a_switch_of_the_policy_waits_for_none_of_a_lower_rank(
    pairs: list[tuple[Connection, Any]], its_class: ConnectionClass
) -> None:
    """Not even with what its handshake was, when nobody knew who it is."""
    (ours, _), *others = pairs
    floods = [flood(each, its_class) for each, _ in others]
    hub.sleep(0.05)
    ours.charge(8, MAX_SECONDS)
    assert turn_seconds(ours, ConnectionClass.IN_USE) < CROWD * REST_SECONDS / 2
    ours.is_answer = True
    for _ in range(3):
        ours.charge(8, 3 * TURN_SECONDS)
        assert turn_seconds(ours, ConnectionClass.IN_USE) < CROWD * REST_SECONDS / 2
    for each in floods:
        hub.kill(each)


@pytest.mark.parametrize("is_copy", [False, True])
def test_copies_in_their_thousands_are_read_at_once(
    pairs: list[tuple[Connection, Any]], is_copy: bool
) -> None:
    """Behind them wait the answers of the switch that is told to stop them; a stranger sends none."""
    (ours, _), *others = pairs
    floods = [flood(each, ConnectionClass.IN_USE) for each, _ in others]
    hub.sleep(0.05)
    turn_seconds(ours, ConnectionClass.IN_USE)
    ours.is_copy = is_copy
    for _ in range(5 * MAX_SAVED):
        ours.charge(TURN_BYTES // 2, TURN_SECONDS / 1000)
    assert ours._usage.is_used_up is not is_copy
    for each in floods:
        hub.kill(each)


def test_strangers_wait_for_each_other(pairs: list[tuple[Connection, Any]]) -> None:
    (ours, _), *others = pairs
    floods = [flood(each, ConnectionClass.OTHER) for each, _ in others]
    hub.sleep(0.05)
    ours.charge(8, TURN_SECONDS)
    assert turn_seconds(ours, ConnectionClass.OTHER) > CROWD * REST_SECONDS / 2
    for each in floods:
        hub.kill(each)


def test_a_switch_of_the_policy_that_floods_holds_up_itself_only(pairs: list[tuple[Connection, Any]]) -> None:
    (ours, _), *others = pairs
    floods = [flood(each, ConnectionClass.IN_USE) for each, _ in others]
    hub.sleep(0.05)
    ours.charge(8, TURN_SECONDS / 2)
    assert turn_seconds(ours, ConnectionClass.IN_USE) < CROWD * REST_SECONDS / 2
    ours.is_answer = True
    ours.charge(8, 3 * TURN_SECONDS)
    assert turn_seconds(ours, ConnectionClass.IN_USE) < CROWD * REST_SECONDS / 2
    for each in floods:
        hub.kill(each)


def test_the_event_loop_comes_to_what_is_due_however_many_are_ready(
    pairs: list[tuple[Connection, Any]],
) -> None:
    read = dict.fromkeys(range(len(pairs)), 0)

    def read_for_ever(number: int, connection: Connection) -> None:
        """Messages that take a third of a turn each, and answer a session."""
        while True:
            connection.await_turn(ConnectionClass.IN_USE)
            connection.is_answer = True
            end = time.thread_time() + TURN_SECONDS / 3
            while time.thread_time() < end:
                pass
            connection.charge(8, TURN_SECONDS / 3)
            read[number] += 1

    readers = [hub.spawn(read_for_ever, number, each) for number, (each, _) in enumerate(pairs)]
    hub.sleep(0.1)
    lags = []
    for _ in range(20):
        began = time.thread_time()
        hub.sleep(0)
        lags.append(time.thread_time() - began)
    while max(read.values()) < 60:
        hub.sleep(0.01)
    for each in readers:
        hub.kill(each)
    assert sorted(lags)[len(lags) // 2] < BATCH_SECONDS + 3 * TURN_SECONDS < CROWD * TURN_SECONDS
    assert min(read.values()) * 4 >= max(read.values()), "one gets less than another"


def test_who_has_been_read_least_does_not_wait_for_all_others(pairs: list[tuple[Connection, Any]]) -> None:
    order: list[int] = []

    def read(number: int, connection: Connection) -> None:
        connection.await_turn(ConnectionClass.IN_USE)
        order.append(number)

    connections._all.charge(8, TURN_SECONDS)
    pairs[CROWD][0]._set_class(ConnectionClass.IN_USE)
    pairs[CROWD][0]._usage.recover(3600.0)
    readers = [hub.spawn(read, number, each) for number, (each, _) in enumerate(pairs)]
    hub.joinall(readers)
    assert order.index(CROWD) <= 1
    assert sorted(order) == [*range(CROWD + 1)]


def test_nothing_is_owed_at_the_end(pairs: list[tuple[Connection, Any]]) -> None:
    ours, theirs = pairs[0]
    ours.charge(8, MAX_SECONDS)
    theirs.close()
    hub.sleep(0.01)
    with pytest.raises(ConnectionEnded):
        ours.await_turn(ConnectionClass.OTHER)
    closed, _ = pairs[1]
    closed.charge(8, MAX_SECONDS)
    waiting = hub.spawn(pytest.raises, ConnectionEnded, closed.await_turn, ConnectionClass.OTHER)
    hub.sleep(0)
    closed.close()
    began = time.monotonic()
    waiting.wait()
    assert time.monotonic() - began < MAX_SECONDS / TURN_SECONDS * REST_SECONDS / 2


def test_what_a_switch_of_the_policy_has_said_is_read_though_it_has_closed(
    pairs: list[tuple[Connection, Any]],
) -> None:
    ours, theirs = pairs[0]
    theirs.close()
    hub.sleep(0.01)
    ours.await_turn(ConnectionClass.IN_USE)
    ours.charge(8, 2 * TURN_SECONDS)
    ours.await_turn(ConnectionClass.IN_USE)


@pytest.mark.parametrize(
    ("its_class", "stage", "is_closed"),
    [
        (ConnectionClass.OTHER, Stage.GREETING, True),
        (ConnectionClass.OTHER, Stage.FEATURES, True),
        (ConnectionClass.OTHER, Stage.OPEN, True),
        (ConnectionClass.OTHER, Stage.STANDBY, False),
        (ConnectionClass.STANDBY, Stage.STANDBY, False),
        (ConnectionClass.IN_USE, Stage.OPEN, False),
    ],
)
def test_a_stranger_may_not_waste_much(
    pairs: list[tuple[Connection, Any]], its_class: ConnectionClass, stage: Stage, is_closed: bool
) -> None:
    """Whoever waits to speak for a datapath id would come again at once."""
    ours, _ = pairs[0]
    ours.message_filter.stage = stage
    ours.await_turn(its_class)
    for _ in range(WASTED_BYTES // len(UNASKED) + 1):
        assert not ours.refused
        assert not ours.accepts(UNASKED)
    assert bool(ours.refused) is is_closed


def test_a_connection_is_behind_with_what_it_is_to_send(pairs: list[tuple[Connection, Any]]) -> None:
    ours, _ = pairs[0]
    reader = hub.spawn(ours.socket.recv, 8)
    hub.sleep(0.01)
    assert not ours.has_backlog
    ours.send(bytes.fromhex("0402000800000001"))
    assert ours.has_backlog
    hub.kill(reader)
