"""Prove that a table implements a policy for every packet, or return a counterexample."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

from op25b_app.net.port_number import LOCAL_PORT
from op25b_app.net.ranges import Ranges, complement, merged
from op25b_app.openflow.stored_rule import StoredRule
from op25b_app.policy.decide import Decision, decide
from op25b_app.policy.model import Policy, PortRole, Switch, Verdict
from op25b_app.policy.packet import ETH_LENGTH, Packet
from op25b_app.verify.budget import Budget, OverBudgetError, steps_for
from op25b_app.verify.counterexample import (
    ETH_LLDP,
    NEAREST_BRIDGE,
    describe,
    find_header,
    frame_of,
    in_words,
    openflow_fields,
    packet_of,
)
from op25b_app.verify.diagram import Diagram, Diagrams, count_paths
from op25b_app.verify.header import LEVELS, SIZES
from op25b_app.verify.symbolic_policy import SymbolicPolicy
from op25b_app.verify.symbolic_tables import TableVerdicts, Undecided
from op25b_app.verify.trace import Trace, possible_traces

LAST_PORT = 0xFFFFFEFF
"""Highest physical port number; the reserved port LOCAL is above it (OpenFlow 1.3.5, section 7.2.1)."""
TOLERANCE = 2.0
"""Seconds that an exception may start or end before or after a table is read."""
_MAX_RULES_NAMED = 3
_MAX_TRACES = 64
"""Maximum number of ways of a packet that are tried where rules of one priority compete."""

Progress = Callable[[str], None]
"""Callback for the name of each step as it begins."""


class Proven(NamedTuple):
    """Every packet gets the verdict of the policy. ``classes`` is the number of header classes compared."""

    classes: int


class Refuted(NamedTuple):
    """A packet that does not get the verdict of the policy (a counterexample).

    ``fields`` are its match fields by OXM name. ``frame`` is its bytes, or None where Open vSwitch reads no
    frame so (only on switches that walk IPv6 headers in another way).
    """

    packet: Packet
    fields: dict[str, int]
    frame: bytes | None
    decision: Decision
    walk: Trace


class CannotDecide(NamedTuple):
    """The verdict of some packet depends on a part of the table that the proof does not model."""

    where: str
    reason: str


class TooCostly(NamedTuple):
    """The proof was given up. ``within`` is its limit as text.

    ``rules`` are the unmanaged rules that took steps, most steps first; empty where only op25b's rules did.
    """

    within: str
    rules: tuple[StoredRule, ...]


Result = Proven | Refuted | CannotDecide | TooCostly


def prove(
    policy: Policy,
    switch: Switch,
    rules: Sequence[StoredRule],
    at: float,
    progress: Progress = lambda what: None,
    budget: Budget | None = None,
) -> Result:
    """Compare ``rules``, a whole table, with ``policy`` at a moment (seconds since 1970).

    ``budget`` limits the work. The default is ten times what a table of as many op25b rules needs, and more
    for small tables.
    """
    budget = budget or Budget(steps_for(sum(rule.is_managed for rule in rules)))
    diagrams = Diagrams(SIZES, budget)
    table = TableVerdicts(diagrams, rules, switch.forwarding_table)
    symbolic = SymbolicPolicy(diagrams, policy, switch, at)
    undecided: CannotDecide | None = None
    classes = 0
    try:
        progress("what the table does")
        found = table.verdicts()
        for role in PortRole:
            if not (ports := ports_by_roles(switch, switch).get((role, role))):
                continue
            progress(f"the policy on {role.value} ports")
            wanted = symbolic.verdicts(role)
            here = table.judged_as_sent(found, wanted)
            pairs = diagrams.apply(lambda verdict, outcome: (verdict, outcome), wanted, here)
            pairs = diagrams.choose(_domain(diagrams, role, ports), pairs, diagrams.leaf(None))
            if any(map(_is_wrong, pairs.values)):
                return _refute(policy, switch, rules, at, find_header(pairs, _is_wrong, ports[0][0]))
            for pair in pairs.values:
                undecided = undecided or _doubt(pair)
            classes += count_paths(pairs)
    except OverBudgetError as error:
        return TooCostly(error.within, tuple(rule for rule, _ in table.steps.most_common()))
    return undecided or Proven(classes)


def moments_about(policy: Policy, at: float, tolerance: float = TOLERANCE) -> list[float]:
    """Return the moments of which one will do for a table read about ``at``, as ``violation`` says."""
    written = (moment for entry in policy.exceptions for moment in (entry.starts, entry.expires))
    changes = [moment for moment in written if moment is not None and abs(moment - at) <= tolerance]
    return list(dict.fromkeys((at, *(moment for change in changes for moment in (change - 1, change)))))


def violation(
    policy: Policy,
    switch: Switch,
    rules: Sequence[StoredRule],
    at: float,
    tolerance: float = TOLERANCE,
    is_over: Callable[[], bool] = lambda: False,
) -> str | None:
    """Return why a table read about ``at`` (seconds since 1970) is not proven; None where it is.

    Rules with time-outs end in whole seconds, and reading takes time. So where an exception starts or ends
    within ``tolerance`` seconds of ``at``, the policy before or after that moment will do. The number of
    op25b's rules limits the work; it ends early where ``is_over``, called now and then, returns True.
    """
    failed: list[Result] = []
    for moment in moments_about(policy, at, tolerance):
        budget = Budget(steps_for(sum(rule.is_managed for rule in rules)), is_over)
        result = prove(policy, switch, rules, moment, budget=budget)
        if isinstance(result, Proven):
            return None
        failed.append(result)
        if isinstance(result, TooCostly):
            break
    return _violation_of(failed[0])


def _violation_of(result: Result) -> str:
    if isinstance(result, CannotDecide):
        return f"cannot be proven, because {result.where}: {result.reason}"
    if isinstance(result, TooCostly):
        return f"cannot be proven within {result.within}, because of {culprits(result)}"
    assert isinstance(result, Refuted)
    traced, words = result.walk, in_words(result.fields)
    by = "no rule"
    if traced.rule is not None:
        is_managed = traced.rule.is_managed
        by = traced.rule.text if is_managed else f"a rule of another application, {traced.rule.text},"
    return (
        f"not proven: {by} gives {traced.verdict.value} where the policy says "
        f"{result.decision.verdict.value}, for {f'{words}, ' if words else ''}{describe(result.fields)}"
    )


def culprits(result: TooCostly) -> str:
    """Return, as text, the rules that the proof was given up for."""
    if not result.rules:
        return "the policy itself"
    named = [rule.text for rule in result.rules[:_MAX_RULES_NAMED]]
    if more := len(result.rules) - len(named):
        named.append(f"and {more:,} more")
    return f"rules of other applications: {'; '.join(named)}"


def _refute(
    policy: Policy, switch: Switch, rules: Sequence[StoredRule], at: float, header: dict[str, int]
) -> Refuted | CannotDecide:
    packet, fields = packet_of(header), openflow_fields(header)
    decision = decide(policy, switch, packet, at)
    for traced in itertools.islice(possible_traces(rules, fields, switch.forwarding_table), _MAX_TRACES):
        if traced.verdict is not decision.verdict:
            return Refuted(packet, fields, frame_of(header), decision, traced)
    # Rules that no switch can hold, such as a match without its prerequisites, may come to this.
    reason = f"its rules contradict each other for {describe(fields)}; please report them"
    return CannotDecide("the table", reason)


def ports_by_roles(old: Switch, new: Switch) -> dict[tuple[PortRole, PortRole], Ranges]:
    """Return all ports that a switch can have, by their roles; those without a role are subscriber ports."""
    named = sorted(old.uplink_ports | old.trusted_ports | new.uplink_ports | new.trusted_ports)
    found: dict[tuple[PortRole, PortRole], list[tuple[int, int]]] = {}
    for port in named:
        found.setdefault((old.role_of(port), new.role_of(port)), []).append((port, port))
    taken = tuple((port, port) for port in named)
    free = [*complement(taken, 1, LAST_PORT), *complement(taken, LOCAL_PORT, LOCAL_PORT)]
    found.setdefault((PortRole.SUBSCRIBER, PortRole.SUBSCRIBER), []).extend(free)
    return {roles: merged(ranges) for roles, ranges in found.items()}


def _domain(diagrams: Diagrams, role: PortRole, ports: Ranges) -> Diagram:
    """Return the condition that a header can come in at these ports."""
    return diagrams.both(diagrams.within(LEVELS["in_port"], ports), ethernet_domain(diagrams, role))


def ethernet_domain(diagrams: Diagrams, role: PortRole) -> Diagram:
    """Return the condition that a frame with this header comes in at ports of a role.

    An ethertype below 0x600 is a length; all lengths are one value. At trusted ports, LLDP to the nearest
    bridge is left out: no bridge forwards it (IEEE 802.1Q, table 8-1), so a rule that takes it stops no
    traffic.
    """
    domain = diagrams.within(LEVELS["eth_type"], [(ETH_LENGTH, 0xFFFF)])
    if role is not PortRole.TRUSTED:
        return domain
    lldp = diagrams.within(LEVELS["eth_type"], [(ETH_LLDP, ETH_LLDP)])
    nearest = diagrams.within(LEVELS["eth_dst"], [(NEAREST_BRIDGE, NEAREST_BRIDGE)])
    return diagrams.both(domain, diagrams.negation(diagrams.both(lldp, nearest)))


def _is_wrong(pair: Any) -> bool:
    """Return whether an outcome, or one of several undefined ones, is certainly not the wanted verdict."""
    return any(isinstance(each, Verdict) and each is not pair[0] for each in _outcomes(pair))


def _doubt(pair: Any) -> CannotDecide | None:
    return next((CannotDecide(*each) for each in _outcomes(pair) if isinstance(each, Undecided)), None)


def _outcomes(pair: tuple[Verdict, Hashable] | None) -> frozenset[Hashable]:
    """Return all possible outcomes of a class of packets; none for packets that cannot come in."""
    if pair is None:
        return frozenset()
    return pair[1] if isinstance(pair[1], frozenset) else frozenset((pair[1],))
