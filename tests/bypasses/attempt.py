"""One message from one host, and what came of it."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass

import mail_client

from tests.bypasses.arrangements import Sender
from tests.bypasses.network import LineNetwork

_BLOCKED_SECONDS = 4.0
"""In which a client sends three SYNs."""
_DELIVERED_SECONDS = 90.0
"""After which a message that is expected to arrive is not sent again.

Tricks that take a neighbour's place race with it, and a loaded machine loses neighbour discovery.
"""
_FIRST_SECONDS = 15.0
"""For the first attempt of a message that is expected to arrive; each further one has twice as long."""
_AGAIN_SECONDS = 1.0
_ARRIVES_SECONDS = 60.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Finding:
    """What came of one attempt; ``frames`` is how many its hosts put on the wire."""

    delivered: bool
    said: str
    frames: int


def send(network: LineNetwork, sender: Sender, expected: bool) -> Finding:
    """Send a message and look for it in the mailbox.

    ``expected`` says whether it is expected to arrive: then it is sent until it does.
    """
    before, deadline = sender.frames, time.monotonic() + _DELIVERED_SECONDS
    seconds = _FIRST_SECONDS if expected else _BLOCKED_SECONDS
    arrived, said = _send_once(network, sender, seconds)
    while expected and not arrived and time.monotonic() < deadline:
        time.sleep(_AGAIN_SECONDS)
        seconds *= 2
        arrived, said = _send_once(network, sender, seconds)
    return Finding(arrived, said, sender.frames - before)


def _send_once(network: LineNetwork, sender: Sender, seconds: float) -> tuple[bool, str]:
    """Send one message within ``seconds``; return whether it arrived, and what the server said."""
    message_id = f"<{uuid.uuid4()}@lab.example>"
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
        timeout=seconds,
    )
    outcome = sender.host.namespace.inside(mail_client.hand_over, attempt)
    arrived = outcome.result == "accepted" and _arrives(network, message_id)
    return arrived, f"{outcome.result}: {outcome.text}"


def _arrives(network: LineNetwork, message_id: str) -> bool:
    deadline = time.monotonic() + _ARRIVES_SECONDS
    while time.monotonic() < deadline:
        if message_id in network.delivered():
            return True
        time.sleep(_POLL_SECONDS)
    return False
