"""What is proven with what is remembered of other tables, against the proof from scratch."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from op25b_app.compiler.compiler import Compiler, compile_rules
from op25b_app.net.prefix import Prefix
from op25b_app.openflow.flow_rule import NORMAL, FieldValue, FlowRule, Goto, Match
from op25b_app.policy.decide import decide
from op25b_app.policy.model import LocatedPrefix, MailException, Policy, Switch
from op25b_app.verify.prove import Proven, Refuted, prove
from op25b_app.verify.prover import Prover
from tests.generated import NOW, SWITCH, exceptions, hardenings, policies, prefixes
from tests.property.test_proof import stored_rules, trace_packet

pytestmark = pytest.mark.slow

SMALL = 20_000
"""A size that is exceeded every few proofs of these policies."""
PROVERS = {"remembers": Prover(), "forgets": Prover(SMALL)}
"""Each for all examples of a test, so that it has seen many other policies."""


def mutate(
    rules: Sequence[FlowRule], generator: random.Random
) -> tuple[tuple[FlowRule, ...], list[FlowRule]]:
    """One change of a table: its rules, and those of another application."""
    place = generator.randrange(len(rules))
    rule = rules[place]
    action = generator.choice((NORMAL, None, *(Goto(table) for table in range(rule.table + 1, 7))))
    match generator.choice(("delete", "match", "match", "priority", "action", "add", "foreign")):
        case "delete":
            return (*rules[:place], *rules[place + 1 :]), []
        case "add":
            return (*rules, rule._replace(priority=generator.choice((2, 150, 700)), action=action)), []
        case "foreign":
            priority = generator.choice((1, 2, 150, 201, 700, 65535))
            return tuple(rules), [rule._replace(cookie=1, priority=priority, action=action)]
        case "priority":
            changed = rule._replace(priority=max(2, rule.priority + generator.choice((-1, 1, -100, 100))))
        case "match" if rule.match and rule.match[-1].name not in ("eth_type", "ip_proto"):
            changed = rule._replace(match=with_another_field(rule.match, generator))
        case _:
            changed = rule._replace(action=action)
    return (*rules[:place], changed, *rules[place + 1 :]), []


def with_another_field(match: Match, generator: random.Random) -> Match:
    """The match with its last field left out, with another bit, or with a longer mask."""
    *others, (name, value, mask) = match
    if generator.random() < 0.2:
        return tuple(others)
    if mask is None or generator.random() < 0.5:
        lowest = mask & -mask if mask is not None else 1 << generator.randrange(5)
        return (*others, FieldValue(name, value ^ lowest, mask))
    return (*others, FieldValue(name, value, mask | mask >> 1))


def segments(rules: Sequence[FlowRule], generator: random.Random) -> list[Sequence[FlowRule]]:
    """The rules in some parts: how they are cut must not matter."""
    cuts = sorted(generator.choices(range(len(rules) + 1), k=3))
    return [rules[start:end] for start, end in zip((0, *cuts), (*cuts, len(rules)), strict=True)]


def assert_agrees(
    prover: Prover,
    policy: Policy,
    switch: Switch,
    rules: Sequence[Sequence[FlowRule]],
    others: Sequence[FlowRule] = (),
    at: float = NOW,
) -> bool:
    """The prover shows nothing but what the proof from scratch proves; that has real counterexamples."""
    shown = prover.proves(policy, switch, rules, at, others)
    whole = [*(rule for segment in rules for rule in segment), *others]
    table = stored_rules(whole)
    result = prove(policy, switch, table, at)
    assert not shown or isinstance(result, Proven), result
    if isinstance(result, Refuted):
        traced = trace_packet(table, result.fields, switch.forwarding_table)
        assert traced.undefined or traced.verdict is not decide(policy, switch, result.packet, at).verdict
    return shown


@pytest.mark.parametrize("name", PROVERS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_tables_and_their_mutants(name: str, data: st.DataObject) -> None:
    policy = data.draw(policies())
    generator = random.Random(data.draw(st.integers(0, 1 << 32)))
    switch = policy.switches[SWITCH]
    compiled = Compiler(policy).segments(switch, NOW)
    assert assert_agrees(PROVERS[name], policy, switch, compiled)
    for count in (1, 1, 2):
        rules, others = tuple(rule for segment in compiled for rule in segment), []
        for _ in range(count):
            rules, foreign = mutate(rules, generator)
            others += foreign
        assert_agrees(PROVERS[name], policy, switch, segments(rules, generator), others)


@st.composite
def successors(draw: st.DrawFn, policy: Policy) -> Policy:
    """The policy with one change of anything that a proof depends on."""

    def with_or_without(listed: tuple[LocatedPrefix, ...], prefix: Prefix) -> tuple[LocatedPrefix, ...]:
        if draw(st.booleans()) and listed:
            place = draw(st.integers(0, len(listed) - 1))
            return listed[:place] + listed[place + 1 :]
        if prefix in [entry.prefix for entry in (*policy.dynamic, *policy.static)]:
            return listed
        entry = LocatedPrefix(prefix, policy.address_space_place)
        place = draw(st.integers(0, len(listed)))
        return (*listed[:place], entry, *listed[place:])

    name = draw(st.sampled_from(("dynamic", "static", "mail_destinations", "exceptions", "switch", "rest")))
    if name == "exceptions":
        ends: tuple[MailException, ...] = tuple(draw(st.lists(exceptions(), max_size=3)))
        return replace(policy, exceptions=ends)
    if name == "rest":
        return replace(policy, hardening=draw(hardenings()), inbound=draw(policies()).inbound)
    if name == "switch":
        other = draw(policies())
        changed = draw(st.sampled_from(sorted(policy.switches)))
        switches = {**policy.switches, changed: other.switches[changed]}
        return replace(policy, switches=MappingProxyType(switches))
    changed_list = with_or_without(getattr(policy, name), draw(prefixes()))
    return replace(policy, **{name: changed_list})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", PROVERS)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_policies_that_follow_one_another(name: str, data: st.DataObject) -> None:
    """Compiled from what was compiled before, all switches, with the table of the policy before as well."""
    policy, compiler = data.draw(policies()), None
    before: dict[str, Sequence[Sequence[FlowRule]]] = {}
    for _ in range(8):
        compiler = Compiler(policy, compiler)
        for switch in policy.switches.values():
            compiled = compiler.segments(switch, NOW)
            assert assert_agrees(PROVERS[name], policy, switch, compiled)
            assert_agrees(PROVERS[name], policy, switch, before.get(switch.name, compiled))
            before[switch.name] = compiled
        policy = data.draw(successors(policy))


@settings(max_examples=20, deadline=None)
@given(policies())
def test_exceptions_that_end(policy: Policy) -> None:
    switch, prover = policy.switches[SWITCH], Prover()
    ends = sorted({each.expires for each in policy.exceptions if each.expires is not None})
    for moment in (NOW, *(moment for end in ends for moment in (end - 1, end))):
        rules = compile_rules(policy, switch, moment)
        assert assert_agrees(prover, policy, switch, [rules], at=moment)
        for other in ends:
            assert_agrees(prover, policy, switch, [rules], at=other)
