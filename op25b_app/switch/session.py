"""One switch, from its first sight to protected and back: what happens goes in, messages to send come out.

All work on a table is the same cycle: read the table, compare it with what is wanted, send what differs step
by step, each step confirmed before the next, and read the table back. Only a table that reads as wanted, and
is proven to do what the policy says, makes a switch protected: an answer to a barrier says that messages were
handled, not that they were accepted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import filterfalse
from typing import NamedTuple

from op25b_app.policy.model import Mode
from op25b_app.rules.flow import FlowRule
from op25b_app.rules.marker import Marker, marker_rule
from op25b_app.switch import codec, flow_monitor
from op25b_app.switch.aim import Aim, Intent, aim_at, fitting
from op25b_app.switch.assessment import count, newer_policy, next_revision, strange_ports, summary
from op25b_app.switch.assignment import Assignment
from op25b_app.switch.batch import Group
from op25b_app.switch.codec import InstalledRule
from op25b_app.switch.exchange import Exchange, Phase
from op25b_app.switch.flow_removed import decode_flow_removed, is_flow_removed
from op25b_app.switch.outcome import AS_WANTED, Event, Outcome, State, Status
from op25b_app.switch.pace import Disturbance, audit_delay, concern_of, look_at
from op25b_app.switch.plan import Plan, mark_changes, plan_changes
from op25b_app.switch.reconcile import Comparison, difference, markers_among, reconcile
from op25b_app.switch.ruleset import Ruleset

ANSWER_SECONDS = 10.0
"""How long a switch may take to answer, or to go on with an answer."""
SECONDS_PER_CHANGE = 0.01
"""What a slow switch may take for each rule on top of that."""
RETRY_SECONDS = 30.0
"""After how long a switch that is not as wanted is tried again."""
AUDIT_SECONDS = 300.0
"""How often the table of a switch that is as wanted is read again; rules with time-outs are renewed then."""
RULES_AT_ONCE, BYTES_AT_ONCE = 2_000, 1 << 18
"""Where more is wanted, or read, a table is compared later. So many take some 30 ms at most."""
ROUNDS = 8
"""How often one cycle plans: again if the table changed in between, or does not take what was planned.

What others the switch refused in a group of changes is no such reason: it is seen group by group."""


class Connection(NamedTuple):
    """What a switch says of itself when it connects.

    ``ports`` are its OpenFlow port numbers, all of them; None until it has told them.
    """

    version: int
    tables: int
    ports: frozenset[int] | None = None


class Session:
    """The state of one switch, connected or not.

    Times are seconds since 1970 and never go back. Call :meth:`tick` when it is due. Whatever takes long, as
    compiling and proving do, an outcome leaves for later.
    """

    def __init__(self, dpid: int, now: float, audit_seconds: float = AUDIT_SECONDS) -> None:
        self.dpid = dpid
        self.assignment: Assignment | None = None
        self.status = Status(State.LOST, "never connected", now)
        self.revision: int | None = None
        """That of the policy on this switch; None before its table was read."""
        self._audit_seconds = audit_seconds
        self._audits = 0
        self._connection: Connection | None = None
        self._exchange: Exchange | None = None
        self._connected_at = self._armed_at = now
        self._wake_at = math.inf
        self._began, self._asked, self._looked = now, now, (now, now)
        self._rounds = self._refused = 0
        self._disturbance = Disturbance.NONE
        self._room_sought = now
        self._wanted: Ruleset | None = None
        self._closes = False
        """Whether changes that the switch refused block too much for as long as they are under way."""
        self._last: tuple[Assignment, FlowRule] | None = None
        """What the switch was last seen to hold as a whole, and its marker."""
        self._settled = False
        self._confirmed = 0
        self._objections: list[str] | None = None
        self._mark: FlowRule | None = None
        """The marker that the switch has, once its table is as wanted."""

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
        held, exchange = self._held, self._exchange
        self._forget_table()
        if exchange is None:
            return Outcome()
        if assignment is None:
            reason = "no longer in the policy; its rules stay as they are" if removed else ""
            pieces = exchange.leave() if removed else ()
            return self._leave_alone(reason, now)._replace(pieces=pieces)
        if held is None:
            return self._read_anew(exchange, now)
        return Outcome(later=partial(self._change_over, exchange, *held, assignment))

    def connected(self, connection: Connection, now: float) -> Outcome:
        self._connection, self._connected_at = connection, now
        self._exchange = Exchange(connection.version)
        self._forget_table()
        if self.assignment is None:
            return self._leave_alone("", now)
        return self._begin(now, State.CONNECTING, "reading its table")

    def disconnected(self, now: float, why: str = "connection closed") -> Outcome:
        self._rest(math.inf, now)
        self._connection = self._exchange = None
        return self._turn(State.LOST, why, now)

    def ports_changed(self, ports: frozenset[int], now: float) -> Outcome:
        """The switch's ports are these now."""
        if self._connection is None:
            return Outcome()
        were_missing = self._connection.ports is None
        self._connection = self._connection._replace(ports=ports)
        if self._objections is None:
            return Outcome()
        if were_missing and self._exchange is not None and self._exchange.phase is Phase.IDLE:
            self._arm_next_look(self._objections, now)
        return self._judge(self._objections, now)

    @property
    def due_at(self) -> float:
        """When to call :meth:`tick`: as armed, or earlier where a table at rest was disturbed."""
        at_rest = self._exchange is not None and self._exchange.phase is Phase.IDLE
        if not self._disturbance or not at_rest or self.assignment is None:
            return self._wake_at
        return min(self._wake_at, look_at(self._disturbance, *self._looked))

    def ended(self, began: float, now: float) -> None:
        """A step that was given at ``began`` has taken until now: that counts as a part of a look."""
        if self._looked[1] == began:
            self._looked = self._looked[0], now

    def tick(self, now: float) -> Outcome:
        if now < self.due_at or self._exchange is None or self.assignment is None:
            return Outcome()
        if self._exchange.phase is Phase.IDLE:
            if now - self._room_sought >= self._audit_seconds and not self._disturbance:
                self._seek_room(self._exchange, now)
            return self._begin(now)
        reason = f"no answer for {now - self._armed_at:.0f} s while {self._exchange.phase.value}"
        self._exchange.give_up()
        return self.fail(reason, now)

    def fail(self, reason: str, now: float) -> Outcome:
        """Give up what is under way, and try again later; without a connection and a policy nothing is."""
        if self._exchange is None or self.assignment is None:
            return Outcome()
        self._objections, self._looked = None, (self._began, now)
        self._rest(RETRY_SECONDS, now)
        return self._turn(State.DEGRADED, reason, now)

    def receive(self, message: bytes, now: float) -> Outcome:
        """A whole message of the switch, header included; what is not meant for us counts for nothing."""
        if self._exchange is None:
            return Outcome()
        try:
            if self.assignment is not None and not self._exchange.will_read:
                self._notice(message)
            answer = self._exchange.receive(message)
        except ValueError as problem:
            return self.fail(str(problem), now)
        if answer.table is not None and self.assignment is not None:
            compare = partial(self._compare, self._exchange, self.assignment, answer.table)
            at_once = self._is_quick(self._exchange, self.assignment, sum(map(len, answer.table)))
            return compare(now) if at_once else Outcome(later=compare)
        if answer.problem:
            return self.fail(answer.problem, now)
        if answer.awaited:
            self._wait_for(self._exchange, now, asked=bool(answer.pieces))
        return Outcome(answer.pieces)

    def _is_quick(self, exchange: Exchange, assignment: Assignment, size: int) -> bool:
        """Whether to compare a table of so many bytes at once."""
        assert self._connection is not None
        prepared = assignment.prepared(self._connection.tables)
        if prepared is None or exchange.refused or exchange.able.room:
            return False
        return size <= BYTES_AT_ONCE and len(prepared) <= RULES_AT_ONCE

    def _seek_room(self, exchange: Exchange, now: float) -> None:
        """Where a table was full there may be room again."""
        exchange.forget_room()
        self._room_sought = now

    def _read_anew(self, exchange: Exchange, now: float) -> Outcome:
        self._seek_room(exchange, now)
        return self._begin(now, State.INSTALLING, "reading its table for a new policy")

    def _begin(self, now: float, state: State | None = None, reason: str = "") -> Outcome:
        """Start a cycle, whatever was under way; without a state where it is routine."""
        assert self._exchange is not None
        self._began, self._rounds, self._refused, self._closes = now, 0, 0, False
        pieces = (self._exchange.begin(),)
        self._wait_for(self._exchange, now)
        if state is None:
            return Outcome(pieces)
        self._objections = None
        return self._turn(state, reason, now)._replace(pieces=pieces)

    def _compare(
        self, exchange: Exchange, assignment: Assignment, parts: Iterable[bytes], now: float
    ) -> Outcome:
        """The table is read: send what differs, or say how it is."""
        try:
            found = [rule for part in parts for rule in codec.decode_flow_stats(part)]
        except ValueError as problem:
            return self.fail(str(problem), now)
        marks, rest = markers_among(found)
        if refusal := self._take_revision(assignment, marks):
            return self.fail(refusal, now)
        try:
            wanted = self._intent(assignment, now)
        except ValueError as problem:
            return self.fail(str(problem), now)
        if exchange.needs_room(len(wanted.rules) - len(found)):
            pieces = (exchange.ask_room(),)
            self._wait_for(exchange, now)
            return Outcome(pieces)
        aim = self._aim(exchange, wanted, found, now)
        if aim.intent is None:
            return self._conclude(assignment, aim.objections, (), marks, now)
        target, self._mark = aim.intent
        comparison = reconcile(target, rest, reclaim=self._settled, age=now - self._asked)
        if self._rounds < ROUNDS and (plan := self._plan(exchange, comparison, rest, marks, target)):
            return self._carry_out(exchange, plan, comparison, now)
        objections = [*aim.objections]
        if comparison.differences:
            objections.append(f"its table is not as sent: {summary(comparison.differences)}")
        return self._conclude(assignment, objections, comparison.others, marks, now)

    def _intent(self, assignment: Assignment, now: float) -> Intent:
        """What the policy wants on this switch now. ValueError, in words, where it cannot be had."""
        if self._wanted is None or self._wanted.timed:
            self._wanted = self._wanted_by(assignment, now)
        return Intent(self._wanted, marker_rule(self._marker, self._wanted.last_own_table))

    def _aim(self, exchange: Exchange, wanted: Intent, found: Sequence[InstalledRule], now: float) -> Aim:
        def before() -> Intent | None:
            return None if self._last is None else Intent(self._wanted_by(self._last[0], now), self._last[1])

        return aim_at(wanted, before, found, exchange.room_seen(found), exchange.refused)

    def _wanted_by(self, assignment: Assignment, now: float) -> Ruleset:
        assert self._connection is not None
        return assignment.wanted(now, self._connection.tables)

    def _conclude(
        self,
        assignment: Assignment,
        objections: list[str],
        others: Iterable[FlowRule],
        marks: Iterable[FlowRule],
        now: float,
    ) -> Outcome:
        """Nothing more is to be sent: say how the table is; where it is as wanted, prove it first."""
        assert self._wanted is not None
        self._confirmed = len(self._wanted)
        self._settled = not objections
        if not self._settled:
            return self._end(objections, now)
        assert self._mark is not None
        self._last = assignment, self._mark
        other_rules = frozenset(others)
        prove = partial(self._prove, assignment, self._wanted, other_rules, marks)
        return prove(now) if assignment.is_judged(self._wanted, other_rules) else Outcome(later=prove)

    def _prove(
        self,
        assignment: Assignment,
        wanted: Ruleset,
        others: frozenset[FlowRule],
        marks: Iterable[FlowRule],
        now: float,
    ) -> Outcome:
        objection = assignment.objection(wanted, others, marks, now)
        return self._end([objection] if objection else [], now)

    def _end(self, objections: list[str], now: float) -> Outcome:
        """The cycle is over: say how the table is, and when to look again."""
        self._objections = objections
        self._looked = self._began, now
        self._audits += 1
        self._rest(math.inf, now)
        self._arm_next_look(objections, now)
        return self._judge(objections, now)

    def _arm_next_look(self, objections: Sequence[str], now: float) -> None:
        """Look again at the next audit, or soon where something is wrong or missing."""
        assert self._connection is not None
        soon = (objections and not self._closes) or self._connection.ports is None
        self._arm(RETRY_SECONDS if soon else audit_delay(self._audit_seconds, self.dpid, self._audits), now)

    @property
    def _marker(self) -> Marker:
        assert self.assignment is not None
        assert self.revision is not None
        return Marker(self.revision, self.assignment.digest)

    def _take_revision(self, assignment: Assignment, marks: Iterable[FlowRule]) -> str | None:
        """Settle which revision the policy has on this switch; a sentence where it holds a newer one."""
        if self.revision is None:
            known = marks if self._last is None else (*marks, self._last[1])
            self.revision = next_revision(assignment.digest, known)
            return None
        return newer_policy(self._marker, marks)

    def _plan(
        self,
        exchange: Exchange,
        comparison: Comparison,
        found: Sequence[InstalledRule],
        marks: Iterable[FlowRule],
        wanted: Ruleset,
    ) -> Plan:
        """What to send, without what the switch has refused."""
        assert self._mark is not None
        repairs = comparison.repairs
        first = (*mark_changes(self._mark, marks), *comparison.renewals)
        if exchange.refused:
            repairs = Group(filterfalse(exchange.has_refused, repairs))
            first = (*filterfalse(exchange.has_refused, first),)
        plan = Plan((), first=first)
        if repairs:
            table = Ruleset([[each.rule for each in found]])
            plan = plan_changes(repairs, table, wanted, exchange.able)._replace(first=first)
        self._closes |= plan.blocks_meanwhile and bool(exchange.refused)
        return plan

    @property
    def _held(self) -> tuple[Ruleset, FlowRule] | None:
        """The rules and the marker that the switch is known to hold, as it would tell of changes."""
        exchange = self._exchange
        known = self._settled and self._objections is not None and not self._disturbance
        if exchange is None or self._wanted is None or self._mark is None or not known:
            return None
        if exchange.phase is not Phase.IDLE or not exchange.able.monitor:
            return None
        return self._wanted, self._mark

    def _change_over(
        self, exchange: Exchange, held: Ruleset, mark: FlowRule, assignment: Assignment, now: float
    ) -> Outcome:
        """Go from one policy to the next without reading the table first, unless that is wiser."""
        try:
            wanted = self._wanted_by(assignment, now)
        except ValueError:
            return self._read_anew(exchange, now)
        _, shortage = fitting(wanted, (), exchange.able.room)
        if shortage or self._take_revision(assignment, [mark]):
            return self._read_anew(exchange, now)
        self._mark = marker_rule(self._marker, wanted.last_own_table)
        plan = plan_changes(difference(held, wanted), held, wanted, exchange.able)
        plan = plan._replace(first=mark_changes(self._mark, [mark]))
        if not plan:
            return self._read_anew(exchange, now)
        self._wanted, self._began, self._objections = wanted, now, None
        self._rounds, self._refused, self._closes = 1, 0, False
        exchange.renew()
        pieces = exchange.carry_out(plan)
        self._wait_for(exchange, now)
        changes = count(sum(map(len, plan.groups)), "change")
        return self._turn(State.INSTALLING, f"sending {changes} for a new policy", now)._replace(
            pieces=pieces
        )

    def _carry_out(self, exchange: Exchange, plan: Plan, comparison: Comparison, now: float) -> Outcome:
        refused, self._refused = self._refused, len(exchange.refused)
        self._rounds += refused == self._refused
        pieces = exchange.carry_out(plan)
        self._wait_for(exchange, now)
        if not comparison.repairs:
            return Outcome(pieces)
        self._objections = None
        what = summary(comparison.differences)
        events = (Event("repair", f"put right: {what}"),) if self._settled else ()
        if self.status.state is State.DEGRADED:
            return Outcome(pieces, events=events)
        turned = self._turn(
            State.INSTALLING, f"sending {count(len(comparison.repairs), 'change')}: {what}", now
        )
        return turned._replace(pieces=pieces, events=events)

    def _judge(self, objections: Sequence[str], now: float) -> Outcome:
        """Say in which state a compared table and the ports leave the switch."""
        assert self.assignment is not None
        assert self._connection is not None
        ports = self._connection.ports
        if reasons := [*objections, *strange_ports(self.assignment.switch, ports or ())]:
            return self._turn(State.DEGRADED, "; ".join(reasons), now)
        confirmed = f"{count(self._confirmed, 'rule')} read back as wanted and proven"
        if ports is None and now < self._connected_at + RETRY_SECONDS:
            # Mostly it does so a moment later: then nobody needs to be told.
            self._turn(State.INSTALLING, f"{confirmed}; it has not described its ports yet", now)
            return Outcome()
        if ports is None:
            remedy = "it does not describe its ports: let it connect again"
            return self._turn(State.DEGRADED, f"{confirmed}; {remedy}", now)
        if self.assignment.switch.mode is Mode.MONITOR:
            return self._turn(State.MONITORING, f"{confirmed}; blocks are counted and let through", now)
        return self._turn(State.PROTECTED, confirmed, now)

    def _notice(self, message: bytes) -> None:
        """What the switch tells of rules that others have added, changed or removed."""
        if is_flow_removed(message):
            self._disturb(concern_of(decode_flow_removed(message).rule, self._wanted))
        elif flow_monitor.is_flow_update(message):
            for update in flow_monitor.decode_updates(message):
                if update.event in (flow_monitor.Event.PAUSED, flow_monitor.Event.RESUMED):
                    self._disturb(Disturbance.OURS)
                elif update.event is not flow_monitor.Event.OWN:
                    self._disturb(concern_of(update.rule, self._wanted))

    def _disturb(self, disturbance: Disturbance) -> None:
        self._disturbance = max(self._disturbance, disturbance)

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

    def _forget_table(self) -> None:
        self._wanted = self._mark = None
        self._settled = False

    def _rest(self, seconds: float, now: float) -> None:
        if self._exchange is not None:
            self._exchange.rest()
        self._arm(seconds, now)

    def _wait_for(self, exchange: Exchange, now: float, *, asked: bool = True) -> None:
        """Give the switch the time it may need for what it is asked now, or goes on to answer."""
        if asked and exchange.phase is Phase.READING:
            self._asked, self._disturbance = now, Disturbance.NONE
        self._arm(ANSWER_SECONDS + SECONDS_PER_CHANGE * exchange.pending, now)

    def _arm(self, seconds: float, now: float) -> None:
        self._armed_at, self._wake_at = now, now + seconds
