"""Tricks with what stands in front of the IP header: tags, and other frames."""

from __future__ import annotations

from tests.bypasses import arrangements as by
from tests.bypasses import link_layer
from tests.bypasses.headers import ETH_ARP
from tests.bypasses.trick import BINDING, ENCAPSULATION, PREFIX, UNREADABLE, Group, passes, stopped

_Q, _AD, _OLD = link_layer.TAGGED, link_layer.PROVIDER_TAGGED, link_layer.OLD_TAGGED
TAGS = Group(
    "Tags",
    (
        stopped(
            "One 802.1Q tag",
            "The switch looks behind one.",
            by.to_neighbour(4, link_layer.tags((_Q, 100))),
            rfc="802.1Q",
        ),
        stopped(
            "A priority tag", "Tag number 0.", by.to_neighbour(4, link_layer.tags((_Q, 0))), rfc="802.1Q"
        ),
        stopped(
            "One 802.1ad tag",
            "A provider's tag alone.",
            by.to_neighbour(4, link_layer.tags((_AD, 100))),
            rfc="802.1Q",
        ),
        passes(
            "Two 802.1Q tags",
            "The switch sees a tag, not IP.",
            by.to_neighbour(4, link_layer.tags((_Q, 100), (_Q, 200))),
            ENCAPSULATION,
            rfc="802.1Q",
        ),
        passes(
            "Two 802.1Q tags, IPv6",
            "The same over IPv6.",
            by.to_neighbour(6, link_layer.tags((_Q, 100), (_Q, 200))),
            ENCAPSULATION,
            rfc="802.1Q",
        ),
        passes(
            "Two priority tags",
            "Both of number 0, which hosts skip.",
            by.to_neighbour(4, link_layer.tags((_Q, 0), (_Q, 0))),
            ENCAPSULATION,
            rfc="CVE-2021-27853",
        ),
        passes(
            "802.1ad over 802.1Q",
            "A provider's tag and a customer's.",
            by.to_neighbour(4, link_layer.tags((_AD, 100), (_Q, 200))),
            ENCAPSULATION,
            rfc="802.1Q",
        ),
        passes(
            "Three tags",
            "One more.",
            by.to_neighbour(4, link_layer.tags((_AD, 1), (_Q, 2), (_Q, 3))),
            ENCAPSULATION,
            rfc="802.1Q",
        ),
        passes(
            "A tag of type 0x9100",
            "A tag from before 802.1ad, which the switch does not know.",
            by.to_neighbour(4, link_layer.tags((_OLD, 100), (_Q, 200))),
            ENCAPSULATION,
        ),
    ),
)
_MALFORMED = (UNREADABLE, PREFIX, BINDING)
FRAMES = Group(
    "Other frames",
    (
        stopped(
            "LLC and SNAP",
            "The switch reads the ethertype behind it.",
            by.to_neighbour(4, link_layer.snap()),
            rfc="RFC 1042",
        ),
        stopped(
            "LLC and SNAP with a false length",
            "A length of 1.",
            by.to_neighbour(4, link_layer.snap(length=1)),
            rfc="CVE-2021-27861",
        ),
        stopped(
            "LLC and SNAP below a priority tag",
            "Both at once.",
            by.to_neighbour(4, link_layer.snap(outer=_Q)),
            rfc="CVE-2021-27853",
        ),
        passes(
            "SNAP of another organization",
            "The switch reads no ethertype.",
            by.to_neighbour(4, link_layer.snap(bytes.fromhex("0000f8"))),
            ENCAPSULATION,
            rfc="802.1H",
        ),
        passes(
            "IP straight on LLC",
            "No SNAP header.",
            by.to_neighbour(4, link_layer.llc_ip),
            ENCAPSULATION,
            rfc="RFC 948",
        ),
        passes(
            "PPPoE",
            "A session of one's own, with an accomplice.",
            by.to_neighbour(4, link_layer.pppoe),
            ENCAPSULATION,
            rfc="RFC 2516",
        ),
        passes(
            "MPLS",
            "One label.",
            by.to_neighbour(4, link_layer.mpls(link_layer.MPLS)),
            ENCAPSULATION,
            rfc="RFC 3032",
        ),
        passes(
            "MPLS, IPv6",
            "The same over IPv6.",
            by.to_neighbour(6, link_layer.mpls(link_layer.MPLS)),
            ENCAPSULATION,
            rfc="RFC 3032",
        ),
        passes(
            "MPLS, second ethertype",
            "0x8848, once for multicast.",
            by.to_neighbour(4, link_layer.mpls(link_layer.MPLS_MULTICAST)),
            ENCAPSULATION,
            rfc="RFC 5332",
        ),
        passes(
            "MAC in MAC",
            "Ethernet in Ethernet.",
            by.to_neighbour(4, link_layer.mac_in_mac),
            ENCAPSULATION,
            rfc="802.1ah",
        ),
        passes(
            "MACsec",
            "Encrypted or not, the switch sees no IP.",
            by.to_neighbour(4, link_layer.macsec),
            ENCAPSULATION,
            rfc="802.1AE",
        ),
        passes(
            "Network service header",
            "IP behind a service header.",
            by.to_neighbour(4, link_layer.nsh),
            ENCAPSULATION,
            rfc="RFC 8300",
        ),
        passes(
            "IP under another ethertype",
            "0x88b5, for experiments.",
            by.to_neighbour(4, link_layer.under_ethertype(link_layer.EXPERIMENT)),
            ENCAPSULATION,
        ),
        passes(
            "IP under ARP's ethertype",
            "A frame that is not ARP, under an ethertype that a line needs.",
            by.to_neighbour(4, link_layer.under_ethertype(ETH_ARP)),
        ),
        passes(
            "IPv4 longer than its frame",
            "The switch reads no header at all.",
            by.to_neighbour(4, link_layer.length_beyond_frame),
            *_MALFORMED,
        ),
        passes(
            "IPv6 longer than its frame",
            "The same over IPv6.",
            by.to_neighbour(6, link_layer.length_beyond_frame),
            *_MALFORMED,
        ),
        stopped(
            "IPv4 of version 5",
            "An invalid version; the switch does not look at it.",
            by.to_neighbour(4, link_layer.another_version),
        ),
    ),
)
