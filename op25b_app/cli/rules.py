"""``op25b rules``: the flow rules of one switch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from op25b_app.cli.arguments import at_option, policy_argument, policy_or_exit, switch_option, switch_or_fail

if TYPE_CHECKING:
    from op25b_app.rules.flow import FlowRule


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
@at_option
def command(path: Path, switch_name: str, form: str, at: float) -> None:
    """Print the flow rules that POLICY means for one switch, in the order in which they are sent."""
    from op25b_app.rules.compiler import compile_rules
    from op25b_app.rules.ofctl import format_rule

    policy = policy_or_exit(path, at)
    rules = compile_rules(policy, switch_or_fail(policy, switch_name), at)
    if form == "ofctl":
        click.echo("\n".join(map(format_rule, rules)))
    elif form == "json":
        click.echo(json.dumps([rule_as_json(rule) for rule in rules], indent=2))
    else:
        _print_table(rules)


def rule_as_json(rule: FlowRule) -> dict[str, Any]:
    """A flow rule as JSON; 64-bit numbers as text, since many readers of JSON cannot hold them."""
    from op25b_app.rules.ofctl import format_action, format_match, format_rule
    from op25b_app.rules.pipeline import Table

    return {
        "table": int(rule.table),
        "table_name": Table(rule.table).name.lower(),
        "priority": int(rule.priority),
        "match": format_match(rule.match),
        "action": format_action(rule.action),
        "cookie": f"{rule.cookie:#x}",
        "role": rule.role.name.lower(),
        "hard_timeout": rule.hard_timeout,
        "ofctl": format_rule(rule),
    }


def _print_table(rules: Sequence[FlowRule]) -> None:
    from rich.console import Console
    from rich.table import Column
    from rich.table import Table as TextTable

    from op25b_app.rules.ofctl import format_action, format_match
    from op25b_app.rules.pipeline import Table

    text = TextTable("table", "priority", Column("match", overflow="fold"), "action", "role")
    ordered = sorted(rules, key=lambda rule: (rule.table, -rule.priority))
    for place, rule in enumerate(ordered):
        text.add_row(
            f"{rule.table} {Table(rule.table).name.lower()}",
            str(int(rule.priority)),
            format_match(rule.match) or "everything",
            format_action(rule.action) + (f" for {rule.hard_timeout} s" if rule.hard_timeout else ""),
            rule.role.name.lower().replace("_", " "),
            end_section=ordered[place + 1 : place + 2] != [] and ordered[place + 1].table != rule.table,
        )
    console = Console()
    console.print(text)
    console.print(f"{len(rules)} rules")
