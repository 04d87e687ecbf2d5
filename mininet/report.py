"""What the attempts showed: a table for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attempts import Evidence, Result
from rich import box
from rich.console import Console
from rich.table import Table
from running_lab import RunningLab
from scenarios import SCENARIOS

from op25b_app.policy.model import Mode

_HAPPENED = {"timed out": "no connection"}
_PORT = {25: "25", 465: "465 TLS", 587: "587 STARTTLS"}


def good(results: Sequence[Result], evidence: Evidence) -> bool:
    """Whether every row is as expected and the switches' counters say the same."""
    return all(result.as_expected for result in results) and evidence.sufficient


def table(lab: RunningLab, results: Sequence[Result]) -> Table:
    """One row an attempt; a scenario's name stands beside its first."""
    columns = ("Scenario", "Who", "To whom", "Port", "Expected", "What happened", "")
    result_table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
    previous = None
    for result in results:
        tried, attempt = result.tried, result.tried.attempt
        result_table.add_row(
            "" if previous == tried.scenario else tried.scenario,
            _host(lab, attempt.who),
            _host(lab, attempt.to) + (f" → {attempt.onward}" if attempt.onward else ""),
            _PORT[attempt.port] + (" IPv6" if tried.family == 6 else ""),
            tried.expected,
            _HAPPENED.get(result.happened, result.happened),
            "[green]✔[/]" if result.as_expected else "[bold red]✘[/]",
        )
        previous = tried.scenario
    return result_table


def summary(results: Sequence[Result], evidence: Evidence, mode: Mode) -> str:
    """Two sentences below the table."""
    wrong = sum(not result.as_expected for result in results)
    delivered = sum(result.happened == "delivered" for result in results)
    rows = (
        f"All {len(results)} rows as expected"
        if not wrong
        else f"{wrong} of {len(results)} rows are NOT as expected"
    )
    what = "dropped" if mode is Mode.ENFORCE else "would have dropped"
    counters = f"the switches {what} {evidence.counted} packets"
    if not evidence.sufficient:
        counters += f", which is NOT the {evidence.required} that these rows account for"
    return f"{rows}: {delivered} messages are in their mailboxes, and {counters}."


def reasons(results: Sequence[Result]) -> str:
    """Why each scenario ends as it does."""
    shown = {result.tried.scenario for result in results}
    return "\n".join(f"  {each.name}: {each.why}" for each in SCENARIOS if each.name in shown)


def as_json(topology: str, mode: Mode, results: Sequence[Result], evidence: Evidence) -> dict[str, Any]:
    """Everything, as values that JSON knows."""
    return {
        "topology": topology,
        "mode": mode.value,
        "as_expected": good(results, evidence),
        "rows": [_row(result) for result in results],
        "block_rules": {"counted_packets": evidence.counted, "required_packets": evidence.required},
    }


def _row(result: Result) -> dict[str, Any]:
    tried = result.tried
    return {
        "scenario": tried.scenario,
        "who": tried.attempt.who,
        "to": tried.attempt.to,
        "onward": tried.attempt.onward,
        "ip_version": tried.family,
        "port": tried.attempt.port,
        "expected": tried.expected,
        "happened": result.happened,
        "as_expected": result.as_expected,
        "detail": result.detail,
        "seconds": result.seconds,
        "why": tried.why,
    }


def _host(lab: RunningLab, name: str) -> str:
    return f"{name} [dim]({lab.network.space(name)})[/]"


def show(
    console: Console, lab: RunningLab, results: Sequence[Result], evidence: Evidence, mode: Mode
) -> None:
    """Print table, reasons, what is not as expected, and the summary."""
    console.print(table(lab, results))
    console.print(reasons(results), style="dim", highlight=False)
    for result in results:
        if not result.as_expected:
            attempt = result.tried.attempt
            text = f"{attempt.who} to {attempt.to}:{attempt.port}, IPv{result.tried.family}: {result.detail}"
            console.print(text, style="red", highlight=False, markup=False)
    console.print(summary(results, evidence, mode), style="bold", highlight=False)
