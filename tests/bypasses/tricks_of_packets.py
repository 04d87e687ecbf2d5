"""Tricks with what stands between the Ethernet header and TCP: fragments, extension headers, options."""

from __future__ import annotations

from isp import STATIC, UNLISTED

from tests.bypasses import arrangements as by
from tests.bypasses import extension_headers as headers
from tests.bypasses import fragments
from tests.bypasses.trick import (
    BINDING,
    BOUND,
    MAIL_HOSTS,
    PREFIX,
    REPLIES,
    UNREADABLE,
    Group,
    Trick,
    passes,
    stopped,
)

_CUT = (UNREADABLE, REPLIES)
IPV4_FRAGMENTS = Group(
    "IPv4 fragments",
    (
        *(
            passes(
                f"IPv4 fragments of {size} bytes",
                how,
                by.direct(4, fragments.ipv4_fragments(size)),
                *_CUT,
                rfc=rfc,
            )
            for size, how, rfc in (
                (8, "The ports in one fragment, the flags in the next.", "RFC 1858"),
                (16, "The whole header but its last bytes in the first fragment.", "RFC 1858"),
                (
                    24,
                    "The whole header in the first fragment: Open vSwitch still reads no port.",
                    "RFC 791",
                ),
            )
        ),
        passes(
            "IPv4 fragments backwards",
            "The last fragment first.",
            by.direct(4, fragments.ipv4_fragments(24, backwards=True)),
            *_CUT,
            rfc="RFC 1858",
        ),
        passes(
            "IPv4 fragments, the first one twice",
            "The second copy says port 587; a kernel keeps the first.",
            by.direct(4, fragments.ipv4_same_again),
            *_CUT,
            rfc="RFC 3128",
        ),
        passes(
            "IPv4 fragments that overlap",
            "A first fragment says port 587, the next one overwrites it at an accomplice.",
            by.to_accomplice(4, fragments.ipv4_other_first),
            UNREADABLE,
            rfc="RFC 3128",
        ),
        passes(
            "IPv4 fragments from an unlisted pool",
            "Fragments, from an address that no list holds.",
            by.direct(4, fragments.ipv4_fragments(8), space=UNLISTED),
            UNREADABLE,
            PREFIX,
        ),
        Trick(
            "IPv4 fragments with a static neighbour's address",
            "Static lines may send fragments.",
            by.borrowed(4, STATIC, fragments.ipv4_fragments(8)),
            True,
            frozenset({BINDING}),
            together=frozenset({UNREADABLE, BOUND}),
        ),
    ),
)
IPV6_FRAGMENTS = Group(
    "IPv6 fragments",
    (
        passes(
            "IPv6 fragments of 8 bytes",
            "An accomplice reassembles; kernels of today do not.",
            by.to_accomplice(6, fragments.ipv6_fragments(8)),
            UNREADABLE,
            rfc="RFC 7112",
        ),
        passes(
            "IPv6 fragments of 16 bytes",
            "The same.",
            by.to_accomplice(6, fragments.ipv6_fragments(16)),
            UNREADABLE,
            rfc="RFC 7112",
        ),
        passes(
            "IPv6 fragments of 24 bytes",
            "A whole TCP header, which any kernel takes.",
            by.direct(6, fragments.ipv6_fragments(24)),
            *_CUT,
            rfc="RFC 8200",
        ),
        passes(
            "IPv6 fragments backwards",
            "The last fragment first.",
            by.direct(6, fragments.ipv6_fragments(24, backwards=True)),
            *_CUT,
            rfc="RFC 8200",
        ),
        passes(
            "IPv6 fragments, the first one twice",
            "The second copy says port 587.",
            by.direct(6, fragments.ipv6_same_again),
            *_CUT,
            rfc="RFC 5722",
        ),
        passes(
            "IPv6 fragments that overlap",
            "As with IPv4; only an accomplice still takes them.",
            by.to_accomplice(6, fragments.ipv6_other_first),
            UNREADABLE,
            rfc="RFC 5722",
        ),
        passes(
            "IPv6 fragments behind hop-by-hop options",
            "A header before the fragment header.",
            by.direct(6, fragments.behind_hop_by_hop),
            *_CUT,
            rfc="RFC 9099",
        ),
        passes(
            "IPv6 header chain across fragments",
            "TCP stands in the second fragment only.",
            by.to_accomplice(6, fragments.chain_split),
            UNREADABLE,
            rfc="RFC 7112",
        ),
        passes(
            "IPv6 fragments within an atomic one",
            "Two fragment headers, the outer one without a meaning.",
            by.to_accomplice(6, fragments.within_atomic),
            UNREADABLE,
            rfc="CVE-2023-4809",
        ),
        stopped(
            "IPv6 atomic fragment",
            "A fragment header on a whole packet.",
            by.direct(6, fragments.atomic()),
            rfc="RFC 6946, RFC 8021",
        ),
        passes(
            "IPv6 atomic fragment with reserved bits",
            "Bits that hosts ignore make it a fragment to the switch.",
            by.direct(6, fragments.atomic(reserved=3)),
            *_CUT,
            rfc="RFC 8200",
        ),
    ),
)
EXTENSION_HEADERS = Group(
    "IPv6 extension headers",
    (
        stopped(
            "Hop-by-hop options",
            "The switch walks past it.",
            by.direct(6, headers.chain(headers.HOP_BY_HOP)),
            rfc="RFC 9098",
        ),
        stopped(
            "Destination options",
            "The switch walks past it.",
            by.direct(6, headers.chain(headers.DESTINATION_OPTIONS)),
            rfc="RFC 9098",
        ),
        stopped(
            "Routing header",
            "With no segments left.",
            by.direct(6, headers.chain(headers.ROUTING)),
            rfc="RFC 5095",
        ),
        stopped(
            "Authentication header",
            "An accomplice takes it off.",
            by.to_accomplice(6, headers.chain(headers.AUTHENTICATION)),
            rfc="RFC 4302",
        ),
        stopped(
            "A chain of five headers",
            "Hop-by-hop, destination options, routing, atomic fragment, destination options.",
            by.direct(6, headers.chain(0, 60, 43, 44, 60)),
            rfc="RFC 7112",
        ),
        stopped(
            "A chain of nine headers",
            "Longer than the hardware of many routers reads.",
            by.direct(6, headers.chain(0, *([60] * 8))),
            rfc="RFC 9288",
        ),
        stopped(
            "A header of 1,000 bytes",
            "TCP beyond what hardware reads of a packet.",
            by.to_accomplice(6, headers.long_options(headers.DESTINATION_OPTIONS, 1000)),
            rfc="RFC 9288",
        ),
        *(
            passes(
                name,
                "The switch stops at it; an accomplice takes it off.",
                by.to_accomplice(6, headers.chain(kind)),
                UNREADABLE,
                rfc=rfc,
            )
            for name, kind, rfc in (
                ("Mobility header", headers.MOBILITY, "RFC 6275"),
                ("Host identity protocol", headers.HIP, "RFC 7401"),
                ("Shim6", headers.SHIM6, "RFC 5533"),
                ("Experimental header 253", headers.EXPERIMENTS[0], "RFC 3692"),
                ("Experimental header 254", headers.EXPERIMENTS[1], "RFC 3692"),
            )
        ),
        passes(
            "Mobility header behind destination options",
            "The switch walks past one and stops at the other.",
            by.to_accomplice(6, headers.chain(headers.DESTINATION_OPTIONS, headers.MOBILITY)),
            UNREADABLE,
            rfc="RFC 7112",
        ),
    ),
)
IPV4_OPTIONS = Group(
    "IPv4 options",
    (
        *(
            stopped(name, how, by.direct(4, headers.ipv4_options(options)), rfc=rfc)
            for name, how, options, rfc in (
                (
                    "No-operation options",
                    "Ten words of them: the longest header there is.",
                    headers.NO_OPERATIONS,
                    "RFC 791",
                ),
                ("Record route", "39 bytes.", headers.RECORD_ROUTE, "RFC 791"),
                ("Timestamp", "12 bytes.", headers.TIMESTAMP, "RFC 791"),
                ("Router alert", "4 bytes.", headers.ROUTER_ALERT, "RFC 2113"),
            )
        ),
        stopped(
            "Source route",
            "A loose source route at its end.",
            by.source_routed(headers.ipv4_options(headers.SOURCE_ROUTE)),
            rfc="RFC 7126",
        ),
    ),
)
SOURCE_ROUTES = Group(
    "Source routes through a mail destination",
    (
        # Plain rules hold on the router's port as well, and see the packet again where it leaves the router.
        stopped(
            "Loose source route through a router",
            "It goes to a router among the mail destinations; an option names the next destination.",
            by.by_way_of_the_router(4),
            MAIL_HOSTS,
            rfc="RFC 791, RFC 7126",
        ),
        stopped(
            "Segment routing through a router",
            "The same over IPv6, with a segment routing header.",
            by.by_way_of_the_router(6),
            MAIL_HOSTS,
            rfc="RFC 8754",
        ),
    ),
)
