"""Many switches at one controller: until their rules are confirmed, and proven; again; and afterwards."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from benchmarks import controllers
from benchmarks.controllers import PORT, Controller, Running, op25b_socket
from benchmarks.peers.environments import ROOT
from benchmarks.policies import AT, read_policy, write_policy
from benchmarks.results import Spread, Switches, spread_of
from benchmarks.rulesets import ruleset_of, write_plain_ryu
from op25b_app.compiler.compiler import compile_rules
from op25b_app.sync.ruleset import Ruleset
from op25b_app.sync.update_plan import installation

SWITCHES = (100, 1_000)
RULES = 1_000
_IDLE_SECONDS = 60.0
_LIMIT_SECONDS = 900.0


def switch_times(rounds: int) -> Iterator[Switches]:
    """Of op25b, and once of a plain Ryu application, which takes minutes."""
    ruleset = ruleset_of(RULES)
    for count in SWITCHES:
        with TemporaryDirectory() as folder:
            rules = Path(folder, "rules.json")
            write_plain_ryu(rules, ruleset.rules)
            policy = write_policy(Path(folder), ruleset.space, "defaults", switches=count)
            size, flow_mods = _fewest(policy)
            for controller, times, sent in (
                (controllers.op25b(policy), rounds, flow_mods),
                (controllers.plain_ryu(rules), 1, size),
            ):
                click.echo(f"switches: {count:,}, {controller.name}", err=True)
                socket = op25b_socket(policy) if controller.name == "op25b" else None
                found = [_once(controller, Path(folder), count, sent, socket) for _ in range(times)]
                yield _summary(controller.name, count, size, found)


def _fewest(policy: Path) -> tuple[int, int]:
    """Rules of a switch, and flow-mods that op25b sends it if it is empty, the marker's among them.

    Only the first switch has bindings, the others are alike.
    """
    loaded = read_policy(policy)
    wanted = [Ruleset([compile_rules(loaded, switch, AT)]) for switch in islice(loaded.switches.values(), 2)]
    return min((len(rules), sum(map(len, installation(rules))) + 1) for rules in wanted)


def _once(
    controller: Controller, folder: Path, switches: int, flow_mods: int, socket: Path | None
) -> dict[str, Any]:
    """In a process of its own, which needs memory and a processor for itself."""
    with Running(controller, folder) as running:
        command = [sys.executable, "-m", "benchmarks.crowd", f"--port={PORT}", f"--pid={running.pid}"]
        command += [f"--switches={switches}", f"--flow-mods={flow_mods}"]
        command += [f"--idle={_IDLE_SECONDS}", f"--limit={_LIMIT_SECONDS}"]
        command += [] if socket is None else [f"--socket={socket}"]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if result.returncode:
        click.echo(f"  {controller.name}: {result.stderr.strip()}", err=True)
        return {"failure": result.stderr.strip().splitlines()[-1]}
    click.echo(f"  {controller.name}: {result.stdout.strip()}", err=True)
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def _summary(peer: str, switches: int, rules: int, found: list[dict[str, Any]]) -> Switches:
    """Of the times that came to their end."""
    complete = [each for each in found if "failure" not in each]
    if not complete:
        return Switches(switches, peer, rules, failure=found[0]["failure"])
    return Switches(
        switches,
        peer,
        rules,
        _spread(complete, "confirmed", 0),
        _spread(complete, "confirmed", 1),
        _spread(complete, "proven", 0),
        _spread(complete, "proven", 1),
        _spread(complete, "reconnected", 0),
        _spread(complete, "reconnected", 1),
        spread_of([each["peak"] for each in complete]),
        spread_of([each["idle"] for each in complete]),
        spread_of([each["lag"] for each in complete]) if "lag" in complete[0] else None,
    )


def _spread(found: list[dict[str, Any]], step: str, number: int) -> Spread | None:
    values = [each[step][number] for each in found if step in each]
    return spread_of(values) if values else None
