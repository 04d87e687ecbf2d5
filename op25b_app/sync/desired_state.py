"""Compile and prove the desired state of each switch, for its session."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from op25b_app.compiler.compiler import Compiler, Segment
from op25b_app.compiler.single_table import CannotExpressError, compile_single_table
from op25b_app.openflow.flow_mods import FlowModFormat
from op25b_app.openflow.flow_rule import FlowRule
from op25b_app.openflow.instruction_decoder import stored_rule
from op25b_app.openflow.wire import OPENFLOW_13
from op25b_app.policy.canonical import meaning
from op25b_app.policy.diagnostic import names_in_words
from op25b_app.policy.model import Policy, SubscriberPort, Switch
from op25b_app.sync.reconcile import describe
from op25b_app.sync.remedies import settings_without
from op25b_app.sync.ruleset import Key, Ruleset
from op25b_app.sync.update_plan import installation
from op25b_app.verify.prove import moments_about, violation
from op25b_app.verify.prover import Prover

_SMALL = 1 << 8
"""Rules from which equal segments are the same object; smaller ones are compared as a whole."""
_UNKNOWN = "not proven yet"
_MAX_AHEAD = 2_000
_MAX_OLD = 1_000
"""Maximum number of rulesets, or proofs, of lines as they were, apart from twice the number of switches."""
_MAX_SETTINGS = 1 << 10
_MAX_PROOFS = 1 << 16
"""Maximum number of proofs remembered; each unmanaged rule of a proof adds one."""

_WITHOUT_VERDICT = frozenset({"name", "dpid", "certificate", "subscriber_ports"})
"""Fields of a switch that no verdict depends on.

A port without a role is taken for a subscriber port. The name matters only where lines are known by it.
"""

Violation = Callable[[Ruleset, frozenset[FlowRule], Iterable[FlowRule], float], "str | None"]


class DesiredState(NamedTuple):
    """Desired state of one switch.

    ``wanted`` returns the rules for a time, in seconds since 1970, and a number of tables. They stay the
    same unless some have time-outs, or an exception is to start. It raises ValueError, in words, where the
    switch has too few tables. ``violation`` takes those rules, unmanaged rules, markers and a time; it says
    why this table is not proven to do what the policy says, or returns None. ``digest`` is the policy's, in
    hexadecimal. ``revision`` is the policy's; None where an operator asked for this policy, which then gets
    the next revision after the one on the switch. ``edition`` differs where the same policy wants something
    else, since other facts are known. ``settings_without`` takes keys of rules, a time and
    a number of tables. It names the settings of the policy that do without them, if any. ``prepared``
    returns the rules for a number of tables if they are compiled already, else None. ``is_judged`` returns
    whether the result of ``violation`` is known already. ``next_start`` returns when the next exception
    after a time starts; infinity for none.
    """

    switch: Switch
    wanted: Callable[[float, int], Ruleset]
    violation: Violation
    digest: str
    revision: int | None = None
    edition: int = 0
    settings_without: Callable[[Iterable[Key], float, int], list[str]] = lambda keys, at, tables: []
    prepared: Callable[[int], Ruleset | None] = lambda tables: None
    is_judged: Callable[[Ruleset, frozenset[FlowRule]], bool] = lambda wanted, others: False
    next_start: Callable[[float], float] = lambda at: math.inf


class DesiredStates:
    """Compiles and proves a policy for its switches, once for all that need the same.

    ``digest`` is the policy's. What ``previous`` has compiled or proven is reused where nothing has changed.
    One thread may compile while another one proves.
    """

    def __init__(self, policy: Policy, digest: str, previous: DesiredStates | None = None) -> None:
        self.digest = digest
        self._policy = policy
        self._compiler: Compiler = Compiler(policy, previous._compiler if previous else None)
        self._prover: Prover = previous._prover if previous else Prover()
        """Used in the thread of proofs alone."""
        self._rulesets: dict[tuple[int, ...], Ruleset] = {}
        self._segments: dict[Segment, Segment] = {}
        self._prepared: dict[str, tuple[Switch, Ruleset]] = {}
        """Rules by the switch's name, where none has a time-out."""
        self._proofs: dict[Hashable, str | None] = {}
        self._remembered = 0
        self._settings: dict[Hashable, list[str]] = {}
        """Settings that do without rules, by switch, keys of the rules and number of tables."""
        self._definitions: dict[str, tuple[Switch, Hashable]] = {}
        self._edition: int = previous._edition + 1 if previous else 0
        self._starts = {entry.starts for entry in policy.exceptions if entry.starts is not None}
        self._lines = {
            entry.source.switch for entry in policy.exceptions if isinstance(entry.source, SubscriberPort)
        }

    def change_lines(self, policy: Policy) -> None:
        """Follow a policy that differs in bindings and ports of some switches alone, felt nowhere else.

        See ``policy/facts.py: are_felt_elsewhere``. What is desired of the other switches stays the same.
        """
        self._policy = policy
        self._compiler.change_lines(policy)
        self._edition += 1
        if max(len(self._rulesets), len(self._proofs)) > 2 * len(policy.switches) + _MAX_OLD:
            self._forget_old_lines()

    def _forget_old_lines(self) -> None:
        """Forget rules and proofs of lines as they were; what is desired now is made of the same objects."""
        rulesets = [ruleset for _, ruleset in self._prepared.values()]
        self._rulesets = {tuple(map(id, ruleset.segments)): ruleset for ruleset in rulesets}
        small = (tuple(each) for ruleset in rulesets for each in ruleset.segments if len(each) < _SMALL)
        self._segments = {segment: segment for segment in small}
        self._proofs.clear()
        self._remembered = 0

    def prepare(self, switch: Switch, at: float) -> None:
        """Compile what an empty switch gets; encode it for OpenFlow 1.3 if no rule has a time-out."""
        wanted = self._compiled(switch, at)
        if not wanted.timed:
            for step in installation(wanted):
                step.encoded(FlowModFormat(OPENFLOW_13))

    def prove_ahead(self, switch: Switch, at: float) -> None:
        """Prove a switch's rules before they are read back, where that takes tenths of a second.

        Only a prepared switch is proven: compiling and proving belong to different threads.
        """
        wanted = self._prepared_rules(switch)
        if wanted is not None and len(wanted) <= _MAX_AHEAD:
            self._violation(switch, wanted, frozenset(), (), at)

    def of(self, switch: Switch) -> DesiredState:
        """Return the desired state of one of the policy's switches."""
        return DesiredState(
            switch,
            partial(self._wanted, switch),
            partial(self._violation, switch),
            self.digest,
            edition=self._edition,
            settings_without=partial(self._settings_without, switch),
            prepared=partial(self._prepared_for, switch),
            is_judged=partial(self._is_judged, switch),
            next_start=self._next_start,
        )

    def _next_start(self, at: float) -> float:
        return min((start for start in self._starts if start > at), default=math.inf)

    def _compiled(self, switch: Switch, at: float) -> Ruleset:
        """Return all rules that the policy wants on a switch, in as many tables as that takes."""
        if (known := self._prepared_rules(switch)) is not None:
            return known
        wanted = self._shared(self._compiler.segments(switch, at), at)
        if not wanted.timed:
            self._prepared[switch.name] = switch, wanted
        return wanted

    def _prepared_rules(self, switch: Switch) -> Ruleset | None:
        """Return the rules of this very switch: one with other lines may have its name."""
        known = self._prepared.get(switch.name)
        return known[1] if known is not None and known[0] is switch else None

    def _prepared_for(self, switch: Switch, tables: int) -> Ruleset | None:
        prepared = self._prepared_rules(switch)
        return prepared if prepared is not None and prepared.last_table < tables else None

    def _wanted(self, switch: Switch, at: float, tables: int) -> Ruleset:
        wanted = self._compiled(switch, at)
        if wanted.last_table < tables:
            return wanted
        try:
            return self._shared([self._known(compile_single_table(self._policy, switch, at))], at)
        except CannotExpressError as error:
            reasons = names_in_words([str(problem) for problem in error.problems], separator="; ")
            raise ValueError(
                f"has {tables} table{'' if tables == 1 else 's'} and its rules need {wanted.last_table + 1}, "
                f"or one with other settings: {reasons}: nothing was sent"
            ) from None

    def _settings_without(self, switch: Switch, keys: Iterable[Key], at: float, tables: int) -> list[str]:
        name = switch.name, frozenset(keys), tables
        if name not in self._settings:
            if len(self._settings) >= _MAX_SETTINGS:
                self._settings.clear()

            def compiled(policy: Policy) -> Mapping[Key, FlowRule]:
                changed = DesiredStates(policy, self.digest, self)
                return changed._wanted(policy.switches[switch.name], at, tables).by_key

            self._settings[name] = settings_without(self._policy, name[1], compiled)
        return self._settings[name]

    def _shared(self, segments: Iterable[Segment], at: float) -> Ruleset:
        """Return the same object for the same rules, unless other ones are wanted later."""
        known = [self._known(each) if len(each) < _SMALL else each for each in segments]
        if self._next_start(at) < math.inf:
            return Ruleset(known, changes=True)
        identity = tuple(map(id, known))
        if identity not in self._rulesets:
            ruleset = Ruleset(known)
            if ruleset.timed:
                return ruleset
            self._rulesets[identity] = ruleset
        return self._rulesets[identity]

    def _known(self, segment: Segment) -> Segment:
        ending = any(rule.hard_timeout for rule in segment)
        return segment if ending else self._segments.setdefault(segment, segment)

    def _violation(
        self,
        switch: Switch,
        wanted: Ruleset,
        others: frozenset[FlowRule],
        markers: Iterable[FlowRule],
        at: float,
    ) -> str | None:
        """Return why a table that was read is not proven; None where it is."""
        name = self._definition(switch), wanted.meaning, others
        if (known := self._known_violation(name, wanted)) is not _UNKNOWN:
            return known
        self._remembered += 1 + len(others)
        if self._remembered > _MAX_PROOFS:
            self._proofs.clear()
            self._remembered = 0
        self._proofs[name] = self._proven(switch, wanted, (*others, *markers), at)
        return self._proofs[name]

    def _proven(self, switch: Switch, wanted: Ruleset, others: Sequence[FlowRule], at: float) -> str | None:
        """Prove a table by what is known of other tables, or else from scratch."""
        for moment in moments_about(self._policy, at):
            if self._prover.proves(self._policy, switch, wanted.segments, moment, others):
                return None
        rules = [stored_rule(rule, describe(rule)) for rule in (*wanted.rules, *others)]
        return violation(self._policy, switch, rules, at)

    def _is_judged(self, switch: Switch, wanted: Ruleset, others: frozenset[FlowRule]) -> bool:
        name = self._definition(switch), wanted.meaning, others
        return self._known_violation(name, wanted) is not _UNKNOWN

    def _known_violation(self, name: Hashable, wanted: Ruleset) -> str | None:
        """Look up in one access, since another thread may forget all proofs meanwhile."""
        known = self._proofs.get(name, _UNKNOWN)
        return _UNKNOWN if known is not None and wanted.timed else known

    def _definition(self, switch: Switch) -> Hashable:
        """Return what a switch's verdicts depend on, apart from the policy."""
        known = self._definitions.get(switch.name)
        if known is not None and known[0] is switch:
            return known[1]
        own_name = switch.name if switch.bindings or switch.name in self._lines else None
        definition = own_name, meaning(switch, without=_WITHOUT_VERDICT)
        self._definitions[switch.name] = switch, definition
        return definition
