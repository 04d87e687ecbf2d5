"""Ryu application: pass Ryu's events to the known switches, and the policy in force to all of them."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from functools import partial
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

from op25b_app.controller import log_writer, ryu_patches, settings, signals
from op25b_app.controller.claim_tracker import ClaimTracker
from op25b_app.controller.connection import Connection, address_text, set_handshake_limit
from op25b_app.controller.control_server import ControlServer, Routes, SocketUnavailableError
from op25b_app.controller.dhcp_watcher import DhcpWatcher
from op25b_app.controller.file_threads import in_file_thread
from op25b_app.controller.line_watcher import LineWatcher, Shortcomings
from op25b_app.controller.listening import open_as_many_files_as_allowed
from op25b_app.controller.serial_executor import EXAMINING, PROVING, in_background
from op25b_app.controller.switch_registry import SwitchRegistry
from op25b_app.controller.switch_runner import SwitchRunner
from op25b_app.lines.dhcp_snooping import SOURCE as SNOOPING
from op25b_app.openflow import codec
from op25b_app.openflow.features import decode_features
from op25b_app.openflow.packet_in import is_own_packet_in
from op25b_app.operate.candidate import Candidate
from op25b_app.operate.clock import Clock
from op25b_app.operate.events import Journal
from op25b_app.operate.exception_ends import ended_exceptions, next_change, started_exceptions
from op25b_app.operate.expectations import access, expectations, versions
from op25b_app.operate.file_change import ChangeDetector, snapshot_of
from op25b_app.operate.known_ports import KnownPorts
from op25b_app.operate.line_store import LineStore, line_store_path
from op25b_app.operate.loop_lag import LoopLag
from op25b_app.operate.old_versions import OldVersions
from op25b_app.operate.policy_files import NoAnswerError, read_kept
from op25b_app.operate.policy_manager import PolicyManager, PolicyRefusedError
from op25b_app.operate.policy_store import PolicyStore, StoreError
from op25b_app.operate.query import Query
from op25b_app.operate.report import reload_report, status_report
from op25b_app.operate.turns import ConnectionClass, class_of
from op25b_app.policy.diagnostic import names_in_words
from op25b_app.policy.facts import Facts, after_change, are_felt_elsewhere, in_effect
from op25b_app.policy.model import Policy, Switch
from op25b_app.sync.certificate_check import refusal
from op25b_app.sync.desired_state import DesiredStates
from op25b_app.sync.ports import port_numbers, ports_without_link, present_ports
from op25b_app.sync.protocol import SwitchFeatures, is_reply, is_report
from op25b_app.sync.status import TRANSIENT

LOOK_SECONDS = 2.0
"""Seconds between looks at the policy's files, where wanted, and at the clock for ended exceptions."""

SETTLE_SECONDS = 10.0
"""Seconds for which an answer waits at most for switches to be as wanted."""
SETTLE_LOOK_SECONDS = 0.002

log = logging.getLogger("op25b")
_clock = Clock()


class Application(app_manager.RyuApp):
    """Keeps the switches of a policy in their desired state."""

    OFP_VERSIONS = codec.SUPPORTED_VERSIONS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        log_writer.write_in_thread()
        settings.check()
        self._path = settings.policy_path()
        self._journal = Journal(_now())
        self._loop_lag = LoopLag()
        self._known_ports = KnownPorts()
        self._lines = LineWatcher(
            LineStore(line_store_path(settings.state_directory(), self._path)),
            self._put_facts_in_force,
            self._tell_shortcomings,
            self._report_event,
            _now,
        )
        self._policies = self._read_policies()
        # Cyclic garbage collection halts the event loop: exclude the objects that stay.
        gc.collect()
        gc.freeze()
        self._switches = SwitchRegistry(self._journal, settings.audit_seconds(), _now)
        self._claims = ClaimTracker(self._contest)
        self._connected: dict[Any, SwitchRunner] = {}
        """Known switch by connection, once that is in use."""
        self._old_versions = OldVersions()
        self._reloading, self._assigning = hub.Semaphore(), hub.Semaphore()
        self._generation = 0
        self._desired_states: DesiredStates | None = None
        self._written = self._policies.in_force.policy
        """The policy whose desired states the switches follow, as it is written."""
        self._policy = in_effect(self._written, Facts())
        """The same in effect: with what is known of lines and ports."""
        self._changed_ports: set[str] = set()
        """Switches whose ports by name are to be looked up again."""
        self._ports_changed = hub.Event()
        self._dhcp = DhcpWatcher(
            self._lines.hear, self._put_facts_in_force, self._report_event, lambda: self._policy, _now
        )
        self._control: ControlServer | None = None
        open_as_many_files_as_allowed()
        ryu_patches.tap_messages(self._on_message, self._await_turn, Connection.charge)
        ryu_patches.limit_connections()
        ryu_patches.listen_for_many()
        ryu_patches.format_hardware_addresses()
        ryu_patches.serve_few_in_a_row()

    def start(self) -> None:
        """Put the policy in force; start the control server and the green threads."""
        super().start()
        signals.install(self.reload)
        hub.spawn(self._loop_lag.watch, hub.sleep, time.monotonic)
        hub.spawn(self._report_exceptions)
        with self._reloading:
            self._put_in_force()
        if settings.reload_on_change():
            hub.spawn(self._reload_on_change)
        routes: Routes = {
            ("GET", "/status"): (self._answer_status, ()),
            ("GET", "/events"): (self._answer_events, ("after",)),
            ("GET", "/doctor"): (self._answer_doctor, ("dpids",)),
            ("GET", "/v1/lines"): (self._answer_lines, ("switch", "address", "at")),
            ("PUT", "/v1/lines"): (self._answer_put_lines, ("wait",)),
            ("POST", "/reload"): (self._answer_reload, ("yes", "dry_run", "effect")),
        }
        try:
            self._control = ControlServer(settings.socket_path(), routes)
        except SocketUnavailableError as error:
            log.warning("%s: going on without 'op25b status' and 'op25b reload'", error)
        assert self._desired_states is not None
        in_background(_prepare, self._desired_states, self._policy.switches.values())
        # Freeze without collecting: that would delay connecting switches, and little of this is garbage.
        gc.freeze()
        hub.spawn(self._prove_ahead, self._desired_states)
        self._lines.start()
        hub.spawn(self._follow_ports)
        self._dhcp.start()

    def close(self) -> None:
        """Close the control server."""
        if self._control is not None:
            self._control.close()

    def reload(
        self, *, yes: bool = False, unless_same: bool = False, with_effect: bool = False
    ) -> tuple[Candidate, bool]:
        """Read the policy again and put it in force, unless it is refused.

        Returns the candidate, and whether it was put in force. With ``yes`` it may cut off lines, stop
        blocking, or open more. With ``unless_same`` an unchanged policy is left alone. With ``with_effect``
        the changes are computed first.
        """
        with self._reloading:
            candidate, applied = self._policies.reload(
                _now(), yes=yes, unless_same=unless_same, with_effect=with_effect
            )
            if applied:
                self._put_in_force(candidate.headline)
            return candidate, applied

    @set_ev_cls(ofp_event.EventOFPHello, HANDSHAKE_DISPATCHER)
    def hello(self, event: Any) -> None:
        """Log a switch whose OpenFlow version is too old."""
        message, host = event.msg, event.msg.datapath.address[0]
        bitmaps = getattr(message, "elements", None) or ()
        spoken = [version for bitmap in bitmaps for version in bitmap.versions] or [message.version]
        if version := self._old_versions.too_old(host, spoken, time.monotonic()):
            log.error(
                "a switch at %s speaks only OpenFlow %s and stays unprotected: let it speak 1.3 or later, "
                "on Open vSwitch with 'ovs-vsctl set bridge BRIDGE protocols=OpenFlow13'",
                host,
                version,
            )

    @set_ev_cls(ofp_event.EventOFPStateChange, [MAIN_DISPATCHER, DEAD_DISPATCHER])
    def state_change(self, event: Any) -> None:
        """Pass the ports of a ready connection, or its end, to its switch."""
        if event.state == MAIN_DISPATCHER:
            self._pass_ports(event.datapath)
        elif switch := self._connected.pop(event.datapath, None):
            switch.disconnect(event.datapath)
            if self._policies.in_force.policy.switch_of_dpid(switch.session.dpid) is None:
                self._known_ports.forget(switch.session.dpid)

    @set_ev_cls(ofp_event.EventOFPPortStateChange, MAIN_DISPATCHER)
    def port_state_change(self, event: Any) -> None:
        """Pass the changed ports of a connection to its switch."""
        self._pass_ports(event.datapath)

    def _pass_ports(self, datapath: Any) -> None:
        switch, written = self._connected.get(datapath), self._policies.in_force.policy
        if switch is None:
            return
        dpid, described = switch.session.dpid, [*datapath.ports.values()]
        names = port_numbers(described)
        switch.ports_changed(present_ports(described), names, datapath)
        self._dhcp.links_changed(dpid, ports_without_link(described))
        named = written.switch_of_dpid(dpid)
        if self._known_ports.note(dpid, names) and named and named.name in written.switches_by_port_name:
            self._changed_ports.add(named.name)
            self._ports_changed.set()

    def _follow_ports(self) -> None:
        """Look up names of ports again where switches have described others."""
        while True:
            self._ports_changed.wait()
            self._ports_changed.clear()
            changed = [*self._changed_ports]
            self._changed_ports.clear()
            try:
                self._put_facts_in_force(changed)
            except Exception:
                log.exception("internal error in looking up names of ports")
                self._changed_ports.update(changed)
                self._ports_changed.set()
                hub.sleep(LOOK_SECONDS)

    def _begin(self, datapath: Connection, message: bytes) -> bool:
        """Begin a session at the features reply: its requests then go before Ryu's slower one for ports.

        Returns whether to withhold the reply from Ryu, as for a connection that is not in use.
        """
        if datapath.state != CONFIG_DISPATCHER or not (features := decode_features(message)):
            return False
        if self._refuses(datapath, features.dpid) or not self._claims.claim(datapath, features):
            return True
        switch = self._connected[datapath] = self._switches.make_known(features.dpid)
        switch.connect(datapath, SwitchFeatures(datapath.ofproto.OFP_VERSION, features.tables))
        return False

    def _refuses(self, datapath: Connection, dpid: int) -> bool:
        """Close a connection whose certificate is not that of the switch that it claims to be."""
        switch = self._policies.in_force.policy.switch_of_dpid(dpid)
        if switch is None or not (why := refusal(switch, datapath.certificate)):
            return False
        self._journal.record(
            _now(), switch.name, "certificate", f"{address_text(*datapath.address[:2])} {why}"
        )
        datapath.refuse(why)
        return True

    def _contest(self, dpid: int, rivals: tuple[Connection, ...]) -> None:
        self._switches.make_known(dpid).contest([address_text(*rival.address[:2]) for rival in rivals])

    def _await_turn(self, datapath: Connection) -> None:
        """Note a message as a sign of life, and wait for the turn of its connection's class."""
        self._claims.note_message(datapath)
        datapath.await_turn(self._class_of(datapath))

    def _class_of(self, datapath: Connection) -> ConnectionClass:
        if switch := self._connected.get(datapath):
            return class_of(in_use=True, in_policy=switch.session.desired is not None)
        dpid = self._claims.claimed_by(datapath)
        is_named = dpid is not None and self._policies.in_force.policy.switch_of_dpid(dpid) is not None
        return class_of(in_use=False, in_policy=is_named)

    def _on_message(self, datapath: Connection, message: bytes) -> bool:
        """Hand a message to its session; return whether to withhold it from Ryu."""
        switch, answer = self._connected.get(datapath), is_reply(message)
        datapath.is_answer = answer
        datapath.is_copy = is_own_packet_in(message)
        if not datapath.accepts(message):
            return True
        if switch is None:
            return self._begin(datapath, message)
        if datapath.is_copy:
            self._dhcp.take(switch.session.dpid, message)
            return True
        if not (answer or is_report(message)):
            return False
        switch.on_message(message, datapath)
        return answer

    def _read_policies(self) -> PolicyManager:
        store = PolicyStore(settings.state_directory(), partial(read_kept, in_file_thread=in_file_thread))
        try:
            return PolicyManager(
                self._path,
                store,
                self._report_event,
                _now(),
                work=EXAMINING.do,
                in_file_thread=in_file_thread,
                facts_of=self._facts_of,
                yes=settings.may_stop_blocking(),
            )
        except PolicyRefusedError:
            raise SystemExit(1) from None

    def _facts_of(self, policy: Policy) -> Facts:
        """Return what is known of a policy's lines and ports; where it learns none, no line is known.

        A copy, since another thread reads it.
        """
        learned = {} if policy.lines is None else {**self._lines.bindings}
        return Facts(learned, self._known_ports.of(policy))

    def _report_event(self, level: int, kind: str, text: str, more: str = "") -> None:
        """Log a text, and record it as an event together with ``more``, which is logged already."""
        log.log(level, "%s", text)
        self._journal.record(_now(), None, kind, f"{text}{more}")

    def _report_exceptions(self) -> None:
        """Report exceptions that start and end; the sessions put their rules on the switches."""
        seen = _now()
        while True:
            change = next_change(self._policy, seen)
            hub.sleep(LOOK_SECONDS if change is None else min(max(change - seen, 0.0), LOOK_SECONDS))
            before, seen = seen, _now()
            policy = self._policy
            for texts in (started_exceptions, ended_exceptions):
                for text in texts(policy, before, seen):
                    self._report_event(logging.INFO, "exception", text)

    def _reload_on_change(self) -> None:
        detector, answers = ChangeDetector(), True
        while True:
            hub.sleep(LOOK_SECONDS)
            try:
                snapshot = in_file_thread("look at", self._path, snapshot_of, self._policies.named)
                answers = True
                if detector.settled(snapshot, time.monotonic()):
                    self.reload(unless_same=True)
            except NoAnswerError as error:
                if answers:
                    log.warning("cannot see whether files of the policy change: %s", error.strerror)
                answers = False
            except Exception:
                log.exception("reload failed")

    def _prove_ahead(self, desired_states: DesiredStates) -> None:
        """Prove the desired state of each switch after the start, until another policy is in force."""
        for switch in self._policy.switches.values():
            if desired_states is not self._desired_states:
                return
            PROVING.do(_spared, desired_states.prove_ahead, switch)

    def _put_in_force(self, headline: str = "") -> None:
        """Assign the policy in force to its switches, and none to other known switches.

        ``headline`` says what becomes of the lines, where there was a policy before.
        """
        with self._assigning:
            self._assign_in_force(headline)

    def _assign_in_force(self, headline: str) -> None:
        in_force = self._policies.in_force
        names = names_in_words([*in_force.policy.switches])
        text = f"policy {self._path} (sha256 {in_force.digest:.12}) in force for {names}"
        if headline:
            text += f"; {headline}"
        self._generation += 1
        set_handshake_limit(len(in_force.policy.switches))
        is_new = self._desired_states is None or self._desired_states.digest != in_force.digest
        learned = self._lines.follow(in_force.policy)
        if is_new:
            self._known_ports.keep_only(
                {switch.dpid for switch in in_force.policy.switches.values()}
                | {known.session.dpid for known in self._connected.values()}
            )
            self._written = in_force.policy
            policy = self._policy = in_background(in_effect, self._written, self._facts())
            self._desired_states = in_background(DesiredStates, policy, in_force.digest, self._desired_states)
        elif learned:
            self._follow_facts(learned)
        assert self._desired_states is not None
        self._dhcp.follow(self._lines.claims_of(SNOOPING))
        self._report_event(logging.INFO, "policy", text)
        for switch in self._policy.switches.values():
            known = self._switches.make_known(switch.dpid)
            known.assign(self._desired_states.of(switch), self._generation)
            known.take_shortcomings(self._lines.shortcomings.get(switch.name, ()))
            hub.sleep(0)
        for datapath, known in [*self._connected.items()]:
            self._refuses(datapath, known.session.dpid)
        for known in self._switches:
            if self._policy.switch_of_dpid(known.session.dpid) is None:
                known.assign(None, self._generation)

    def _facts(self) -> Facts:
        return self._facts_of(self._written)._replace(muted=self._dhcp.muted)

    def _put_facts_in_force(self, changed: Iterable[str]) -> None:
        """Assign what is known of lines and ports to the switches that feel it; ``changed`` are names."""
        with self._assigning:
            concerned = self._follow_facts(changed)
            assert self._desired_states is not None
            for name in concerned:
                switch = self._policy.switches[name]
                known = self._switches.make_known(switch.dpid)
                known.assign(self._desired_states.of(switch), self._generation)

    def _follow_facts(self, changed: Iterable[str]) -> Collection[str]:
        """Change the policy in effect by facts about switches; return the switches that may feel it."""
        assert self._desired_states is not None
        before = self._policy
        changed = [name for name in changed if name in before.switches]
        work = before, self._facts(), self._written, changed
        # Resolving names takes long for many switches at once; learned lines alone do not.
        is_long = bool(self._written.switches_by_port_name)
        policy = in_background(after_change, *work) if is_long else after_change(*work)
        self._policy = policy
        if are_felt_elsewhere(before, policy, changed):
            digest = self._desired_states.digest
            self._desired_states = in_background(DesiredStates, policy, digest, self._desired_states)
            return policy.switches.keys()
        in_background(self._desired_states.change_lines, policy)
        return changed

    def _tell_shortcomings(self, shortcomings: Shortcomings) -> None:
        for switch in self._policy.switches.values():
            known = self._switches.make_known(switch.dpid)
            known.take_shortcomings(shortcomings.get(switch.name, ()))

    def _answer_status(self, query: Query) -> tuple[str, dict[str, Any]]:
        return "200 OK", {**self._status(), "event_loop": self._loop_lag.report()}

    def _status(self) -> dict[str, Any]:
        sessions = {switch.session.dpid: switch.session for switch in self._switches}
        current = [each.session.dpid for each in self._switches if each.generation == self._generation]
        report = status_report(self._path, self._policies, sessions, current)
        if self._policies.in_force.policy.lines is not None:
            report["lines"] = {**self._lines.report, "keep_error": self._lines.keep_error}
        return report

    def _answer_events(self, query: Query) -> tuple[str, dict[str, Any]]:
        return "200 OK", self._journal.report(query.number("after", 0))

    def _answer_lines(self, query: Query) -> tuple[str, dict[str, Any]]:
        """Answer the learned lines of a switch, or of an address, now or at a moment."""
        try:
            return "200 OK", self._lines.listed(query)
        except (StoreError, NoAnswerError) as failure:
            return "503 Service Unavailable", {"error": str(failure)}

    def _answer_put_lines(self, query: Query) -> tuple[str, dict[str, Any]]:
        """Take lines, and ends of lines, from a program.

        With ``wait=1`` the answer waits for the switches that are connected, and has their states.
        """
        wait = query.flag("wait")
        try:
            answer, changed = self._lines.put(query.body)
        except ValueError as failure:
            return "422 Unprocessable Content", {"error": str(failure)}
        if wait:
            answer["switches"] = self._settled(changed)
        return "200 OK", answer

    def _settled(self, names: Iterable[str]) -> dict[str, str]:
        """Wait until switches are as wanted, degraded or lost; return their states by name."""
        known = [self._switches.make_known(self._policy.switches[name].dpid) for name in names]
        end = time.monotonic() + SETTLE_SECONDS
        while any(each.session.status.state in TRANSIENT for each in known) and time.monotonic() < end:
            hub.sleep(SETTLE_LOOK_SECONDS)
        return {each.session.name: each.session.status.state.value for each in known}

    def _answer_doctor(self, query: Query) -> tuple[str, dict[str, Any]]:
        """Answer ``op25b doctor``, with tables for the datapath ids in ``dpids=1,2``."""
        dpids = query.numbers("dpids")
        web = "wsgi" in app_manager.AppManager.get_instance().contexts
        status, policy = self._status(), self._policy
        switches = EXAMINING.do(expectations, policy, status["switches"], dpids, _now())
        return "200 OK", {
            "versions": versions(),
            "access": access(self.CONF, web=web),
            "policy": status["policy"],
            "switches": switches,
        }

    def _answer_reload(self, query: Query) -> tuple[str, dict[str, Any]]:
        """Reload the policy; with ``yes=1`` it may cut off and open, with ``dry_run=1`` it is only compared.

        With ``effect=0`` the changes are not computed first.
        """
        yes, with_effect = query.flag("yes"), query.flag("effect", otherwise=True)
        if query.flag("dry_run"):
            with self._reloading:
                candidate = self._policies.read_candidate(_now())
                return reload_report(candidate, self._path, yes=yes)
        candidate, applied = self.reload(yes=yes, with_effect=with_effect)
        keep_error = self._policies.keep_error if applied else None
        return reload_report(candidate, self._path, yes=yes, applied=applied, keep_error=keep_error)


def _prepare(desired_states: DesiredStates, switches: Iterable[Switch]) -> None:
    for switch in switches:
        _spared(desired_states.prepare, switch)


def _spared(work: Callable[[Switch, float], None], switch: Switch) -> None:
    with suppress(Exception):  # the session meets and reports the same error
        work(switch, _now())


def _now() -> float:
    return _clock.now(time.time(), time.monotonic())
