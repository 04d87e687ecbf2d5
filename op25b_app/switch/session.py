"""One switch, from its first sight to protected and back: what happens goes in, messages to send come out.

All work on a table is the same cycle: read the table, compare it with what is wanted, send what differs step
by step, each step confirmed before the next, and read the table back. Only a table that reads as wanted, and
is proven to do what the policy says, makes a switch protected: an answer to a barrier says that messages were
handled, not that they were accepted.
"""

from __future__ import annotations

import enum
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from op25b_app.policy.model import Mode, Switch
from op25b_app.rules.flow import FlowRule
from op25b_app.rules.marker import Marker, is_marker, marker_rule, newest_marker
from op25b_app.rules.pipeline import Table
from op25b_app.switch import bundle, codec, flow_monitor, wire
from op25b_app.switch.batch import Batch, SwitchError, joined, read_error
from op25b_app.switch.codec import Command, InstalledRule
from op25b_app.switch.errors import TABLE_FULL, explain
from op25b_app.switch.flow_monitor import Event as RuleEvent
from op25b_app.switch.flow_removed import decode_flow_removed, is_flow_removed
from op25b_app.switch.pace import Disturbance, audit_delay, look_delay
from op25b_app.switch.plan import Abilities, Plan, plan_changes
from op25b_app.switch.reconcile import Change, Comparison, Difference, describe, reconcile
from op25b_app.switch.room import Fit, fit
from op25b_app.switch.table_features import decode_table_features, is_table_features_reply
from op25b_app.switch.table_features import encode_table_features_request
from op25b_app.switch.transition import Group
from op25b_app.switch.wanted import Wanted

ANSWER_SECONDS = 10.0
"""How long a switch may take to answer, or to go on with an answer."""
SECONDS_PER_CHANGE = 0.01
"""What a slow switch may take for each rule on top of that."""
RETRY_SECONDS = 30.0
"""After how long a switch that is not as wanted is tried again."""
AUDIT_SECONDS = 300.0
"""How often the table of a switch that is as wanted is read again; rules with time-outs are renewed then."""
ROUNDS = 8
"""How often one cycle plans: again if the table changed in between, or without what the switch refused."""

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


class Event(NamedTuple):
    """Something that happened to a switch, other than a new state, and that an operator wants to know of."""

    kind: str
    text: str


class Outcome(NamedTuple):
    """What an input leads to: OpenFlow messages, joined to pieces to send in order, the state if new, events."""

    pieces: tuple[bytes, ...] = ()
    turned: Status | None = None
    events: tuple[Event, ...] = ()


class Assignment(NamedTuple):
    """What the policy says of a switch.

    ``wanted`` gives the rules wanted at a moment on a switch with so many tables: the same ones later, unless
    some of them have time-outs; it raises ValueError, in words, where the switch has too few. ``objection``
    says of a whole table at a moment why it is not proven to do what the policy says, or None. ``digest`` is
    the policy's (hexadecimal). ``revision`` is the policy's own; without one, an operator asked for this
    policy and it becomes the next revision after that on the switch.
    """

    switch: Switch
    wanted: Callable[[float, int], Wanted]
    objection: Callable[[Sequence[FlowRule], float], str | None]
    digest: str
    revision: int | None = None


class Connection(NamedTuple):
    """What a switch says of itself when it connects; ``ports`` are the OpenFlow port numbers, all of them."""

    version: int
    tables: int
    ports: frozenset[int]


class _Phase(enum.Enum):
    IDLE = "idle"
    ASKING = "asking what it can do"
    READING = "reading its table"
    BUNDLING = "filling a bundle"
    CONFIRMING = "waiting for it to confirm changes"


class _Cycle:
    """What is known while a table is read, compared and changed."""

    def __init__(self, began: float) -> None:
        self.began = began
        self.rounds = 0
        self.parts: list[bytes] = []
        self.batch: Batch | None = None
        self.to_come: list[Group] = []
        self.failed = False
        """Something of the batch was refused."""
        self.refused: dict[tuple[object, ...], tuple[Change, tuple[int, int]]] = {}
        """By key, what the switch does not take, with type and code of its error."""
        self.full: set[int] = set()
        """Tables that had no room for a rule."""
        self.bundles_fail = False


def is_request_xid(xid: int) -> bool:
    """Whether an xid is one of those that sessions give to their requests."""
    return _REQUEST_XID <= xid < _REQUEST_XID + _REQUESTS


class Session:
    """The state of one switch, connected or not.

    Times are seconds since 1970 and never go back. Call :meth:`tick` when it is due. Steps are quick but for
    the last part of a table in :meth:`receive`, which compares, plans and encodes.
    """

    def __init__(self, dpid: int, now: float, audit_seconds: float = AUDIT_SECONDS) -> None:
        self.dpid = dpid
        self.assignment: Assignment | None = None
        self.status = Status(State.LOST, "never connected", now)
        self.revision: int | None = None
        self._audit_seconds = audit_seconds
        self._audits = 0
        self._connection: Connection | None = None
        self._abilities: Abilities | None = None
        self._crowded = False
        self._phase = _Phase.IDLE
        self._armed_at, self._wake_at = now, math.inf
        self._requests = 0
        self._request_xid = _REQUEST_XID
        self._cycle = _Cycle(now)
        self._looked = (now, now)
        self._disturbance = Disturbance.NONE
        self._wanted: Wanted | None = None
        self._confirmed = 0
        self._objections: list[str] | None = None
        self._settled = False
        self._judged: tuple[frozenset[object], str | None] = frozenset(), None

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
        self.revision = None if assignment is None else assignment.revision
        self._wanted = None
        self._judged = frozenset(), None
        self._settled = self._crowded = False
        if self._connection is None:
            return Outcome()
        if assignment is None:
            return self._leave_alone(
                "no longer in the policy; its rules stay as they are" if removed else "", now
            )
        return self._begin(now, State.INSTALLING, "reading its table for a new policy")

    def connected(self, connection: Connection, now: float) -> Outcome:
        self._connection = connection
        self._abilities = None
        self._wanted = None
        self._settled = self._crowded = False
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
        """How long a tick can wait."""
        return max(0.0, self._wake_at - now)

    def tick(self, now: float) -> Outcome:
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

    def receive(self, message: bytes, now: float) -> Outcome:
        """A whole message of the switch, header included; what is not meant for us counts for nothing."""
        if self._connection is None or self.assignment is None:
            return Outcome()
        try:
            return self._receive(message, int.from_bytes(message[4:8], "big"), now)
        except ValueError as problem:
            return self.fail(str(problem), now)

    def _receive(self, message: bytes, xid: int, now: float) -> Outcome:
        if message[1] == wire.ERROR:
            return self._error(read_error(message), now)
        if message[1] == wire.BARRIER_REPLY:
            return self._barrier(xid, now)
        if is_flow_removed(message):
            return self._disturb(self._concern_of(decode_flow_removed(message).rule), now)
        if flow_monitor.is_flow_update(message):
            return self._flow_updates(message, xid, now)
        if reply := bundle.decode_control_reply(message):
            return self._bundle_reply(reply, now)
        if is_table_features_reply(message):
            return self._table_features(message, xid)
        if codec.is_flow_stats_reply(message):
            return self._flow_stats(message, xid, now)
        return Outcome()

    # Asking

    def _begin(self, now: float, state: State | None = None, reason: str = "") -> Outcome:
        """Start a cycle, whatever was under way; without a state where it is routine."""
        self._cycle = _Cycle(now)
        pieces = (self._ask(now),) if self._abilities is None else (self._read(now),)
        if state is None:
            return Outcome(pieces)
        self._objections = None
        return self._turn(state, reason, now)._replace(pieces=pieces)

    def _ask(self, now: float) -> bytes:
        """Find out by asking what the switch can do; what it has not answered by the barrier, it cannot."""
        version = self._version
        self._phase = _Phase.ASKING
        self._abilities = Abilities()
        self._arm(ANSWER_SECONDS, now)
        return b"".join(
            (
                flow_monitor.encode_monitor_request(version=version, xid=self._next_request()),
                bundle.encode_open(version=version, bundle=0, xid=self._next_request()),
                bundle.encode_discard(version=version, bundle=0, xid=self._next_request()),
                encode_table_features_request(version=version, xid=self._next_request()),
                codec.encode_barrier_request(version=version, xid=self._next_request()),
            )
        )

    def _table_features(self, message: bytes, xid: int) -> Outcome:
        if self._abilities is not None and is_request_xid(xid):
            room = {each.table: each.max_entries for each in decode_table_features(message)}
            self._abilities = self._abilities._replace(room={**self._abilities.room, **room})
        return Outcome()

    def _read(self, now: float) -> bytes:
        self._phase = _Phase.READING
        self._cycle.parts = []
        self._disturbance = Disturbance.NONE
        self._arm(ANSWER_SECONDS, now)
        return codec.encode_flow_stats_request(version=self._version, xid=self._next_request())

    def _flow_stats(self, message: bytes, xid: int, now: float) -> Outcome:
        """One part of the switch's table; after the last part the table is compared."""
        if self._phase is not _Phase.READING or xid != self._request_xid:
            return Outcome()
        self._cycle.parts.append(message)
        if codec.has_more(message):
            self._arm(ANSWER_SECONDS, now)
            return Outcome()
        found = [rule for part in self._cycle.parts for rule in codec.decode_flow_stats(part)]
        self._cycle.parts = []
        return self._compare(found, now)

    # Comparing

    def _compare(self, found: Sequence[InstalledRule], now: float) -> Outcome:
        rules = [installed.rule for installed in found]
        if refusal := self._take_revision(rules):
            return self.fail(refusal, now)
        wanted, shortage = self._fitting(rules, now)
        if wanted is None:
            return self.fail(shortage, now)
        marks = self._marks(rules, wanted)
        others = [installed for installed in found if not is_marker(installed.rule)]
        comparison = reconcile(wanted, others, reclaim=self._settled)
        if self._cycle.rounds < ROUNDS and (plan := self._plan(comparison, marks, others, wanted)):
            return self._send(plan, comparison, now)
        self._confirmed = len(wanted)
        self._objections = [*self._objections_to(comparison, shortage)]
        self._settled = not self._objections
        if not self._objections:
            self._objections = self._proof_objections(rules, wanted, now)
        return self._finish(now)

    def _take_revision(self, found: Iterable[FlowRule]) -> str | None:
        """Settle which revision the policy has on this switch; a sentence where it holds a newer one."""
        assert self.assignment is not None
        newest = newest_marker(found)
        if self.revision is None:
            before = Marker(0, "") if newest is None else newest
            same = before.digest == self._digest
            self.revision = before.revision if same else before.revision + 1
        elif newest is not None and newest.revision >= self.revision and newest.digest != self._digest:
            return (
                f"holds revision {newest.revision} of another policy, and this one is revision "
                f"{self.revision}: nothing was sent; reload to put this one in force after all"
            )
        return None

    def _fitting(self, found: Sequence[FlowRule], now: float) -> tuple[Wanted | None, str]:
        """What is wanted as far as there is room, and in words what there is no room for."""
        assert self.assignment is not None and self._connection is not None
        if self._wanted is None or self._wanted.timed:
            self._wanted = self.assignment.wanted(now, self._connection.tables)
        marked = max(self._wanted.outcomes, default=Table.ADMIT)
        others = Counter(rule.table for rule in found if not rule.ours)
        room = {
            table: places - others[table] - (table == marked)
            for table, places in self._room_seen(found).items()
        }
        match fit(self._wanted, room):
            case Fit(wanted, shortage):
                self._crowded = True
                return wanted, shortage
        return self._wanted, ""

    def _room_seen(self, found: Iterable[FlowRule]) -> Mapping[int, int]:
        """The room that tables have: what the switch said, and what they held when they were full."""
        assert self._abilities is not None
        held = Counter(rule.table for rule in found)
        room = {**self._abilities.room, **{table: held[table] for table in self._cycle.full}}
        self._abilities = self._abilities._replace(room=room)
        self._cycle.full.clear()
        return room

    def _marks(self, found: Iterable[FlowRule], wanted: Wanted) -> list[Change]:
        """What brings the marker up to date."""
        assert self.revision is not None
        mark = marker_rule(Marker(self.revision, self._digest), max(wanted.outcomes, default=Table.ADMIT))
        present = [*filter(is_marker, found)]
        old = [Change(Command.DELETE_STRICT, rule, rule) for rule in present if rule.key != mark.key]
        new = [] if any(rule.key == mark.key for rule in present) else [Change(Command.ADD, mark)]
        return [*new, *old]

    def _plan(
        self,
        comparison: Comparison,
        marks: Sequence[Change],
        found: Iterable[InstalledRule],
        wanted: Wanted,
    ) -> Plan | None:
        """What to send, without what the switch has refused; None where that is nothing."""
        assert self._abilities is not None
        refused, abilities = self._cycle.refused, self._abilities
        if self._cycle.bundles_fail:
            abilities = abilities._replace(bundles=False)
        repairs, renewals, marks = (
            [change for change in changes if change.rule.key not in refused]
            for changes in (comparison.repairs, comparison.renewals, marks)
        )
        rules = [installed.rule for installed in found]
        plan = plan_changes(repairs, rules, wanted, abilities, crowded=self._crowded)
        new = [change for change in marks if change.command is Command.ADD]
        old = [change for change in marks if change.command is not Command.ADD]
        return plan.framed(new, [*renewals, *old])

    def _objections_to(self, comparison: Comparison, shortage: str) -> Iterator[str]:
        """Why a table is not what was wanted."""
        if shortage:
            yield shortage
        if unexplained := [
            each for each in comparison.differences if each.rule.key not in self._cycle.refused
        ]:
            yield f"its table is not as sent: {_summary(unexplained)}"
        yield from self._refusals()

    def _refusals(self) -> Iterator[str]:
        refused = self._cycle.refused.values()
        for reason, count in Counter(why for _, why in refused).items():
            first = next(change for change, why in refused if why == reason)
            yield (
                f"refused {count} of {_count(self._confirmed, 'rule')}: {explain(*reason)}, "
                f"first {describe(first.rule)}"
            )

    def _proof_objections(self, rules: Sequence[FlowRule], wanted: Wanted, now: float) -> list[str]:
        """Why a table as wanted is not proven; what was judged before need not be again while it stays so."""
        assert self.assignment is not None
        table = frozenset((rule.key, rule.action) for rule in rules)
        known, objection = self._judged
        if table != known or (objection and wanted.timed):
            objection = self.assignment.objection(rules, now)
            self._judged = table, objection
        return [] if objection is None else [objection]

    def _finish(self, now: float) -> Outcome:
        """The cycle is over; say how it ended."""
        assert self._objections is not None
        self._looked = self._cycle.began, now
        self._audits += 1
        audit = audit_delay(self._audit_seconds, self.dpid, self._audits)
        self._rest(RETRY_SECONDS if self._objections else audit, now)
        return self._judge(self._objections, now)

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

    # Sending

    def _send(self, plan: Plan, comparison: Comparison, now: float) -> Outcome:
        self._cycle.rounds += 1
        self._cycle.to_come = [*plan.groups]
        outcome = self._tell_repairs(comparison, now) if comparison.repairs else Outcome()
        return outcome._replace(pieces=self._send_next(now, bundled=plan.bundled))

    def _tell_repairs(self, comparison: Comparison, now: float) -> Outcome:
        summary = _summary(comparison.differences)
        events = (Event("repair", f"put right: {summary}"),) if self._settled else ()
        if self.status.state is State.DEGRADED:
            return Outcome(events=events)
        self._objections = None
        what = f"sending {_count(len(comparison.repairs), 'change')}: {summary}"
        return self._turn(State.INSTALLING, what, now)._replace(events=events)

    def _send_next(self, now: float, *, bundled: bool = False) -> tuple[bytes, ...]:
        """Send the next group, in a bundle or with a barrier behind it."""
        assert self._abilities is not None
        cycle, version = self._cycle, self._version
        flags = 0 if self._abilities.monitor else codec.SEND_FLOW_REMOVED
        group = cycle.to_come.pop(0)
        self._arm(ANSWER_SECONDS + SECONDS_PER_CHANGE * len(group), now)
        if not bundled:
            self._phase = _Phase.CONFIRMING
            cycle.batch = Batch(group, version, flags)
            barrier = codec.encode_barrier_request(version=version, xid=self._next_request())
            return tuple(joined((*cycle.batch.messages(), barrier)))
        self._phase = _Phase.BUNDLING
        opening = self._next_request()
        cycle.batch = Batch(group, version, flags, bundle=opening)
        begin = bundle.encode_open(version=version, bundle=opening, xid=opening)
        end = bundle.encode_close(version=version, bundle=opening, xid=self._next_request())
        return tuple(joined((begin, *cycle.batch.messages(), end)))

    def _bundle_reply(self, reply: bundle.ControlReply, now: float) -> Outcome:
        assert self._abilities is not None
        if self._phase is _Phase.ASKING and reply.kind is bundle.Control.OPENED:
            self._abilities = self._abilities._replace(bundles=True)
            return Outcome()
        batch = self._cycle.batch
        if batch is None or reply.bundle != batch.bundle or reply.xid != self._request_xid:
            return Outcome()
        if self._phase is _Phase.BUNDLING and reply.kind is bundle.Control.CLOSED:
            return Outcome((self._end_bundle(batch.bundle, now),))
        if self._phase is _Phase.CONFIRMING:
            return self._confirmed_or_not(now)
        return Outcome()

    def _end_bundle(self, number: int, now: float) -> bytes:
        """Commit a bundle, or discard it if the switch refused a part of it."""
        self._phase = _Phase.CONFIRMING
        self._arm(self._wake_at - self._armed_at, now)
        end = bundle.encode_discard if self._cycle.failed else bundle.encode_commit
        return end(version=self._version, bundle=number, xid=self._next_request())

    def _barrier(self, xid: int, now: float) -> Outcome:
        """The switch has handled what was sent. Whether it has accepted it, its table says."""
        if xid != self._request_xid:
            return Outcome()
        if self._phase is _Phase.ASKING:
            return Outcome((self._read(now),))
        return self._confirmed_or_not(now) if self._phase is _Phase.CONFIRMING else Outcome()

    def _confirmed_or_not(self, now: float) -> Outcome:
        """Go on with the plan, or look at the table: at the end, and where something was refused."""
        if self._cycle.to_come and not self._cycle.failed:
            return Outcome(self._send_next(now))
        self._cycle.failed = False
        return Outcome((self._read(now),))

    def _error(self, error: SwitchError, now: float) -> Outcome:
        """The switch refused something, perhaps of another application."""
        if self._phase is _Phase.READING and error.xid == self._request_xid:
            return self.fail(f"refused while {self._phase.value}: {explain(error.type, error.code)}", now)
        if self._phase not in (_Phase.BUNDLING, _Phase.CONFIRMING) or self._cycle.batch is None:
            return Outcome()
        if change := self._cycle.batch.refused(error):
            self._refuse(change, (error.type, error.code))
        elif self._cycle.batch.bundle is not None and error.xid == self._request_xid:
            return self._bundle_failed(now)
        return Outcome()

    def _refuse(self, change: Change, why: tuple[int, int]) -> None:
        """Do without a rule that the switch does not take, unless there is only no room for it now."""
        assert self._abilities is not None
        self._cycle.failed = True
        if why != TABLE_FULL:
            self._cycle.refused[change.rule.key] = change, why
        elif self._cycle.batch is not None and self._cycle.batch.bundle is not None:
            self._cycle.bundles_fail = True
        else:
            self._crowded = True
            self._cycle.full.add(change.rule.table)

    def _bundle_failed(self, now: float) -> Outcome:
        """A bundle was not applied; without a rule to blame, bundles are to blame."""
        if not self._cycle.failed:
            self._cycle.bundles_fail = True
        self._cycle.failed = False
        return Outcome((self._read(now),))

    # Being told

    def _flow_updates(self, message: bytes, xid: int, now: float) -> Outcome:
        assert self._abilities is not None
        if is_request_xid(xid):
            self._abilities = self._abilities._replace(monitor=True)
        concern = Disturbance.NONE
        for update in flow_monitor.decode_updates(message):
            if update.event is RuleEvent.RESUMED:
                concern = Disturbance.OURS
            elif update.event not in (RuleEvent.OWN, RuleEvent.PAUSED):
                concern = max(concern, self._concern_of(update.rule))
        return self._disturb(concern, now)

    def _concern_of(self, rule: FlowRule) -> Disturbance:
        """What a rule that somebody added, changed or removed has to do with us."""
        if rule.ours or (self._wanted is not None and rule.key in self._wanted.by_key):
            return Disturbance.OURS
        last = Table.ADMIT if self._wanted is None else max(self._wanted.outcomes, default=Table.ADMIT)
        if rule.table == Table.ADMIT:
            return Disturbance.OTHERS
        return Disturbance.OURS if rule.table <= last else Disturbance.NONE

    def _disturb(self, disturbance: Disturbance, now: float) -> Outcome:
        if disturbance > self._disturbance:
            self._disturbance = disturbance
            if self._phase is _Phase.IDLE:
                self._arm_look(now)
        return Outcome()

    # Resting

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
        self._cycle.batch = None
        self._arm(seconds, now)
        if self._disturbance:
            self._arm_look(now)

    def _arm_look(self, now: float) -> None:
        """Look at the table soon, if nothing else has it looked at earlier."""
        delay = look_delay(self._disturbance, *self._looked, now)
        self._arm(min(delay, self._wake_at - now), now)

    def _arm(self, seconds: float, now: float) -> None:
        self._armed_at, self._wake_at = now, now + seconds

    @property
    def _digest(self) -> str:
        assert self.assignment is not None
        return self.assignment.digest[:32]

    @property
    def _version(self) -> int:
        assert self._connection is not None
        return self._connection.version

    def _next_request(self) -> int:
        self._requests = (self._requests + 1) % _REQUESTS
        self._request_xid = _REQUEST_XID + self._requests
        return self._request_xid


def _summary(differences: Sequence[Difference]) -> str:
    more = len(differences) - 1
    return f"{differences[0]}" + (f" and {more} more" if more else "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
