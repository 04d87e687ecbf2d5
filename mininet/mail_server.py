"""Real mail servers: one Postfix for each host that has a mail domain, started in that host's namespaces."""

from __future__ import annotations

import email.parser
import re
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from errors import LabError

SHARED_CONFIGURATION = Path(__file__).parent / "postfix"
START_TIMEOUT = 300.0
"""Seconds, for a loaded machine."""
MAILBOX_OWNER = 65534
"""User and group id of Debian's nobody; also in postfix/main.cf."""
IPV6_PREFIX = "ipv6."
"""Mail for ``ipv6.DOMAIN`` goes to the same server as mail for ``DOMAIN``, over IPv6."""
USER = "subscriber"
_QUEUES = (
    *("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved"),
    "trace",
)


@dataclass(frozen=True)
class MailExchanger:
    """The server of a domain and its addresses, without prefix length; IPv4 first, then perhaps IPv6."""

    domain: str
    addresses: tuple[str, ...]

    @property
    def routes(self) -> dict[str, str]:
        """Which address takes the mail of which domain."""
        return dict(zip((self.domain, IPV6_PREFIX + self.domain), self.addresses, strict=False))


def server_name(domain: str) -> str:
    """The name of a domain's server, in certificates and in /etc/hosts."""
    return f"mail.{domain}"


def hosts_file(exchangers: Sequence[MailExchanger]) -> str:
    """The lines of an /etc/hosts that names every server; there is no DNS in the lab."""
    routes = [route for exchanger in exchangers for route in exchanger.routes.items()]
    lines = [f"{address} {server_name(domain)}" for domain, address in routes]
    return "\n".join(["127.0.0.1 localhost", "::1 localhost", *lines, ""])


@dataclass(frozen=True)
class Credentials:
    """What servers and clients share: a certificate for every server's name, and one user with a password."""

    directory: Path
    password: str

    @property
    def certificate(self) -> Path:
        return self.directory / "certificate.pem"

    @property
    def key(self) -> Path:
        return self.directory / "key.pem"


def make_credentials(directory: Path, exchangers: Sequence[MailExchanger]) -> Credentials:
    """Make a self-signed certificate and a password database (Cyrus SASL's sasldb) in an empty directory."""
    directory.mkdir()
    credentials = Credentials(directory, secrets.token_hex(16))
    domains = [domain for exchanger in exchangers for domain in exchanger.routes]
    names = ",".join(f"DNS:{server_name(domain)}" for domain in domains)
    _run(
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
        *("-days", "30", "-subj", "/CN=op25b lab", "-addext", f"subjectAltName={names}"),
        *("-keyout", str(credentials.key), "-out", str(credentials.certificate)),
    )
    database = directory / "sasldb2"
    # "lab" is smtpd_sasl_local_domain of postfix/main.cf.
    _run("saslpasswd2", "-p", "-c", "-u", "lab", "-f", str(database), USER, stdin=credentials.password)
    shutil.chown(database, group="postfix")
    database.chmod(0o640)
    settings = "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\n"
    (directory / "smtpd.conf").write_text(f"{settings}sasldb_path: {database}\n")
    return credentials


class MailServer:
    """The Postfix of one Mininet host; configuration, queue, log and Maildir are in its directory."""

    def __init__(self, node: Any, exchanger: MailExchanger, directory: Path) -> None:
        self.node = node
        self.exchanger = exchanger
        self.directory = directory
        self._delivered: dict[str, str] = {}

    def start(self, credentials: Credentials, exchangers: Sequence[MailExchanger]) -> None:
        """Write the configuration and start; on return, ports 25, 465 and 587 are open."""
        self._make_directories()
        configuration = self.directory / "config"
        (configuration / "sasl").symlink_to(credentials.directory)
        shutil.copy(SHARED_CONFIGURATION / "master.cf", configuration)
        shared = (SHARED_CONFIGURATION / "main.cf").read_text()
        (configuration / "main.cf").write_text(self._own_settings(credentials, exchangers) + shared)
        started = self.node.popen(
            ["postfix", "-c", str(configuration), "start"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        said, _ = started.communicate(timeout=START_TIMEOUT)
        if started.returncode:
            raise LabError(f"Postfix does not start on {self.node.name}: {said.strip()}\n{self.log()}")

    def delivered(self) -> set[str]:
        """The Message-IDs of all messages in the Maildir."""
        parser = email.parser.BytesHeaderParser()
        for path in self.directory.glob("inbox/new/*"):
            if path.name not in self._delivered:
                with path.open("rb") as message:
                    self._delivered[path.name] = parser.parse(message)["Message-ID"]
        return set(self._delivered.values())

    def fate(self, queue_id: str) -> str | None:
        """What became of a message that this server was to pass on: ``sent (...)``, ``deferred (...)``."""
        found = re.findall(rf" {queue_id}: to=.* status=(.*)", self.log())
        return found[-1] if found else None

    def log(self) -> str:
        log = self.directory / "mail.log"
        return log.read_text() if log.exists() else ""

    def _make_directories(self) -> None:
        """Make what ``postfix check`` would, as postfix-files says, and spare it.

        It takes seconds, and looks after Postfix's installed files too: those of the machine, not of the lab.
        """
        for name in ("config", "queue/pid", "inbox"):
            (self.directory / name).mkdir(parents=True)
        shutil.chown(self.directory / "inbox", MAILBOX_OWNER, MAILBOX_OWNER)
        for name in ("data", *(f"queue/{queue}" for queue in _QUEUES)):
            (self.directory / name).mkdir(mode=0o700)
            shutil.chown(self.directory / name, "postfix")
        for name, mode in (("maildrop", 0o730), ("public", 0o710)):
            directory = self.directory / "queue" / name
            directory.mkdir()
            directory.chmod(mode)
            shutil.chown(directory, "postfix", "postdrop")
        (self.directory / "queue" / "quick-start").touch()

    def _own_settings(self, credentials: Credentials, exchangers: Sequence[MailExchanger]) -> str:
        others = [exchanger for exchanger in exchangers if exchanger != self.exchanger]
        domains = [domain for exchanger in others for domain in exchanger.routes]
        transports = ", ".join(f"{{{domain} = smtp:[{server_name(domain)}]:25}}" for domain in domains)
        return (
            f"lab_directory = {self.directory}\n"
            f"lab_domains = {' '.join(self.exchanger.routes)}\n"
            f"lab_certificate = {credentials.certificate}\n"
            f"lab_key = {credentials.key}\n"
            f"myhostname = {server_name(self.exchanger.domain)}\n"
            f"transport_maps = inline:{{{transports}}}\n\n"
        )


def _run(*command: str, stdin: str = "") -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True, input=stdin)
    if done.returncode:
        raise LabError(f"{' '.join(command)}: {done.stderr.strip()}")
