"""What the lab tries, as data: who sends mail to whom, on which port, and what has to come of it.

The hosts are those of ``topologies/single.py``. Where a topology lacks some of them, the scenarios
that need them are left out.
"""

from __future__ import annotations

from typing import NamedTuple

SMTP, SUBMISSIONS, SUBMISSION = 25, 465, 587
DHCP = "dhcp"
"""Name of the scenario that is no list of attempts, and of its topology; see ``dhcp_scenario.py``."""
DHCP_WHY = "a line may use the address that a DHCP server has given it, and nobody else may"
DHCP_PROGRAMS = {"dnsmasq": "dnsmasq-base", "dhclient": "isc-dhcp-client"}
"""Programs that only this scenario calls, with the Debian packages that bring them."""


class Attempt(NamedTuple):
    """One message from a host to a server's port.

    A host with a mail server of its own sends through it (``relay``). ``onward`` names the host whose mailbox
    the server is to bring the message to, where that is not its own.
    """

    who: str
    to: str
    port: int
    blocked: bool
    onward: str | None = None

    @property
    def mailbox(self) -> str:
        return self.onward or self.to


class Scenario(NamedTuple):
    """A situation, why it ends as it does, and the attempts that show it."""

    name: str
    why: str
    attempts: tuple[Attempt, ...]
    is_special: bool = False
    """True where few topologies have its hosts; then nobody is told that it is left out."""


def _delivered(who: str, to: str, port: int, onward: str | None = None) -> Attempt:
    return Attempt(who, to, port, False, onward)


def _blocked(who: str, to: str, port: int = SMTP) -> Attempt:
    return Attempt(who, to, port, True)


SCENARIOS = (
    Scenario(
        "spammer",
        "a dynamic address speaks port 25 to nobody outside",
        (_blocked("spammer", "extmail"), _blocked("spammer", "office")),
    ),
    Scenario(
        "infected-pc",
        "the bot's own mail is stopped, its owner's mail program is not",
        (_blocked("infected", "extmail"), _delivered("infected", "ispmail", SUBMISSION, onward="extmail")),
    ),
    Scenario(
        "office-worker",
        "her server is outside: port 25 is closed, submission is not",
        (
            _blocked("worker", "office"),
            _delivered("worker", "office", SUBMISSION),
            _delivered("worker", "office", SUBMISSIONS),
        ),
    ),
    Scenario(
        "customer",
        "the ISP's own server takes mail on every port",
        (
            _delivered("customer", "ispmail", SMTP),
            _delivered("customer", "ispmail", SUBMISSIONS),
            _delivered("customer", "ispmail", SUBMISSION, onward="extmail"),
        ),
    ),
    Scenario(
        "neighbours",
        "a subscriber's server is not the ISP's, whoever else may reach it",
        (_blocked("customer", "selfhost"), _blocked("customer", "company")),
    ),
    Scenario(
        "static-server",
        "static addresses are exempt, both ways",
        (_delivered("company", "extmail", SMTP), _delivered("extmail", "company", SMTP)),
    ),
    Scenario(
        "self-hoster",
        "dynamic DNS brings mail in; out it goes through the ISP's server",
        (
            _delivered("sender", "selfhost", SMTP),
            _blocked("selfhost", "extmail"),
            _delivered("selfhost", "ispmail", SMTP),
        ),
    ),
    Scenario(
        "unlisted-pool",
        "addresses that the policy does not list are no way around it",
        (
            _blocked("newpool", "extmail"),
            _delivered("newpool", "office", SUBMISSION),
            _delivered("newpool", "ispmail", SMTP),
        ),
    ),
    Scenario(
        "neighbours-address",
        "a neighbour's address carries nothing, neither mail to port 25 nor to 587",
        (_blocked("borrower", "extmail"), _blocked("borrower", "office", SUBMISSION)),
        is_special=True,
    ),
    Scenario("mail-in", "the world reaches the ISP's server", (_delivered("sender", "ispmail", SMTP),)),
    Scenario("mail-out", "the ISP's server reaches the world", (_delivered("ispmail", "extmail", SMTP),)),
)
