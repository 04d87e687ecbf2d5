"""Does a table do what a policy says, for every packet? If not, here is one."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

from op25b_app.policy.decide import Decision, decide
from op25b_app.policy.model import LOCAL_PORT, Policy, PortRole, Switch, Verdict
from op25b_app.policy.packet import ETH_LENGTH, Packet
from op25b_app.rules.flow import COOKIE_OWNER
from op25b_app.rules.proof.diagram import Diagram, Diagrams, count_paths
from op25b_app.rules.proof.header import LEVELS, SIZES
from op25b_app.rules.proof.specification import Specification
from op25b_app.rules.proof.stored import StoredRule
from op25b_app.rules.proof.tables import CannotDecideError, TableVerdicts, Undecided
from op25b_app.rules.proof.walk import Walk, walk
from op25b_app.rules.proof.witness import describe, find_header, frame_of, openflow_fields, packet_of
from op25b_app.rules.ranges import complement

LAST_PORT = 0xFFFFFEFF
"""Physical ports end here; the switch's own port, LOCAL, comes after (OpenFlow 1.3.5, section 7.2.1)."""

Progress = Callable[[str], None]
"""Is told what begins."""


class Proven(NamedTuple):
    """Every packet gets the verdict of the policy. ``classes`` of headers were told apart."""

    classes: int


class Refuted(NamedTuple):
    """A packet that does not get the verdict of the policy.

    ``fields`` are its match fields by OXM name, ``frame`` its bytes, None where no frame reads so on Open
    vSwitch (only on switches that walk IPv6 headers otherwise).
    """

    packet: Packet
    fields: dict[str, int]
    frame: bytes | None
    decision: Decision
    walk: Walk


class CannotDecide(NamedTuple):
    """Something in the table is beyond the proof, and the verdict of some packet depends on it."""

    where: str
    reason: str


Result = Proven | Refuted | CannotDecide


def prove(
    policy: Policy,
    switch: Switch,
    rules: Sequence[StoredRule],
    at: float,
    progress: Progress = lambda what: None,
) -> Result:
    """Compare ``rules``, a whole table, with ``policy`` at a moment (seconds since 1970)."""
    diagrams = Diagrams(SIZES)
    progress("what the table does")
    try:
        found = TableVerdicts(diagrams, rules, switch.forwarding_table).verdicts()
    except CannotDecideError as problem:
        return CannotDecide(problem.where, problem.reason)
    specification = Specification(diagrams, policy, switch, at)
    undecided: CannotDecide | None = None
    classes = 0
    for role in PortRole:
        if not (ports := _ports(switch, role)):
            continue
        progress(f"what the policy says of {role.value} ports")
        wanted = specification.verdicts(role)
        pairs = diagrams.apply(lambda verdict, outcome: (verdict, outcome), wanted, found)
        pairs = diagrams.choose(_domain(diagrams, ports), pairs, diagrams.leaf(None))
        if any(map(_is_wrong, pairs.values)):
            return _refute(policy, switch, rules, at, find_header(pairs, _is_wrong, ports[0][0]))
        for pair in pairs.values:
            undecided = undecided or _doubt(pair)
        classes += count_paths(pairs)
    return undecided or Proven(classes)


def objection(
    policy: Policy, switch: Switch, rules: Sequence[StoredRule], at: float, tolerance: float = 2.0
) -> str | None:
    """Why a table read ``at`` about this moment is not proven; None where it is.

    Rules with time-outs end in whole seconds and reading takes a moment: with an exception that ends within
    ``tolerance`` seconds, either side of its end will do.
    """
    ends = [entry.expires for entry in policy.exceptions if entry.expires is not None]
    moments = [at, *(moment for end in ends if abs(end - at) <= tolerance for moment in (end - 1, end))]
    failed: list[Result] = []
    for moment in moments:
        result = prove(policy, switch, rules, moment)
        if isinstance(result, Proven):
            return None
        failed.append(result)
    result = failed[0]
    if isinstance(result, CannotDecide):
        return f"cannot be proven, because {result.where}: {result.reason}"
    assert isinstance(result, Refuted)
    walked = result.walk
    by = "no rule"
    if walked.rule is not None:
        ours = walked.rule.cookie >> 48 == COOKIE_OWNER
        by = walked.rule.text if ours else f"a rule of another application, {walked.rule.text},"
    return (
        f"not proven: {by} gives {walked.verdict.value} where the policy says "
        f"{result.decision.verdict.value}, for {describe(result.fields)}"
    )


def _refute(
    policy: Policy, switch: Switch, rules: Sequence[StoredRule], at: float, header: dict[str, int]
) -> Refuted:
    packet, fields = packet_of(header), openflow_fields(header)
    decision = decide(policy, switch, packet, at)
    walked = walk(rules, fields, switch.forwarding_table)
    if walked.verdict is decision.verdict and not walked.undefined:
        raise AssertionError(f"the counterexample is none: {fields}, {decision}, {walked}")
    return Refuted(packet, fields, frame_of(header), decision, walked)


def _ports(switch: Switch, role: PortRole) -> list[tuple[int, int]]:
    """Ranges of the ports of a role, ascending; all that have no other role are subscriber ports."""
    others = sorted(switch.uplink_ports | switch.trusted_ports)
    if role is not PortRole.SUBSCRIBER:
        return [(port, port) for port in others if switch.role_of(port) is role]
    taken = tuple((port, port) for port in others)
    return [*complement(taken, 1, LAST_PORT), *complement(taken, LOCAL_PORT, LOCAL_PORT)]


def _domain(diagrams: Diagrams, ports: list[tuple[int, int]]) -> Diagram:
    """Headers that can come in at these ports: what stands below 0x600 is a length, all read as one value."""
    yes, no = diagrams.leaf(True), diagrams.leaf(False)
    here = diagrams.intervals(LEVELS["in_port"], ((first, last, yes) for first, last in ports), no)
    ethertypes = ((ETH_LENGTH, 0xFFFF, yes),)
    return diagrams.both(here, diagrams.intervals(LEVELS["eth_type"], ethertypes, no))


def _is_wrong(pair: Any) -> bool:
    """Is an outcome, or one of several undefined ones, certainly not what is wanted?"""
    return any(isinstance(each, Verdict) and each is not pair[0] for each in _outcomes(pair))


def _doubt(pair: Any) -> CannotDecide | None:
    return next((CannotDecide(*each) for each in _outcomes(pair) if isinstance(each, Undecided)), None)


def _outcomes(pair: tuple[Verdict, Hashable] | None) -> frozenset[Hashable]:
    """All outcomes that a table may have for a class of packets; none for packets that cannot come."""
    if pair is None:
        return frozenset()
    return pair[1] if isinstance(pair[1], frozenset) else frozenset((pair[1],))
