"""Every entry of the table of states occurs, and nothing else: random walks of a session and its switch."""

from __future__ import annotations

import random
from collections import deque

import pytest

from op25b_app.openflow.flow_rule import NORMAL, FieldValue, FlowRule
from op25b_app.policy.model import Mode
from op25b_app.sync import session as session_module
from op25b_app.sync.phases import NEXT_PHASES, Phase
from op25b_app.sync.protocol import SwitchFeatures, SwitchProtocol
from op25b_app.sync.session import AUDIT_SECONDS, RETRY_SECONDS, Session
from op25b_app.sync.status import CONVERGED, TRANSIENT, Job, Outcome, State, needs_operator
from op25b_app.sync.transitions import TRANSITIONS, Input, next_state
from testing.fake_switch import Abilities, Channel, Conduct, FakeSwitch, Refusal
from testing.fake_switch.flow_mod import Command
from testing.fake_switch.rules import flow_of, put, remove, rules_on
from testing.fake_switch.wire import Stream
from tests.world import PORTS, RULES, desired

LEAST_WALKS, MAX_WALKS, STEPS = 200, 2_000, 60
FEW = (*RULES[:3], *RULES[-3:])
POLICIES = (desired(FEW), desired(RULES[1:2] + FEW[3:]), desired(FEW, Mode.MONITOR))


class Taken:
    """What occurs in the walks: inputs in states, and phases that follow phases."""

    def __init__(self) -> None:
        self.inputs: set[tuple[State, Input]] = set()
        self.phases: set[tuple[Phase, Phase]] = set()

    def next_state(self, state: State, given: Input) -> State | None:
        self.inputs.add((state, given))
        return next_state(state, given)

    def set_phase(self, protocol: SwitchProtocol, phase: Phase) -> None:
        before = vars(protocol).get("phase", phase)
        if before is not phase:
            self.phases.add((before, phase))
        vars(protocol)["phase"] = phase

    @property
    def is_complete(self) -> bool:
        return in_table() <= self.inputs and len(self.phases) >= sum(map(len, NEXT_PHASES.values()))


@pytest.fixture(scope="module")
def taken() -> Taken:
    found = Taken()
    phase = property(lambda protocol: vars(protocol)["phase"], found.set_phase)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session_module, "next_state", found.next_state)
        patch.setattr(SwitchProtocol, "phase", phase, raising=False)
        for number in range(MAX_WALKS):
            if number >= LEAST_WALKS and found.is_complete:
                break
            Walk(random.Random(number)).go(STEPS)
    return found


def test_no_other_input_occurs_in_a_state(taken: Taken) -> None:
    assert taken.inputs - in_table() == set()


def test_every_entry_occurs(taken: Taken) -> None:
    assert in_table() - taken.inputs == set()


def test_each_phase_follows_where_the_table_has_it_and_nowhere_else(taken: Taken) -> None:
    pairs = {(phase, following) for phase, each in NEXT_PHASES.items() for following in each}
    assert taken.phases == pairs


def in_table() -> set[tuple[State, Input]]:
    return {(state, given) for given in Input for state in TRANSITIONS[given].occurs_in}


def test_what_is_ignored_occurs() -> None:
    assert all(each.ignored < each.occurs_in for each in TRANSITIONS.values())


def test_every_input_has_an_entry_and_every_state_is_entered() -> None:
    assert [*TRANSITIONS] == [*Input]
    assert {each.to for each in TRANSITIONS.values()} == {*State}


@pytest.mark.parametrize("given", Input)
@pytest.mark.parametrize("state", sorted(CONVERGED))
def test_only_a_proof_converges(state: State, given: Input) -> None:
    proves = given in (Input.PROVEN, Input.PROVEN_MONITORING)
    assert (next_state(state, given) in CONVERGED) == proves


def test_each_state_is_of_one_subset() -> None:
    for state in State:
        assert [state in CONVERGED, state in TRANSIENT, needs_operator(state)].count(True) == 1


class Walk:
    """A session, its switch, and the messages and jobs that wait between them."""

    def __init__(self, choice: random.Random) -> None:
        self.choice = choice
        self.now = 1000.0
        self.switch = FakeSwitch(
            capabilities=Abilities(
                tables=8, bundles=choice.random() < 0.5, flow_monitor=choice.random() < 0.7
            )
        )
        self.session = Session(1, self.now)
        self.channel: Channel | None = None
        self.to_switch: deque[bytes] = deque()
        self.to_session: deque[bytes] = deque()
        self.jobs: list[Job] = []
        self.other = FlowRule(0, 50_000, (FieldValue("in_port", 1),), NORMAL, cookie=7)

    def go(self, steps: int) -> None:
        """Take random steps, most of which lead to a switch as wanted."""
        often = (self.carry_few, self.carry_all, self.carry_and_work, self.carry_and_work, self.settle)
        sometimes = (
            self.carry,
            self.assign,
            self.assign_again,
            self.tamper,
            self.add_other,
            self.do_job,
            self.wait,
        )
        seldom = (self.connect, self.disconnect, self.report_ports, self.contest, self.wait_longer)
        rarely = (self.misbehave, self.fail, self.leave)
        for _ in range(steps):
            actions = self.choice.choices((often, sometimes, seldom, rarely), (8, 8, 4, 1))[0]
            self.choice.choice(actions)()

    def settle(self) -> None:
        """Let all be well: the switch behaves, is in the policy, and describes its ports."""
        self.switch.conduct = Conduct()
        if self.channel is None:
            self.connect()
        if self.session.desired is None:
            self.assign()
        self.carry_and_work()
        self.send(self.session.contested((), self.now))
        self.send(self.session.ports_changed(PORTS, self.now))

    def connect(self) -> None:
        self.cut()
        self.channel = self.switch.connect(4)
        ports = self.choice.choice((PORTS, None))
        self.send(self.session.connected(SwitchFeatures(4, 8, ports), self.now))

    def disconnect(self) -> None:
        self.cut()
        self.send(self.session.disconnected(self.now))

    def cut(self) -> None:
        if self.channel is not None:
            self.channel.close()
        self.channel = None
        self.to_switch.clear()
        self.to_session.clear()

    def assign(self) -> None:
        self.send(self.session.assign(self.choice.choice(POLICIES), self.now))

    def assign_again(self) -> None:
        self.send(self.session.assign(self.session.desired, self.now))

    def report_ports(self) -> None:
        self.send(self.session.ports_changed(self.choice.choice((PORTS, PORTS, PORTS | {7})), self.now))

    def contest(self) -> None:
        addresses = self.choice.choice(((), (), ("192.0.2.1:1", "192.0.2.2:2")))
        self.send(self.session.contested(addresses, self.now))

    def tamper(self) -> None:
        """Remove managed rules, add one, or change what one does."""
        held = [each for each in rules_on(self.switch) if each.is_managed]
        if self.choice.random() < 0.3:
            self.switch.tamper(flow_of(FlowRule(2, 0, (), None, cookie=0), Command.DELETE))
            return
        victim = self.choice.choice(held) if held else RULES[0]
        if held and self.choice.random() < 0.5:
            remove(self.switch, *self.choice.sample(held, min(len(held), self.choice.randrange(1, 4))))
        else:
            put(
                self.switch,
                victim._replace(action=NORMAL, priority=self.choice.choice((victim.priority, 77))),
            )

    def add_other(self) -> None:
        if self.other in rules_on(self.switch):
            remove(self.switch, self.other)
        else:
            put(self.switch, self.other)

    def misbehave(self) -> None:
        conduct = self.switch.conduct
        how = self.choice.randrange(3)
        if how == 0:
            conduct.refuse = lambda flow: Refusal(5, 4) if flow.table == 2 else None
        elif how == 1:
            conduct.swallow = lambda flow: flow.table == 1
        else:
            conduct.silent_about = lambda message: True

    def leave(self) -> None:
        self.send(self.session.assign(None, self.now))

    def fail(self) -> None:
        self.send(self.session.fail("internal error", self.now))

    def wait(self) -> None:
        self.now = max(self.now, min(self.session.due_at, self.now + AUDIT_SECONDS))
        self.switch.advance(self.now)
        self.send(self.session.tick(self.now))

    def wait_longer(self) -> None:
        self.now += RETRY_SECONDS + 1
        self.wait()

    def carry_few(self) -> None:
        for _ in range(self.choice.randrange(8)):
            self.carry()

    def carry_all(self) -> None:
        for _ in range(500):
            if not self.carry():
                break

    def carry_and_work(self) -> None:
        while self.jobs:
            self.do_job()
            self.carry_all()
        self.carry_all()

    def do_job(self) -> None:
        if self.jobs:
            job = self.jobs.pop()
            self.send(job.then(job.work(), self.now))

    def carry(self) -> bool:
        """Carry one message each way; return whether there was one."""
        if self.channel is None:
            return False
        self.to_session += self.channel.due(self.now)
        if self.to_switch:
            self.to_session += self.channel.receive(self.to_switch.popleft(), self.now)
        elif not self.to_session:
            return False
        if self.to_session:
            self.send(self.session.receive(self.to_session.popleft(), self.now))
        return True

    def send(self, outcome: Outcome) -> None:
        if self.channel is not None:
            for piece in outcome.chunks:
                self.to_switch += (message.raw for message in Stream().feed(piece))
        if outcome.job is not None:
            self.jobs = [outcome.job]
