"""``op25b doctor``: find faults of switches and controller that OpenFlow cannot show."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from op25b_app.cli.arguments import json_option, print_json
from op25b_app.cli.controller import socket_option

if TYPE_CHECKING:
    from op25b_app.operate.doctor.finding import Finding
    from op25b_app.operate.doctor.open_vswitch import OpenVSwitch

COLOURS = {"error": "red", "warning": "yellow", "ok": "green"}
"""Colours by severity, the most severe first."""
LATELY_SECONDS = 120.0
"""Seconds for which a refused certificate is reported; a switch tries again every few seconds."""


@click.command(short_help="Find faults of Open vSwitch and the controller.")
@click.option(
    "--bridge",
    "bridges",
    multiple=True,
    metavar="BR",
    help="A bridge to check; repeatable [those of the policy, else all].",
)
@click.option(
    "--db", "database", metavar="SERVER", help="The database of Open vSwitch, as for ovs-vsctl --db."
)
@socket_option
@json_option
def command(bridges: tuple[str, ...], database: str | None, path: Path | None, as_json: bool) -> None:
    """Find faults of Open vSwitch and the controller on this machine; show why they matter, and the remedies.

    Nothing is changed. OVS_RUNDIR and the like choose another Open vSwitch, as they do for its own tools.

    A switch of the policy that is neither protected nor monitoring is an error.

    Exits with 0 where there are no errors (there may be warnings); with 1 otherwise.
    """
    from op25b_app.operate.doctor.examination import examine
    from op25b_app.operate.doctor.open_vswitch import OpenVSwitchError, read_open_vswitch

    switch: OpenVSwitch | str
    try:
        switch = read_open_vswitch(database)
    except OpenVSwitchError as error:
        switch = str(error)
    severities = list(COLOURS)
    findings = sorted(
        examine(switch, _ask_controller(path, switch), bridges),
        key=lambda finding: severities.index(finding.severity),
    )
    healthy = not any(finding.severity == "error" for finding in findings)
    if as_json:
        values = [finding._asdict() for finding in findings]
        print_json({"healthy": healthy, "findings": values})
    else:
        _print(findings)
    sys.exit(0 if healthy else 1)


def _ask_controller(path: Path | None, switch: OpenVSwitch | str) -> Mapping[str, Any] | str:
    """Return the controller's report on itself and these bridges, or why there is no answer."""
    from op25b_app.operate.control_client import NoControllerError, ask, control_socket

    bridges = () if isinstance(switch, str) else switch.bridges
    dpids = ",".join(str(bridge.datapath_id) for bridge in bridges if bridge.datapath_id is not None)
    try:
        answer = ask(control_socket(path), "GET", f"/doctor?dpids={dpids}")
        journal = ask(control_socket(path), "GET", "/events")
    except NoControllerError as error:
        return str(error)
    if "error" in answer:
        return f"the controller could not answer ({answer['error']})"
    for event in journal.get("events", ()):
        if event["kind"] == "certificate" and event["switch"] in answer["switches"]:
            age = time.time() - datetime.fromisoformat(event["time"]).timestamp()
            if age < LATELY_SECONDS:
                answer["switches"][event["switch"]]["refused"] = event["text"]
    return answer


def _print(findings: Sequence[Finding]) -> None:
    for finding in findings:
        severity = click.style(f"{finding.severity:<8}", fg=COLOURS[finding.severity])
        why = f": {finding.why}" if finding.why else ""
        click.echo(f"{severity}{finding.where}: {finding.what}{why}")
        if finding.remedy:
            click.echo(f"        {finding.remedy}")
    click.echo(f"op25b: {_count(findings, 'error')}, {_count(findings, 'warning')}")


def _count(findings: Iterable[Finding], severity: str) -> str:
    number = sum(finding.severity == severity for finding in findings)
    return f"{number} {severity}{'' if number == 1 else 's'}"
