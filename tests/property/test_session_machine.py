"""A session and its switch through whatever may happen to them, message by message.

At every message that the switch handles: no packet gets a verdict that none of the policies gives between
which the switch is being changed. And once left in peace, it ends as wanted, with exactly the rules wanted.
"""

from __future__ import annotations

import enum
import random
from collections import deque
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from op25b_app.compiler.marker import is_marker
from op25b_app.compiler.simulate import headers
from op25b_app.openflow.flow_rule import NORMAL, FieldValue, FlowRule
from op25b_app.policy.decide import decide
from op25b_app.policy.model import Mode, Policy, Verdict
from op25b_app.policy.packet import Packet
from op25b_app.sync.desired_state import DesiredState, DesiredStates
from op25b_app.sync.protocol import SwitchFeatures
from op25b_app.sync.session import AUDIT_SECONDS, RETRY_SECONDS, Session
from op25b_app.sync.status import Job, Outcome, State
from testing.fake_switch import Abilities, Channel, Conduct, FakeSwitch, Kind, Refusal
from testing.fake_switch.flow_mod import Command
from testing.fake_switch.rules import put, remove, rules_on
from testing.fake_switch.wire import Stream
from tests.generated import NOW, SWITCH, packets, policies

pytestmark = pytest.mark.slow

RESPECTS = ("dynamic", "static", "mail_destinations", "inbound", "hardening", "exceptions", "switches")
PORTS = frozenset({1, 2, 3, 4})
HANDOVER = FlowRule(7, 0, (), NORMAL, cookie=0)
POLICIES = 3
SAMPLES = 8
"""Packets looked at, for each policy."""
CALM = {Mode.ENFORCE: State.PROTECTED, Mode.MONITOR: State.MONITORING}
ABILITIES = st.builds(
    Abilities,
    tables=st.sampled_from((254, 8)),
    bundles=st.booleans(),
    flow_monitor=st.booleans(),
    table_features=st.booleans(),
    part_bytes=st.sampled_from((200, 30_000)),
)
EPERM = Refusal(5, 4)
CONFIRMING = (Kind.BARRIER_REQUEST, Kind.MULTIPART_REQUEST, Kind.EXPERIMENTER, Kind.BUNDLE_CONTROL)
THEIRS, OURS = 7, 0x25B0 << 48 | 7


class Tampering(enum.Enum):
    ADD = "a rule of theirs"
    ADD_AS_OURS = "a rule with a cookie of ours"
    DELETE = "a rule gone"
    OVERWRITE = "a rule replaced by theirs"
    CHANGE = "a rule replaced under its cookie"


class Misconduct(enum.Enum):
    REFUSE = "refuses rules of a table"
    REFUSE_NEW = "refuses what is new in a table, and deletes"
    FULL = "has no more room in a table"
    SWALLOW = "drops rules of a table without a word"
    SILENT = "does not answer"


@st.composite
def lasting_policies(draw: st.DrawFn) -> Policy:
    """Policies whose exceptions do not end while they are looked at."""
    policy = draw(policies(longest=3))
    lasting = (
        replace(each, expires=each.expires if each.is_past(NOW) else None, starts=None)
        for each in policy.exceptions
    )
    return replace(policy, exceptions=tuple(lasting))


@st.composite
def related_policies(draw: st.DrawFn) -> list[Policy]:
    """Policies that differ from the first in some respects, or in all."""
    first = draw(lasting_policies())
    found = [first]
    for _ in range(POLICIES - 1):
        other = draw(lasting_policies())
        changed = draw(
            st.one_of(st.just(RESPECTS), st.sets(st.sampled_from(RESPECTS), min_size=1, max_size=2))
        )
        mixed = replace(first, **{name: getattr(other, name) for name in changed})
        dynamic = {listed.prefix for listed in mixed.dynamic}
        # No policy holds a prefix as both.
        static = tuple(listed for listed in mixed.static if listed.prefix not in dynamic)
        found.append(replace(mixed, static=static))
    return found


class Candidate:
    """A policy that may be put in force, and what it says of the packets looked at."""

    def __init__(self, number: int, policy: Policy, looked_at: Iterable[Packet]) -> None:
        self.mode = policy.switches[SWITCH].mode
        digest = f"{number + 1:02x}" * 32
        self.desired: DesiredState = DesiredStates(policy, digest).of(policy.switches[SWITCH])
        self.wanted = frozenset(self.desired.wanted(NOW, 254).rules)
        self.passes = tuple(
            decide(policy, policy.switches[SWITCH], packet, NOW).verdict is not Verdict.BLOCK
            for packet in looked_at
        )


class SessionMachine(RuleBasedStateMachine):
    """``possible`` are, for each packet, the verdicts that it may get now; None while that is open."""

    @initialize(
        some=related_policies(),
        capabilities=ABILITIES,
        version=st.sampled_from((4, 5, 6)),
        seed=st.one_of(st.none(), st.integers(0, 9)),
        settled=st.booleans(),
        data=st.data(),
    )
    def begin(
        self,
        some: list[Policy],
        capabilities: Abilities,
        version: int,
        seed: int | None,
        settled: bool,
        data: st.DataObject,
    ) -> None:
        looked_at = [
            packet
            for policy in some
            for packet in data.draw(st.lists(packets(policy), min_size=SAMPLES, max_size=SAMPLES))
        ]
        self.headers = [headers(packet) for packet in looked_at]
        self.packets = looked_at
        self.candidates = [Candidate(number, policy, looked_at) for number, policy in enumerate(some)]
        self.version = version
        self.now = NOW
        self.switch = FakeSwitch(capabilities=capabilities)
        self.shuffle = None if seed is None else random.Random(seed)
        self.switch.conduct.shuffle = self.shuffle
        self.session = Session(1, NOW)
        self.channel: Channel | None = None
        self.in_force: Candidate | None = None
        self.earlier: list[Candidate] = []
        self.picky = False
        self.to_switch: deque[bytes] = deque()
        self.to_session: deque[bytes] = deque()
        self.jobs: list[Job] = []
        self.jobs_wait = False
        put(self.switch, HANDOVER)
        self.possible: list[set[bool]] | None = [{passes} for passes in self.passing()]
        self.switch.on_handled = self.look
        if settled:
            self.leave_in_peace()

    @rule(number=st.integers(0, POLICIES - 1))
    def put_in_force(self, number: int) -> None:
        self.in_force = self.candidates[number]
        self.earlier.append(self.in_force)
        if self.possible is not None:
            for verdicts, passes in zip(self.possible, self.in_force.passes, strict=True):
                verdicts.add(passes)
        self.send(self.session.assign(self.in_force.desired, self.now))

    @precondition(lambda self: self.channel is None)
    @rule()
    def connect(self) -> None:
        self.channel = self.switch.connect(self.version)
        connection = SwitchFeatures(self.version, self.switch.capabilities.tables, PORTS)
        self.send(self.session.connected(connection, self.now))

    @precondition(lambda self: self.channel is not None)
    @rule(arriving=st.integers(0, 30), held_too=st.booleans())
    def disconnect(self, arriving: int, held_too: bool) -> None:
        """Some of what was sent still arrives, nothing of what the switch answers."""
        self.reach_switch(arriving)
        assert self.channel is not None
        if held_too:
            self.channel.due(self.now)
        self.channel.close()
        self.cut_off()

    @rule()
    def restart_switch(self) -> None:
        """It comes back empty: nothing passes."""
        self.possible = None
        self.switch.restart()
        put(self.switch, HANDOVER)
        if self.channel is not None:
            self.cut_off()
        wanted = self.in_force.passes if self.in_force is not None else [False] * len(self.packets)
        self.possible = [{False, passes} for passes in wanted]
        if self.picky:
            self.may_fall_back()

    @rule(steps=st.lists(st.integers(0, 8), max_size=12))
    def carry_some(self, steps: list[int]) -> None:
        for count in steps:
            self.reach_switch(count)
            self.reach_session(count)

    def reach_switch(self, count: int) -> None:
        for _ in range(min(count, len(self.to_switch))):
            assert self.channel is not None
            self.to_session += self.channel.receive(self.to_switch.popleft(), self.now)

    def reach_session(self, count: int) -> None:
        for _ in range(min(count, len(self.to_session))):
            self.send(self.session.receive(self.to_session.popleft(), self.now))

    @rule()
    def let_jobs_wait(self) -> None:
        """From now on, until they are done: whatever happens meanwhile happens before their results."""
        self.jobs_wait = True

    @rule()
    def do_jobs(self) -> None:
        self.jobs_wait = False
        jobs, self.jobs = self.jobs, []
        for job in jobs:
            self.send(job.then(job.work(), self.now))

    @rule()
    def carry_everything(self) -> None:
        """Both sides are heard until they have nothing more to say."""
        for _ in range(500):
            if self.channel is not None:
                self.to_session += self.channel.due(self.now)
            if not self.to_switch and not self.to_session:
                return
            self.reach_switch(len(self.to_switch))
            self.reach_session(len(self.to_session))
        raise AssertionError("they talk for ever")

    @rule(seconds=st.sampled_from((0.1, 0.6, 3.0, 11.0, RETRY_SECONDS + 1, AUDIT_SECONDS)))
    def wait(self, seconds: float) -> None:
        """Time passes; what is due is done, and nothing arrives meanwhile."""
        end = self.now + seconds
        while self.now + (due := max(0.0, self.session.due_at - self.now)) < end:
            self.now += due
            self.send(self.session.tick(self.now))
        self.now = end
        self.switch.advance(self.now)

    @rule(choice=st.integers(0, 1 << 16), how=st.sampled_from(Tampering), passes=st.booleans())
    def somebody_tampers(self, choice: int, how: Tampering, passes: bool) -> None:
        """From now on nobody can say what should pass, until all is as wanted again."""
        ours = [each for each in rules_on(self.switch) if each != HANDOVER]
        action = NORMAL if passes else None
        table, priority = choice % 7, (1, 50, 1000)[choice % 3]
        added = FlowRule(table, priority, (FieldValue("in_port", 1 + choice % 2 * 2),), action, THEIRS)
        self.possible = None
        self.switch.tables.room_of = {}
        if how is Tampering.ADD:
            put(self.switch, added)
        elif how is Tampering.ADD_AS_OURS:
            put(self.switch, added._replace(cookie=OURS))
        elif ours and how is Tampering.DELETE:
            remove(self.switch, ours[choice % len(ours)])
        elif ours:
            victim = ours[choice % len(ours)]
            cookie = THEIRS if how is Tampering.OVERWRITE else victim.cookie
            put(self.switch, victim._replace(action=action, cookie=cookie))

    @rule(choice=st.integers(0, 1 << 16))
    def somebody_deletes_the_marker(self, choice: int) -> None:
        markers = [each for each in rules_on(self.switch) if is_marker(each)]
        remove(self.switch, *markers[choice % 2 :])

    @rule(how=st.sampled_from(Misconduct), table=st.integers(0, 6), kind=st.sampled_from(CONFIRMING))
    def misbehave(self, how: Misconduct, table: int, kind: Kind) -> None:
        conduct = self.switch.conduct
        if how is Misconduct.REFUSE:
            self.may_fall_back()
            conduct.refuse = lambda flow: EPERM if flow.table == table else None
        elif how is Misconduct.REFUSE_NEW:
            self.may_fall_back()
            conduct.refuse = lambda flow: (
                EPERM if flow.table == table and flow.command is Command.ADD else None
            )
        elif how is Misconduct.FULL:
            self.may_fall_back()
            held = sum(each.table == table for each in rules_on(self.switch))
            self.switch.tables.room_of = {table: held}
        elif how is Misconduct.SWALLOW:
            self.possible = None
            conduct.swallow = lambda flow: flow.table == table
        else:
            conduct.silent_about = lambda message: message.kind == kind

    def may_fall_back(self) -> None:
        """Until all is as wanted again, the switch may block more, or hold an earlier policy."""
        self.picky = True
        for number, verdicts in enumerate(self.possible or ()):
            verdicts |= {False, *(candidate.passes[number] for candidate in self.earlier)}

    @rule()
    def behave(self) -> None:
        self.switch.conduct = Conduct(shuffle=self.shuffle)
        self.switch.tables.room_of = {}

    @rule()
    def leave_in_peace(self) -> None:
        """In the end the switch is as wanted, and the session knows."""
        self.behave()
        self.do_jobs()
        theirs = [each for each in rules_on(self.switch) if not each.is_managed and each != HANDOVER]
        remove(self.switch, *theirs)
        if self.in_force is None:
            self.put_in_force(0)
        if self.channel is None:
            self.connect()
        assert self.in_force is not None
        end = self.now + 2 * AUDIT_SECONDS
        while self.now < end:
            self.carry_everything()
            self.wait(max(0.0, self.session.due_at - self.now) + 0.1)
        self.carry_everything()
        assert self.session.status.state is CALM[self.in_force.mode], self.session.status
        assert frozenset(self.held()) == self.in_force.wanted
        assert self.passing() == [*self.in_force.passes]
        self.possible = [{passes} for passes in self.in_force.passes]
        self.earlier, self.picky = [self.in_force], False

    def teardown(self) -> None:
        if hasattr(self, "session"):
            self.leave_in_peace()

    def passing(self) -> list[bool]:
        """Which of the packets pass, by the tables as they are now."""
        return [self.switch.forward(fields).passes for fields in self.headers]

    def look(self) -> None:
        """Hold what the switch does now against what the policies say."""
        if self.possible is None:
            return
        for packet, passes, verdicts in zip(self.packets, self.passing(), self.possible, strict=True):
            assert passes in verdicts, f"{packet} {'passes' if passes else 'is blocked'}"

    def held(self) -> list[FlowRule]:
        return [each for each in rules_on(self.switch) if each != HANDOVER and not is_marker(each)]

    def send(self, outcome: Outcome) -> None:
        for piece in outcome.chunks:
            self.to_switch += (message.raw for message in Stream().feed(piece))
        if outcome.job and self.jobs_wait:
            self.jobs.append(outcome.job)
        elif outcome.job:
            self.send(outcome.job.then(outcome.job.work(), self.now))

    def cut_off(self) -> None:
        self.channel = None
        self.to_switch.clear()
        self.to_session.clear()
        self.send(self.session.disconnected(self.now))


TestSession = SessionMachine.TestCase
TestSession.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
