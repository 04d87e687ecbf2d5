"""The pipeline as data: its tables, and the order of what is asked in each.

The TCP port is tested before any address and the directions are apart, so a switch's flow cache
stays the same size however many prefixes there are.
"""

from __future__ import annotations

import enum

from op25b_app.policy.model import FIRST_FOREIGN_TABLE

SMTP = 25
SUBMISSION_PORTS = (465, 587)
"""SMTP over TLS (RFC 8314) and submission (RFC 6409)."""

ETH_IPV4 = 0x0800
ETH_IPV6 = 0x86DD
IP_TCP = 6


class Table(enum.IntEnum):
    """The tables. A frame only ever goes on to a later one."""

    ADMIT = 0
    """The port's role: which direction is this?"""
    EGRESS = 1
    """From a subscriber: which port?"""
    EGRESS_SMTP = 2
    """From a subscriber to port 25: whose address, to whom?"""
    INGRESS = 3
    """From an uplink: which port?"""
    INGRESS_REPLIES = 4
    """From an uplink and port 25: the return leg of the triangle?"""
    INGRESS_SMTP = 5
    """From an uplink to port 25: whom does it reach?"""


LAST_TABLE = max(Table)
assert LAST_TABLE < FIRST_FOREIGN_TABLE


class Admit(enum.IntEnum):
    """Priorities of table 0, above 0 and 1, where other applications put rules of their own."""

    UNKNOWN_PORT = 100
    KNOWN_PORT = 200


class Egress(enum.IntEnum):
    """Priorities of the table of ports, subscriber side."""

    OTHERWISE = 10
    SUBMISSION = 100
    SMTP = 200


class EgressSmtp(enum.IntEnum):
    """Priorities of the table of addresses, subscriber side; prefix lengths are added to ``SOURCE``."""

    OTHERWISE = 10
    SOURCE = 100
    BOUND_SOURCE = 300
    EXCEPTION = 400
    MAIL_DESTINATION = 500


class Ingress(enum.IntEnum):
    """Priorities of the table of ports, uplink side."""

    OTHERWISE = 10
    TO_SMTP = 100
    FROM_SMTP = 200


class IngressAddresses(enum.IntEnum):
    """Priorities of both tables of addresses, uplink side; prefix lengths are added to ``DESTINATION``."""

    OTHERWISE = 10
    DESTINATION = 100
    EXCEPTION = 300
    OWN_SOURCE = 400
    MAIL_SOURCE = 500
