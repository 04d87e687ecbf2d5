"""One message from one host, and what came of it."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass

import mail_client

from tests.bypasses.arrangements import Sender
from tests.bypasses.network import LineNetwork

BLOCKED_SECONDS = 4.0
"""In which a client sends three SYNs."""
DELIVERED_SECONDS = 60.0
"""Generous, for a loaded machine, and no more: each set of rules is waited for."""
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Finding:
    """What came of one attempt; ``frames`` is how many its hosts put on the wire."""

    delivered: bool
    said: str
    frames: int


def send(network: LineNetwork, sender: Sender, expected: bool) -> Finding:
    """Hand one message over and look for it in the mailbox; ``expected`` says how long to wait, no more."""
    before, message_id = sender.frames, f"<{uuid.uuid4()}@lab.example>"
    attempt = mail_client.Attempt(
        server=sender.server,
        port=sender.port,
        sender="sender@subscriber.example",
        recipient=f"inbox@{sender.domain}",
        message_id=message_id,
        subject="A trick",
        certificate=str(network.credentials.certificate),
        user="subscriber",
        password=network.credentials.password,
        timeout=DELIVERED_SECONDS if expected else BLOCKED_SECONDS,
    )
    outcome = sender.host.namespace.inside(mail_client.hand_over, attempt)
    arrived = outcome.result == "accepted" and _arrives(network, message_id)
    return Finding(arrived, f"{outcome.result}: {outcome.text}", sender.frames - before)


def _arrives(network: LineNetwork, message_id: str) -> bool:
    deadline = time.monotonic() + DELIVERED_SECONDS
    while time.monotonic() < deadline:
        if message_id in network.delivered():
            return True
        time.sleep(_POLL_SECONDS)
    return False
