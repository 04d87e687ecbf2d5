"""Attempts to send mail, carried out, and what came of them: in mailboxes and in the switches' counters."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import mail_client
import mail_server
from running_lab import RunningLab
from scenarios import SMTP, Attempt, Scenario

from op25b_app.openflow.flow_rule import RuleRole
from op25b_app.policy.model import Mode

CONNECT_TIMEOUT = 2.5
"""Seconds; a SYN and its one repetition, which is all a host of the lab sends, fit in."""
ANSWER_TIMEOUT = 120.0
"""Seconds for what must succeed, on a loaded machine."""
SYNS_PER_CONNECTION = 2
_AT_ONCE = 12
_CLIENT = Path(mail_client.__file__)


@dataclass(frozen=True)
class Try:
    """An attempt over one IP version; ``expected`` is ``delivered``, ``blocked`` or ``would-block``."""

    scenario: str
    why: str
    attempt: Attempt
    family: int
    expected: str

    @property
    def passes(self) -> bool:
        return self.expected != "blocked"


@dataclass(frozen=True)
class Result:
    """What came of a try: ``delivered``, ``timed out``, ``refused``, ``failed`` or ``lost``, and details."""

    tried: Try
    message_id: str
    happened: str
    detail: str
    seconds: float

    @property
    def as_expected(self) -> bool:
        return self.happened == ("delivered" if self.tried.passes else "timed out")


@dataclass(frozen=True)
class Evidence:
    """Packets that rules with a block (in monitor mode: would-block) counted, and how many that must be.

    ``exact`` where it must be neither less nor more: of what passes, nobody knows how many packets it takes.
    """

    counted: int
    required: int
    exact: bool

    @property
    def sufficient(self) -> bool:
        return self.counted == self.required or (self.counted > self.required and not self.exact)


def tries(scenarios: Iterable[Scenario], families: Sequence[int], mode: Mode) -> list[Try]:
    """Every attempt of these scenarios over every IP version, with what has to come of it in this mode."""
    block = "blocked" if mode is Mode.ENFORCE else "would-block"
    return [
        Try(scenario.name, scenario.why, attempt, family, block if attempt.blocked else "delivered")
        for scenario, family in itertools.product(scenarios, families)
        for attempt in scenario.attempts
    ]


def carry_out(lab: RunningLab, all_tries: Sequence[Try], mode: Mode) -> tuple[list[Result], Evidence]:
    """Make all attempts, some at a time; then look at the counters of the rules that had to act.

    A host repeats a SYN once. So where N connections time out and block rules dropped 2 N packets, all that
    was sent was dropped there, no connection failed for another reason, and nothing else was dropped.
    """
    role = RuleRole.BLOCK if mode is Mode.ENFORCE else RuleRole.WOULD_BLOCK
    before = lab.network.packets(role)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        results = list(pool.map(lambda each: carry_out_one(lab, each), all_tries))
    packets_each = SYNS_PER_CONNECTION if mode is Mode.ENFORCE else 1
    required = packets_each * sum(each.attempt.blocked for each in all_tries)
    counted = lab.network.packets_settle([role], before + required) - before
    arrived = {each for server in lab.mail_servers.values() for each in server.delivered()}
    results = [_leaked(result) if _should_not_be_in(result, arrived) else result for result in results]
    return results, Evidence(counted, required, exact=mode is Mode.ENFORCE)


def carry_out_one(lab: RunningLab, each: Try) -> Result:
    """Send one message and follow it until it is in the mailbox or has failed."""
    began = time.monotonic()
    message_id = f"<{uuid.uuid4()}@lab.example>"
    relay = lab.mail_servers.get(each.attempt.who) if each.attempt.port == SMTP else None
    request = message(lab, each, message_id, through_own_server=relay is not None)
    outcome = _hand_over(lab, each.attempt.who, request)
    happened, detail = outcome.result, outcome.text
    if outcome.result == "accepted":
        queue_id = _queue_id(outcome.text)
        happened, detail = _follow(lab, each, message_id, relay, queue_id)
    return Result(each, message_id, happened, detail, round(time.monotonic() - began, 2))


def message(lab: RunningLab, each: Try, message_id: str, *, through_own_server: bool) -> mail_client.Attempt:
    """What the client on the host is told: to talk to that server, or to the host's own on localhost."""
    attempt = each.attempt
    name = {4: "", 6: mail_server.IPV6_PREFIX}[each.family]
    domains = lab.network.mail_domains()
    server = mail_server.server_name(name + domains[attempt.to])
    return mail_client.Attempt(
        server="localhost" if through_own_server else server,
        port=attempt.port,
        sender=f"{attempt.who}@{domains.get(attempt.who, 'subscriber.example')}",
        recipient=f"inbox@{name}{domains[attempt.mailbox]}",
        message_id=message_id,
        subject=f"{each.scenario}: {attempt.who} to {attempt.to}:{attempt.port}",
        certificate=str(lab.credentials.certificate),
        user=mail_server.USER,
        password=lab.credentials.password,
        timeout=ANSWER_TIMEOUT if each.passes or through_own_server else CONNECT_TIMEOUT,
    )


def _hand_over(lab: RunningLab, who: str, request: mail_client.Attempt) -> mail_client.Outcome:
    command = [sys.executable, "-I", "-S", str(_CLIENT), json.dumps(asdict(request))]
    client = lab.network.node(who).popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    said, complaint = client.communicate()
    if client.returncode:
        return mail_client.Outcome("failed", "client", complaint.strip(), 0.0)
    return mail_client.Outcome(**json.loads(said))


def _queue_id(answer: str) -> str:
    """Postfix answers ``2.0.0 Ok: queued as 4F1B2C``."""
    return answer.rpartition("queued as ")[2].strip()


def _follow(
    lab: RunningLab, each: Try, message_id: str, relay: mail_server.MailServer | None, queue_id: str
) -> tuple[str, str]:
    """Wait for an accepted message in its mailbox, or for the passing server's first failure."""
    passing_on = relay or (lab.mail_servers[each.attempt.to] if each.attempt.onward else None)
    deadline = time.monotonic() + ANSWER_TIMEOUT
    while time.monotonic() < deadline:
        if message_id in lab.mail_servers[each.attempt.mailbox].delivered():
            return "delivered", f"in the mailbox of {each.attempt.mailbox}"
        fate = passing_on.fate(queue_id) if passing_on else None
        if fate and not fate.startswith("sent"):
            timed_out = re.search(r"timed out", fate)
            return ("timed out" if timed_out else "failed"), fate
        time.sleep(0.1)
    return "lost", f"accepted, but in no mailbox after {ANSWER_TIMEOUT:.0f} s"


def _should_not_be_in(result: Result, arrived: set[str]) -> bool:
    return result.happened != "delivered" and result.message_id in arrived


def _leaked(result: Result) -> Result:
    detail = f"in the mailbox after all ({result.happened}: {result.detail})"
    return Result(result.tried, result.message_id, "delivered", detail, result.seconds)
