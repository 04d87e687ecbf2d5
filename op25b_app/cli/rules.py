"""``op25b rules``: print the flow rules of one switch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from op25b_app.cli.arguments import (
    at_option,
    errors_and_exit,
    exit_where_ports_are_missing,
    policy_argument,
    policy_or_exit,
    ports_option,
    print_json,
    switch_option,
    switch_or_fail,
)

if TYPE_CHECKING:
    from op25b_app.openflow.flow_rule import FlowRule

Names = Mapping[int, str]
"""Names of flow tables by number, in the order of printing."""


@click.command(short_help="Print the flow rules of one switch.")
@policy_argument
@switch_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "ofctl", "json"]),
    default="table",
    show_default=True,
    help="ofctl: lines that `ovs-ofctl -O OpenFlow13 add-flows BRIDGE -` takes.",
)
@click.option("--single-table", is_flag=True, help="For a switch that has only one table.")
@ports_option
@at_option
def command(
    path: Path, switch_name: str, form: str, single_table: bool, port_files: tuple[str, ...], at: float
) -> None:
    """Print the flow rules of POLICY for one switch, in the order in which they are sent.

    With --single-table, a setting that one table cannot express is an error.

    Exits with 0 where rules are printed; with 1 where there are errors.
    """
    from op25b_app.compiler.compiler import compile_rules
    from op25b_app.compiler.pipeline import Table
    from op25b_app.compiler.single_table import CannotExpressError, compile_single_table
    from op25b_app.openflow.ofctl import format_rule

    policy = policy_or_exit(path, at, port_files, switch_name)
    switch = switch_or_fail(policy, switch_name)
    exit_where_ports_are_missing(policy, [switch_name])
    names: Names = {0: "single_table"} if single_table else {table: table.name.lower() for table in Table}
    try:
        rules = (compile_single_table if single_table else compile_rules)(policy, switch, at)
    except CannotExpressError as failure:
        errors_and_exit(failure.problems)
    if form == "ofctl":
        click.echo("\n".join(map(format_rule, rules)))
    elif form == "json":
        print_json([_rule_as_json(rule, names) for rule in rules])
    else:
        _print_table(rules, names)


def _rule_as_json(rule: FlowRule, names: Names) -> dict[str, Any]:
    """Return a flow rule as JSON values; 64-bit numbers as text, since many JSON readers cannot hold them."""
    from op25b_app.openflow.ofctl import format_action, format_match, format_rule

    return {
        "table": int(rule.table),
        "table_name": names[rule.table],
        "priority": int(rule.priority),
        "match": format_match(rule.match),
        "action": format_action(rule.action),
        "cookie": f"{rule.cookie:#x}",
        "role": rule.role.name.lower(),
        "hard_timeout": rule.hard_timeout,
        "ofctl": format_rule(rule),
    }


def _print_table(rules: Sequence[FlowRule], names: Names) -> None:
    """Print each flow table with its rules, highest priority first."""
    for table, name in names.items():
        rows = _rows([rule for rule in rules if rule.table == table])
        if not rows:
            continue
        click.echo(f"{int(table)} {name}")
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        for row in rows:
            columns = zip(row, widths, strict=True)
            click.echo("  " + "  ".join(text.ljust(width) for text, width in columns).rstrip())
        click.echo()
    click.echo(f"{len(rules)} rules")


def _rows(rules: Sequence[FlowRule]) -> list[tuple[str, str, str, str]]:
    """Return priority, match, action and role as text. Rules that differ only in in_port are one row."""
    from op25b_app.net.port_number import port_ranges
    from op25b_app.openflow.ofctl import format_action, format_match

    by_row: dict[tuple[int, str, str, str], list[int]] = {}
    for rule in rules:
        ports = [field.value for field in rule.match if field.name == "in_port"]
        match = format_match(tuple(field for field in rule.match if field.name != "in_port"))
        action = format_action(rule.action) + (f" for {rule.hard_timeout} s" if rule.hard_timeout else "")
        role = rule.role.name.lower().replace("_", " ")
        by_row.setdefault((-rule.priority, match, action, role), []).extend(ports)
    rows = []
    for (priority, match, action, role), ports in sorted(by_row.items()):
        from_ports = f"in_port={','.join(port_ranges(ports))}" if ports else ""
        whole = ",".join(part for part in (from_ports, match) if part) or "everything"
        rows.append((str(-priority), whole, action, role))
    return rows
