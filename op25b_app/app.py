"""The Ryu application: events go in, messages go out; each switch's session decides.

Each switch has a green thread that feeds its session and one that sends, so a switch that is slow, or large,
holds up neither the event loop nor another switch.
"""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from ryu.base import app_manager
from ryu.controller import ofp_event
from ryu.controller.handler import (
    CONFIG_DISPATCHER,
    DEAD_DISPATCHER,
    HANDSHAKE_DISPATCHER,
    MAIN_DISPATCHER,
    set_ev_cls,
)
from ryu.lib import hub

from op25b_app import backlog, settings, signals
from op25b_app.operate.background import in_background
from op25b_app.operate.clock import Clock
from op25b_app.operate.control import ControlEndpoint, Query, SocketUnavailableError
from op25b_app.operate.events import Journal
from op25b_app.operate.expectations import access, expectations, versions
from op25b_app.operate.file_change import Changes, look_at
from op25b_app.operate.in_force import Examined
from op25b_app.operate.loop_lag import LoopLag
from op25b_app.operate.policies import Policies, PolicyRefusedError
from op25b_app.operate.policy_store import PolicyStore
from op25b_app.operate.report import reload_report, status_report
from op25b_app.policy.model import Switch
from op25b_app.switch import codec
from op25b_app.switch.assignment import Assignment, Assignments
from op25b_app.switch.exchange import is_answer, is_news
from op25b_app.switch.session import AS_WANTED, Connection, Outcome, Session, State
from op25b_app.unread import leave_unread, why_ended

INBOX = 256
"""Events that may wait for one switch's session; then its part of Ryu waits."""
MOST_SECONDS = 5.0
"""How long a switch's thread sleeps at most; a clock that was set forward is noticed then."""
MOST_NAMES = 20
LOOK_SECONDS = 2.0
"""How often the policy's files are looked at, where that is wanted."""
HELLO_SECONDS = 60.0
"""How often one address is told that its OpenFlow version will not do."""

CALM = {*AS_WANTED, State.CONNECTING, State.INSTALLING}

Step = Callable[[Session, float], Outcome]
"""Gives a session an input, at a time in seconds since 1970."""

log = logging.getLogger("op25b")
_clock = Clock()


class Op25b(app_manager.RyuApp):
    """Keeps the switches of a policy as the policy says."""

    OFP_VERSIONS = codec.SUPPORTED_VERSIONS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._path = settings.policy_path()
        self._journal = Journal(_now())
        self._loop_lag = LoopLag()
        self._policies = self._read_policies()
        self._switches: dict[int, _Switch] = {}
        self._tables: dict[Any, int] = {}
        self._hellos: dict[str, float] = {}
        self._reloading = hub.Semaphore()
        self._generation = 0
        self._assignments: Assignments | None = None
        self._control: ControlEndpoint | None = None
        leave_unread(self._take)
        backlog.widen()

    def start(self) -> None:
        super().start()
        signals.install(self.reload)
        hub.spawn(self._loop_lag.watch, hub.sleep, time.monotonic)
        self._put_in_force()
        if settings.reload_on_change():
            hub.spawn(self._reload_on_change)
        routes = {
            ("GET", "/status"): self._answer_status,
            ("GET", "/events"): self._answer_events,
            ("GET", "/doctor"): self._answer_doctor,
            ("POST", "/reload"): self._answer_reload,
        }
        try:
            self._control = ControlEndpoint(settings.socket_path(), routes)
        except SocketUnavailableError as error:
            log.warning("%s: going on without 'op25b status' and 'op25b reload'", error)
        assert self._assignments is not None
        in_background(_prepare, self._assignments, self._policies.in_force.policy.switches.values())
        # What is here now stays: the collector of cyclic garbage, which halts the loop, need not walk it.
        gc.collect()
        gc.freeze()

    def close(self) -> None:
        if self._control is not None:
            self._control.close()

    def reload(
        self, *, yes: bool = False, unless_same: bool = False, with_effect: bool = False
    ) -> tuple[Examined, bool]:
        """Read the policy again and put it in force, or leave the one in force if it is refused.

        With ``yes`` it may stop blocking where it blocked; ``unless_same`` leaves alone what is in force
        already; ``with_effect`` works out, before, what changes. Tells whether it is in force now.
        """
        with self._reloading:
            examined, applied = self._policies.reload(
                _now(), yes=yes, unless_same=unless_same, with_effect=with_effect
            )
            if applied:
                self._put_in_force()
            return examined, applied

    @set_ev_cls(ofp_event.EventOFPHello, HANDSHAKE_DISPATCHER)
    def hello(self, event: Any) -> None:
        """Tell, now and then, of a switch whose OpenFlow is too old to go on."""
        message, host, now = event.msg, event.msg.datapath.address[0], time.monotonic()
        bitmaps = getattr(message, "elements", None) or ()
        newest = max((version for bitmap in bitmaps for version in bitmap.versions), default=message.version)
        self._hellos = {each: until for each, until in self._hellos.items() if now < until}
        if newest >= min(self.OFP_VERSIONS) or host in self._hellos:
            return
        self._hellos[host] = now + HELLO_SECONDS
        log.error(
            "a switch at %s speaks only OpenFlow %s and stays unprotected: let it speak 1.3 or later, "
            "on Open vSwitch with 'ovs-vsctl set bridge BRIDGE protocols=OpenFlow13'",
            host,
            codec.VERSION_NAMES.get(newest, newest),
        )

    @set_ev_cls(ofp_event.EventOFPSwitchFeatures, CONFIG_DISPATCHER)
    def features(self, event: Any) -> None:
        self._tables[event.msg.datapath] = event.msg.n_tables

    @set_ev_cls(ofp_event.EventOFPStateChange, [MAIN_DISPATCHER, DEAD_DISPATCHER])
    def state_change(self, event: Any) -> None:
        datapath = event.datapath
        tables = self._tables.pop(datapath, 0)
        if event.state == MAIN_DISPATCHER:
            connection = Connection(datapath.ofproto.OFP_VERSION, tables, frozenset(datapath.ports))
            self._switch_of(datapath.id).connect(datapath, connection)
        elif switch := self._switches.get(datapath.id):
            switch.disconnect(datapath)

    @set_ev_cls(ofp_event.EventOFPPortStateChange, MAIN_DISPATCHER)
    def port_state_change(self, event: Any) -> None:
        ports = frozenset(event.datapath.ports)
        self._post(event.datapath, lambda session, now: session.ports_changed(ports, now))

    def _take(self, datapath: Any, message: bytes) -> bool:
        """Hand a session what it reads by itself, where the message comes in."""
        answer = is_answer(message)
        if datapath.id not in self._switches or not (answer or is_news(message)):
            return False
        self._post(
            datapath,
            lambda session, now: session.receive(message, now),
            large=codec.is_flow_stats_reply(message) and not codec.has_more(message),
        )
        return answer

    def _read_policies(self) -> Policies:
        store = PolicyStore(settings.state_directory())
        try:
            return Policies(self._path, store, self._tell, _now(), yes=settings.may_stop_blocking())
        except PolicyRefusedError:
            raise SystemExit(1) from None

    def _tell(self, level: int, kind: str, text: str) -> None:
        log.log(level, "%s", text)
        self._journal.record(_now(), None, kind, text)

    def _reload_on_change(self) -> None:
        changes = Changes()
        while True:
            hub.sleep(LOOK_SECONDS)
            try:
                if changes.settled(in_background(look_at, self._policies.named)):
                    self.reload(unless_same=True)
            except Exception:
                log.exception("reload failed")

    def _post(self, datapath: Any, step: Step, *, large: bool = False) -> None:
        if switch := self._switches.get(datapath.id):
            switch.post(step, datapath, large=large)

    def _put_in_force(self) -> None:
        """Tell every switch, known or not, what the policy says of it."""
        in_force = self._policies.in_force
        policy = in_force.policy
        names = [*policy.switches][:MOST_NAMES]
        more = f" and {len(policy.switches) - MOST_NAMES} more" if len(policy.switches) > MOST_NAMES else ""
        text = f"policy {self._path} (sha256 {in_force.digest:.12}) in force for {', '.join(names)}{more}"
        self._generation += 1
        self._assignments = in_background(Assignments, policy, in_force.digest, self._assignments)
        self._tell(logging.INFO, "policy", text)
        for switch in policy.switches.values():
            self._switch_of(switch.dpid).assign(self._assignments.of(switch), self._generation)
        for dpid, known in [*self._switches.items()]:
            if policy.switch_of_dpid(dpid) is None:
                known.assign(None, self._generation)

    def _switch_of(self, dpid: int) -> _Switch:
        if dpid not in self._switches:
            self._switches[dpid] = _Switch(dpid, self._journal, self._forget)
        return self._switches[dpid]

    def _forget(self, dpid: int) -> None:
        del self._switches[dpid]

    def _answer_status(self, query: Query) -> tuple[str, dict[str, Any]]:
        sessions = {dpid: switch.session for dpid, switch in self._switches.items()}
        current = [dpid for dpid, switch in self._switches.items() if switch.generation == self._generation]
        report = status_report(self._path, self._policies.in_force, sessions, current)
        return "200 OK", {**report, "event_loop": self._loop_lag.report()}

    def _answer_events(self, query: Query) -> tuple[str, dict[str, Any]]:
        return "200 OK", self._journal.report(int(query.get("after", "0")))

    def _answer_doctor(self, query: Query) -> tuple[str, dict[str, Any]]:
        """With the datapath ids whose tables are of interest, as ``dpids=1,2``."""
        dpids = {int(dpid) for dpid in query.get("dpids", "").split(",") if dpid}
        web = "wsgi" in app_manager.AppManager.get_instance().contexts
        switches = in_background(expectations, self._policies.in_force.policy, dpids, _now())
        return "200 OK", {"versions": versions(), "access": access(self.CONF, web=web), "switches": switches}

    def _answer_reload(self, query: Query) -> tuple[str, dict[str, Any]]:
        """With ``yes=1`` the policy may stop blocking; with ``dry_run=1`` it is examined only.

        With ``effect=0`` nobody waits for what changes to be worked out first.
        """
        yes = query.get("yes") == "1"
        if query.get("dry_run") == "1":
            with self._reloading:
                return reload_report(in_background(self._policies.examine, _now()), self._path, yes=yes)
        examined, applied = self.reload(yes=yes, with_effect=query.get("effect") != "0")
        return reload_report(examined, self._path, yes=yes, applied=applied)


class _Switch:
    """One switch: its session, the green thread that feeds it, and the connection in use."""

    def __init__(self, dpid: int, journal: Journal, forget: Callable[[int], None]) -> None:
        self.session = Session(dpid, _now(), settings.audit_seconds())
        self.generation = 0
        """Which of the policies that have been put in force the session follows."""
        self._journal = journal
        self._forget = forget
        self._inbox = hub.Queue(INBOX)
        self._datapath: Any = None
        self._outbox: Any = None
        self._sender: Any = None
        hub.spawn(self._work)

    def post(self, step: Step, datapath: Any = None, *, large: bool = False) -> None:
        """Have the session take a step; one of a connection that is no longer in use counts for nothing.

        A large step runs in the background.
        """
        self._inbox.put((step, datapath, large))

    def assign(self, assignment: Assignment | None, generation: int) -> None:
        def step(session: Session, now: float) -> Outcome:
            self.generation = generation
            return session.assign(assignment, now)

        self.post(step, large=True)

    def connect(self, datapath: Any, connection: Connection) -> None:
        def step(session: Session, now: float) -> Outcome:
            self._use(datapath)
            return session.connected(connection, now)

        self.post(step)

    def disconnect(self, datapath: Any) -> None:
        def step(session: Session, now: float) -> Outcome:
            self._use(None)
            return session.disconnected(now, why_ended(datapath))

        self.post(step, datapath)

    def _work(self) -> None:
        while not self._forgotten():
            if not (patience := self.session.seconds_until_due(_now())):
                self._take(Session.tick)
                continue
            # No name is kept for a step here: it may hold a part of a table.
            with suppress(hub.QueueEmpty):
                self._take_from(*self._inbox.get(timeout=min(patience, MOST_SECONDS)))

    def _take_from(self, step: Step, datapath: Any, large: bool) -> None:
        if datapath is None or datapath is self._datapath:
            self._take(step, large=large)

    def _take(self, step: Step, *, large: bool = False) -> None:
        def take() -> Outcome:
            began = _now()
            outcome = step(self.session, began)
            self.session.ended(began, _now())
            return outcome

        try:
            outcome = in_background(take) if large else take()
        except Exception:
            log.exception("%s: internal error", self)
            outcome = self.session.fail("internal error of op25b; its log says more", _now())
        if outcome.turned is not None:
            level = logging.INFO if outcome.turned.state in CALM else logging.WARNING
            text = f"{outcome.turned.state.value}: {outcome.turned.reason}"
            log.log(level, "%s: %s", self, text)
            self._journal.record(outcome.turned.since, self.session.name, "state", text)
        for event in outcome.events:
            log.warning("%s: %s", self, event.text)
            self._journal.record(_now(), self.session.name, event.kind, event.text)
        for piece in outcome.pieces:
            self._outbox.put(piece)

    def _forgotten(self) -> bool:
        """A switch that is neither connected nor in the policy is not kept."""
        if self._datapath is not None or self.session.assignment is not None or not self._inbox.empty():
            return False
        self._forget(self.session.dpid)
        return True

    def _use(self, datapath: Any) -> None:
        """Speak over this connection from now on, or over none."""
        if self._sender is not None:
            hub.kill(self._sender)
        if datapath is not None and self._datapath is not None:
            log.warning(
                "%s: connected from %s, while the connection from %s is open: closing that; "
                "do two switches have this datapath id?",
                self,
                *(each.address[0] for each in (datapath, self._datapath)),
            )
            self._datapath.close()
        self._datapath = datapath
        # What waits here is at most one plan: a session sends the next only after an answer.
        self._outbox = hub.Queue()
        self._sender = datapath and hub.spawn(_send, datapath, self._outbox)

    def __str__(self) -> str:
        dpid = f"dpid {self.session.dpid:#x}"
        return dpid if self.session.assignment is None else f"{self.session.name} ({dpid})"


def _prepare(assignments: Assignments, switches: Iterable[Switch]) -> None:
    for switch in switches:
        # A mistake of ours is its session's to tell, as soon as that asks for the same.
        with suppress(Exception):
            assignments.prepare(switch, _now())


def _send(datapath: Any, outbox: Any) -> None:
    """Send what comes; Ryu stops sending when a switch does not read, and then the connection must end."""
    while datapath.send(outbox.get()):
        hub.sleep(0)
    datapath.close()


def _now() -> float:
    return _clock.now(time.time(), time.monotonic())
