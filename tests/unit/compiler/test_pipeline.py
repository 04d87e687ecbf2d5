"""The compiled rules keep to what the pipeline says: which fields a table matches, and where it leads."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import HealthCheck, given, settings

from op25b_app.compiler.compiler import compile_rules
from op25b_app.compiler.pipeline import PIPELINE, Table, TableDescription
from op25b_app.openflow.fields import BY_NAME
from op25b_app.openflow.flow_rule import FlowRule, Goto
from op25b_app.policy.model import Policy
from tests.generated import NOW, SWITCH, policies

ANY_POLICY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@ANY_POLICY
@given(policies())
def test_no_rule_matches_another_field_or_goes_elsewhere(policy: Policy) -> None:
    switch = policy.switches[SWITCH]
    for rule in compile_rules(policy, switch, NOW):
        table = PIPELINE[Table(rule.table)]
        assert {field.name for field in rule.match} <= table.matches
        assert leads_to(rule) - {switch.forwarding_table} <= next_tables(table)


@ANY_POLICY
@given(policies())
def test_every_field_comes_with_its_prerequisites(policy: Policy) -> None:
    for rule in compile_rules(policy, policy.switches[SWITCH], NOW):
        exact = {field.name: field.value for field in rule.match if field.mask is None}
        for field in rule.match:
            assert BY_NAME[field.name].needs.are_met(exact), rule


def test_every_field_and_every_way_is_used() -> None:
    fields: defaultdict[int, set[str]] = defaultdict(set)
    ways: defaultdict[int, set[int]] = defaultdict(set)

    @settings(ANY_POLICY, max_examples=120, derandomize=True)
    @given(policies())
    def collect(policy: Policy) -> None:
        switch = policy.switches[SWITCH]
        for rule in compile_rules(policy, switch, NOW):
            fields[rule.table].update(field.name for field in rule.match)
            ways[rule.table].update(leads_to(rule) - {switch.forwarding_table})

    collect()
    assert {table: fields[table] for table in Table} == {
        table: described.matches for table, described in PIPELINE.items()
    }
    assert {table: ways[table] for table in Table} == {
        table: next_tables(described) for table, described in PIPELINE.items()
    }


def test_a_table_leads_only_to_later_ones() -> None:
    assert PIPELINE.keys() == set(Table)
    for table, described in PIPELINE.items():
        assert all(after > table for after in next_tables(described))


def test_at_most_three_of_the_fields_of_a_table_are_tracked() -> None:
    for described in PIPELINE.values():
        assert len(described.tracked) <= 3
        assert set(described.tracked) <= described.matches


def next_tables(described: TableDescription) -> set[Table]:
    return {exit.to for exit in described.exits if exit.to is not None}


def leads_to(rule: FlowRule) -> set[int]:
    return {rule.action.table} if isinstance(rule.action, Goto) else set()
