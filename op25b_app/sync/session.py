"""Keep one switch in step with its policy: take events in, return messages to send.

All work on a table is the same cycle: read the table, compare it with the desired state, send the differences
in steps, each confirmed before the next, and read the table back. A switch is protected only when its table
reads as wanted and is proven to do what the policy says. A barrier reply says only that messages were
handled, not that they were accepted.

Rule changes that the switch reports in between are acted on at once: drifted rules are sent again, the switch
is ``checking``, and the table is read and proven again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from op25b_app.net.port_number import PortNumbers
from op25b_app.openflow import codec
from op25b_app.openflow.flow_mods import UpdateStep
from op25b_app.openflow.flow_rule import FlowRule
from op25b_app.policy.model import Mode
from op25b_app.sync.desired_state import DesiredState
from op25b_app.sync.drift import Drift, decode_rule_reports, describe_report, disturbance_of, supersedes
from op25b_app.sync.phases import Phase
from op25b_app.sync.ports import local_port_notes, name_problems, strange_ports
from op25b_app.sync.protocol import SwitchFeatures, SwitchProtocol, read_limit_for
from op25b_app.sync.read_back import ReadBack
from op25b_app.sync.reconcile import Comparison
from op25b_app.sync.resync_schedule import Disturbance, LookBudget, RepairBudget, audit_delay
from op25b_app.sync.ruleset import Ruleset
from op25b_app.sync.status import TRANSIENT, Job, Outcome, State, Status, SwitchEvent, is_converged
from op25b_app.sync.table_review import ChangeOver, Review, ReviewContext, change_over, review
from op25b_app.sync.transitions import Input, next_state
from op25b_app.sync.update_plan import UpdatePlan, plan_changes
from op25b_app.sync.words import contest_sentences, count, summary

ANSWER_SECONDS = 10.0
"""Seconds a switch has to answer, or to go on with an answer."""
MANY_COST = 5.0
"""Cost in the repair budget of one plan for several rules; the table is read again after each."""
SECONDS_PER_CHANGE = 0.01
"""Additional seconds for each change that is not confirmed yet."""
RETRY_SECONDS = 30.0
"""Seconds until a switch that is not as wanted is tried again."""
AUDIT_SECONDS = 300.0
"""Mean seconds between audits of a table that is as wanted; rules with time-outs are renewed then."""
RULES_AT_ONCE, BYTES_AT_ONCE = 2_000, 1 << 18
"""Most rules wanted, and most bytes read, for a comparison at once: some 30 ms. Larger ones are jobs."""
MAX_UNKNOWN = 300_000
"""Assumed number of rules of a policy that is not compiled for a switch yet."""
_READING = "reading its table"
ROUNDS = 8
"""Maximum number of plans in one cycle; it plans again where a table changed or did not take a plan.

A plan after new refusals is not counted.
"""


@dataclass
class _Table:
    """Knowledge of the switch's table, until its policy or its connection is another."""

    wanted: Ruleset | None = None
    marker: FlowRule | None = None
    """Marker on the switch, once its table is as wanted."""
    violations: Sequence[str] | None = None
    """Sentences on what is not as wanted; None until the table is read, and proven if it is as wanted."""
    losses: Sequence[str] = ()
    """Sentences on what the switch lacks although its table is as wanted."""
    settled: bool = False
    """True where the table was as wanted and only reports may say otherwise."""
    drift: Drift = field(default_factory=Drift)


class Cycle(NamedTuple):
    """The plans sent since the first reading of a cycle.

    ``rounds`` are plans that count against ROUNDS, ``refused`` is the number of refusals so far. A cycle that
    ``closes`` has a plan that blocks too much meanwhile, and the switch refused changes.
    """

    rounds: int = 0
    refused: int = 0
    closes: bool = False

    def after(self, plan: UpdatePlan, refused: int) -> Cycle:
        """Return the cycle with another plan, before which the switch has made ``refused`` refusals."""
        closes = self.closes or (plan.blocks_meanwhile and refused > 0)
        return Cycle(self.rounds + (refused == self.refused), refused, closes)


class Session:
    """The state of one switch, connected or not.

    Times are seconds since 1970 and never go back. Call :meth:`tick` at :attr:`due_at`. Slow work, such as
    compiling and proving, is returned as the job of an outcome; the session takes inputs meanwhile.
    """

    def __init__(self, dpid: int, now: float, audit_seconds: float = AUDIT_SECONDS) -> None:
        self.dpid = dpid
        self.desired: DesiredState | None = None
        self.status = Status(State.LOST, "never connected", now)
        self.revision: int | None = None
        """Revision of this switch's policy; None until it is known."""
        self._audit_seconds = audit_seconds
        self._audits = 0
        self._protocol: SwitchProtocol | None = None
        self._connected_at = self._armed_at = now
        self._wake_at = math.inf
        self._asked = now
        self._looks = LookBudget(now)
        self._took = 0.0
        """Seconds that the last read and comparison took, without sending and proving."""
        self._cycle = Cycle()
        self._disturbance = Disturbance.NONE
        self._capacity_asked_at = now
        self._table = _Table()
        self._last: tuple[DesiredState, FlowRule] | None = None
        """Desired state and marker that the switch last held completely."""
        self._has_held: Ruleset | None = None
        """Rules that the switch held completely over this connection: their places are op25b's."""
        self._budget = RepairBudget(now)
        self._awaited: object | None = None
        """Token of the job whose result is awaited."""
        self._before_check = self.status
        self._repaired = False
        """True where anything was repaired since the check began."""
        self._is_routine = False
        """True while rules of other lines are put in force: no event tells of that if all goes well."""
        self._read_back = ReadBack()
        self._confirmed = 0
        self._size = MAX_UNKNOWN
        """Number of rules that the policy wants, as far as known."""
        self._contest: list[str] = []
        """One sentence where several connections claim the datapath id, else empty."""
        self._shortcomings: Sequence[str] = ()
        """Why what is desired may not be what it should be, in words."""

    @property
    def name(self) -> str:
        """The switch's name in the policy, or its datapath id in hexadecimal."""
        return f"{self.dpid:#x}" if self.desired is None else self.desired.switch.name

    @property
    def openflow_version(self) -> str | None:
        """The OpenFlow version, such as ``1.3``; None while the switch is not connected."""
        return None if self._protocol is None else codec.VERSION_NAMES[self._protocol.version]

    def assign(self, desired: DesiredState | None, now: float) -> Outcome:
        """Take a new desired state, or None where the policy does not name the switch."""
        if self._protocol is not None and self._follows(desired):
            self.desired = desired
            if self._awaits_names:
                return self._await_names(self._protocol, Input.POLICY_UNREAD, now)
            reason = "the policy was put in force once more; reading and proving"
            if self._protocol.phase is Phase.IDLE and self._awaited is None:
                return self._begin(now, Input.POLICY_AGAIN, reason)
            return self._enter_state(Input.POLICY_AGAIN_BUSY, reason, now)
        before, removed = self.desired, self.desired is not None and desired is None
        same_policy = before is not None and desired is not None and before.digest == desired.digest
        self._is_routine = same_policy and is_converged(self.status.state)
        self._size = MAX_UNKNOWN
        self.desired = desired
        self.revision = None if desired is None else desired.revision
        held, protocol = self._held, self._protocol
        self._forget_table()
        if protocol is None:
            return Outcome()
        if desired is None:
            reason = "no longer in the policy; its rules stay as they are" if removed else ""
            chunks = protocol.leave() if removed else ()
            return self._stop_following(Input.UNNAMED, reason, now)._replace(chunks=chunks)
        if self._awaits_names:
            return self._await_names(protocol, Input.POLICY_UNREAD, now)
        if held is None:
            return self._reread(protocol, now)
        context = self._review_context(protocol, desired, now)
        job = self._start_job(partial(change_over, *held, context), partial(self._change_over, protocol))
        outcome = self._enter_state(Input.POLICY_KNOWN, "comparing its rules with a new policy", now)
        return outcome.before(job)

    @property
    def _awaits_names(self) -> bool:
        """True where names of ports are not resolved by the ports that the switch describes now."""
        if self._protocol is None or self.desired is None or self.desired.switch.resolution is None:
            return False
        names = self._protocol.features.names
        return names is None or names != self.desired.switch.resolution.described

    def _await_names(self, protocol: SwitchProtocol, given: Input, now: float) -> Outcome:
        """Leave the table as it is until the policy says what it wants of the ports that are there."""
        self._forget_table()
        self._go_idle(ANSWER_SECONDS, now)
        return self._enter_state(given, "waiting for the ports that the policy has by name", now)

    def _miss_names(self, protocol: SwitchProtocol, now: float) -> Outcome:
        """Go on waiting for names; the switch is at fault where it has not described its ports."""
        if protocol.features.names is not None:
            self._set_timer(ANSWER_SECONDS, now)
            return Outcome()
        what = "it does not describe its ports, which the policy has by name: let it connect again"
        return self.fail(what, now)

    def _follows(self, desired: DesiredState | None) -> bool:
        """Return whether this policy is in force: a new cycle would only forget reported changes."""
        before = self.desired
        if before is None or desired is None or not self._table.settled:
            return False
        return (before.digest, before.edition) == (desired.digest, desired.edition)

    def connected(self, features: SwitchFeatures, now: float) -> Outcome:
        """Take a new connection; read the table if the policy names the switch."""
        self._protocol, self._connected_at = SwitchProtocol(features), now
        self._has_held = None
        self._forget_table()
        if self.desired is None:
            return self._stop_following(Input.CONNECTED_UNNAMED, "", now)
        if self._awaits_names:
            return self._await_names(self._protocol, Input.CONNECTED, now)
        return self._begin(now, Input.CONNECTED, _READING)

    def disconnected(self, now: float, why: str = "connection closed") -> Outcome:
        """Take the end of the connection and its reason."""
        self._go_idle(math.inf, now)
        self._protocol = None
        return self._enter_state(Input.DISCONNECTED, why, now)

    def ports_changed(self, ports: frozenset[int], now: float, names: PortNumbers = frozenset()) -> Outcome:
        """Take all port numbers of the switch, and the names and numbers of its ports."""
        if self._protocol is None:
            return Outcome()
        before, awaited_names = self._protocol.features, self._awaits_names
        self._protocol.features = before._replace(ports=ports, names=names)
        if self._awaits_names:
            if not is_converged(self.status.state):
                return Outcome()
            return self._enter_state(Input.REPORTED, "its ports have changed: looking up their names", now)
        if awaited_names and self._protocol.phase is Phase.IDLE and self._awaited is None:
            return self._begin(now, Input.CONNECTED, _READING)
        if self._table.violations is None:
            return Outcome()
        if before.ports is None and self._protocol.phase is Phase.IDLE:
            self._schedule_next_look(self._table.violations, now)
        return self._assess(self._table.violations, now)

    def contested(self, addresses: Sequence[str], now: float) -> Outcome:
        """Take the addresses that claim the datapath id, the one in use first; none if only one does."""
        self._contest = contest_sentences(addresses)
        if self._protocol is None or self._table.violations is None:
            return Outcome()
        return self._assess(self._table.violations, now)

    def take_shortcomings(self, reasons: Sequence[str], now: float) -> Outcome:
        """Take why what is desired may not be what it should be, in words; none where it is."""
        if reasons == self._shortcomings:
            return Outcome()
        self._shortcomings = reasons
        if self._protocol is None or self._table.violations is None:
            return Outcome()
        return self._assess(self._table.violations, now)

    @property
    def due_at(self) -> float:
        """Time to call :meth:`tick`, in seconds since 1970; earlier where a table at rest was disturbed.

        It is infinity where nothing is due, and while a job is awaited.
        """
        if self._awaited is not None:
            return math.inf
        at_go_idle = self._protocol is not None and self._protocol.phase is Phase.IDLE
        if not self._disturbance or not at_go_idle or self.desired is None:
            return self._wake_at
        return min(self._wake_at, self._looks.next_at(self._disturbance))

    def ended(self, began: float, now: float) -> None:
        """Count the time from ``began`` to ``now`` in the last look if that ended at ``began``."""
        self._looks.extend(began, now)

    def tick(self, now: float) -> Outcome:
        """Give up on a missing answer, or start the next cycle, once due."""
        if now < self.due_at or self._protocol is None or self.desired is None:
            return Outcome()
        if self._awaits_names and self._protocol.phase is Phase.IDLE:
            return self._miss_names(self._protocol, now)
        if self._protocol.phase is Phase.IDLE:
            if now - self._capacity_asked_at >= self._audit_seconds and not self._disturbance:
                self._ask_capacity(self._protocol, now)
            return self._begin(now)
        reason = f"no answer for {now - self._armed_at:.0f} s while {self._protocol.phase.value}"
        self._protocol.give_up()
        return self.fail(reason, now)

    def fail(self, reason: str, now: float) -> Outcome:
        """Give up the work under way and try again later; do nothing without a connection or a policy."""
        if self._protocol is None or self.desired is None:
            return Outcome()
        self._table.violations = None
        self._looks.note(now - self._took, now)
        self._go_idle(RETRY_SECONDS, now)
        return self._enter_state(Input.FAILED, reason, now)

    def receive(self, message: bytes, now: float) -> Outcome:
        """Take a whole message of the switch, header included.

        A message for another receiver is ignored. One that breaks the format makes the switch degraded.
        """
        if self._protocol is None:
            return Outcome()
        try:
            outcome = self._take_reports(self._protocol, message, now)
            answer = self._protocol.receive(message)
        except ValueError as problem:
            return self.fail(str(problem), now)
        if answer.table is not None and self.desired is not None:
            return outcome.before(self._review(self._protocol, self.desired, answer.table, now))
        if answer.awaited:
            self._wait_for(self._protocol, now, asked=bool(answer.chunks))
        return outcome.before(Outcome(answer.chunks))

    def _review(
        self, protocol: SwitchProtocol, desired: DesiredState, parts: Sequence[bytes], now: float
    ) -> Outcome:
        """Compare a table that was read with the desired state, in a job unless that is quick."""
        at_once = self._is_quick(protocol, desired, sum(map(len, parts)))
        work = partial(review, parts, self._review_context(protocol, desired, now))
        then = partial(self._act_on_review, protocol, desired)
        return then(work(), now) if at_once else self._start_job(work, then)

    def _review_context(self, protocol: SwitchProtocol, desired: DesiredState, now: float) -> ReviewContext:
        return ReviewContext(
            desired,
            protocol.features.tables,
            protocol.limits,
            self._read_back.copy(),
            now,
            self._asked,
            None if self._table.wanted is None or self._table.wanted.timed else self._table.wanted,
            self.revision,
            self._last,
            self._has_held,
            self._cycle.rounds < ROUNDS,
        )

    def _is_quick(self, protocol: SwitchProtocol, desired: DesiredState, size: int) -> bool:
        prepared = desired.prepared(protocol.features.tables)
        if prepared is None or protocol.refused or protocol.known.usable.capacity:
            return False
        return size <= BYTES_AT_ONCE and len(prepared) <= RULES_AT_ONCE

    def _ask_capacity(self, protocol: SwitchProtocol, now: float) -> None:
        protocol.forget_capacity(reported=self.status.state is State.DEGRADED)
        self._capacity_asked_at = now

    def _reread(self, protocol: SwitchProtocol, now: float) -> Outcome:
        self._ask_capacity(protocol, now)
        return self._begin(now, Input.POLICY_UNREAD, "reading its table for a new policy")

    def _begin(self, now: float, given: Input | None = None, reason: str = "") -> Outcome:
        """Drop the work under way and start a cycle; without an input it is routine."""
        assert self._protocol is not None
        assert self.desired is not None
        self._start_cycle(rounds=0)
        prepared = self.desired.prepared(self._protocol.features.tables)
        wanted = self._size if prepared is None else len(prepared)
        self._protocol.bound = read_limit_for(max(wanted, self._confirmed))
        chunks = (self._protocol.begin(),)
        self._wait_for(self._protocol, now)
        if given is None:
            return Outcome(chunks)
        self._table.violations = None
        return self._enter_state(given, reason, now)._replace(chunks=chunks)

    def _act_on_review(
        self, protocol: SwitchProtocol, desired: DesiredState, reviewed: Review, now: float
    ) -> Outcome:
        """Send what a review of the table asks for, or conclude."""
        if reviewed.revision is not None:
            self.revision = reviewed.revision
        if reviewed.superseded or reviewed.violations:
            self._table.settled = False
        if reviewed.read_back is not None:
            self._read_back = reviewed.read_back
            protocol.delete_any_cookie(reviewed.any_cookie)
        if self._disturbance:
            self._read_back.forget_ineffective()
        if reviewed.problem:
            return self.fail(reviewed.problem, now)
        self._table.wanted = reviewed.wanted
        if reviewed.needs_capacity:
            chunks = (protocol.ask_capacity(),)
            self._wait_for(protocol, now)
            return Outcome(chunks)
        protocol.note_capacity(reviewed.capacity)
        self._table.losses = reviewed.losses
        self._size = len(reviewed.wanted or ())
        if reviewed.marker is not None:
            self._table.marker = reviewed.marker
        if reviewed.plan is not None:
            return self._carry_out(protocol, reviewed, now)
        return self._conclude(desired, reviewed, now)

    def _conclude(self, desired: DesiredState, reviewed: Review, now: float) -> Outcome:
        """Conclude a cycle with nothing more to send; prove the table first where it is as wanted."""
        assert self._table.wanted is not None
        if self._protocol is not None and (too_large := self._protocol.too_large):
            only_managed = (
                f"{too_large}: rules of op25b are repaired, but nothing is proven; delete other rules"
            )
            reviewed = reviewed._replace(violations=[*reviewed.violations, only_managed])
        self._confirmed, self._took = len(self._table.wanted), now - self._asked
        self._table.settled = not reviewed.violations
        if not self._table.settled:
            return self._end(reviewed.violations, now)
        assert self._table.marker is not None
        self._last, self._has_held = (desired, self._table.marker), self._table.wanted
        self._go_idle(math.inf, now)
        others = frozenset(reviewed.others)
        if desired.is_judged(self._table.wanted, others):
            return self._proven(desired.violation(self._table.wanted, others, reviewed.markers, now), now)
        work = partial(desired.violation, self._table.wanted, others, reviewed.markers, now)
        return self._start_job(work, self._proven, proves=True)

    def _proven(self, violation: str | None, now: float) -> Outcome:
        return self._end([violation] if violation else [], now)

    def _start_job(
        self, work: Callable[[], Any], then: Callable[[Any, float], Outcome], *, proves: bool = False
    ) -> Outcome:
        """Return a job for the work; its result is ignored once the session begins other work."""
        awaited = self._awaited = object()

        def go_on(take: Callable[[Any, float], Outcome], result: Any, now: float) -> Outcome:
            if self._awaited is not awaited:
                return Outcome()
            self._awaited = None
            return take(result, now)

        return Outcome(job=Job(work, partial(go_on, then), partial(go_on, self.fail), proves))

    def _start_cycle(self, *, rounds: int) -> None:
        """Start a cycle in which ``rounds`` plans are sent already."""
        self._awaited = None
        self._cycle = Cycle(rounds)

    def _end(self, violations: Sequence[str], now: float) -> Outcome:
        """End the cycle: report how the table is, and arm the next look."""
        self._table.violations = violations
        self._looks.note(now - self._took, now)
        self._audits += 1
        self._go_idle(math.inf, now)
        self._schedule_next_look(violations, now)
        return self._assess(violations, now)

    def _schedule_next_look(self, violations: Sequence[str], now: float) -> None:
        """Arm the next audit, or an earlier look where something is wrong or missing."""
        assert self._protocol is not None
        seconds = audit_delay(self._audit_seconds, self.dpid, self._audits)
        if (violations and not self._cycle.closes) or self._protocol.features.ports is None:
            seconds = RETRY_SECONDS
        if again_at := self._read_back.next_at(now):
            seconds = max(seconds, again_at - now)
        if self.desired is not None:  # other rules are wanted from the start of an exception on
            seconds = min(seconds, max(0.0, self.desired.next_start(self._asked) - now))
        self._set_timer(seconds, now)

    @property
    def _held(self) -> tuple[Ruleset, FlowRule] | None:
        """Rules and marker that the switch is known to hold; None where that is not certain."""
        protocol = self._protocol
        known = self._table.settled and self._table.violations is not None and not self._disturbance
        if protocol is None or self._table.wanted is None or self._table.marker is None or not known:
            return None
        if self._read_back.cuts_cookies:
            return None
        if protocol.phase is not Phase.IDLE or not protocol.known.usable.monitor:
            return None
        return self._table.wanted, self._table.marker

    def _change_over(self, protocol: SwitchProtocol, change: ChangeOver | None, now: float) -> Outcome:
        """Change to the next policy without reading the table first, where ``change`` allows that."""
        if change is None or self._disturbance:
            return self._reread(protocol, now)
        self.revision, self._table.marker = change.revision, change.marker
        self._start_cycle(rounds=1)
        self._table.wanted, self._table.violations = change.wanted, None
        protocol.renew()
        chunks = protocol.carry_out(change.plan)
        self._wait_for(protocol, now)
        if not change.plan.steps:
            return self._enter_state(
                Input.POLICY_EQUAL, "a new policy changes no rule here; reading and proving", now
            ).before(Outcome(chunks))
        self._repaired = True
        changes = count(sum(map(len, change.plan.steps)), "change")
        outcome = self._enter_state(Input.POLICY_SENT, f"sending {changes} for a new policy", now)
        return outcome.before(Outcome(chunks))

    def _carry_out(self, protocol: SwitchProtocol, reviewed: Review, now: float) -> Outcome:
        plan, comparison = reviewed.plan, reviewed.comparison
        assert plan is not None
        assert comparison is not None
        self._read_back.note_sent((*plan.steps, UpdateStep(plan.first)))
        self._cycle = self._cycle.after(plan, len(protocol.refused))
        chunks = protocol.carry_out(plan)
        self._wait_for(protocol, now)
        if not comparison.repairs:
            return Outcome(chunks)
        self._table.violations, self._repaired = None, True
        what = summary(comparison.differences)
        events = (_repair_event(comparison),) if self._table.settled else ()
        outcome = Outcome(chunks, events=events)
        sending = f"sending {count(len(comparison.repairs), 'change')}: {what}"
        return self._enter_state(Input.UPDATING, sending, now).before(outcome)

    def _assess(self, violations: Sequence[str], now: float) -> Outcome:
        """Enter the state that a compared table and the ports lead to."""
        assert self.desired is not None
        assert self._protocol is not None
        ports = self._protocol.features.ports
        if self._awaits_names:
            return self._enter_state(Input.DISTURBED, "looking up the names of its ports", now)
        switch = self.desired.switch
        of_ports = [*name_problems(switch), *strange_ports(switch, ports or ())]
        if reasons := [*self._contest, *violations, *of_ports, *self._shortcomings]:
            return self._enter_state(Input.VIOLATED, "; ".join(reasons), now)
        if self._disturbance:
            return self._enter_state(
                Input.DISTURBED, "its rules were changed again while its table was read", now
            )
        confirmed = "; ".join(
            (
                f"{count(self._confirmed, 'rule')} read back as wanted and proven",
                *self._table.losses,
                *local_port_notes(self.desired.switch, ports or ()),
            )
        )
        if ports is None and now < self._connected_at + RETRY_SECONDS:
            # Most switches do so a moment later; no report is needed then.
            self._enter_state(Input.PORTS_AWAITED, f"{confirmed}; it has not described its ports yet", now)
            return Outcome()
        if ports is None:
            remedy = "it does not describe its ports: let it connect again"
            return self._enter_state(Input.VIOLATED, f"{confirmed}; {remedy}", now)
        if self.desired.switch.mode is Mode.MONITOR:
            reason = f"{confirmed}; blocks are counted and let through"
            return self._enter_state(Input.PROVEN_MONITORING, reason, now)
        return self._enter_state(Input.PROVEN, confirmed, now)

    def _take_reports(self, protocol: SwitchProtocol, message: bytes, now: float) -> Outcome:
        """Take reported rule changes: send drifted rules again, and have the table read."""
        # During a plan the switch reports the plan's steps too; the table is read right after it.
        if self.desired is None or protocol.will_read:
            return Outcome()
        outcome = Outcome()
        for report in decode_rule_reports(message):
            if report.xid is not None and protocol.has_sent(report.xid):
                continue
            if supersedes(report, self._table.marker):
                self._table.settled = False
            disturbance = disturbance_of(report, self._table.wanted, self._table.marker)
            if not disturbance:
                continue
            self._disturbance = max(self._disturbance, disturbance)
            self._table.violations = None
            self._read_back.forget_ineffective()
            if next_state(self.status.state, Input.REPORTED) is not None:
                outcome = outcome.before(self._enter_state(Input.REPORTED, describe_report(report), now))
            if self._table.settled and self._table.wanted is not None and not report.ended:
                self._table.drift.note(report, self._table.wanted)
        return outcome.before(self._send_repairs(protocol, now)) if self._table.drift else outcome

    def _send_repairs(self, protocol: SwitchProtocol, now: float) -> Outcome:
        """Send drifted rules again within the repair budget; the next look repairs the rest."""
        drift, wanted = self._table.drift, self._table.wanted
        self._table.drift = Drift()
        if not self._table.settled or wanted is None or self._read_back.cuts_cookies:
            return Outcome()
        comparison = drift.comparison(wanted)
        repairs = comparison.repairs
        if not repairs or not self._budget.take(1.0 if len(repairs) == 1 else MANY_COST, now):
            return Outcome()
        events = (_repair_event(comparison),)
        self._repaired = True
        if len(repairs) == 1:
            with suppress(ValueError):
                return Outcome((protocol.interject(repairs[0]),), events=events)
            return Outcome()
        plan = plan_changes(repairs, drift.table(wanted), wanted, protocol.known.usable)
        self._start_cycle(rounds=1)
        protocol.renew()
        chunks = protocol.carry_out(plan)
        self._wait_for(protocol, now)
        return Outcome(chunks, events=events)

    def _stop_following(self, given: Input, reason: str, now: float) -> Outcome:
        self._go_idle(math.inf, now)
        self._table.violations = None
        remedy = f"not in the policy, left alone: to protect it, add a switch with dpid {self.dpid:#x}"
        return self._enter_state(given, reason or remedy, now)

    def _enter_state(self, given: Input, reason: str, now: float) -> Outcome:
        """Enter the state that follows on an input; the outcome has it if it or its reason is new."""
        before = self.status
        state = next_state(before.state, given)
        if state is None or (state, reason) == before[:2]:
            return Outcome()
        since = before.since if state is before.state else now
        is_quiet = self._is_routine and state in (*TRANSIENT, self._before_check.state)
        if is_quiet and state is self._before_check.state:
            since = self._before_check.since
        if state not in TRANSIENT:
            self._is_routine = False
        if state is State.CHECKING is not before.state:
            self._before_check, self._repaired = before, not is_converged(before.state)
        elif before.state is State.CHECKING and state is self._before_check.state and not self._repaired:
            since = self._before_check.since
        rules = self._confirmed if is_converged(state) else 0
        self.status = Status(state, reason, since, rules)
        return Outcome() if is_quiet else Outcome(new_status=self.status)

    def _forget_table(self) -> None:
        self._awaited, self._table = None, _Table()

    def _go_idle(self, seconds: float, now: float) -> None:
        self._awaited = None
        if self._protocol is not None:
            self._protocol.rest()
        self._set_timer(seconds, now)

    def _wait_for(self, protocol: SwitchProtocol, now: float, *, asked: bool = True) -> None:
        """Give the switch the time it may need for what it is asked now, or goes on to answer."""
        if asked and protocol.phase is Phase.READING:
            self._asked, self._disturbance = now, Disturbance.NONE
        self._set_timer(ANSWER_SECONDS + SECONDS_PER_CHANGE * protocol.pending, now)

    def _set_timer(self, seconds: float, now: float) -> None:
        self._armed_at, self._wake_at = now, now + seconds


def _repair_event(comparison: Comparison) -> SwitchEvent:
    return SwitchEvent("repair", f"put right: {summary(comparison.differences)}")
