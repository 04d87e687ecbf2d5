"""``op25b run``: run the controller."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(
    context_settings={"ignore_unknown_options": True},
    options_metavar="[--policy POLICY] [--reload-on-change] [--yes]",
    short_help="Run the controller.",
)
@click.option(
    "--policy",
    metavar="POLICY",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The policy file [OP25B_POLICY, else policy in section [op25b] of --config-file].",
)
@click.option("--reload-on-change", is_flag=True, help="Reload when files of the policy change.")
@click.option(
    "--yes",
    is_flag=True,
    help="Accept a policy that cuts off lines, stops blocking on a switch, or opens far more than the last.",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[RYU-MANAGER OPTIONS] [RYU APPS]")
@click.pass_context
def command(
    context: click.Context,
    policy: Path | None,
    reload_on_change: bool,
    yes: bool,
    arguments: tuple[str, ...],
) -> None:
    """Run the controller: ryu-manager with op25b and, if named, other Ryu applications.

    If the policy is refused at the start, the last one in force is used, if there is one.

    SIGHUP reads the policy again. SIGINT and SIGTERM stop the controller; switches keep their rules. The REST
    interface listens on 127.0.0.1 unless --wsapi-host says otherwise.

    Exits with 0 where a signal stopped it; with 1 where it cannot start, or ended by itself; with 2 where an
    option or a setting is wrong.

    `op25b run -- --help` lists ryu-manager's options.
    """
    from op25b_app.controller import launcher

    own_options = [option for parameter in context.command.params for option in parameter.opts]
    context.exit(
        launcher.run(policy, arguments, reload_on_change=reload_on_change, yes=yes, own_options=own_options)
    )
