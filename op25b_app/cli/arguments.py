"""Arguments, options and error messages that several subcommands share."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

import click

if TYPE_CHECKING:
    from op25b_app.net.port_number import PortNumbers
    from op25b_app.policy.diagnostic import Diagnostic
    from op25b_app.policy.model import Policy, Switch


FIRST_SECONDS = 1e8
"""Fewest seconds since 1970 that are accepted: a smaller number is a year, or a mistake."""


class TimeParam(click.ParamType):  # type: ignore[type-arg]
    """Seconds since 1970, from those or from ISO 8601 with a time zone."""

    name = "time"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> float:
        """Return the time in seconds since 1970. Raises click.BadParameter where it is not valid."""
        if isinstance(value, float):
            return value
        from op25b_app.formats.moment import LAST_MOMENT

        at = self._seconds(str(value))
        if at is None or not FIRST_SECONDS <= at <= LAST_MOMENT:
            self.fail(
                f"'{value}' is not a moment; write 2027-03-31T00:00:00Z, or seconds since 1970 from "
                f"{FIRST_SECONDS:,.0f} on",
                parameter,
                context,
            )
        return at

    @staticmethod
    def _seconds(text: str) -> float | None:
        if re.fullmatch(r"[0-9]{1,12}(\.[0-9]+)?", text):
            return float(text)
        try:
            moment = datetime.fromisoformat(re.sub("[zZ]$", "+00:00", text))
        except ValueError:
            return None
        return moment.timestamp() if moment.tzinfo is not None else None


class PortParam(click.ParamType):  # type: ignore[type-arg]
    """A port number, or LOCAL."""

    name = "port"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> int:
        """Return the port number. Raises click.BadParameter where it is not valid."""
        from op25b_app.net.port_number import LOCAL_PORT

        if isinstance(value, int):
            return value
        if value == "LOCAL":
            return LOCAL_PORT
        if not re.fullmatch(r"[0-9]{1,10}", str(value)) or not 1 <= int(value) <= LOCAL_PORT:
            self.fail(f"'{value}' is not a port; write a number from 1, or LOCAL", parameter, context)
        return int(value)


policy_argument = click.argument("path", metavar="POLICY", type=click.Path(path_type=Path))
switch_option = click.option(
    "--switch", "switch_name", metavar="NAME", required=True, help="The switch, by its name in the policy."
)
at_option = click.option(
    "--at",
    type=TimeParam(),
    default=time.time,
    metavar="TIME",
    help="The time, as 2027-03-31T00:00:00Z or in seconds since 1970 [now].",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


ports_option = click.option(
    "--ports",
    "port_files",
    multiple=True,
    metavar="[NAME=]FILE",
    help="Where POLICY has ports by name: those of the switch, or of switch NAME, "
    "as `ovs-ofctl -O OpenFlow13 show` prints them.",
)


def policy_or_exit(
    path: Path, at: float, port_files: Sequence[str] = (), switch_name: str | None = None
) -> Policy:
    """Return the policy of a file as it is in effect; print its errors and exit with 1 if it has any."""
    return policy_in_effect(path, written_or_exit(path, at), at, port_files, switch_name)


def written_or_exit(path: Path, at: float) -> Policy:
    """Return the policy of a file as it is written; print its errors and exit with 1 if it has any."""
    from op25b_app.operate.policy_cache import load_cached

    loaded = load_cached(path, at)
    if loaded.policy is None:
        errors_and_exit(loaded.errors)
    return loaded.policy


def policy_in_effect(
    path: Path,
    written: Policy,
    at: float,
    port_files: Sequence[str] = (),
    switch_name: str | None = None,
    known: Mapping[str, PortNumbers] = MappingProxyType({}),
) -> Policy:
    """Return the policy of a file with its learned lines, as they are kept, and with its ports by number.

    ``port_files`` are as for ``ports_or_exit``; ``known`` are ports of other switches. Says on stderr which
    lines were learned, and which names fit no port, or not one.
    """
    ports = {**known, **ports_or_exit(written, port_files, switch_name)}
    if written.lines is None and not written.switches_by_port_name:
        return written
    from op25b_app.operate.kept_lines import with_kept_lines

    policy, note = with_kept_lines(path, written, at, time.time(), ports)
    if note is not None:
        click.echo(f"op25b: {note}", err=True)
    warn_of_names(policy)
    return policy


def warn_of_names(policy: Policy) -> None:
    """Print on stderr which names of ports in a policy in effect fit no port, or not one."""
    for name, switch in policy.switches.items():
        for problem in switch.resolution.problems if switch.resolution is not None else ():
            click.echo(f"op25b: warning: {name}: {problem}", err=True)


def ports_or_exit(
    policy: Policy, port_files: Sequence[str], switch_name: str | None
) -> dict[str, PortNumbers]:
    """Return the ports in the files of ``--ports``, by the name of the switch.

    A file without the name of a switch is for ``switch_name``. Raises click.BadParameter where one is for no
    switch of the policy; prints what is wrong with a file and exits with 1.
    """
    return dict(_described(policy, each, switch_name) for each in port_files)


def _described(policy: Policy, written: str, switch_name: str | None) -> tuple[str, PortNumbers]:
    """Return the switch and the ports of one ``--ports``."""
    from op25b_app.openflow.ofctl_ports import read_ports

    name, equals, path = written.partition("=")
    if not equals or name not in policy.switches:
        name, path = switch_name or "", written
    switch = policy.switches.get(name)
    if switch is None:
        names = names_of(policy)
        raise click.BadParameter(
            f"'{written}' is for no switch; write NAME=FILE{names}", param_hint="--ports"
        )
    try:
        shown = read_ports(Path(path).read_text("utf-8-sig", errors="replace"))
    except OSError as failure:
        exit_with_problem(f"cannot read {path}: {failure.strerror}; name a file that can be read")
    except ValueError as failure:
        exit_with_problem(f"{path}: {failure}")
    if shown.dpid not in (None, switch.dpid):
        what = f"{path} is about the datapath id {shown.dpid:#x}, and {name} has {switch.dpid:#x}"
        exit_with_problem(f"{what}; name the file of that switch")
    return name, shown.ports


def names_of(policy: Policy) -> str:
    """Return words that name the switches of a policy with ports by name; empty if there are none."""
    from op25b_app.policy.diagnostic import names_in_words

    names = names_in_words([*policy.switches_by_port_name])
    return f", where NAME is {names}" if names else ""


def exit_where_ports_are_missing(policy: Policy, switches: Iterable[str]) -> None:
    """Print what is missing to say what switches of a policy in effect do, and exit with 1; or return."""
    from op25b_app.policy.diagnostic import names_in_words
    from op25b_app.policy.port_names import missing_ports

    if missing := missing_ports(policy, switches):
        options = names_in_words([f"--ports {name}=FILE" for name in missing], separator=" ")
        what = f"the policy has ports of {names_in_words(missing)} by name, and only they know the numbers"
        exit_with_problem(f"{what}: give {options}, with what 'ovs-ofctl -O OpenFlow13 show' prints")


def print_json(values: object) -> None:
    """Print JSON values."""
    click.echo(json.dumps(values, indent=2))


def errors_and_exit(errors: Iterable[Diagnostic]) -> NoReturn:
    """Print the errors of policies on stderr and, where JSON is wanted, on stdout; exit with 1."""
    reported = list(dict.fromkeys(errors))
    _exit(map(str, reported), {"error": "errors", "problems": [*map(as_object, reported)]})


def exit_with_problem(trouble: str) -> NoReturn:
    """Print a problem on stderr and, where JSON is wanted, on stdout; exit with 1."""
    _exit([f"op25b: {trouble}"], {"error": trouble})


def _exit(lines: Iterable[str], values: dict[str, Any]) -> NoReturn:
    for line in lines:
        click.echo(line, err=True)
    wanted = click.get_current_context().params
    if wanted.get("as_json") or wanted.get("form") == "json":
        print_json(values)
    sys.exit(1)


def as_object(problem: Diagnostic) -> dict[str, Any]:
    """Return a problem as JSON values."""
    return {**problem.place._asdict(), "severity": problem.severity, "message": problem.message}


def switch_or_fail(policy: Policy, name: str) -> Switch:
    """Return the switch with this name. Raises click.BadParameter where the policy has none."""
    switch = policy.switches.get(name)
    if switch is None:
        from op25b_app.policy.diagnostic import unknown_switch

        raise click.BadParameter(unknown_switch(name, policy.switches), param_hint="--switch")
    return switch
