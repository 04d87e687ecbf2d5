"""What the policy says of a switch, in the form in which its session asks for it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import partial
from typing import NamedTuple

from op25b_app.compiler.compiler import Compiler, Segment
from op25b_app.compiler.single_table import CannotExpressError, compile_single_table
from op25b_app.openflow.flow_mods import Form
from op25b_app.openflow.flow_rule import FlowRule
from op25b_app.openflow.instruction_decoder import stored_rule
from op25b_app.openflow.wire import OPENFLOW_13
from op25b_app.policy.canonical import meaning
from op25b_app.policy.diagnostic import names_in_words
from op25b_app.policy.model import Line, Policy, Switch
from op25b_app.sync.flow_table import Key, Ruleset
from op25b_app.sync.reconcile import describe
from op25b_app.sync.remedies import settings_without
from op25b_app.sync.update_plan import installation
from op25b_app.verify.prove import objection

_SMALL = 1 << 8
"""Segments with fewer rules are compared as a whole; larger ones are the same objects if they are equal."""
_UNKNOWN = "not proven yet"
_MOST_AHEAD = 2_000
_MOST_SETTINGS = 1 << 10
_MOST_PROOFS = 1 << 16
"""So many proofs are remembered, each rule of others that one is about counting as another one."""

_WITHOUT_VERDICT = frozenset({"name", "dpid", "certificate", "subscriber_ports"})
"""Fields of a switch that no verdict depends on: a port without a role counts as a subscriber's, and the name
only where lines are known by it."""

Objection = Callable[[Ruleset, frozenset[FlowRule], Iterable[FlowRule], float], "str | None"]


class Assignment(NamedTuple):
    """What the policy says of a switch.

    ``wanted`` gives the rules wanted at a moment on a switch with so many tables: the same ones later, unless
    some of them have time-outs; it raises ValueError, in words, where the switch has too few. ``objection``
    says of a table that holds those, rules of others and markers why it is not proven to do, at a moment,
    what the policy says, or None. ``digest`` is the policy's (hexadecimal). ``revision`` is the policy's own;
    without one, an operator asked for this policy and it becomes the next after that on the switch.
    ``settings_without`` names the settings of the policy with which rules of some keys would not be
    wanted, at a moment on a switch with so many tables; none where no setting does without them.
    ``prepared`` gives what is wanted on a switch with so many tables if that is there already, and
    ``is_judged`` tells whether an objection, or that there is none, is known already.
    """

    switch: Switch
    wanted: Callable[[float, int], Ruleset]
    objection: Objection
    digest: str
    revision: int | None = None
    settings_without: Callable[[Iterable[Key], float, int], list[str]] = lambda keys, at, tables: []
    prepared: Callable[[int], Ruleset | None] = lambda tables: None
    is_judged: Callable[[Ruleset, frozenset[FlowRule]], bool] = lambda wanted, others: False


class Assignments:
    """Compiles and proves a policy for its switches, once for all that shall do the same.

    ``digest`` is the policy's. What ``previous`` has compiled is used again where nothing has changed.
    """

    def __init__(self, policy: Policy, digest: str, previous: Assignments | None = None) -> None:
        self.digest = digest
        self._policy = policy
        self._compiler: Compiler = Compiler(policy, previous._compiler if previous else None)
        self._rulesets: dict[tuple[int, ...], Ruleset] = {}
        self._segments: dict[Segment, Segment] = {}
        self._prepared: dict[str, Ruleset] = {}
        """By the switch's name, where nothing has a time-out."""
        self._proofs: dict[Hashable, str | None] = {}
        self._remembered = 0
        self._settings: dict[Hashable, list[str]] = {}
        """By switch, keys of rules and number of tables: settings that do without these."""
        self._definitions: dict[str, Hashable] = {}
        self._lines = {entry.source.switch for entry in policy.exceptions if isinstance(entry.source, Line)}

    def prepare(self, switch: Switch, at: float) -> None:
        """Have ready what a switch gets if it is empty, in the form of OpenFlow 1.3, before it connects."""
        wanted = self._compiled(switch, at)
        if not wanted.timed:
            for group in installation(wanted):
                group.written(Form(OPENFLOW_13))

    def prove_ahead(self, switch: Switch, at: float) -> None:
        """Prove what a switch is to hold before it is read back, where that takes tenths of a second.

        It must have been prepared: compiling belongs to another thread than proving.
        """
        wanted = self._prepared.get(switch.name)
        if wanted is not None and len(wanted) <= _MOST_AHEAD:
            self._objection(switch, wanted, frozenset(), (), at)

    def of(self, switch: Switch) -> Assignment:
        """What the policy says of one of its switches."""
        return Assignment(
            switch,
            partial(self._wanted, switch),
            partial(self._objection, switch),
            self.digest,
            settings_without=partial(self._settings_without, switch),
            prepared=partial(self._prepared_for, switch),
            is_judged=partial(self._is_judged, switch),
        )

    def _compiled(self, switch: Switch, at: float) -> Ruleset:
        """Everything that the policy wants on a switch, in as many tables as that takes."""
        if switch.name in self._prepared:
            return self._prepared[switch.name]
        wanted = self._shared(self._compiler.segments(switch, at))
        if not wanted.timed:
            self._prepared[switch.name] = wanted
        return wanted

    def _prepared_for(self, switch: Switch, tables: int) -> Ruleset | None:
        prepared = self._prepared.get(switch.name)
        return prepared if prepared is not None and prepared.last_table < tables else None

    def _wanted(self, switch: Switch, at: float, tables: int) -> Ruleset:
        wanted = self._compiled(switch, at)
        if wanted.last_table < tables:
            return wanted
        try:
            return self._shared([self._known(compile_single_table(self._policy, switch, at))])
        except CannotExpressError as error:
            reasons = names_in_words([str(problem) for problem in error.problems], separator="; ")
            raise ValueError(
                f"has {tables} table{'' if tables == 1 else 's'} and its rules need {wanted.last_table + 1}, "
                f"or one if the policy said less: {reasons}: nothing was sent"
            ) from None

    def _settings_without(self, switch: Switch, keys: Iterable[Key], at: float, tables: int) -> list[str]:
        name = switch.name, frozenset(keys), tables
        if name not in self._settings:
            if len(self._settings) >= _MOST_SETTINGS:
                self._settings.clear()

            def compiled(policy: Policy) -> Mapping[Key, FlowRule]:
                changed = Assignments(policy, self.digest, self)
                return changed._wanted(policy.switches[switch.name], at, tables).by_key

            self._settings[name] = settings_without(self._policy, name[1], compiled)
        return self._settings[name]

    def _shared(self, segments: Iterable[Segment]) -> Ruleset:
        """The same object for the same rules, unless some of them have time-outs."""
        known = [self._known(each) if len(each) < _SMALL else each for each in segments]
        identity = tuple(map(id, known))
        if identity not in self._rulesets:
            ruleset = Ruleset(known)
            if ruleset.timed:
                return ruleset
            self._rulesets[identity] = ruleset
        return self._rulesets[identity]

    def _known(self, segment: Segment) -> Segment:
        """The same object for the same rules; those with time-outs are others at every moment."""
        ending = any(rule.hard_timeout for rule in segment)
        return segment if ending else self._segments.setdefault(segment, segment)

    def _objection(
        self,
        switch: Switch,
        wanted: Ruleset,
        others: frozenset[FlowRule],
        marks: Iterable[FlowRule],
        at: float,
    ) -> str | None:
        """Why a table that was read is not proven; None where it is."""
        name = self._definition(switch), wanted.meaning, others
        if (known := self._known_objection(name, wanted)) is not _UNKNOWN:
            return known
        rules = [stored_rule(rule, describe(rule)) for rule in (*wanted.rules, *others, *marks)]
        self._remembered += 1 + len(others)
        if self._remembered > _MOST_PROOFS:
            self._proofs.clear()
            self._remembered = 0
        self._proofs[name] = objection(self._policy, switch, rules, at)
        return self._proofs[name]

    def _is_judged(self, switch: Switch, wanted: Ruleset, others: frozenset[FlowRule]) -> bool:
        name = self._definition(switch), wanted.meaning, others
        return self._known_objection(name, wanted) is not _UNKNOWN

    def _known_objection(self, name: Hashable, wanted: Ruleset) -> str | None:
        """In one access, since another thread may forget all proofs meanwhile."""
        known = self._proofs.get(name, _UNKNOWN)
        return _UNKNOWN if known is not None and wanted.timed else known

    def _definition(self, switch: Switch) -> Hashable:
        """What a switch's verdicts depend on, but for the policy."""
        if switch.name not in self._definitions:
            own_name = switch.name if switch.bindings or switch.name in self._lines else None
            self._definitions[switch.name] = own_name, meaning(switch, without=_WITHOUT_VERDICT)
        return self._definitions[switch.name]
