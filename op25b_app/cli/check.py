"""``op25b check``: check a policy file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from op25b_app.cli.arguments import as_object, at_option, json_option, policy_argument, print_json

if TYPE_CHECKING:
    from op25b_app.policy.model import Switch


@click.command(short_help="Report all errors and warnings of a policy file.")
@policy_argument
@click.option("--verbose", is_flag=True, help="Also show each switch as op25b reads it.")
@at_option
@json_option
def command(path: Path, verbose: bool, at: float, as_json: bool) -> None:
    """Report all errors and warnings of POLICY, each with its place and the remedy.

    Names of ports are not compared with the ports of the switches, which only a controller knows.

    Exits with 0 where POLICY has no errors (it may have warnings); with 1 otherwise.
    """
    from op25b_app.policy.diagnostic import names_in_words
    from op25b_app.policy.loader import load

    loaded = load(path, at)
    if as_json:
        problems = [*map(as_object, loaded.problems)]
        by_name = [] if loaded.policy is None else [*loaded.policy.switches_by_port_name]
        print_json({"valid": loaded.policy is not None, "problems": problems, "ports_by_name": by_name})
    else:
        for problem in loaded.problems:
            click.echo(problem)
        if loaded.policy is not None:
            click.echo(f"{path}: valid; switches: {names_in_words([*loaded.policy.switches])}")
            if named := loaded.policy.switches_by_port_name:
                what = "ports by name, which are known when the switch connects"
                click.echo(f"{path}: not checked: {what}: {names_in_words([*named])}")
            if verbose:
                for switch in loaded.policy.switches.values():
                    click.echo(f"  {_as_understood(switch)}")
    sys.exit(0 if loaded.policy is not None else 1)


def _as_understood(switch: Switch) -> str:
    """Return a line with the datapath id in each notation, and the number of ports by role."""
    dpid = f"dpid {switch.dpid:#x} ({switch.dpid:016x} in hexadecimal, {switch.dpid} in decimal)"
    roles = {
        "subscriber": switch.subscriber_ports,
        "uplink": switch.uplink_ports,
        "trusted": switch.trusted_ports,
    }
    ports = ", ".join(f"{len(ports)} {role}" for role, ports in roles.items())
    named = [f"{entry.pattern} {entry.role.value}" for entry in switch.by_name if entry.role is not None]
    ports += f", and by name {', '.join(named)}" if named else ""
    return f"{switch.name}: {dpid}; {switch.mode.value}; ports: {ports}; {len(switch.bindings)} bindings"
