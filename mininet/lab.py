"""``op25b lab``: builds a topology, carries out the scenarios, shows what happened, opens a prompt."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import running_lab
from errors import LabError
from isolation import run_isolated
from rich.console import Console
from scenarios import DHCP, DHCP_PROGRAMS, DHCP_WHY, SCENARIOS, Scenario
from standard_output import claim_standard_output

from op25b_app.net.port_number import PortNumbers
from op25b_app.policy.facts import Facts, in_effect
from op25b_app.policy.loader import load
from op25b_app.policy.model import Mode, Policy
from op25b_app.sync.ports import name_problems


@dataclass(frozen=True)
class _Choice:
    """What the person asked for."""

    topology: str
    policy: Path | None
    mode: Mode
    scenarios: tuple[Scenario, ...]
    as_json: bool
    prompt: bool


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--topology", metavar="NAME", help="The network; single, unless a scenario has one of its own.")
@click.option(
    "--scenario", "names", multiple=True, metavar="NAME", help="Only this one, no prompt; repeatable."
)
@click.option(
    "--policy",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="POLICY",
    help="Instead of the policy file beside the topology.",
)
@click.option("--monitor", is_flag=True, help="Monitor mode: what would be blocked is counted and delivered.")
@click.option("--scripted", is_flag=True, help="No prompt; so it is without a terminal too.")
@click.option("--json", "as_json", is_flag=True, help="The table as JSON on standard output; no prompt.")
@click.option("--list", "listing", is_flag=True, help="Name the topologies and scenarios; build nothing.")
def main(
    topology: str | None,
    names: tuple[str, ...],
    policy: Path | None,
    monitor: bool,
    scripted: bool,
    as_json: bool,
    listing: bool,
) -> None:
    """Build the Mininet lab, send real mail through it and show who could reach whom.

    In a terminal the Mininet prompt opens then, with two commands more: mail and scenario.

    Exits with 0 where every row of the table is as expected; with 1 otherwise, and where it cannot be built.
    Nothing is left behind, however the lab ends.
    """
    of_dhcp = DHCP in names or topology == DHCP
    try:
        running_lab.check_prerequisites(DHCP_PROGRAMS if of_dhcp else {})
    except LabError as error:
        raise click.ClickException(str(error)) from None
    from network import find_topologies, make_topo, policy_file

    topologies = find_topologies()
    for problem in topologies.problems:
        click.echo(f"op25b lab: a topology cannot be loaded: {problem}", err=True)
    if listing:
        _list(sorted(topologies.files))
        return
    if of_dhcp:
        if {*names} - {DHCP} or topology not in (None, DHCP) or policy or monitor:
            raise click.UsageError(f"scenario {DHCP} has a network and a policy of its own: run it alone")
        _check_policy(policy_file(DHCP), make_topo(DHCP))
        sys.exit(run_isolated(lambda: _run_dhcp(as_json)))
    topology = topology or "single"
    _check_choice("--topology", [topology], topologies.files)
    _check_choice("--scenario", names, [*(scenario.name for scenario in SCENARIOS), DHCP])
    mode = Mode.MONITOR if monitor else Mode.ENFORCE
    try:
        topo = make_topo(topology)
        scenarios = _fitting(topo, [each for each in SCENARIOS if not names or each.name in names])
    except LabError as error:
        raise click.ClickException(str(error)) from None
    _check_policy(policy or policy_file(topology), topo)
    prompt = not (scripted or as_json or names) and sys.stdin.isatty() and sys.stdout.isatty()
    choice = _Choice(topology, policy, mode, scenarios, as_json, prompt)
    sys.exit(run_isolated(lambda: _run(choice)))


def _run_dhcp(as_json: bool) -> int:
    if as_json:
        claim_standard_output()
    import dhcp_scenario

    progress = Console(stderr=True, highlight=False)
    lab = running_lab.RunningLab(DHCP, None, Mode.ENFORCE, lambda text: progress.print(f"op25b lab: {text}"))
    steps = []
    for step in dhcp_scenario.DhcpScenario(lab).steps():
        progress.print(f"op25b lab: {step.what}: {step.happened}")
        steps.append(step)
    if as_json:
        print(json.dumps(dhcp_scenario.as_json(steps), indent=2))
    else:
        dhcp_scenario.show(Console(width=None if sys.stdout.isatty() else 110), steps)
    return 0 if all(step.as_expected for step in steps) else 1


def _run(choice: _Choice) -> int:
    if choice.as_json:
        claim_standard_output()
    import attempts
    import report
    from prompt import LabPrompt

    progress = Console(stderr=True, highlight=False)
    lab = running_lab.RunningLab(
        choice.topology, choice.policy, choice.mode, lambda text: progress.print(f"op25b lab: {text}")
    )
    all_tries = attempts.tries(choice.scenarios, lab.network.families, choice.mode)
    progress.print(f"op25b lab: {len(all_tries)} messages are being sent")
    results, evidence = attempts.carry_out(lab, all_tries, choice.mode)
    console = Console(width=None if sys.stdout.isatty() else 110)
    if choice.as_json:
        print(json.dumps(report.as_json(choice.topology, choice.mode, results, evidence), indent=2))
    else:
        report.show(console, lab, results, evidence, choice.mode)
    if choice.prompt:
        # From here on Ctrl-C interrupts a command at the prompt.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        first = choice.scenarios[0]
        who, to, port, *_ = first.attempts[0]
        console.print(f"Try: mail {who} {to} {port}, scenario {first.name}, help", highlight=False)
        LabPrompt(lab, choice.scenarios, choice.mode, console)
    return 0 if report.good(results, evidence) else 1


def _fitting(topo: Any, scenarios: Sequence[Scenario]) -> tuple[Scenario, ...]:
    """Return the scenarios whose hosts a topology has; it says which are left out.

    Raises: LabError where none is left.
    """
    from network import mail_domains

    missing = {each.name: _missing(each, topo.hosts(), mail_domains(topo)) for each in scenarios}
    left_out = [each for each in scenarios if missing[each.name]]
    reported = [f"scenario {each.name} needs {', '.join(missing[each.name])}" for each in left_out]
    if len(left_out) == len(scenarios):
        where = "name hosts as topologies/single.py does, with mail_domain for those with a mail server"
        raise LabError("\n".join(["no scenario fits this topology", *reported, where]))
    for scenario, line in zip(left_out, reported, strict=True):
        if not scenario.is_special:
            click.echo(f"op25b lab: left out: {line}, which this topology does not have", err=True)
    return tuple(each for each in scenarios if not missing[each.name])


def _missing(scenario: Scenario, hosts: Collection[str], mail_servers: Collection[str]) -> list[str]:
    """What a scenario needs and a topology does not have, each once."""
    needs: dict[str, None] = {}
    for attempt in scenario.attempts:
        if attempt.who not in hosts:
            needs[f"host {attempt.who}"] = None
        for server in (attempt.to, attempt.mailbox):
            if server not in mail_servers:
                needs[f"mail server {server}"] = None
    return [*needs]


def _check_policy(file: Path, topo: Any) -> None:
    """Say now what the controller would say later, in its log."""
    policy, problems, *_ = load(file, time.time())
    if policy is None:
        raise click.ClickException("\n".join(["the policy is not valid", *map(str, problems)]))
    from network import managed_switches

    switches = managed_switches(topo)
    policy = in_effect(policy, Facts(ports={name: _named_ports(topo, name) for name in switches}))
    misfits = [misfit for name in switches for misfit in _misfits(policy, topo, name)]
    if misfits:
        raise click.ClickException("\n".join([f"{file} is not for this topology", *misfits]))


def _named_ports(topo: Any, name: str) -> PortNumbers:
    """Return the ports of a switch, with the names that Mininet gives them."""
    return frozenset((f"{name}-eth{port}", port) for port in topo.ports[name])


def _misfits(policy: Policy, topo: Any, name: str) -> Iterator[str]:
    switch = policy.switches.get(name)
    if switch is None:
        yield f"switch {name} is not in it: add it under switches"
        return
    dpid = int(topo.nodeInfo(name)["dpid"], 16)
    if switch.dpid != dpid:
        yield f"{switch.place}: {name} has dpid {dpid:#x} in the topology, and {switch.dpid:#x} here"
    yield from (f"{switch.place}: {problem}" for problem in name_problems(switch))
    ports = sorted(port for port in topo.ports[name] if not switch.has_role(port))
    if ports:
        yield f"{switch.place}: {name} gives no role to the ports {', '.join(map(str, ports))}"


def _list(topologies: Sequence[str]) -> None:
    print("topologies: " + ", ".join(topologies))
    print("scenarios:")
    for scenario in SCENARIOS:
        print(f"  {scenario.name}: {scenario.why}")
    print(f"  {DHCP}: {DHCP_WHY}")


def _check_choice(option: str, given: Sequence[str], known: Collection[str]) -> None:
    unknown = [name for name in given if name not in known]
    if unknown:
        raise click.UsageError(f"{option} {unknown[0]} is not known; there are {', '.join(sorted(known))}")


if __name__ == "__main__":
    main(prog_name="op25b lab")
