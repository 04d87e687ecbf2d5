"""What the catalogue holds: tricks, and mail that must keep flowing."""

from __future__ import annotations

from dataclasses import dataclass

from tests.bypasses.arrangements import Arrangement
from tests.bypasses.rulesets import Setting

BASE, ENCAPSULATION, UNREADABLE = Setting.BASE, Setting.ENCAPSULATION, Setting.UNREADABLE_TCP
REPLIES, PORT_25, BOUND = Setting.SPOOFED_REPLIES, Setting.PORT_25, Setting.BINDINGS
PREFIX, BINDING, TUNNELS = Setting.PREFIX, Setting.BINDING, Setting.TUNNELS
UDP_PORTS, MAIL_HOSTS = Setting.UDP_PORTS, Setting.MAIL_HOSTS


@dataclass(frozen=True)
class Trick:
    """One way to bring mail past a port test, and what is expected of it.

    ``plain`` says whether it delivers against plain rules (``without_tcp6``: plain rules of IPv4 only), and
    ``closed_by`` which settings stop it, each of them alone; those of ``together`` only stop it together.
    ``references`` are keys of the document's list.
    """

    name: str
    how: str
    arrange: Arrangement
    plain: bool
    closed_by: frozenset[Setting]
    references: tuple[str, ...] = ()
    without_tcp6: bool = False
    together: frozenset[Setting] = frozenset()

    def is_closed_by(self, settings: frozenset[Setting]) -> bool:
        """Does it fail where these settings are chosen?"""
        alone = self.closed_by & (settings | {Setting.BASE})
        return bool(alone) or (bool(self.together) and self.together <= settings)


@dataclass(frozen=True)
class Honest:
    """Mail that must arrive whatever the rules."""

    name: str
    arrange: Arrangement


@dataclass(frozen=True)
class Group:
    """Tricks that belong together, under one heading."""

    name: str
    tricks: tuple[Trick, ...]


def _trick(
    name: str, how: str, arrange: Arrangement, *closed_by: Setting, plain: bool, rfc: str = ""
) -> Trick:
    return Trick(name, how, arrange, plain, frozenset(closed_by), tuple(rfc.split(", ")) if rfc else ())


def passes(name: str, how: str, arrange: Arrangement, *closed_by: Setting, rfc: str = "") -> Trick:
    """A trick that delivers against plain rules."""
    return _trick(name, how, arrange, *closed_by, plain=True, rfc=rfc)


def stopped(name: str, how: str, arrange: Arrangement, *closed_by: Setting, rfc: str = "") -> Trick:
    """A trick that plain rules stop already, and so do ours by port 25 itself unless said otherwise."""
    return _trick(name, how, arrange, *(closed_by or (BASE,)), plain=False, rfc=rfc)
