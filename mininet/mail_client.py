"""A mail client that says what happened, run in a host's namespaces: ``mail_client.py ATTEMPT`` (both JSON).

Port 25 is plain SMTP (an MTA, RFC 5321), 587 is STARTTLS and a password (RFC 6409), 465 is TLS from the first
byte and a password (RFC 8314).
"""

from __future__ import annotations

import json
import smtplib
import ssl
import sys
import time
from dataclasses import asdict, dataclass
from email.message import EmailMessage

SMTP, SUBMISSIONS, SUBMISSION = 25, 465, 587


@dataclass(frozen=True)
class Attempt:
    """One message to hand over; ``timeout`` in seconds holds for the connection and each answer."""

    server: str
    port: int
    sender: str
    recipient: str
    message_id: str
    subject: str
    certificate: str
    user: str
    password: str
    timeout: float


@dataclass(frozen=True)
class Outcome:
    """``accepted`` (``text``: the server's answer), ``timed out``, ``refused`` or ``failed``, at a stage."""

    result: str
    stage: str
    text: str
    seconds: float


def hand_over(attempt: Attempt) -> Outcome:
    """Connect, secure, authenticate and hand the message over, each as the port asks for."""
    began = time.monotonic()
    stage = "connect"

    def outcome(result: str, text: str) -> Outcome:
        return Outcome(result, stage, text, round(time.monotonic() - began, 2))

    try:
        with _connect(attempt) as server:
            stage = "session"
            if attempt.port == SUBMISSION:
                server.starttls(context=_tls(attempt))
            if attempt.port != SMTP:
                server.login(attempt.user, attempt.password)
            return outcome("accepted", _send(server, attempt))
    except TimeoutError as error:
        return outcome("timed out", str(error))
    except ConnectionRefusedError as error:
        return outcome("refused", str(error))
    except (OSError, smtplib.SMTPException) as error:
        return outcome("failed", f"{type(error).__name__}: {error}")


def _connect(attempt: Attempt) -> smtplib.SMTP:
    where = (attempt.server, attempt.port)
    name = attempt.sender.partition("@")[2]
    if attempt.port == SUBMISSIONS:
        return smtplib.SMTP_SSL(*where, name, timeout=attempt.timeout, context=_tls(attempt))
    return smtplib.SMTP(*where, name, timeout=attempt.timeout)


def _tls(attempt: Attempt) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=attempt.certificate)


def _send(server: smtplib.SMTP, attempt: Attempt) -> str:
    message = EmailMessage()
    message["From"] = attempt.sender
    message["To"] = attempt.recipient
    message["Subject"] = attempt.subject
    message["Message-ID"] = attempt.message_id
    message.set_content("Sent by the op25b lab.\n")
    server.ehlo_or_helo_if_needed()
    for code, answer in (
        server.mail(attempt.sender),
        server.rcpt(attempt.recipient),
        server.data(message.as_bytes()),
    ):
        if code >= 300:
            raise smtplib.SMTPResponseException(code, answer)
    return answer.decode()


if __name__ == "__main__":
    print(json.dumps(asdict(hand_over(Attempt(**json.loads(sys.argv[1]))))))
