"""Arguments, options and error messages that several subcommands share."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

if TYPE_CHECKING:
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


def policy_or_exit(path: Path, at: float) -> Policy:
    """Return the policy of a file with its learned lines; print its errors and exit with 1 if it has any."""
    from op25b_app.operate.policy_cache import load_cached

    loaded = load_cached(path, at)
    if loaded.policy is None:
        errors_and_exit(loaded.errors)
    return policy_in_effect(path, loaded.policy, at)


def policy_in_effect(path: Path, policy: Policy, at: float) -> Policy:
    """Return the policy of a file with its learned lines, as they are kept; say so on stderr."""
    if policy.lines is None:
        return policy
    from op25b_app.operate.kept_lines import with_kept_lines

    found, note = with_kept_lines(path, policy, at, time.time())
    if note is not None:
        click.echo(f"op25b: {note}", err=True)
    return found


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
