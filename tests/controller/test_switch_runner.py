"""The steps of a switch are taken in the order in which they come, and hold up no other switch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest
from ryu.lib import hub

from op25b_app.controller import switch_registry, switch_runner
from op25b_app.controller.send_queue import SendQueue
from op25b_app.controller.switch_registry import SwitchRegistry
from op25b_app.controller.switch_runner import Step, SwitchRunner
from op25b_app.operate.events import Journal
from op25b_app.sync import session
from op25b_app.sync.protocol import SwitchFeatures
from op25b_app.sync.session import Session
from op25b_app.sync.status import Job, Outcome, State, Status
from testing.patience import HANG_SECONDS
from tests.world import desired

CONNECTION = SwitchFeatures(4, 8, frozenset())


class Datapath:
    def __init__(self) -> None:
        self.send_q = hub.Queue(16)
        self.address = ("192.0.2.1", 1)
        self.closed = self.has_ended = False
        self.unreplied_echo_requests: list[int] = []
        self.refused = ""
        self.max_unreplied_echo_requests = 0

    def send_own(self, piece: bytes) -> bool:
        self.send_q.put(piece)
        return True

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def switches() -> Iterator[SwitchRegistry]:
    known = SwitchRegistry(Journal(time.time()), 300.0, time.time)
    yield known
    # Its threads go on during other tests, to which no switch shall say that it is late.
    known._known.clear()


@pytest.fixture
def switch(switches: SwitchRegistry) -> SwitchRunner:
    known = switches.make_known(1)
    known.assign(desired(), 1)
    return known


@pytest.fixture
def taken() -> list[object]:
    return []


def says(taken: list[object], word: object) -> Step:
    return lambda now: taken.append(word) or Outcome()  # type: ignore[func-returns-value]


def long_job(taken: list[object], may_end: threading.Event, *, proves: bool = False) -> Step:
    """Has a job that takes until it may end; its result is taken as "done", its failure as the reason."""

    def work() -> str:
        assert may_end.wait(HANG_SECONDS)
        return "done"

    def take(result: object, now: float) -> Outcome:
        taken.append(result)
        return Outcome()

    return lambda now: Outcome(job=Job(work, take, take, proves))


def held_up(may_end: threading.Event) -> Step:
    """Takes until it may end, while the event loop goes on."""

    def step(now: float) -> Outcome:
        while not may_end.is_set():
            hub.sleep(0.001)
        return Outcome()

    return step


def until(condition: Callable[[], object]) -> None:
    with hub.Timeout(HANG_SECONDS):
        while not condition():
            hub.sleep(0.01)


def test_a_step_is_taken_where_it_comes_in(switch: SwitchRunner, taken: list[object]) -> None:
    switch.enqueue(says(taken, "one"))
    assert taken == ["one"]


def test_a_job_holds_up_neither_its_switch_nor_another(
    switches: SwitchRegistry, switch: SwitchRunner, taken: list[object]
) -> None:
    """It runs in another thread of the operating system; its result is a step behind what came meanwhile."""
    may_end = threading.Event()
    switch.enqueue(long_job(taken, may_end))
    for word in ("one", "two"):
        switch.enqueue(says(taken, word))
    switches.make_known(2).enqueue(says(taken, "other"))
    hub.sleep(0.05)
    assert taken == ["one", "two", "other"]
    may_end.set()
    until(lambda: len(taken) == 4)
    assert taken[-1] == "done"


def test_a_proof_holds_up_no_comparison(switches: SwitchRegistry, taken: list[object]) -> None:
    may_end, at_once = threading.Event(), threading.Event()
    at_once.set()
    switches.make_known(1).enqueue(long_job([], may_end, proves=True))
    hub.sleep(0.05)
    switches.make_known(2).enqueue(long_job(taken, at_once))
    until(lambda: taken)
    may_end.set()


def test_who_used_least_time_is_served_first(switches: SwitchRegistry, taken: list[object]) -> None:
    """So a switch whose tables are hard to prove makes the others wait for one proof at most."""
    hard, other, third = map(switches.make_known, (1, 2, 3))
    hard.enqueue(lambda now: Outcome(job=named_job(taken, "first", seconds=0.2)))
    until(lambda: taken == ["first"])
    may_end = threading.Event()
    other.enqueue(long_job(taken, may_end))
    hub.sleep(0.05)
    hard.enqueue(lambda now: Outcome(job=named_job(taken, "hard")))
    third.enqueue(lambda now: Outcome(job=named_job(taken, "third")))
    may_end.set()
    until(lambda: len(taken) == 4)
    assert taken == ["first", "done", "third", "hard"]


def named_job(taken: list[object], name: str, seconds: float = 0.0) -> Job:
    def work() -> str:
        time.sleep(seconds)
        return name

    def take(result: object, now: float) -> Outcome:
        taken.append(result)
        return Outcome()

    return Job(work, take, take)


def test_the_result_of_a_job_goes_to_no_later_connection(switch: SwitchRunner, taken: list[object]) -> None:
    may_end = threading.Event()
    switch.connect(Datapath(), CONNECTION)
    switch.enqueue(long_job(taken, may_end))
    switch.connect(Datapath(), CONNECTION)
    hub.sleep(0.05)
    may_end.set()
    hub.sleep(0.05)
    assert taken == []


def test_a_policy_is_followed_once_its_steps_are_taken(switch: SwitchRunner) -> None:
    assert switch.generation == 1
    may_end = threading.Event()
    hub.spawn(switch.enqueue, held_up(may_end))
    hub.sleep(0.01)
    switch.assign(desired(), 2)
    assert switch.generation == 1
    may_end.set()
    until(lambda: switch.generation == 2)


def test_who_comes_with_too_much_waits(switch: SwitchRunner, taken: list[object]) -> None:
    may_end = threading.Event()
    switch.session.receive = lambda message, now: says(taken, message)(now)  # type: ignore[method-assign]
    hub.spawn(switch.enqueue, held_up(may_end))
    hub.sleep(0.01)
    messages = [number.to_bytes(2, "big") for number in range(switch_runner.INBOX + 10)]
    read: list[bytes] = []

    def read_on() -> None:
        for message in messages:
            switch.on_message(message, None)
            read.append(message)

    hub.spawn(read_on)
    hub.sleep(0.05)
    assert len(read) == switch_runner.INBOX
    switch.enqueue(says(taken, "no message"))
    may_end.set()
    until(lambda: len(taken) == len(messages) + 1)
    taken.remove("no message")
    assert taken == messages


def test_of_ports_the_last_is_reported(switch: SwitchRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[object] = []
    monkeypatch.setattr(switch.session, "ports_changed", lambda ports, now, names: says(reported, ports)(now))
    first, second = Datapath(), Datapath()
    switch.connect(first, CONNECTION)
    may_end = threading.Event()
    hub.spawn(switch.enqueue, held_up(may_end))
    hub.sleep(0.01)
    for number in range(1000):
        switch.ports_changed(frozenset({number}), frozenset(), first)
    may_end.set()
    until(lambda: reported)
    switch.ports_changed(frozenset({7}), frozenset(), first)
    assert reported == [{999}, {7}]
    may_end.clear()
    hub.spawn(switch.enqueue, held_up(may_end))
    hub.sleep(0.01)
    switch.connect(second, CONNECTION)
    switch.ports_changed(frozenset({8}), frozenset(), first)
    switch.ports_changed(frozenset({9}), frozenset(), second)
    may_end.set()
    until(lambda: reported[-1] == {9})
    assert reported == [{999}, {7}, {9}]


def test_what_a_former_connection_says_is_ignored(switch: SwitchRunner, taken: list[object]) -> None:
    first, second = Datapath(), Datapath()
    switch.connect(first, CONNECTION)
    switch.enqueue(says(taken, "first"), first)
    switch.connect(second, CONNECTION)
    switch.enqueue(says(taken, "late"), first)
    switch.enqueue(says(taken, "second"), second)
    assert taken == ["first", "second"]
    assert not first.closed
    hub.sleep(0)
    assert first.closed
    assert not second.closed
    switch.disconnect(first)
    assert switch.session.status.state is not State.LOST
    switch.disconnect(second)
    assert switch.session.status[:2] == (State.LOST, "connection closed")


def test_a_mistake_of_ours_ends_neither_its_switch_nor_the_thread_for_what_is_long(
    switch: SwitchRunner, taken: list[object], caplog: pytest.LogCaptureFixture
) -> None:
    def mistaken(now: float = 0.0) -> Outcome:
        raise ZeroDivisionError

    def failed(reason: str, now: float) -> Outcome:
        return switch.session.fail(reason, now)

    def never(result: object, now: float) -> Outcome:
        raise AssertionError

    switch.connect(Datapath(), CONNECTION)
    for step in (mistaken, lambda now: Outcome(job=Job(mistaken, never, failed))):
        caplog.clear()
        switch.enqueue(step)
        until(lambda: switch.session.status.state is State.DEGRADED)
        assert "internal error" in caplog.text
        switch.enqueue(says(taken, "next"))
        until(lambda: taken == ["next"])
        taken.clear()
        switch.session.status = Status(State.CONNECTING, "", 0.0)


def test_a_mistake_while_sending_is_one_of_its_switch(
    switches: SwitchRegistry, switch: SwitchRunner, taken: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    switch.connect(Datapath(), CONNECTION)
    with monkeypatch.context() as mistaken:
        mistaken.setattr(SendQueue, "send", lambda box, chunks: chunks and 1 / 0)
        switch.enqueue(lambda now: Outcome((b"piece",)))
    assert switch.session.status.state is State.DEGRADED
    switch.enqueue(says(taken, "next"))
    assert taken == ["next"]


def test_who_was_forgotten_takes_no_successor_along(switches: SwitchRegistry, taken: list[object]) -> None:
    forgotten = switches.make_known(7)
    forgotten.assign(None, 1)
    successor = switches.make_known(7)
    successor.connect(Datapath(), CONNECTION)
    forgotten.enqueue(says(taken, "late"))
    assert taken == ["late"]
    assert [*switches] == [successor] != [forgotten]


def test_a_switch_of_nobody_is_forgotten(switches: SwitchRegistry, switch: SwitchRunner) -> None:
    stranger, datapath = switches.make_known(7), Datapath()
    stranger.connect(datapath, CONNECTION)
    assert [*switches] == [switch, stranger]
    stranger.disconnect(datapath)
    assert [*switches] == [switch]


@pytest.fixture
def ticked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The datapath ids of the switches that were told that time has passed."""
    seen: list[int] = []
    tick = Session.tick

    def reported(session: Session, now: float) -> Outcome:
        seen.append(session.dpid)
        return tick(session, now)

    monkeypatch.setattr(Session, "tick", reported)
    monkeypatch.setattr(switch_registry, "MAX_SECONDS", 60.0)
    return seen


def test_time_is_reported_to_who_is_due_and_to_nobody_else(
    ticked: list[int], switches: SwitchRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When it is due, though nobody was due so soon when the thread for the time went to sleep."""
    began = time.time()
    monkeypatch.setattr(session, "ANSWER_SECONDS", 0.2)
    for dpid in (1, 2):
        switches.make_known(dpid).assign(desired(), 1)
    hub.sleep(0.01)
    silent = switches.make_known(1)
    silent.connect(Datapath(), CONNECTION)
    until(lambda: ticked)
    assert time.time() - began >= 0.2
    assert ticked == [1]
    assert silent.session.status.state is State.DEGRADED


def test_a_contest_that_ends_with_the_connection_in_use_leaves_no_better_state(switch: SwitchRunner) -> None:
    """The rival comes next: until it has, nothing is known of the switch."""
    datapath, states = Datapath(), []
    switch.connect(datapath, CONNECTION)
    switch.contest(["192.0.2.1:1", "192.0.2.2:1"])
    switch.session._table.violations = ()
    switch.session.status = Status(State.DEGRADED, "two connections claim this datapath id", 0.0, 0)
    datapath.has_ended = True
    contested = switch.session.contested

    def noted(addresses: Sequence[str], now: float) -> Outcome:
        states.append(switch.session.status.state)
        outcome = contested(addresses, now)
        states.append(switch.session.status.state)
        return outcome

    switch.session.contested = noted  # type: ignore[method-assign]
    switch.contest([])
    assert states == [State.LOST, State.LOST]
    switch.disconnect(datapath)
    assert switch.session.status.state is State.LOST
