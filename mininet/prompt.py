"""The Mininet prompt with the lab's own commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attempts
import report
from attempts import Try
from mininet.cli import CLI
from rich.console import Console
from running_lab import RunningLab
from scenarios import SMTP, Attempt, Scenario

from op25b_app.policy.model import Mode


class LabPrompt(CLI):  # type: ignore[misc]  # Mininet has no type annotations
    """Mininet's CLI, plus ``mail`` and ``scenario``."""

    def __init__(
        self,
        lab: RunningLab,
        scenarios: Sequence[Scenario],
        mode: Mode,
        console: Console,
        **options: Any,
    ) -> None:
        self._lab = lab
        self._scenarios = scenarios
        self._mode = mode
        self._console = console
        super().__init__(lab.network.mininet, **options)

    def do_mail(self, line: str) -> None:
        """mail HOST SERVER [PORT] [4|6]: send one message and say what happened.

        PORT is 25, 465 or 587 (25 unless given), then the IP version (4 unless given).
        """
        words = line.split()
        servers = list(self._lab.mail_servers)
        hosts = [host.name for host in self._lab.network.mininet.hosts]
        numbers = [int(word) for word in words[2:] if word.isdigit()]
        port, family = (numbers + [SMTP, 4][len(numbers) :])[:2]
        usable = 2 <= len(words) <= 4 and len(numbers) == len(words[2:]) and port in (25, 465, 587)
        if not usable or family not in self._lab.network.families:
            self._say(
                "usage: mail HOST SERVER [25|465|587] [4|6]; the IP version as far as the topology has it"
            )
        elif words[0] not in hosts or words[1] not in servers:
            self._say(f"hosts: {', '.join(hosts)}\nservers: {', '.join(servers)}")
        else:
            # Whether it will pass is what the person wants to see: give it the time of one that will.
            each = Try("prompt", "", Attempt(words[0], words[1], port, False), family, "delivered")
            result = attempts.carry_out_one(self._lab, each)
            self._say(f"{result.happened} after {result.seconds} s: {result.detail}")

    def do_scenario(self, line: str) -> None:
        """scenario [NAME]: carry out a scenario, or all of them, and show the table."""
        chosen = [scenario for scenario in self._scenarios if line.strip() in ("", scenario.name)]
        if not chosen:
            self._say(f"scenarios: {', '.join(scenario.name for scenario in self._scenarios)}")
            return
        all_tries = attempts.tries(chosen, self._lab.network.families, self._mode)
        results, evidence = attempts.carry_out(self._lab, all_tries, self._mode)
        report.show(self._console, self._lab, results, evidence, self._mode)

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False)
