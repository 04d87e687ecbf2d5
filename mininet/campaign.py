"""The controller is killed and restarted, again and again, while mail flows: nothing leaks, nothing stops.

.venv/bin/python mininet/campaign.py --rounds 50 --output docs/controller-restarts.md
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import attempts
import click
import mail_traffic
import running_lab
from campaign_figures import Figures, Stream, as_markdown
from errors import LabError
from isolation import run_isolated
from running_lab import RunningLab
from scenarios import SMTP, SUBMISSION, SUBMISSIONS, Attempt
from standard_output import claim_standard_output

from benchmarks.convergence.page import put_into
from op25b_app.openflow.flow_rule import RuleRole
from op25b_app.policy.model import Mode

LEGITIMATE = (
    Attempt("worker", "office", SUBMISSION, False),
    Attempt("worker", "office", SUBMISSIONS, False),
    Attempt("customer", "ispmail", SMTP, False),
    Attempt("sender", "selfhost", SMTP, False),
)
FORBIDDEN = (
    Attempt("spammer", "extmail", SMTP, True),
    Attempt("newpool", "office", SMTP, True),
    Attempt("customer", "selfhost", SMTP, True),
)
LEGITIMATE_INTERVAL = 0.5
FORBIDDEN_INTERVAL = 0.2
"""Seconds between two attempts of one stream."""
DEAD_SECONDS = 2.0
QUIET_SECONDS = 1.0


class _Traffic:
    """Attempts of one kind from one host, begun and, later, counted."""

    def __init__(self, lab: RunningLab, attempt: Attempt) -> None:
        self.attempt = attempt
        self._mailboxes = lab.mail_servers.values()
        each = attempts.Try("campaign", "", attempt, 4, "blocked" if attempt.blocked else "delivered")
        message = attempts.message(lab, each, "", through_own_server=False)
        interval = FORBIDDEN_INTERVAL if attempt.blocked else LEGITIMATE_INTERVAL
        command = [sys.executable, "-S", mail_traffic.__file__, str(interval), json.dumps(asdict(message))]
        node = lab.network.node(attempt.who)
        self._process = node.popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def stop(self) -> None:
        """Begin no more attempts."""
        self._process.stdin.close()

    def result(self) -> Stream:
        """What became of all attempts, once the last has ended."""
        outcomes = json.load(self._process.stdout)
        self._process.wait()
        accepted = {message for message, result, _ in outcomes if result == "accepted"}
        arrived = self._arrived(accepted)
        expected = "timed out" if self.attempt.blocked else "accepted"
        failures = [f"{result}: {text}" for _, result, text in outcomes if result != expected]
        return Stream(
            *self.attempt[:3],
            attempts=len(outcomes),
            in_mailbox=sum(message in arrived for message, _, _ in outcomes),
            timed_out=sum(result == "timed out" for _, result, _ in outcomes),
            failures=tuple(failures[:5]),
        )

    def _arrived(self, accepted: set[str]) -> set[str]:
        """Every message in any mailbox, after the last accepted ones have had their time."""
        deadline = time.monotonic() + attempts.ANSWER_TIMEOUT
        while True:
            arrived = {message for server in self._mailboxes for message in server.delivered()}
            if accepted <= arrived or time.monotonic() > deadline:
                return arrived
            time.sleep(0.1)


def measure(lab: RunningLab, rounds: int) -> Figures:
    """Kill and restart the controller ``rounds`` times under traffic of both kinds."""
    began = time.monotonic()
    before = lab.network.packets(RuleRole.BLOCK)
    traffic = [_Traffic(lab, attempt) for attempt in (*LEGITIMATE, *FORBIDDEN)]
    recoveries = []
    for _ in range(rounds):
        time.sleep(QUIET_SECONDS)
        lab.controller.kill()
        time.sleep(DEAD_SECONDS)
        lab.controller.start()
        recoveries.append(lab.controller.wait_until_protected(lab.network.switch_names))
    time.sleep(QUIET_SECONDS)
    seconds = time.monotonic() - began
    for each in traffic:
        each.stop()
    streams = [each.result() for each in traffic]
    syns = attempts.SYNS_PER_CONNECTION * sum(stream.attempts for stream in streams[len(LEGITIMATE) :])
    counted = lab.network.packets_settle([RuleRole.BLOCK], before + syns) - before
    return Figures(
        lab.topology,
        lab.network.datapath,
        seconds,
        tuple(streams[: len(LEGITIMATE)]),
        tuple(streams[len(LEGITIMATE) :]),
        counted,
        syns,
        tuple(recoveries),
    )


@click.command()
@click.option("--topology", default="single", show_default=True)
@click.option("--rounds", default=10, show_default=True, type=click.IntRange(min=1))
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Put Markdown into this page."
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(topology: str, rounds: int, output: Path | None, as_json: bool) -> None:
    """Kill and restart the controller under mail traffic; exit 0 if nothing leaked and nothing stopped."""
    try:
        running_lab.check_prerequisites()
    except LabError as error:
        raise click.ClickException(str(error)) from None

    def campaign() -> int:
        claim_standard_output()
        lab = RunningLab(topology, None, Mode.ENFORCE, lambda text: click.echo(f"campaign: {text}", err=True))
        figures = measure(lab, rounds)
        text = as_markdown(figures)
        if output:
            put_into(output, "mail", text)
        plain = {**asdict(figures), "as_expected": figures.as_expected}
        click.echo(json.dumps(plain, indent=2) if as_json else text)
        return 0 if figures.as_expected else 1

    sys.exit(run_isolated(campaign))


if __name__ == "__main__":
    main(prog_name="campaign.py")
