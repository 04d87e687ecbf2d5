"""One switch, from its first sight to protected and back: what happens goes in, messages to send come out.

All work on a table is the same cycle: read the table, compare it with what is wanted, send what differs, wait
for the barrier, read the table back. Only a table that reads as wanted, and is proven to do what the policy
says, makes a switch protected: the reply to a barrier says that messages were handled, not that they were
accepted.
"""

from __future__ import annotations

import enum
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from op25b_app.policy.model import Mode, Switch
from op25b_app.rules.flow import FlowRule, Goto
from op25b_app.switch import codec
from op25b_app.switch.codec import InstalledRule
from op25b_app.switch.errors import explain
from op25b_app.switch.reconcile import Change, Difference, Plan, describe, reconcile

ANSWER_SECONDS = 10.0
"""How long a switch may take to answer, or to go on with an answer."""
SECONDS_PER_CHANGE = 0.01
"""What a slow switch may take for each rule on top of that."""
RETRY_SECONDS = 30.0
"""After how long a switch that is not as wanted is tried again."""
AUDIT_SECONDS = 300.0
"""How often the table of a switch that is as wanted is read again; rules with time-outs are renewed then."""
ROUNDS = 2
"""How often one cycle sends: once more if the table changed in between."""
CHUNK_BYTES = 1 << 16
"""Small messages are joined to pieces of about this size."""

_CHANGE_XID = 0x2500_0000
_REQUEST_XID = 0x25B0_2500
_REQUESTS = 0x100


class State(enum.Enum):
    CONNECTING = "connecting"
    INSTALLING = "installing"
    PROTECTED = "protected"
    MONITORING = "monitoring"
    DEGRADED = "degraded"
    LOST = "lost"
    UNKNOWN = "unknown"


AS_WANTED = (State.PROTECTED, State.MONITORING)


class Status(NamedTuple):
    """What to say of a switch; ``since`` in seconds since 1970, ``rules`` those confirmed last."""

    state: State
    reason: str
    since: float
    rules: int = 0


class Outcome(NamedTuple):
    """What an input leads to: OpenFlow messages, joined to pieces to send in order, and the state if new."""

    pieces: tuple[bytes, ...] = ()
    turned: Status | None = None


class Assignment(NamedTuple):
    """What the policy says of a switch.

    ``rules`` gives the rules wanted at a moment: the same ones later, unless some of them have time-outs.
    ``objection`` says of a whole table at a moment why it is not proven to do what the policy says, or None.
    """

    switch: Switch
    rules: Callable[[float], Sequence[FlowRule]]
    objection: Callable[[Sequence[FlowRule], float], str | None]


class SwitchError(NamedTuple):
    """An error message of a switch; ``message`` is the beginning of what it refused."""

    xid: int
    type: int
    code: int
    message: bytes


class Connection(NamedTuple):
    """What a switch says of itself when it connects; ``ports`` are the OpenFlow port numbers, all of them."""

    version: int
    tables: int
    ports: frozenset[int]


class _Phase(enum.Enum):
    IDLE = "idle"
    READING = "reading its table"
    CONFIRMING = "waiting for its barrier"


def is_request_xid(xid: int) -> bool:
    """Whether an xid is one of those that sessions give to their requests."""
    return _REQUEST_XID <= xid < _REQUEST_XID + _REQUESTS


class Session:
    """The state of one switch, connected or not.

    Times are seconds since 1970. Call :meth:`tick` when it is due. Steps are quick but for the last
    :meth:`flow_stats` of a table, which compiles, compares and encodes.
    """

    def __init__(self, dpid: int, now: float) -> None:
        self.dpid = dpid
        self.assignment: Assignment | None = None
        self.status = Status(State.LOST, "never connected", now)
        self._connection: Connection | None = None
        self._phase = _Phase.IDLE
        self._armed_at, self._wake_at = now, math.inf
        self._requests = 0
        self._request_xid = _REQUEST_XID
        self._parts: list[bytes] = []
        self._rounds = 0
        self._sent: tuple[Change, ...] = ()
        self._refused: dict[int, tuple[int, int]] = {}
        self._wanted: Sequence[FlowRule] | None = None
        self._confirmed = 0
        self._objections: list[str] | None = None
        self._proven: frozenset[object] | None = None

    @property
    def name(self) -> str:
        """The switch's name in the policy, or its datapath id."""
        return f"{self.dpid:#x}" if self.assignment is None else self.assignment.switch.name

    @property
    def openflow_version(self) -> str | None:
        """``1.3``; None while the switch is not connected."""
        return None if self._connection is None else codec.VERSION_NAMES[self._connection.version]

    def assign(self, assignment: Assignment | None, now: float) -> Outcome:
        """The policy, a new one or none, says what this switch should hold."""
        removed = self.assignment is not None and assignment is None
        self.assignment = assignment
        self._wanted = None
        self._proven = None
        if self._connection is None:
            return Outcome()
        if assignment is None:
            return self._leave_alone(
                "no longer in the policy; its rules stay as they are" if removed else "", now
            )
        return self._begin(now, State.INSTALLING, "reading its table for a new policy")

    def connected(self, connection: Connection, now: float) -> Outcome:
        self._connection = connection
        if self.assignment is None:
            return self._leave_alone("", now)
        return self._begin(now, State.CONNECTING, "reading its table")

    def disconnected(self, now: float) -> Outcome:
        self._connection = None
        self._rest(math.inf, now)
        return self._turn(State.LOST, "connection closed", now)

    def ports_changed(self, ports: frozenset[int], now: float) -> Outcome:
        """The switch's ports are these now."""
        if self._connection is None:
            return Outcome()
        self._connection = self._connection._replace(ports=ports)
        return Outcome() if self._objections is None else self._judge(self._objections, now)

    def seconds_until_due(self, now: float) -> float:
        """How long a tick can wait; 0 where it is due, as it is when the clock was set back."""
        return 0.0 if now < self._armed_at else max(0.0, self._wake_at - now)

    def tick(self, now: float) -> Outcome:
        if now < self._armed_at:
            self._arm(self._wake_at - self._armed_at, now)
        if now < self._wake_at or self._connection is None or self.assignment is None:
            return Outcome()
        if self._phase is _Phase.IDLE:
            return self._begin(now)
        return self.fail(f"no answer for {now - self._armed_at:.0f} s while {self._phase.value}", now)

    def fail(self, reason: str, now: float) -> Outcome:
        """Give up what is under way, and try again later."""
        self._objections = None
        self._rest(RETRY_SECONDS, now)
        return self._turn(State.DEGRADED, reason, now)

    def error(self, error: SwitchError, now: float) -> Outcome:
        """The switch refused something, perhaps of another application."""
        if self._phase is _Phase.IDLE:
            return Outcome()
        if error.xid == self._request_xid:
            return self.fail(f"refused while {self._phase.value}: {explain(error.type, error.code)}", now)
        number = error.xid - _CHANGE_XID
        if 0 <= number < len(self._sent) and self._encode(number).startswith(error.message):
            self._refused[number] = error.type, error.code
        return Outcome()

    def barrier(self, xid: int, now: float) -> Outcome:
        """The switch has handled what was sent. Whether it has accepted it, its table says."""
        if self._phase is not _Phase.CONFIRMING or xid != self._request_xid:
            return Outcome()
        return Outcome((self._read(now),))

    def flow_stats(self, message: bytes, xid: int, now: float) -> Outcome:
        """One part of the switch's table; after the last part the table is compared."""
        if self._phase is not _Phase.READING or xid != self._request_xid:
            return Outcome()
        self._parts.append(message)
        if codec.has_more(message):
            self._arm(ANSWER_SECONDS, now)
            return Outcome()
        parts, self._parts = self._parts, []
        return self._compare(parts, now)

    def _compare(self, parts: Iterable[bytes], now: float) -> Outcome:
        assert self.assignment is not None
        if self._wanted is None or any(rule.hard_timeout for rule in self._wanted):
            self._wanted = self.assignment.rules(now)
        wanted = self._wanted
        if shortage := self._table_shortage(wanted):
            return self.fail(shortage, now)
        try:
            found = [rule for part in parts for rule in codec.decode_flow_stats(part)]
            plan = reconcile(wanted, found)
        except ValueError as error:
            return self.fail(str(error), now)
        if plan.changes and self._rounds < ROUNDS and not self._refused:
            return self._send(plan, now)
        self._confirmed = len(wanted)
        self._objections = [*self._objections_to(plan)] or self._proof_objections(found, now)
        self._rest(RETRY_SECONDS if self._objections else AUDIT_SECONDS, now)
        return self._judge(self._objections, now)

    def _objections_to(self, plan: Plan) -> Iterator[str]:
        """Why a table is not what was wanted."""
        if plan.differences and not self._refused:
            yield f"its table is not as sent: {_summary(plan.differences)}"
        if plan.differences:
            yield from self._refusals()

    def _proof_objections(self, found: Iterable[InstalledRule], now: float) -> list[str]:
        """Why a table as wanted is not proven; one that is proven needs no proof as long as it stays so."""
        assert self.assignment is not None
        rules = [installed.rule for installed in found]
        table = frozenset((rule.key, rule.action) for rule in rules)
        if table == self._proven:
            return []
        objection = self.assignment.objection(rules, now)
        self._proven = table if objection is None else None
        return [] if objection is None else [objection]

    def _refusals(self) -> Iterator[str]:
        for reason, count in Counter(self._refused.values()).items():
            first = min(number for number, refused in self._refused.items() if refused == reason)
            share = f"{count} of {_count(self._confirmed, 'rule')}"
            yield f"refused {share}: {explain(*reason)}, first {describe(self._sent[first].rule)}"

    def _judge(self, objections: Sequence[str], now: float) -> Outcome:
        """Say in which state a compared table and the ports leave the switch."""
        assert self.assignment is not None
        if reasons := [*objections, *self._strange_ports(self.assignment.switch)]:
            return self._turn(State.DEGRADED, "; ".join(reasons), now)
        confirmed = f"{_count(self._confirmed, 'rule')} read back as wanted and proven"
        if self.assignment.switch.mode is Mode.MONITOR:
            return self._turn(State.MONITORING, f"{confirmed}; blocks are counted and let through", now)
        return self._turn(State.PROTECTED, confirmed, now)

    def _strange_ports(self, switch: Switch) -> Iterator[str]:
        assert self._connection is not None
        physical = sorted(port for port in self._connection.ports if port < codec.FIRST_RESERVED_PORT)
        if strange := [str(port) for port in physical if not switch.has_role(port)]:
            yield (
                f"no role in the policy for port{'s' * (len(strange) > 1)} {', '.join(strange)}, taken for "
                f"subscriber ports: name them in {switch.name}"
            )

    def _table_shortage(self, wanted: Iterable[FlowRule]) -> str | None:
        assert self._connection is not None
        targets = (rule.action.table if isinstance(rule.action, Goto) else rule.table for rule in wanted)
        needed = max(targets, default=0) + 1
        if self._connection.tables >= needed:
            return None
        return f"has {_count(self._connection.tables, 'table')} and its rules need {needed}: nothing was sent"

    def _begin(self, now: float, state: State | None = None, reason: str = "") -> Outcome:
        """Start a cycle, whatever was under way; without a state where it is routine."""
        self._rounds = 0
        self._sent = ()
        self._refused = {}
        if state is None:
            return Outcome((self._read(now),))
        self._objections = None
        return self._turn(state, reason, now)._replace(pieces=(self._read(now),))

    def _read(self, now: float) -> bytes:
        self._phase = _Phase.READING
        self._parts = []
        self._arm(ANSWER_SECONDS, now)
        return codec.encode_flow_stats_request(version=self._version, xid=self._next_request())

    def _send(self, plan: Plan, now: float) -> Outcome:
        self._phase = _Phase.CONFIRMING
        self._rounds += 1
        self._sent = plan.changes
        messages = [self._encode(number) for number in range(len(self._sent))]
        messages.append(codec.encode_barrier_request(version=self._version, xid=self._next_request()))
        self._arm(ANSWER_SECONDS + SECONDS_PER_CHANGE * len(messages), now)
        outcome = Outcome()
        if plan.repairs and self.status.state is not State.DEGRADED:
            self._objections = None
            what = f"sending {_count(len(plan.repairs), 'change')}: {_summary(plan.differences)}"
            outcome = self._turn(State.INSTALLING, what, now)
        return outcome._replace(pieces=tuple(_joined(messages)))

    def _leave_alone(self, reason: str, now: float) -> Outcome:
        self._rest(math.inf, now)
        self._objections = None
        remedy = f"not in the policy, left alone: to protect it, add a switch with dpid {self.dpid:#x}"
        return self._turn(State.UNKNOWN, reason or remedy, now)

    def _turn(self, state: State, reason: str, now: float) -> Outcome:
        """Be in a state; only a new one, or a new reason, is worth telling."""
        if (state, reason) == self.status[:2]:
            return Outcome()
        rules = self._confirmed if state in AS_WANTED else 0
        self.status = Status(state, reason, now, rules)
        return Outcome(turned=self.status)

    def _rest(self, seconds: float, now: float) -> None:
        self._phase = _Phase.IDLE
        self._sent = ()
        self._arm(seconds, now)

    def _arm(self, seconds: float, now: float) -> None:
        self._armed_at, self._wake_at = now, now + seconds

    @property
    def _version(self) -> int:
        assert self._connection is not None
        return self._connection.version

    def _next_request(self) -> int:
        self._requests = (self._requests + 1) % _REQUESTS
        self._request_xid = _REQUEST_XID + self._requests
        return self._request_xid

    def _encode(self, number: int) -> bytes:
        command, rule = self._sent[number]
        return codec.encode_flow_mod(rule, command=command, version=self._version, xid=_CHANGE_XID + number)


def _joined(messages: Iterable[bytes]) -> Iterator[bytes]:
    piece = bytearray()
    for message in messages:
        piece += message
        if len(piece) >= CHUNK_BYTES:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


def _summary(differences: Sequence[Difference]) -> str:
    more = len(differences) - 1
    return f"{differences[0]}" + (f" and {more} more" if more else "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
