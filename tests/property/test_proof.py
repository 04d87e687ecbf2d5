"""The proof against the specification, against traces of single packets, and against mutations."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from op25b_app.compiler.compiler import compile_rules
from op25b_app.compiler.simulate import headers
from op25b_app.openflow.flow_rule import NORMAL, FieldValue, FlowRule, Goto
from op25b_app.openflow.instruction_decoder import stored_rule
from op25b_app.openflow.ofctl import format_rule
from op25b_app.openflow.stored_rule import StoredRule
from op25b_app.policy.decide import decide
from op25b_app.policy.model import Policy, Verdict
from op25b_app.policy.packet import Packet, read_frame
from op25b_app.verify.diagram import Diagrams
from op25b_app.verify.header import FIELDS, SIZES, vlan_value
from op25b_app.verify.prove import Proven, Refuted, prove
from op25b_app.verify.symbolic_policy import SymbolicPolicy
from op25b_app.verify.symbolic_tables import TableVerdicts
from op25b_app.verify.trace import Trace, possible_traces
from tests.diagrams import evaluate
from tests.generated import IN_PORTS, NOW, SWITCH, packets, policies
from tests.generated_frames import frames

pytestmark = pytest.mark.slow


def stored_rules(rules: Sequence[FlowRule]) -> list[StoredRule]:
    return [stored_rule(rule, format_rule(rule)) for rule in rules]


def header_of(packet: Packet) -> list[int]:
    fields = headers(packet)
    fields["vlan_vid"] = vlan_value(fields["vlan_vid"])
    return [fields.get(name, 0) for name in FIELDS]


def any_packets(policy: Policy) -> st.SearchStrategy[Packet]:
    hostile = st.builds(read_frame, st.sampled_from(IN_PORTS), frames(policy))
    return st.one_of(hostile, packets(policy))


@settings(max_examples=200, deadline=None)
@given(policies())
def test_what_is_compiled_is_proven(policy: Policy) -> None:
    switch = policy.switches[SWITCH]
    rules = stored_rules(compile_rules(policy, switch, NOW))
    assert isinstance(prove(policy, switch, rules, NOW), Proven)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_the_specification_as_a_diagram_is_the_specification(data: st.DataObject) -> None:
    policy = data.draw(policies())
    switch = policy.switches[SWITCH]
    symbolic = SymbolicPolicy(Diagrams(SIZES), policy, switch, NOW)
    for packet in data.draw(st.lists(any_packets(policy), min_size=20, max_size=20)):
        verdicts = symbolic.verdicts(switch.role_of(packet.in_port))
        assert evaluate(verdicts, header_of(packet)) is decide(policy, switch, packet, NOW).verdict


def trace_packet(rules: Sequence[StoredRule], fields: Mapping[str, int], handover_table: int | None) -> Trace:
    """The first of the ways of a packet; blocked where there is none."""
    return next(possible_traces(rules, fields, handover_table), Trace(Verdict.BLOCK, None, undefined=True))


@st.composite
def mutants(draw: st.DrawFn, rules: Sequence[StoredRule]) -> list[StoredRule]:
    generator = random.Random(draw(st.integers(0, 1 << 32)))
    return mutate(list(rules), generator)


def mutate(rules: list[StoredRule], generator: random.Random) -> list[StoredRule]:
    """One single change: a rule deleted, its match, priority or action changed, or a foreign rule added."""
    place = generator.randrange(len(rules))
    rule = rules[place]
    kind = generator.choice(("delete", "match", "match", "priority", "action", "add"))
    if kind == "delete":
        return rules[:place] + rules[place + 1 :]
    if kind == "priority":
        changed = rule._replace(priority=max(2, rule.priority + generator.choice((-1, 1, -100, 100, -7, 7))))
    elif kind == "action":
        actions = (NORMAL, None, *(Goto(table) for table in range(rule.table + 1, 7)))
        action = generator.choice(actions)
        changed = stored_rule(FlowRule(0, 0, (), action, 0), "")
        changed = rule._replace(steps=changed.steps)
    elif kind == "match" and rule.match[-1:] and rule.match[-1].name not in ("eth_type", "ip_proto"):
        changed = rule._replace(match=_changed_match(rule.match, generator))
    else:
        foreign = rule._replace(cookie=1, where="foreign", steps=generator.choice((rule.steps, ())))
        return [*rules, foreign._replace(priority=generator.choice((2, 150, 201, 700, 65535)))]
    return [*rules[:place], changed, *rules[place + 1 :]]


def _changed_match(match: tuple[FieldValue, ...], generator: random.Random) -> tuple[FieldValue, ...]:
    place = generator.choice(
        [place for place, field in enumerate(match) if field.name not in ("eth_type", "ip_proto")]
    )
    name, value, mask = match[place]
    if mask is not None and generator.random() < 0.5:
        longer = mask | mask >> 1
        field = FieldValue(name, value, longer if generator.random() < 0.5 else mask << 1 & mask)
        field = field._replace(value=field.value & (field.mask or 0))
    else:
        bit = (mask & -mask) if mask is not None else 1 << generator.randrange(5)
        field = FieldValue(name, value ^ bit, mask)
    if field.mask == 0:
        return match[:place] + match[place + 1 :]
    return (*match[:place], field, *match[place + 1 :])


def assert_right(policy: Policy, rules: list[StoredRule], packets_to_try: Iterator[Packet]) -> bool:
    """The result of the proof holds for packets looked at one by one; True where it is proven."""
    switch = policy.switches[SWITCH]
    result = prove(policy, switch, rules, NOW)
    if isinstance(result, Refuted):
        decision = decide(policy, switch, result.packet, NOW)
        traced = trace_packet(rules, result.fields, switch.forwarding_table)
        assert traced.undefined or traced.verdict is not decision.verdict
        if result.frame is not None:
            assert read_frame(result.packet.in_port, result.frame) == result.packet
        return False
    assert isinstance(result, Proven), result
    for packet in packets_to_try:
        wanted = decide(policy, switch, packet, NOW).verdict
        traced = trace_packet(rules, headers(packet), switch.forwarding_table)
        assert traced.verdict is wanted, f"{packet}\n{traced}"
    return True


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_of_mutated_tables_those_are_refuted_that_differ(data: st.DataObject) -> None:
    policy = data.draw(policies())
    switch = policy.switches[SWITCH]
    rules = data.draw(mutants(stored_rules(compile_rules(policy, switch, NOW))))
    tried = data.draw(st.lists(any_packets(policy), min_size=30, max_size=30))
    assert_right(policy, rules, iter(tried))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_the_verdicts_of_a_table_are_those_of_a_walk(data: st.DataObject) -> None:
    """For tables that nobody has compiled: several mutations, ambiguities among them."""
    policy = data.draw(policies())
    switch = policy.switches[SWITCH]
    rules = stored_rules(compile_rules(policy, switch, NOW))
    for _ in range(4):
        rules = data.draw(mutants(rules))
    verdicts = TableVerdicts(Diagrams(SIZES), rules, switch.forwarding_table).verdicts()
    for packet in data.draw(st.lists(any_packets(policy), min_size=20, max_size=20)):
        found = evaluate(verdicts, header_of(packet))
        traced = trace_packet(rules, headers(packet), switch.forwarding_table)
        if isinstance(found, Verdict):
            assert traced.verdict is found
        else:
            assert traced.undefined
            assert traced.verdict in found
