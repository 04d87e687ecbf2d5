"""``op25b prove``: prove a switch's flow tables against the policy, or show a counterexample."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from op25b_app.cli.arguments import (
    at_option,
    exit_where_ports_are_missing,
    exit_with_problem,
    json_option,
    policy_argument,
    policy_in_effect,
    ports_option,
    print_json,
    switch_option,
    switch_or_fail,
    written_or_exit,
)

if TYPE_CHECKING:
    from op25b_app.verify.prove import Refuted, Result

SILENT_SECONDS = 1.0
"""Seconds after which the progress is shown."""
_VERSIONS = "OpenFlow13,OpenFlow14,OpenFlow15"


@click.command(short_help="Prove that a switch's table does what a policy says.")
@policy_argument
@switch_option
@click.option(
    "--flows",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The table, as `ovs-ofctl dump-flows` prints it.",
)
@click.option(
    "--groups",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The groups that the table uses, as `ovs-ofctl dump-groups` prints them.",
)
@click.option("--bridge", metavar="BR", help="Read the table of this Open vSwitch bridge.")
@ports_option
@at_option
@json_option
def command(
    path: Path,
    switch_name: str,
    flows: Path | None,
    groups: Path | None,
    bridge: str | None,
    port_files: tuple[str, ...],
    at: float,
    as_json: bool,
) -> None:
    """Prove that a table gives every packet the verdict of POLICY.

    Rules of other applications belong to the table. Where it gives a packet another verdict, the output shows
    that packet.

    Exits with 0 only where the table is proven; with 1 where there is a counterexample, where the proof
    cannot decide, and where POLICY has errors.
    """
    if (flows is None) == (bridge is None):
        raise click.UsageError("give either --flows FILE or --bridge BR")
    if groups is not None and flows is None:
        raise click.UsageError("--groups goes with --flows; with --bridge, groups are read from the bridge")
    from op25b_app.openflow.ofctl_parser import DumpError, read_dump, read_groups
    from op25b_app.openflow.ofctl_ports import read_ports
    from op25b_app.verify.prove import CannotDecide, Proven, TooCostly, culprits, prove

    written = written_or_exit(path, at)
    described = {}
    if bridge is not None and switch_name in written.switches_by_port_name and not port_files:
        described[switch_name] = read_ports(_dump(bridge, "show")).ports
    policy = policy_in_effect(path, written, at, port_files, switch_name, described)
    switch = switch_or_fail(policy, switch_name)
    exit_where_ports_are_missing(policy, [switch_name])
    if bridge is not None:
        name, text = bridge, _dump(bridge, "dump-flows")
        of_groups = _dump(bridge, "dump-groups") if "group:" in text else ""
    else:
        name, text = str(flows), _read(flows)
        of_groups = _read(groups)
    rules = []
    result: Result
    try:
        with _progress() as progress:
            progress("the table")
            known = read_groups(bridge or str(groups), of_groups)
            rules = read_dump(name, text, known)
            result = prove(policy, switch, rules, at, progress)
    except DumpError as problem:
        result = CannotDecide(problem.where, problem.reason)
    if as_json:
        print_json(_as_json(result, len(rules)))
    elif isinstance(result, Proven):
        subject = f"{len(rules)} rules do what {path} says of {switch_name}"
        click.echo(f"proven: {subject}, for every packet ({result.classes} classes of headers)")
    elif isinstance(result, CannotDecide):
        click.echo(f"cannot decide, because {result.where}: {result.reason}")
    elif isinstance(result, TooCostly):
        click.echo(f"cannot decide within {result.within}, because of {culprits(result)}")
    else:
        _print_refuted(result)
    sys.exit(0 if isinstance(result, Proven) else 1)


def _print_refuted(result: Refuted) -> None:
    from op25b_app.verify.counterexample import describe, in_words, trace_command

    decision, traced = result.decision, result.walk
    rule = f"{traced.rule.where}: {traced.rule.text}" if traced.rule else "no rule matches"
    doubt = ", or another of its priority: which one wins is undefined" if traced.undefined else ""
    click.echo("not proven: the table and the policy differ on this packet")
    click.echo(f"  packet  {describe(result.fields)}")
    if (words := in_words(result.fields)) is not None:
        click.echo(f"          {words}")
    if result.frame is not None:
        click.echo(f"  trace   {trace_command(result.packet.in_port, result.frame)}")
    click.echo(f"  policy  {decision.verdict.value}: {decision.because}")
    click.echo(f"          {decision.rule}, {decision.place}")
    click.echo(f"  table   {traced.verdict.value}: {rule}{doubt}")


def _as_json(result: Result, rules: int) -> dict[str, Any]:
    from op25b_app.verify.prove import CannotDecide, Proven, TooCostly, culprits

    if isinstance(result, Proven):
        return {"result": "proven", "rules": rules, "classes": result.classes}
    if isinstance(result, CannotDecide):
        return {"result": "cannot decide", "where": result.where, "reason": result.reason}
    if isinstance(result, TooCostly):
        reason = f"not within {result.within}, because of {culprits(result)}"
        where = result.rules[0].where if result.rules else None
        return {"result": "cannot decide", "where": where, "reason": reason}
    from op25b_app.verify.counterexample import describe, trace_command

    frame, traced, decision = result.frame, result.walk, result.decision
    return {
        "result": "not proven",
        "packet": result.fields,
        "match": describe(result.fields),
        "frame": frame.hex() if frame is not None else None,
        "trace": trace_command(result.packet.in_port, frame) if frame is not None else None,
        "policy_verdict": decision.verdict.value,
        "rule": decision.rule,
        "because": decision.because,
        "policy_file": decision.place.file,
        "policy_line": decision.place.line,
        "table_verdict": traced.verdict.value,
        "flow": traced.rule.text if traced.rule else None,
        "flow_line": traced.rule.where if traced.rule else None,
        "undefined": traced.undefined,
    }


def _read(path: Path | None) -> str:
    return "" if path is None else path.read_text("utf-8-sig", errors="replace")


def _dump(bridge: str, what: str) -> str:
    if bridge.startswith("-"):
        raise click.BadParameter(f"'{bridge}' is not the name of a bridge", param_hint="--bridge")
    arguments = ["ovs-ofctl", "-O", _VERSIONS, "--no-names", "--no-stats", what, bridge]
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=300)
    except (OSError, subprocess.TimeoutExpired) as failure:
        remedy = "dump the table elsewhere and give it with --flows"
        exit_with_problem(f"cannot run ovs-ofctl: {failure}; {remedy}")
    if done.returncode:
        remedy = "name one of `ovs-vsctl list-br`, or its management socket"
        exit_with_problem(f"cannot read the table of {bridge}: {done.stderr.strip()}; {remedy}")
    return done.stdout


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Show the progress on a terminal, once it takes longer than SILENT_SECONDS."""
    from rich.console import Console

    status = Console(stderr=True).status("proving")
    timer = threading.Timer(SILENT_SECONDS, status.start)
    timer.daemon = True
    timer.start()
    try:
        yield lambda what: status.update(f"proving: {what}")
    finally:
        timer.cancel()
        status.stop()
