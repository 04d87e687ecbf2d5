"""A session and a fake switch, and the wire between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256

from op25b_app.compiler.marker import is_marker
from op25b_app.compiler.pipeline import MARKER_PRIORITY
from op25b_app.openflow.flow_rule import NORMAL, FieldValue, FlowRule, Goto, RuleRole
from op25b_app.policy.model import Mode, SourceLocation, Switch
from op25b_app.sync.desired_state import DesiredState
from op25b_app.sync.protocol import SwitchFeatures
from op25b_app.sync.ruleset import Ruleset
from op25b_app.sync.session import Session
from op25b_app.sync.status import Job, Outcome, Status, SwitchEvent
from testing.fake_switch import Abilities, FakeSwitch, FlowMod
from testing.fake_switch.rules import rules_on

OURS = 0x25B0 << 48 | RuleRole.PORT << 40
LOCAL = 0xFFFFFFFE
STATIC = 0x25B0 << 48 | RuleRole.STATIC << 40
DIGEST = "5eed" * 16
TCP = (FieldValue("eth_type", 0x0800), FieldValue("ip_proto", 6))
PORTS = frozenset({1, 2, 25})
RULES = (
    FlowRule(2, 10, (), None, OURS | 1),
    *(
        FlowRule(2, 132, (*TCP, FieldValue("ipv4_src", 0x64400000 + n)), NORMAL, STATIC | n)
        for n in range(20)
    ),
    FlowRule(1, 10, (), NORMAL, OURS | 2),
    FlowRule(1, 200, (*TCP, FieldValue("tcp_dst", 25)), Goto(2), OURS | 3),
    FlowRule(0, 100, (), Goto(1), OURS | 4),
)
READ_BACK = f"{len(RULES)} rules read back as wanted and proven"
THEIRS = FlowRule(0, 1, (FieldValue("in_port", 1),), NORMAL, cookie=7)

Messages = Sequence[bytes]


def switch_of_policy(mode: Mode = Mode.ENFORCE) -> Switch:
    place = SourceLocation("policy.yaml", 1, 1)
    return Switch("access-1", 0x1, frozenset({1, 2}), frozenset({25}), frozenset(), mode, place)


def desired(rules: Sequence[FlowRule] = RULES, mode: Mode = Mode.ENFORCE) -> DesiredState:
    wanted = Ruleset([rules])
    is_usual = rules == RULES and mode is Mode.ENFORCE
    digest = DIGEST if is_usual else sha256(f"{mode} {rules}".encode()).hexdigest()
    return DesiredState(switch_of_policy(mode), lambda at, tables: wanted, lambda *_: None, digest)


def at(flow: FlowMod) -> tuple[int, int]:
    return flow.table, flow.priority


class World:
    """A session, its switch, and the wire between them, which a test may cut or bend."""

    def __init__(
        self, *, capabilities: Abilities | None = None, version: int = 4, ports: frozenset[int] | None = PORTS
    ) -> None:
        self.switch = FakeSwitch(capabilities=capabilities or Abilities())
        self.channel = self.switch.connect(version)
        self.session = Session(0x1, now=0.0)
        self.now = 1000.0
        self.ports = ports
        self.turns: list[Status] = []
        self.events: list[SwitchEvent] = []
        self.on_wire: Callable[[bytes], Messages] = lambda message: [message]

    def connect(self, wanted: DesiredState | None) -> None:
        self.run(self.session.assign(wanted, self.now))
        connection = SwitchFeatures(self.channel.version, self.switch.capabilities.tables, self.ports)
        self.run(self.session.connected(connection, self.now))

    def run(self, outcome: Outcome) -> None:
        """Carry messages to and fro until both are silent."""
        pending = [outcome]
        while pending:
            outcome = pending.pop(0)
            if outcome.job:
                pending.insert(0, self.do(outcome.job))
            self.turns += [outcome.new_status] if outcome.new_status else []
            self.events += outcome.events
            for piece in outcome.chunks:
                for message in self.channel.receive(piece, self.now):
                    for arriving in self.on_wire(message):
                        pending.append(self.deliver(arriving))

    def do(self, job: Job) -> Outcome:
        return job.then(job.work(), self.now)

    def deliver(self, message: bytes) -> Outcome:
        return self.session.receive(message, self.now)

    def wait(self, seconds: float) -> None:
        """Let time pass, with the ticks that are due."""
        end = self.now + seconds
        while self.now < end:
            self.now += 1.0
            self.switch.advance(self.now)
            if self.session.due_at <= self.now:
                self.run(self.session.tick(self.now))

    def run_told(self) -> None:
        """Carry what the switch tells without being asked."""
        for message in self.channel.due(self.now):
            self.run(self.deliver(message))

    @property
    def rules(self) -> list[FlowRule]:
        return [rule for rule in rules_on(self.switch) if not is_marker(rule)]

    @property
    def markers(self) -> list[FlowRule]:
        return [*filter(is_marker, rules_on(self.switch))]

    @property
    def sent(self) -> list[FlowMod]:
        """The flow-mods sent, but for markers."""
        return [flow for flow in self.switch.flow_mods if flow.priority != MARKER_PRIORITY]

    @property
    def states(self) -> list[str]:
        return [turn.state.value for turn in self.turns]

    @property
    def status(self) -> tuple[str, str]:
        return self.session.status.state.value, self.session.status.reason
