"""The command and its subcommands, each imported only when it is called."""

from __future__ import annotations

import importlib

import click

_COMMANDS = (
    "check",
    "rules",
    "explain",
    "prove",
    "diff",
    "schema",
    "run",
    "status",
    "events",
    "lines",
    "reload",
    "doctor",
    "lab",
)


class _LazyGroup(click.Group):
    def list_commands(self, context: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"op25b_app.cli.{name}").command
        return command


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="op25b")
def main() -> None:
    """Outbound Port 25 Blocking on OpenFlow switches.

    TCP port 25 from dynamic addresses reaches the mail destinations of the ISP and nothing else; 465 and 587
    stay open; static addresses are exempt.

    Exit code 0 means yes (valid, proven, protected), also with warnings, or that the answer is shown. 1 means
    no (invalid, not proven, not protected), or that no controller answers. 2 means wrong usage. The help of
    each command has the details.
    """
