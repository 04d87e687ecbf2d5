"""From the rules that a switch holds to the verdict it gives every packet."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import NamedTuple

from op25b_app.policy.model import Verdict
from op25b_app.rules.proof.diagram import Diagram, Diagrams
from op25b_app.rules.proof.header import (
    LEVELS,
    REGISTERS,
    UNTAGGED,
    WIDTHS,
    Interval,
    TooManyIntervalsError,
    intervals,
    vlan_value,
)
from op25b_app.rules.proof.stored import (
    ClearLater,
    Jump,
    Later,
    MayDrop,
    PopTag,
    PushTag,
    SetField,
    Step,
    StoredRule,
    Unmodelled,
    WriteMetadata,
    sends,
)

_TPID = 0x8100
_NOTHING = "no rule"


class CannotDecideError(Exception):
    """The proof does not know what a rule matches, so nothing can be said of any packet."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where}: {reason}")
        self.where = where
        self.reason = reason


class Undecided(NamedTuple):
    """A verdict that depends on what the proof cannot model."""

    where: str
    reason: str


class _Miss(NamedTuple):
    """No rule of the table matches: the packet is gone, its action set with it."""


class _Ended(NamedTuple):
    """The last rule sends nothing out itself; what was put off for the end is done."""


class _Jumped(NamedTuple):
    """The packet goes on: changed, with a register, and perhaps with an output put off for the end."""

    table: int
    changes: tuple[SetField | PushTag | PopTag, ...]
    metadata: int
    sends_later: bool


class _Ambiguous(NamedTuple):
    """Rules of one priority match alike, and which of them wins is undefined."""

    outcomes: frozenset[Hashable]


class _Entry(NamedTuple):
    """How a table is entered."""

    table: int
    metadata: int = 0
    sends_later: bool = False


class TableVerdicts:
    """Verdicts of whole tables of rules, by how they are entered."""

    def __init__(self, diagrams: Diagrams, rules: Iterable[StoredRule], handover_table: int | None) -> None:
        self._diagrams = diagrams
        self._handover_table = handover_table
        self._rules: dict[int, list[StoredRule]] = {}
        for rule in rules:
            self._rules.setdefault(rule.table, []).append(rule)
        self._known: dict[_Entry, Diagram] = {}

    def verdicts(self) -> Diagram:
        """The function from headers to ``Verdict``, ``Undecided``, or a frozenset of either where it is
        undefined which rule wins."""
        return self._of(_Entry(0))

    def _of(self, entry: _Entry) -> Diagram:
        known = self._known.get(entry)
        if known is None:
            known = self._known[entry] = self._follow(entry)
        return known

    def _follow(self, entry: _Entry) -> Diagram:
        matched = self._match(entry)
        ending = Verdict.PERMIT if entry.sends_later else Verdict.BLOCK
        result = self._diagrams.map(lambda outcome: _settled(outcome, ending), matched)
        for outcome in sorted(_jumps(matched.values), key=repr):
            result = self._graft(result, outcome, self._after(entry, outcome))
        return self._diagrams.map(_collapsed, result)

    def _graft(self, result: Diagram, jump: _Jumped, target: Diagram) -> Diagram:
        def replace(value: Hashable, reached: Hashable) -> Hashable:
            if value == jump:
                return reached
            if isinstance(value, _Ambiguous) and jump in value.outcomes:
                return _Ambiguous(value.outcomes - {jump} | {reached})
            return value

        def shortcut(result: Diagram, target: Diagram) -> Diagram | None:
            if not any(jump in _outcomes(value) for value in result.values):
                return result
            return target if result.is_leaf and result.value == jump else None

        return self._diagrams.apply(replace, result, target, shortcut)

    def _after(self, entry: _Entry, jump: _Jumped) -> Diagram:
        """What becomes of a packet that has jumped, as a function of the header it had before."""
        if jump.table == self._handover_table:
            return self._diagrams.leaf(Verdict.PERMIT)
        if jump.table <= entry.table:
            reason = f"it goes back from table {entry.table} to table {jump.table}"
            return self._diagrams.leaf(Undecided(f"table {entry.table}", reason))
        reached = self._of(_Entry(jump.table, jump.metadata, jump.sends_later))
        for change in reversed(jump.changes):
            reached = self._undo(change, reached)
        return reached

    def _undo(self, change: SetField | PushTag | PopTag, after: Diagram) -> Diagram:
        """``after`` a change, as a function of the header before it."""
        fix, levels = self._diagrams.fix, LEVELS
        if isinstance(change, SetField):
            value = vlan_value(change.value) if change.name == "vlan_vid" else change.value
            return fix(after, levels[change.name], value)
        if isinstance(change, PopTag):
            return fix(after, levels["vlan_vid"], UNTAGGED)
        pushed = fix(after, levels["vlan_vid"], vlan_value(0x1000))
        stacked = fix(pushed, levels["eth_type"], _TPID)
        was_untagged = self._test("vlan_vid", [Interval(UNTAGGED, UNTAGGED)])
        return self._diagrams.choose(was_untagged, pushed, stacked)

    def _test(self, name: str, accepted: Iterable[Interval]) -> Diagram:
        yes, no = self._diagrams.leaf(True), self._diagrams.leaf(False)
        inside = [(interval.first, interval.last, yes) for interval in accepted]
        return self._diagrams.intervals(LEVELS[name], inside, no)

    def _match(self, entry: _Entry) -> Diagram:
        """The outcome of the rule that wins, or a miss."""
        outcomes = []
        for rule in self._rules.get(entry.table, ()):
            fields = fields_if_entered(rule, entry.metadata)
            if fields is not None:
                outcomes.append(_Candidate(rule.priority, fields, self._outcome(rule, entry)))
        return match_diagram(self._diagrams, outcomes, _Miss())

    def _outcome(self, rule: StoredRule, entry: _Entry) -> Hashable:
        """What becomes of a packet that this rule wins."""
        steps = [step for step in rule.steps if not isinstance(step, MayDrop)]
        outcome = self._outcome_of(rule._replace(steps=tuple(steps)), entry)
        dropped = outcome == _Ended() and not entry.sends_later
        if len(steps) < len(rule.steps) and not dropped:
            return Undecided(rule.where, "it drops what exceeds a meter")
        return outcome

    def _outcome_of(self, rule: StoredRule, entry: _Entry) -> Hashable:
        permit = Verdict.WOULD_BLOCK if rule.only_counts else Verdict.PERMIT
        changes: list[SetField | PushTag | PopTag] = []
        metadata, sends_later = entry.metadata, entry.sends_later
        jump: Jump | None = None
        for step in rule.steps:
            if problem := _unmodelled(step):
                return Undecided(rule.where, problem)
            if sends(step):
                return permit
            if isinstance(step, Jump):
                jump = step
            elif isinstance(step, WriteMetadata):
                metadata = metadata & ~step.mask | step.value & step.mask
            elif isinstance(step, ClearLater):
                sends_later = False
            elif isinstance(step, Later):
                sends_later = sends_later or any(map(sends, step.steps))
            elif isinstance(step, (SetField, PushTag, PopTag)):
                changes.append(step)
        if jump is None:
            return permit if sends_later else _Ended()
        if rule.only_counts and jump.table == self._handover_table:
            return permit
        return _Jumped(jump.table, tuple(changes), metadata, sends_later)


class _Candidate(NamedTuple):
    """A rule as far as matching goes."""

    priority: int
    fields: tuple[tuple[int, tuple[Interval, ...]], ...]
    """Levels, ascending, with the values accepted."""
    outcome: Hashable

    @property
    def levels(self) -> tuple[int, ...]:
        return tuple(level for level, _ in self.fields)


def match_diagram(diagrams: Diagrams, candidates: Sequence[_Candidate], miss: Hashable) -> Diagram:
    """The outcome of the candidate of highest priority, ``miss`` where none matches.

    Rules that ask for different ethertypes never compete, so each ethertype is looked at alone.
    """
    level = LEVELS["eth_type"]
    exact: dict[int, list[_Candidate]] = {}
    others: list[_Candidate] = []
    for candidate in candidates:
        accepted = dict(candidate.fields).get(level)
        if accepted is not None and len(accepted) == 1 and accepted[0].first == accepted[0].last:
            exact.setdefault(accepted[0].first, []).append(candidate)
        else:
            others.append(candidate)
    result = _in_order(diagrams, others, miss)
    yes, no = diagrams.leaf(True), diagrams.leaf(False)
    for eth_type, competing in sorted(exact.items()):
        here = _in_order(diagrams, [*competing, *others], miss)
        result = diagrams.choose(diagrams.intervals(level, [(eth_type, eth_type, yes)], no), here, result)
    return result


def _in_order(diagrams: Diagrams, candidates: Sequence[_Candidate], miss: Hashable) -> Diagram:
    result = diagrams.leaf(miss)
    for run in _runs(candidates):
        found = diagrams.leaf(_NOTHING)
        for alike in run:
            found = diagrams.apply(_undefined_if_both, found, _nested(diagrams, alike, 0))
        result = diagrams.overlay(found, result, _NOTHING)
    return result


def _runs(candidates: Sequence[_Candidate]) -> Iterator[list[list[_Candidate]]]:
    """Candidates from low to high priority, in groups that can be looked at at once.

    A group holds lists of candidates that ask for the same fields: one list of several priorities, or several
    lists of one priority.
    """
    ordered = sorted(candidates, key=lambda candidate: (candidate.priority, candidate.levels))
    pending: list[_Candidate] = []
    for _, same_priority in itertools.groupby(ordered, key=lambda candidate: candidate.priority):
        lists = [list(alike) for _, alike in itertools.groupby(same_priority, key=lambda each: each.levels)]
        if len(lists) == 1 and (not pending or pending[0].levels == lists[0][0].levels):
            pending += lists[0]
            continue
        if pending:
            yield [pending]
            pending = []
        if len(lists) == 1:
            pending = lists[0]
        else:
            yield lists
    if pending:
        yield [pending]


def _nested(diagrams: Diagrams, candidates: Sequence[_Candidate], depth: int) -> Diagram:
    """Candidates that ask for the same fields, the first ``depth`` of which are settled."""
    if depth == len(candidates[0].fields):
        return diagrams.leaf(_winner(candidates))
    level = candidates[0].fields[depth][0]
    known: dict[tuple[int, ...], Diagram] = {}

    def below(active: tuple[int, ...]) -> Diagram:
        child = known.get(active)
        if child is None:
            child = known[active] = _nested(diagrams, [candidates[index] for index in active], depth + 1)
        return child

    accepted = [candidate.fields[depth][1] for candidate in candidates]
    inside = ((first, last, below(active)) for first, last, active in _sweep(accepted))
    return diagrams.intervals(level, inside, diagrams.leaf(_NOTHING))


def _sweep(accepted: Sequence[Iterable[Interval]]) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """Stretches of values, ascending, each with the indices of all that accept it (at least one)."""
    starts: dict[int, list[int]] = {}
    ends: dict[int, list[int]] = {}
    for index, each in enumerate(accepted):
        for first, last in each:
            starts.setdefault(first, []).append(index)
            ends.setdefault(last + 1, []).append(index)
    active: dict[int, None] = {}
    places = sorted({*starts, *ends})
    for place, following in itertools.pairwise(places):
        for index in ends.get(place, ()):
            active.pop(index)
        active.update(dict.fromkeys(starts.get(place, ())))
        if active:
            yield place, following - 1, tuple(sorted(active))


def _winner(candidates: Sequence[_Candidate]) -> Hashable:
    highest = max(candidate.priority for candidate in candidates)
    outcomes = {candidate.outcome for candidate in candidates if candidate.priority == highest}
    return outcomes.pop() if len(outcomes) == 1 else _Ambiguous(frozenset(outcomes))


def _undefined_if_both(one: Hashable, other: Hashable) -> Hashable:
    if one in (_NOTHING, other):
        return other
    return one if other == _NOTHING else _Ambiguous(_outcomes(one) | _outcomes(other))


def _outcomes(outcome: Hashable) -> frozenset[Hashable]:
    return outcome.outcomes if isinstance(outcome, _Ambiguous) else frozenset((outcome,))


def _jumps(values: Iterable[Hashable]) -> set[_Jumped]:
    outcomes = itertools.chain.from_iterable(_outcomes(value) for value in values)
    return {outcome for outcome in outcomes if isinstance(outcome, _Jumped)}


def _settled(outcome: Hashable, ending: Verdict) -> Hashable:
    if isinstance(outcome, _Miss):
        return Verdict.BLOCK
    if isinstance(outcome, _Ended):
        return ending
    if isinstance(outcome, _Ambiguous):
        return _Ambiguous(frozenset(_settled(each, ending) for each in outcome.outcomes))
    return outcome


def _collapsed(value: Hashable) -> Hashable:
    """An ambiguity all of whose outcomes are the same is none."""
    if not isinstance(value, _Ambiguous):
        return value
    outcomes: set[Hashable] = set()
    for outcome in value.outcomes:
        outcomes |= outcome if isinstance(outcome, frozenset) else {outcome}
    return outcomes.pop() if len(outcomes) == 1 else frozenset(outcomes)


def fields_if_entered(rule: StoredRule, metadata: int) -> tuple[tuple[int, tuple[Interval, ...]], ...] | None:
    """The fields that a rule asks for, without registers; None where those rule it out.

    Raises CannotDecideError for a field or a mask that the proof does not know.
    """
    fields = []
    for name, value, mask in rule.match:
        if name in REGISTERS:
            held = metadata if name == "metadata" else 0
            if (held if mask is None else held & mask) != value:
                return None
            continue
        if name not in LEVELS:
            raise CannotDecideError(rule.where, f"the match field {name} is not modelled")
        try:
            accepted = tuple(intervals(name, value, mask))
        except TooManyIntervalsError as problem:
            raise CannotDecideError(rule.where, str(problem)) from None
        if not accepted:
            return None
        fields.append((LEVELS[name], accepted))
    return tuple(sorted(fields))


def _unmodelled(step: Step) -> str | None:
    """Why a step cannot be followed; None where it can."""
    if isinstance(step, Unmodelled):
        return f"'{step.text}' is not modelled"
    if isinstance(step, Later):
        return next(filter(None, map(_unmodelled, step.steps)), None)
    if isinstance(step, SetField):
        if step.name not in WIDTHS:
            return f"setting {step.name} is not modelled"
        full = (1 << WIDTHS[step.name]) - 1
        if step.mask is not None and step.mask & full != full:
            return f"setting a part of {step.name} is not modelled"
    return None
