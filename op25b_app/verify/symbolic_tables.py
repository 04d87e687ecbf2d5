"""Compute the verdict of a switch's flow rules for every packet.

A table is computed after the tables that its rules lead to. Rules are laid over one another from the lowest
priority up, each with the verdict of the table that it leads to. So a rule that changes no verdict costs
nothing, however complex its match.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

from op25b_app.net.ranges import Ranges, common
from op25b_app.openflow.fields import ETHERNET_FIELDS, REGISTERS, WIDTHS
from op25b_app.openflow.stored_rule import (
    ClearActions,
    GotoTable,
    HeaderChange,
    MayDrop,
    MaySend,
    PopMpls,
    PopVlan,
    PushMpls,
    SetField,
    SetVlanPriority,
    Step,
    StoredRule,
    Unsupported,
    WriteActions,
    WriteMetadata,
    sends,
)
from op25b_app.policy.model import Verdict
from op25b_app.verify.budget import TooManyStepsError
from op25b_app.verify.diagram import Diagram, Diagrams
from op25b_app.verify.header import LEVELS, UNTAGGED, TooManyIntervalsError, intervals, vlan_value

_TPID = 0x8100
_NOTHING = "no rule"
_ETH_TYPE = LEVELS["eth_type"]
_ETHERNET = frozenset(LEVELS[name] for name in ETHERNET_FIELDS)
_TRACKED = 0x20
"""The bit of ``ct_state`` that is set once a connection tracker has seen the packet (ovs-fields(7))."""
_ALL_STATES = (1 << 32) - 1
_DESTINATION = frozenset({"ip_proto", "tcp_dst", "udp_dst", "ipv4_dst", "ipv6_dst"})
"""Fields whose rewriting can change the policy's verdict. Rewriting of sources is usual and not judged."""
_STEPS_AN_ARRIVAL = 200
"""Steps for each arrival at a table, whatever the table holds."""
_STEPS_AT_ONCE = 5_000
_STEPS_AT_ONCE_A_RULE = 200
"""Steps that rules with the same match fields may take together before they are laid one by one."""


class Undecided(NamedTuple):
    """A verdict that depends on something that the proof cannot model."""

    where: str
    reason: str


class Rewritten(NamedTuple):
    """The packet is sent with a new destination, which the rule or table ``where`` has set."""

    permit: Verdict
    changes: tuple[SetField, ...]
    where: str


class _Ended(NamedTuple):
    """The last rule sends nothing itself; the action set is then executed."""


class _Jumped(NamedTuple):
    """The packet goes to another table: with changes, metadata, and perhaps an output in the action set."""

    table: int
    changes: tuple[HeaderChange, ...]
    metadata: int
    sends_later: bool
    tracked: bool = False
    """True where a connection tracker has seen the packet."""

    @property
    def arrival(self) -> _Arrival:
        return _Arrival(self.table, self.metadata, self.sends_later, self.tracked)


class _Either(NamedTuple):
    """One of several outcomes.

    ``doubt`` is what decides which, but is not known; None where rules of one priority match alike, so that
    OpenFlow leaves it undefined.
    """

    outcomes: frozenset[Hashable]
    doubt: Undecided | None = None


class _Arrival(NamedTuple):
    """A table and the state of a packet that enters it."""

    table: int
    metadata: int = 0
    sends_later: bool = False
    tracked: bool = False

    def is_before(self, other: _Arrival) -> bool:
        """Return whether a packet can go from this arrival to ``other`` and never come back."""
        return (self.tracked, self.table) < (other.tracked, other.table)


class _Candidate(NamedTuple):
    """A rule, reduced to its match and outcome.

    ``doubt`` says why it is not known whether the rule matches where its fields do; None where it does.
    """

    priority: int
    fields: tuple[tuple[int, Ranges], ...]
    """Levels, ascending, with the accepted values."""
    outcome: Hashable
    rule: StoredRule
    doubt: Undecided | None = None

    @property
    def levels(self) -> tuple[int, ...]:
        return tuple(level for level, _ in self.fields)

    @property
    def size(self) -> int:
        return sum(len(accepted) for _, accepted in self.fields)

    def for_ethertype(self, eth_type: int) -> _Candidate | None:
        """Return the rule for frames of one ethertype; None where it does not match them."""
        rest = []
        for level, accepted in self.fields:
            if level != _ETH_TYPE:
                rest.append((level, accepted))
            elif not any(first <= eth_type <= last for first, last in accepted):
                return None
        return self._replace(fields=tuple(rest))

    @property
    def only_ethertype(self) -> int | None:
        """The only ethertype that the rule matches, None where there is not exactly one."""
        accepted = dict(self.fields).get(_ETH_TYPE, ())
        return accepted[0][0] if len(accepted) == 1 and accepted[0][0] == accepted[0][1] else None


_Run: TypeAlias = list[list[_Candidate]]
"""Lists of candidates; those of a list have the same match fields."""


class TableVerdicts:
    """Verdicts of whole tables of rules, by arrival."""

    def __init__(self, diagrams: Diagrams, rules: Iterable[StoredRule], handover_table: int | None) -> None:
        self._diagrams = diagrams
        self._handover_table = handover_table
        self._rules: dict[int, list[StoredRule]] = {}
        for rule in rules:
            self._rules.setdefault(rule.table, []).append(rule)
        self._known: dict[_Arrival, Diagram] = {}
        self._reached: dict[tuple[_Arrival, _Jumped, int | None], Diagram] = {}
        self.steps: Counter[StoredRule] = Counter()
        """Steps taken so far, by unmanaged rule."""

    def verdicts(self) -> Diagram:
        """Return the function from headers to verdicts.

        Its values are ``Verdict``, ``Rewritten``, ``Undecided``, or a frozenset of these where rules compete.
        """
        entered: dict[_Arrival, list[_Candidate]] = {}
        ahead = [_Arrival(0)]
        while ahead:
            arrival = ahead.pop()
            if arrival in entered:
                continue
            entered[arrival] = self._candidates(arrival)
            ahead += (
                jump.arrival
                for jump in _jumps(candidate.outcome for candidate in entered[arrival])
                if arrival.is_before(jump.arrival) and jump.table != self._handover_table
            )
        for arrival in sorted(entered, key=lambda arrival: (arrival.tracked, arrival.table), reverse=True):
            self._known[arrival] = self._by_ethertype(arrival, entered[arrival])
        return self._known[_Arrival(0)]

    def _candidates(self, arrival: _Arrival) -> list[_Candidate]:
        """Return the rules of a table that may match, each with the outcome for a packet that it wins."""
        found = []
        self._diagrams.budget.spend(_STEPS_AN_ARRIVAL)
        for rule in self._rules.get(arrival.table, ()):
            asked = _asked(rule, arrival)
            if asked is not None:
                fields, doubt = asked
                found.append(_Candidate(rule.priority, fields, self._outcome(rule, arrival), rule, doubt))
                self._diagrams.budget.spend(found[-1].size)
        return found

    def _by_ethertype(self, arrival: _Arrival, candidates: Sequence[_Candidate]) -> Diagram:
        """Return a table's verdicts, one ethertype at a time: rules of different ones never compete."""
        diagrams = self._diagrams
        exact = {candidate.only_ethertype for candidate in candidates} - {None}
        others = [candidate for candidate in candidates if candidate.only_ethertype is None]
        result = self._in_order(arrival, others, None)
        for eth_type in sorted(each for each in exact if each is not None):
            competing = filter(None, (candidate.for_ethertype(eth_type) for candidate in candidates))
            here = self._in_order(arrival, list(competing), eth_type)
            result = diagrams.choose(diagrams.within(_ETH_TYPE, [(eth_type, eth_type)]), here, result)
        return result

    def _in_order(self, arrival: _Arrival, candidates: Sequence[_Candidate], eth_type: int | None) -> Diagram:
        """Lay rules over one another, from low to high priority."""
        result: Diagram = self._diagrams.leaf(Verdict.BLOCK)
        for run in _runs(candidates):
            result = self._over(arrival, run, eth_type, result)
        return result

    def _over(self, arrival: _Arrival, run: _Run, eth_type: int | None, below: Diagram) -> Diagram:
        """Return the verdicts after the rules of a run are laid over those of lower priority."""
        candidates = list(itertools.chain.from_iterable(run))
        if all(candidate.doubt is None for candidate in candidates):
            most = _STEPS_AT_ONCE + _STEPS_AT_ONCE_A_RULE * len(candidates)
            with self._charged(candidates), contextlib.suppress(TooManyStepsError):
                with self._diagrams.budget.at_most(most):
                    found = _together(self._diagrams, run)
                return self._laid(arrival, found, eth_type, below)
        for part in _one_by_one(self._diagrams, candidates):
            with self._charged(itertools.chain.from_iterable(part)):
                if self._makes_no_difference(arrival, part, eth_type, below):
                    continue
                above = self._laid(arrival, _together(self._diagrams, part), eth_type, below)
                below = self._if_it_matches(above, below, part[0][0].doubt)
        return below

    def _makes_no_difference(
        self, arrival: _Arrival, part: _Run, eth_type: int | None, below: Diagram
    ) -> bool:
        """Return whether a rule changes no verdict even without the match fields whose masks have holes."""
        candidate = part[0][0]
        wider = tuple(field for field in candidate.fields if len(field[1]) == 1)
        if len(part) > 1 or len(part[0]) > 1 or len(wider) == len(candidate.fields):
            return False
        found = _together(self._diagrams, [[candidate._replace(fields=wider)]])
        return self._laid(arrival, found, eth_type, below) is below

    def _if_it_matches(self, above: Diagram, below: Diagram, doubt: Undecided | None) -> Diagram:
        if doubt is None:
            return above
        either = functools.partial(_one_of_two, doubt)
        return self._diagrams.apply(either, above, below, lambda one, other: one if one is other else None)

    @contextlib.contextmanager
    def _charged(self, candidates: Iterable[_Candidate]) -> Iterator[None]:
        """Charge the steps of the block to the unmanaged rules among the candidates."""
        before = self._diagrams.budget.spent
        try:
            yield
        finally:
            foreign = [candidate.rule for candidate in candidates if not candidate.rule.is_managed]
            for rule in foreign:
                self.steps[rule] += (self._diagrams.budget.spent - before) // len(foreign) + 1

    def _laid(self, arrival: _Arrival, found: Diagram, eth_type: int | None, below: Diagram) -> Diagram:
        """Replace each outcome by the verdict that it leads to, and lay the result over ``below``."""
        ending = Verdict.PERMIT if arrival.sends_later else Verdict.BLOCK
        result = self._diagrams.map(lambda outcome: _settled(outcome, ending), found)
        for jump in sorted(_jumps(found.values), key=repr):
            result = self._graft(result, jump, self._reach(arrival, jump, eth_type))
        return self._diagrams.overlay(self._diagrams.map(_collapsed, result), below, _NOTHING)

    def _graft(self, result: Diagram, jump: _Jumped, target: Diagram) -> Diagram:
        def replace(value: Hashable, reached: Hashable) -> Hashable:
            if value == jump:
                return reached
            if isinstance(value, _Either) and jump in value.outcomes:
                return value._replace(outcomes=value.outcomes - {jump} | {reached})
            return value

        def shortcut(result: Diagram, target: Diagram) -> Diagram | None:
            if not any(jump in _outcomes(value) for value in result.values):
                return result
            return target if result.is_leaf and result.value == jump else None

        return self._diagrams.apply(replace, result, target, shortcut)

    def _reach(self, arrival: _Arrival, jump: _Jumped, eth_type: int | None) -> Diagram:
        """Return the verdicts after a jump, as a function of the header before it.

        ``eth_type`` is the packet's ethertype, None where it is not known.
        """
        name = arrival, jump, eth_type
        known = self._reached.get(name)
        if known is None:
            known = self._after(arrival, jump)
            if eth_type is not None:
                known = self._diagrams.fix(known, _ETH_TYPE, eth_type)
            self._reached[name] = known
        return known

    def _after(self, arrival: _Arrival, jump: _Jumped) -> Diagram:
        if jump.table == self._handover_table:
            return self._diagrams.leaf(_as_sent(Verdict.PERMIT, jump.changes, f"table {arrival.table}"))
        if not arrival.is_before(jump.arrival):
            reason = f"it goes back from table {arrival.table} to table {jump.table}"
            return self._diagrams.leaf(Undecided(f"table {arrival.table}", reason))
        reached = self._known[jump.arrival]
        where = f"table {arrival.table}"
        if _new_destination(jump.changes):
            reached = self._diagrams.map(lambda outcome: _as_sent(outcome, jump.changes, where), reached)
        for change in reversed(jump.changes):
            reached = self._undo(change, reached)
        return reached

    def judged_as_sent(self, found: Diagram, wanted: Diagram) -> Diagram:
        """Return the verdicts ``found``, with packets that get another destination judged by that, too.

        ``wanted`` are the policy's verdicts. A packet that the policy permits and that leaves as one that it
        blocks is undecided.
        """
        for sent in sorted(_rewritten(found.values), key=repr):
            after = wanted
            for change in reversed(sent.changes):
                after = self._undo(change, after)
            both = self._diagrams.apply(lambda one, other: (one, other), wanted, after)
            found = self._diagrams.apply(functools.partial(_judged, sent), found, both)
        return found

    def _undo(self, change: HeaderChange, after: Diagram) -> Diagram:
        """Return ``after`` as a function of the header before the change."""
        fix, levels = self._diagrams.fix, LEVELS
        if isinstance(change, SetField):
            value = vlan_value(change.value) if change.name == "vlan_vid" else change.value
            return fix(after, levels[change.name], value)
        if isinstance(change, PopVlan):
            return fix(after, levels["vlan_vid"], UNTAGGED)
        if isinstance(change, (PopMpls, PushMpls)):
            doubt = Undecided(change.where, f"the header under '{change.text}' is not known")
            return self._forget(fix(after, _ETH_TYPE, change.eth_type), doubt)
        was_untagged = self._diagrams.within(levels["vlan_vid"], [(UNTAGGED, UNTAGGED)])
        with_tag_0 = fix(after, levels["vlan_vid"], vlan_value(0x1000))
        if isinstance(change, SetVlanPriority):
            tagged = self._diagrams.choose(was_untagged, with_tag_0, after)
            return fix(tagged, levels["vlan_pcp"], change.value)
        stacked = fix(with_tag_0, levels["eth_type"], _TPID)
        return self._diagrams.choose(was_untagged, with_tag_0, stacked)

    def _forget(self, diagram: Diagram, doubt: Undecided) -> Diagram:
        """Return the verdict where the fields behind the Ethernet header do not matter, else the doubt."""
        either = functools.partial(_one_of_two, doubt)

        @functools.cache
        def without(node: Diagram) -> Diagram:
            if node.is_leaf:
                return node
            parts = list(map(without, node.children))
            if node.level in _ETHERNET:
                return self._diagrams.node(node.level, node.bounds, parts)
            return functools.reduce(functools.partial(self._diagrams.apply, either), dict.fromkeys(parts))

        return without(diagram)

    def _outcome(self, rule: StoredRule, arrival: _Arrival) -> Hashable:
        """Return the outcome of a packet that this rule wins."""
        permit = Verdict.WOULD_BLOCK if rule.only_counts else Verdict.PERMIT
        others: dict[Hashable, str] = {}
        """Other possible outcomes, each with the reason why it is not known."""
        outcome = self._outcome_of(rule, arrival, permit, others)
        if not others.keys() - {outcome}:
            return outcome
        return _Either(frozenset((outcome, *others)), Undecided(rule.where, next(iter(others.values()))))

    def _outcome_of(
        self, rule: StoredRule, arrival: _Arrival, permit: Verdict, others: dict[Hashable, str]
    ) -> Hashable:
        changes: list[HeaderChange] = []
        metadata, sends_later = arrival.metadata, arrival.sends_later
        jump: GotoTable | None = None
        for step in rule.steps:
            if problem := _unsupported(step):
                return Undecided(rule.where, problem)
            if sends(step):
                return _as_sent(permit, changes, rule.where)
            if isinstance(step, GotoTable):
                jump = step
            elif isinstance(step, WriteMetadata):
                metadata = metadata & ~step.mask | step.value & step.mask
            elif isinstance(step, ClearActions):
                sends_later = False
            elif isinstance(step, WriteActions):
                sends_later = sends_later or any(map(sends, step.steps))
                others.update((permit, each.doubt) for each in step.steps if isinstance(each, MaySend))
            elif isinstance(step, MaySend):
                others[_as_sent(permit, changes, rule.where)] = step.doubt
            elif isinstance(step, MayDrop):
                others[Verdict.BLOCK] = step.doubt
            elif isinstance(step, HeaderChange):
                changes.append(step)
        if jump is None:
            ended = _as_sent(permit, changes, rule.where) if sends_later else _Ended()
            return Verdict.BLOCK if others and ended == _Ended() and not arrival.sends_later else ended
        if rule.only_counts and jump.table == self._handover_table:
            return _as_sent(permit, changes, rule.where)
        return _Jumped(jump.table, tuple(changes), metadata, sends_later, arrival.tracked or jump.tracked)


def _runs(candidates: Sequence[_Candidate]) -> Iterator[_Run]:
    """Yield candidates from low to high priority, in groups that can be handled together.

    A group holds lists of candidates with the same match fields: one list of several priorities, or several
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


def _one_by_one(diagrams: Diagrams, candidates: Iterable[_Candidate]) -> Iterator[_Run]:
    """Yield the candidates of a run in parts that can be laid over one another in turn.

    An unmanaged rule is a part of its own, and so is a rule whose match is uncertain. Rules of one priority
    with overlapping matches and different outcomes stay together: it is undefined which of them wins.
    """
    ordered = sorted(candidates, key=lambda each: (each.priority, each.levels, not each.rule.is_managed))
    managed: list[_Candidate] = []
    for _, same_priority in itertools.groupby(ordered, key=lambda candidate: candidate.priority):
        alike = list(same_priority)
        certain = [candidate for candidate in alike if candidate.doubt is None]
        parts: list[_Run] = [[[candidate]] for candidate in certain]
        if _may_compete(diagrams, certain):
            by_levels = itertools.groupby(certain, key=lambda candidate: candidate.levels)
            parts = [[list(together) for _, together in by_levels]]
        for part in (*parts, *([[candidate]] for candidate in alike if candidate.doubt is not None)):
            first = part[0][0]
            is_alone = len(part) == len(part[0]) == 1 and first.doubt is None
            if is_alone and first.rule.is_managed and (not managed or managed[0].levels == first.levels):
                managed.append(first)
                continue
            if managed:
                yield [managed]
                managed = []
            if is_alone and first.rule.is_managed:
                managed = [first]
            else:
                yield part
    if managed:
        yield [managed]


def _may_compete(diagrams: Diagrams, candidates: Sequence[_Candidate]) -> bool:
    """Return whether two candidates with different outcomes can match the same packet."""
    if len({candidate.outcome for candidate in candidates}) <= 1:
        return False
    for one, other in itertools.combinations(candidates, 2):
        if one.outcome != other.outcome:
            diagrams.budget.spend(1)
            accepted = dict(other.fields)
            if all(common(values, accepted[level]) for level, values in one.fields if level in accepted):
                return True
    return False


def _together(diagrams: Diagrams, run: _Run) -> Diagram:
    """Return the outcome of the candidate of a run that wins; ``_NOTHING`` where none matches."""
    found = diagrams.leaf(_NOTHING)
    for alike in run:
        found = diagrams.apply(_undefined_if_both, found, _nested(diagrams, alike, 0))
    return found


def _nested(diagrams: Diagrams, candidates: Sequence[_Candidate], depth: int) -> Diagram:
    """Return the outcomes of candidates with the same match fields; the first ``depth`` are tested."""
    if depth == len(candidates[0].fields):
        return diagrams.leaf(_winner(candidates))
    level = candidates[0].fields[depth][0]

    @functools.cache
    def below(active: tuple[int, ...]) -> Diagram:
        return _nested(diagrams, [candidates[index] for index in active], depth + 1)

    accepted = [candidate.fields[depth][1] for candidate in candidates]
    inside = ((first, last, below(active)) for first, last, active in _sweep(diagrams, accepted))
    return diagrams.intervals(level, inside, diagrams.leaf(_NOTHING))


def _sweep(diagrams: Diagrams, accepted: Sequence[Ranges]) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """Yield ranges of values, ascending, each with the indices of all that accept it (at least one)."""
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
            diagrams.budget.spend(len(active))
            yield place, following - 1, tuple(sorted(active))


def _winner(candidates: Sequence[_Candidate]) -> Hashable:
    highest = max(candidate.priority for candidate in candidates)
    outcomes = {candidate.outcome for candidate in candidates if candidate.priority == highest}
    return functools.reduce(_undefined_if_both, outcomes)


def _undefined_if_both(one: Hashable, other: Hashable) -> Hashable:
    if one in (_NOTHING, other):
        return other
    if other == _NOTHING:
        return one
    doubts = [each.doubt for each in (one, other) if isinstance(each, _Either) and each.doubt is not None]
    return _Either(_outcomes(one) | _outcomes(other), doubts[0] if doubts else None)


def _outcomes(outcome: Hashable) -> frozenset[Hashable]:
    return outcome.outcomes if isinstance(outcome, _Either) else frozenset((outcome,))


def _jumps(values: Iterable[Hashable]) -> set[_Jumped]:
    outcomes = itertools.chain.from_iterable(_outcomes(value) for value in values)
    return {outcome for outcome in outcomes if isinstance(outcome, _Jumped)}


def _new_destination(changes: Iterable[Step]) -> tuple[SetField, ...]:
    """Return the changes that set a packet's destination."""
    return tuple(each for each in changes if isinstance(each, SetField) and each.name in _DESTINATION)


def _as_sent(outcome: Hashable, changes: Iterable[Step], where: str) -> Hashable:
    """Return the outcome for a packet that was changed before it."""
    made = _new_destination(changes)
    if not made:
        return outcome
    if isinstance(outcome, frozenset):
        return frozenset(_as_sent(each, made, where) for each in outcome)
    if isinstance(outcome, Rewritten):
        return outcome._replace(changes=(*made, *outcome.changes))
    is_sent = outcome in (Verdict.PERMIT, Verdict.WOULD_BLOCK)
    return Rewritten(outcome, made, where) if isinstance(outcome, Verdict) and is_sent else outcome


def _rewritten(values: Iterable[Hashable]) -> set[Rewritten]:
    flat = itertools.chain.from_iterable(
        value if isinstance(value, frozenset) else (value,) for value in values
    )
    return {value for value in flat if isinstance(value, Rewritten)}


def _judged(sent: Rewritten, outcome: Hashable, wanted: tuple[Verdict, Verdict]) -> Hashable:
    """Replace ``sent`` in an outcome; ``wanted`` is for the packet as it came and as it leaves."""
    if isinstance(outcome, frozenset):
        return _one_verdict([_judged(sent, each, wanted) for each in outcome], None)
    if outcome != sent:
        return outcome
    before, after = wanted
    if after is Verdict.BLOCK and before is not Verdict.BLOCK:
        return Undecided(sent.where, "it sends changed packets, which the policy blocks")
    return sent.permit


def _settled(outcome: Hashable, ending: Verdict) -> Hashable:
    if isinstance(outcome, _Ended):
        return ending
    if isinstance(outcome, _Either):
        return outcome._replace(outcomes=frozenset(_settled(each, ending) for each in outcome.outcomes))
    return outcome


def _collapsed(value: Hashable) -> Hashable:
    return _one_verdict(value.outcomes, value.doubt) if isinstance(value, _Either) else value


def _one_of_two(doubt: Undecided, one: Hashable, other: Hashable) -> Hashable:
    return _one_verdict(frozenset((one, other)), doubt)


def _one_verdict(values: Iterable[Hashable], doubt: Undecided | None) -> Hashable:
    """Return the verdict where only one is possible, else the doubt, or a frozenset where it is undefined."""
    found: set[Hashable] = set()
    for value in values:
        found |= value if isinstance(value, frozenset) else {value}
    if len(found) == 1:
        return found.pop()
    return doubt if doubt is not None else frozenset(found)


def _asked(
    rule: StoredRule, arrival: _Arrival
) -> tuple[tuple[tuple[int, Ranges], ...], Undecided | None] | None:
    """Return the match fields of a rule without registers; None where the registers exclude the rule.

    The second item says why it is not known whether the rule matches; None where that is known.
    """
    fields = []
    doubt: Undecided | None = None
    for name, value, mask in rule.match:
        if name in REGISTERS:
            held = arrival.metadata if name == "metadata" else 0
            if (held if mask is None else held & mask) != value:
                return None
        elif name == "ct_state" and (known := _tracking_matches(value, mask, arrival.tracked)) is not None:
            if not known:
                return None
        elif name not in LEVELS:
            doubt = doubt or Undecided(rule.where, f"the match field {name} is not modelled")
        else:
            try:
                accepted = intervals(name, value, mask)
            except TooManyIntervalsError as problem:
                doubt = doubt or Undecided(rule.where, str(problem))
                continue
            if not accepted:
                return None
            fields.append((LEVELS[name], accepted))
    return tuple(sorted(fields)), doubt


def _tracking_matches(value: int, mask: int | None, tracked: bool) -> bool | None:
    """Return whether a packet matches a connection-tracking state; None where that is not known."""
    mask = _ALL_STATES if mask is None else mask
    if not tracked:
        return value & mask == 0
    if mask & _TRACKED and not value & _TRACKED:
        return False
    return True if mask == _TRACKED else None


def _unsupported(step: Step) -> str | None:
    """Return why a step cannot be modelled; None where it can."""
    if isinstance(step, Unsupported):
        return f"'{step.text}' is not modelled"
    if isinstance(step, WriteActions):
        if (changed := _new_destination(step.steps)) and any(map(sends, step.steps)):
            return f"setting {changed[0].name} at the end is not modelled"
        return next(filter(None, map(_unsupported, step.steps)), None)
    if isinstance(step, SetField):
        if step.name not in WIDTHS:
            return f"setting {step.name} is not modelled"
        full = (1 << WIDTHS[step.name]) - 1
        if step.mask is not None and step.mask & full != full:
            return f"setting a part of {step.name} is not modelled"
        return _out_of_range(step.name, step.value)
    if isinstance(step, SetVlanPriority):
        return _out_of_range("vlan_pcp", step.value)
    if isinstance(step, (PopMpls, PushMpls)):
        return _out_of_range("eth_type", step.eth_type)
    return None


def _out_of_range(name: str, value: int) -> str | None:
    """Return why a field cannot have a value; None where it can."""
    return None if 0 <= value < 1 << WIDTHS[name] else f"{name} cannot be {value:#x}"
