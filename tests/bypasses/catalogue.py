"""The catalogue of bypasses, and the mail that must arrive whatever the rules."""

from __future__ import annotations

from tests.bypasses import arrangements as by
from tests.bypasses.bends import syn_as_ack
from tests.bypasses.trick import BASE, Group, Honest, Trick, stopped
from tests.bypasses.tricks_of_addresses import ADDRESSES, TRIANGLES
from tests.bypasses.tricks_of_frames import FRAMES, TAGS
from tests.bypasses.tricks_of_packets import (
    EXTENSION_HEADERS,
    IPV4_FRAGMENTS,
    IPV4_OPTIONS,
    IPV6_FRAGMENTS,
    SOURCE_ROUTES,
)
from tests.bypasses.tricks_of_tunnels import IN_TUNNELS, OUT_OF_REACH, OVER_UDP

NOTHING = Group(
    "Nothing at all",
    (
        stopped("No trick, IPv4", "A spammer connects to port 25.", by.direct(4)),
        stopped("No trick, IPv6", "The same over IPv6.", by.direct(6)),
        Trick(
            "IPv6 itself",
            "The rules were written for IPv4 only.",
            by.direct(6),
            True,
            frozenset({BASE}),
            without_tcp6=True,
        ),
        stopped(
            "No SYN",
            "The SYN travels as an ACK, as if the connection stood.",
            by.to_accomplice(4, syn_as_ack),
        ),
        stopped(
            "Well-known source port", "From ports 20 to 53, as answers come from.", by.from_well_known_port(4)
        ),
        stopped("Dynamic to dynamic, IPv4", "To a mail server on another dynamic line.", by.to_dynamic(4)),
        stopped("Dynamic to dynamic, IPv6", "The same over IPv6.", by.to_dynamic(6)),
        stopped(
            "464XLAT",
            "The line's router translates IPv4 to IPv6, for a NAT64 to translate back.",
            by.translating(),
            rfc="RFC 6877",
        ),
        stopped(
            "NAT64", "To an IPv4 server by its address behind a NAT64.", by.behind_nat64(), rfc="RFC 6052"
        ),
    ),
)
GROUPS = (
    NOTHING,
    IPV4_FRAGMENTS,
    IPV6_FRAGMENTS,
    EXTENSION_HEADERS,
    IPV4_OPTIONS,
    TAGS,
    FRAMES,
    IN_TUNNELS,
    OVER_UDP,
    SOURCE_ROUTES,
    ADDRESSES,
    TRIANGLES,
    OUT_OF_REACH,
)
TRICKS = tuple(trick for group in GROUPS for trick in group.tricks)
HONEST = (
    Honest("Submission, port 587", by.submission(587)),
    Honest("Submission over TLS, port 465", by.submission(465)),
    Honest("To the ISP's mail server, IPv4", by.to_isp(4)),
    Honest("To the ISP's mail server, IPv6", by.to_isp(6)),
    Honest("A static line to the world, IPv4", by.of_static(4)),
    Honest("A static line to the world, IPv6", by.of_static(6)),
    Honest("From outside to a static line", by.inward("company.example")),
    Honest("From outside to a dynamic line", by.inward("selfhost.example")),
)
