"""Tricks with somebody else's address, and triangles (Qian et al., 2010)."""

from __future__ import annotations

from isp import DYNAMIC, STATIC, UNLISTED

from tests.bypasses import arrangements as by
from tests.bypasses.trick import BINDING, BOUND, PORT_25, PREFIX, REPLIES, Group, passes, stopped

_SPOOFED = (PORT_25, PREFIX, BINDING)
ADDRESSES = Group(
    "Addresses of others",
    (
        passes(
            "A static neighbour's address, IPv4",
            "Its host is switched off.",
            by.borrowed(4, STATIC),
            BOUND,
            BINDING,
            rfc="RFC 2827",
        ),
        passes(
            "A static neighbour's address, IPv6",
            "The same over IPv6.",
            by.borrowed(6, STATIC),
            BOUND,
            BINDING,
            rfc="RFC 2827",
        ),
        passes(
            "ARP for a static neighbour",
            "Its host is on; ARP diverts its traffic.",
            by.redirected(4),
            BOUND,
            BINDING,
            rfc="RFC 826",
        ),
        passes(
            "Neighbour advertisements for a static neighbour",
            "The same over IPv6.",
            by.redirected(6),
            BOUND,
            BINDING,
            rfc="RFC 6620",
        ),
        passes(
            "ARP cache poisoning",
            "Unrequested answers, to the router only, claim the address.",
            by.poisoned(4),
            BOUND,
            BINDING,
            rfc="RFC 826",
        ),
        passes(
            "Neighbour cache poisoning",
            "The same over IPv6, with advertisements marked as requested.",
            by.poisoned(6),
            BOUND,
            BINDING,
            rfc="RFC 3756",
        ),
        passes(
            "Port stealing",
            "The neighbour answers ARP; frames with its MAC address bring the answers to the line.",
            by.stolen_port(),
            BOUND,
            BINDING,
        ),
        passes(
            "A static neighbour's MAC address, IPv4",
            "Both addresses cloned; the switch learns the new place.",
            by.cloned(4),
            BOUND,
            BINDING,
        ),
        passes("A static neighbour's MAC address, IPv6", "The same over IPv6.", by.cloned(6), BOUND, BINDING),
        passes(
            "A server's address",
            "From the ISP's network of mail servers.",
            by.of_a_server(4),
            *_SPOOFED,
            rfc="RFC 2827",
        ),
        passes(
            "An unlisted pool, IPv4",
            "Addresses that no list holds.",
            by.direct(4, space=UNLISTED),
            *_SPOOFED,
        ),
        passes("An unlisted pool, IPv6", "The same over IPv6.", by.direct(6, space=UNLISTED), *_SPOOFED),
        passes(
            "Link-local addresses, IPv6",
            "To a mail server on the same Ethernet.",
            by.link_local(6),
            *_SPOOFED,
        ),
        passes("Link-local addresses, IPv4", "The same over IPv4.", by.link_local(4), *_SPOOFED),
        stopped("Another dynamic line's address", "It is closed too.", by.borrowed(4, DYNAMIC)),
        passes(
            "The address of an exception",
            "A dynamic neighbour's, which may speak to port 25.",
            by.of_an_exception(4),
            BINDING,
        ),
        passes(
            "ARP for the address of an exception",
            "The neighbour is on; ARP diverts its traffic.",
            by.redirected_exception(4),
            BINDING,
            rfc="RFC 826",
        ),
    ),
)
TRIANGLES = Group(
    "Triangles",
    tuple(
        trick
        for version in (4, 6)
        for trick in (
            passes(
                f"Helper outside, IPv{version}",
                "A helper sends with a dynamic line's address; the line relays the answers.",
                by.helper_outside(version),
                REPLIES,
                rfc="Qian 2010",
            ),
            passes(
                f"Relay outside, IPv{version}",
                "A dynamic line sends with the address of a host outside, which relays the answers.",
                by.relay_outside(version),
                *_SPOOFED,
                rfc="Qian 2010",
            ),
            passes(
                f"Relay on a static line, IPv{version}",
                "A dynamic line sends with the address of a static one, which relays the answers.",
                by.relay_inside(version, sender_in=DYNAMIC, relay_in=STATIC),
                BOUND,
                BINDING,
                rfc="Qian 2010",
            ),
            stopped(
                f"Helper on a static line, IPv{version}",
                "A static line sends with a dynamic one's address; port 25 is closed to it.",
                by.relay_inside(version, sender_in=STATIC, relay_in=DYNAMIC),
                rfc="Qian 2010",
            ),
            stopped(
                f"Relay on another dynamic line, IPv{version}",
                "A dynamic line sends with another one's address.",
                by.relay_inside(version, sender_in=DYNAMIC, relay_in=DYNAMIC),
            ),
            stopped(
                f"Helper outside, static server inside, IPv{version}",
                "The answers cross no uplink; plain rules stop it only where they hold on uplinks too.",
                by.helper_outside(version, to_company=True),
                *_SPOOFED,
                rfc="Qian 2010",
            ),
            passes(
                f"Into a forgotten pool, IPv{version}",
                "A dynamic line has taken an address that no list holds, and relays the answers to it.",
                by.into_forgotten_pool(version),
                # A neighbour advertisement comes from the address that it claims: its source is validated.
                *((BINDING,) if version == 4 else (PREFIX, BINDING)),
                rfc="Qian 2010",
            ),
        )
    ),
)
