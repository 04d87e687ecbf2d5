"""``op25b reload``: put the present policy file in force, and wait until every switch follows."""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from op25b_app.cli.arguments import json_option, print_json
from op25b_app.cli.controller import COLOURS, ask_or_exit, socket_option
from op25b_app.sync.status import is_converged, is_transient

EXAMINE_SECONDS = 900.0
"""Seconds that a controller may take to read and compare a policy; a million prefixes take minutes."""
POLL_SECONDS = 0.2
MAX_SWITCHES = 20
"""Maximum number of switches printed; those that do not hold the policy come first."""


@click.command(short_help="Let a running controller read its policy again.")
@click.option(
    "--yes",
    is_flag=True,
    help="Accept a policy that cuts off lines, stops blocking on a switch, or opens far more.",
)
@click.option("--dry-run", is_flag=True, help="Show the changes, but do not make them.")
@click.option("--no-effect", is_flag=True, help="Do not compare the policies first.")
@click.option(
    "--wait",
    "seconds",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="Longest wait for the switches.",
)
@socket_option
@json_option
def command(
    yes: bool, dry_run: bool, no_effect: bool, seconds: float, path: Path | None, as_json: bool
) -> None:
    """Let the controller on this machine read its policy file again, as SIGHUP does.

    The command shows the changes, the lines that lose traffic first. Then it waits until each connected
    switch holds the new policy.

    A policy is refused if it has errors. It is also refused if more than 1 % of the lines would lose all
    their traffic, if it blocks nothing on a switch that blocks now, or if it opens far more. After a refusal,
    the policy in force stays in force.

    Exits with 0 where the policy is in force and each connected switch is protected or monitoring; with
    --dry-run, where it would be accepted. Exits with 1 where it is refused, where a connected switch does not
    follow in time, and where no controller answers.
    """
    if math.isnan(seconds):
        raise click.BadParameter("'nan' is not a number of seconds", param_hint="--wait")
    query = urlencode({"yes": int(yes), "dry_run": int(dry_run), "effect": int(not no_effect)})
    answer = ask_or_exit(path, "POST", f"/reload?{query}", seconds=EXAMINE_SECONDS)
    if not as_json:
        _print_answer(answer, dry_run=dry_run)
    switches: dict[str, Any] = {}
    if answer["applied"]:
        switches = _wait_for_switches(path, seconds)
        if not as_json:
            _print_switches(switches, seconds)
    if as_json:
        print_json({**answer, "switches": switches})
    good = not answer["refused"] and all(_good(switch) for switch in switches.values())
    sys.exit(0 if good else 1)


def _print_answer(answer: dict[str, Any], *, dry_run: bool) -> None:
    for kind in ("problems", "effect", "cuts_off", "stops_blocking", "opens"):
        for line in answer[kind]:
            click.echo(line)
    if answer["refused"]:
        remedy = "" if answer["refused"] == "errors" else "; to accept it: op25b reload --yes"
        click.echo(f"op25b: refused; the policy in force stays in force{remedy}")
    else:
        click.echo(f"op25b: the policy {'would be accepted' if dry_run else 'is in force'}")
    if answer.get("keep_error"):
        click.echo(f"op25b: warning: {answer['keep_error']}")


def _wait_for_switches(path: Path | None, seconds: float) -> dict[str, Any]:
    """Return the status of each switch, once all connected ones have the policy or the time is over."""
    end = time.monotonic() + seconds
    while True:
        status = ask_or_exit(path, "GET", "/status")
        switches = {name: switch for name, switch in status["switches"].items() if switch["in_policy"]}
        if all(_has_answered(switch) for switch in switches.values()) or time.monotonic() >= end:
            return switches
        time.sleep(POLL_SECONDS)


def _has_answered(switch: dict[str, Any]) -> bool:
    if switch["openflow"] is None:
        return True
    return bool(switch["current"]) and not is_transient(switch["state"])


def _good(switch: dict[str, Any]) -> bool:
    """Return whether a switch holds the policy, or is not connected."""
    return switch["openflow"] is None or (_has_answered(switch) and is_converged(switch["state"]))


def _print_switches(switches: dict[str, Any], seconds: float) -> None:
    """Print a line for each switch; of many, those first that do not hold the policy."""
    by_need = sorted(switches.items(), key=lambda named: _good(named[1]) and named[1]["openflow"] is not None)
    shown = by_need[:MAX_SWITCHES] if len(switches) > MAX_SWITCHES else [*switches.items()]
    for name, switch in shown:
        line = f"{click.style(switch['state'], fg=COLOURS.get(switch['state']))}: {switch['reason']}"
        if switch["openflow"] is None:
            line = "not connected; it gets the policy when it connects"
        elif not _has_answered(switch):
            line += f"; not confirmed within {seconds:g} s"
        click.echo(f"{name}: {line}")
    if more := len(switches) - len(shown):
        bad = sum(not _good(switch) for _, switch in by_need[MAX_SWITCHES:])
        click.echo(f"and {more:,} more, {bad:,} of them not as wanted; 'op25b status' shows all")
