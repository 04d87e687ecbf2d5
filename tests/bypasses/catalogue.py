"""The catalogue of bypasses, as data: every trick, how it works and what is expected of it."""

from __future__ import annotations

from isp import DYNAMIC, STATIC, UNLISTED

from tests.bypasses import arrangements as by
from tests.bypasses import encapsulation as tunnels
from tests.bypasses import extension_headers as headers
from tests.bypasses import fragments, link_layer
from tests.bypasses.bends import syn_as_ack
from tests.bypasses.rulesets import Setting
from tests.bypasses.trick import Group, Honest, Trick

BASE, ENCAPSULATION, UNREADABLE = Setting.BASE, Setting.ENCAPSULATION, Setting.UNREADABLE_TCP
REPLIES, PORT_25, BOUND = Setting.SPOOFED_REPLIES, Setting.PORT_25, Setting.BINDINGS
PREFIX, BINDING, TUNNELS = Setting.PREFIX, Setting.BINDING, Setting.TUNNELS


def _trick(name: str, how: str, arrange: by.Arrangement, *closed_by: Setting, plain: bool, rfc: str = "") -> Trick:
    return Trick(name, how, arrange, plain, frozenset(closed_by), tuple(rfc.split(", ")) if rfc else ())


def _passes(name: str, how: str, arrange: by.Arrangement, *closed_by: Setting, rfc: str = "") -> Trick:
    """A trick that delivers against plain rules."""
    return _trick(name, how, arrange, *closed_by, plain=True, rfc=rfc)


def _stopped(name: str, how: str, arrange: by.Arrangement, *closed_by: Setting, rfc: str = "") -> Trick:
    """A trick that plain rules stop already, and so do ours by port 25 itself unless said otherwise."""
    return _trick(name, how, arrange, *(closed_by or (BASE,)), plain=False, rfc=rfc)


def _tunnel(wrap: tunnels.Wrap, outer: int, inner: int = 4) -> by.Arrangement:
    return by.through_tunnel(inner, lambda ends: tunnels.tunnel(wrap, outer, ends))


def _vxlan(outer: int) -> by.Arrangement:
    return by.through_tunnel(4, lambda ends: tunnels.tunnel(tunnels.in_vxlan(ends, outer), outer, ends))


def _teredo() -> by.Arrangement:
    return by.through_tunnel(6, lambda ends: tunnels.tunnel(tunnels.in_teredo(ends), 4, ends))


NOTHING = Group(
    "Nothing at all",
    (
        _stopped("No trick, IPv4", "A spammer connects to port 25.", by.direct(4)),
        _stopped("No trick, IPv6", "The same over IPv6.", by.direct(6)),
        Trick(
            "IPv6 itself",
            "The rules were written for IPv4 only.",
            by.direct(6),
            True,
            frozenset({BASE}),
            without_tcp6=True,
        ),
        _stopped(
            "No SYN", "The SYN travels as an ACK, as if the connection stood.", by.to_accomplice(4, syn_as_ack)
        ),
        _stopped(
            "Well-known source port", "From ports 20 to 53, as answers come from.", by.from_well_known_port(4)
        ),
        _stopped("Dynamic to dynamic, IPv4", "To a mail server on another dynamic line.", by.to_dynamic(4)),
        _stopped("Dynamic to dynamic, IPv6", "The same over IPv6.", by.to_dynamic(6)),
        _stopped("NAT64", "To an IPv4 server by its address behind a NAT64.", by.behind_nat64(), rfc="RFC 6052"),
    ),
)
_CUT = (UNREADABLE, REPLIES)
IPV4_FRAGMENTS = Group(
    "IPv4 fragments",
    tuple(
        _passes(f"IPv4 fragments of {size} bytes", how, by.direct(4, fragments.ipv4_fragments(size)), *_CUT, rfc=rfc)
        for size, how, rfc in (
            (8, "The ports in one fragment, the flags in the next.", "RFC 1858"),
            (16, "The whole header but its last bytes in the first fragment.", "RFC 1858"),
            (24, "The whole header in the first fragment: Open vSwitch reads no port of it all the same.", "RFC 791"),
        )
    )
    + (
        _passes(
            "IPv4 fragments backwards",
            "The last fragment first.",
            by.direct(4, fragments.ipv4_fragments(24, backwards=True)),
            *_CUT,
            rfc="RFC 1858",
        ),
        _passes(
            "IPv4 fragments, the first one twice",
            "The second copy says port 587; a kernel keeps the first.",
            by.direct(4, fragments.ipv4_same_again),
            *_CUT,
            rfc="RFC 3128",
        ),
        _passes(
            "IPv4 fragments that overlap",
            "A first fragment says port 587, the next one overwrites it at an accomplice.",
            by.to_accomplice(4, fragments.ipv4_other_first),
            *_CUT,
            rfc="RFC 3128",
        ),
        _passes(
            "IPv4 fragments from an unlisted pool",
            "Fragments, from an address that no list holds.",
            by.direct(4, fragments.ipv4_fragments(8), space=UNLISTED),
            UNREADABLE,
            PREFIX,
        ),
        _passes(
            "IPv4 fragments with a static neighbour's address",
            "Static lines may send fragments.",
            by.borrowed(4, STATIC, fragments.ipv4_fragments(8)),
            BINDING,
        ),
    ),
)
IPV6_FRAGMENTS = Group(
    "IPv6 fragments",
    (
        _passes("IPv6 fragments of 8 bytes", "An accomplice reassembles; kernels of today do not.", by.to_accomplice(6, fragments.ipv6_fragments(8)), *_CUT, rfc="RFC 7112"),
        _passes("IPv6 fragments of 16 bytes", "The same.", by.to_accomplice(6, fragments.ipv6_fragments(16)), *_CUT, rfc="RFC 7112"),
        _passes("IPv6 fragments of 24 bytes", "A whole TCP header, which any kernel takes.", by.direct(6, fragments.ipv6_fragments(24)), *_CUT, rfc="RFC 8200"),
        _passes("IPv6 fragments backwards", "The last fragment first.", by.direct(6, fragments.ipv6_fragments(24, backwards=True)), *_CUT, rfc="RFC 8200"),
        _passes("IPv6 fragments, the first one twice", "The second copy says port 587.", by.direct(6, fragments.ipv6_same_again), *_CUT, rfc="RFC 5722"),
        _passes("IPv6 fragments that overlap", "As with IPv4; only an accomplice still takes them.", by.to_accomplice(6, fragments.ipv6_other_first), *_CUT, rfc="RFC 5722"),
        _passes("IPv6 fragments behind hop-by-hop options", "A header before the fragment header.", by.direct(6, fragments.behind_hop_by_hop), *_CUT, rfc="RFC 9099"),
        _passes("IPv6 header chain across fragments", "TCP stands in the second fragment only.", by.to_accomplice(6, fragments.chain_split), *_CUT, rfc="RFC 7112"),
        _passes("IPv6 fragments within an atomic one", "Two fragment headers, the outer one saying nothing.", by.to_accomplice(6, fragments.within_atomic), *_CUT, rfc="CVE-2023-4809"),
        _stopped("IPv6 atomic fragment", "A fragment header on a whole packet.", by.direct(6, fragments.atomic()), rfc="RFC 6946, RFC 8021"),
        _passes("IPv6 atomic fragment with reserved bits", "Bits that hosts ignore make it a fragment to the switch.", by.direct(6, fragments.atomic(reserved=3)), *_CUT, rfc="RFC 8200"),
    ),
)
EXTENSION_HEADERS = Group(
    "IPv6 extension headers",
    (
        _stopped("Hop-by-hop options", "The switch walks past it.", by.direct(6, headers.chain(headers.HOP_BY_HOP)), rfc="RFC 9098"),
        _stopped("Destination options", "The switch walks past it.", by.direct(6, headers.chain(headers.DESTINATION_OPTIONS)), rfc="RFC 9098"),
        _stopped("Routing header", "With no segments left.", by.direct(6, headers.chain(headers.ROUTING)), rfc="RFC 5095"),
        _stopped("Authentication header", "An accomplice takes it off.", by.to_accomplice(6, headers.chain(headers.AUTHENTICATION)), rfc="RFC 4302"),
        _stopped("A chain of five headers", "Hop-by-hop, destination options, routing, atomic fragment, destination options.", by.direct(6, headers.chain(0, 60, 43, 44, 60)), rfc="RFC 7112"),
        _stopped("A chain of nine headers", "Longer than the hardware of many routers reads.", by.direct(6, headers.chain(0, *([60] * 8))), rfc="RFC 9288"),
        _stopped("A header of 1,000 bytes", "TCP beyond what hardware reads of a packet.", by.direct(6, headers.long_options(headers.DESTINATION_OPTIONS, 1000)), rfc="RFC 9288"),
        *(
            _passes(name, "The switch stops at it; an accomplice takes it off.", by.to_accomplice(6, headers.chain(kind)), *_CUT, rfc=rfc)
            for name, kind, rfc in (
                ("Mobility header", headers.MOBILITY, "RFC 6275"),
                ("Host identity protocol", headers.HIP, "RFC 7401"),
                ("Shim6", headers.SHIM6, "RFC 5533"),
                ("Experimental header 253", headers.EXPERIMENTS[0], "RFC 3692"),
                ("Experimental header 254", headers.EXPERIMENTS[1], "RFC 3692"),
            )
        ),
        _passes("Mobility header behind destination options", "The switch walks past one and stops at the other.", by.to_accomplice(6, headers.chain(headers.DESTINATION_OPTIONS, headers.MOBILITY)), *_CUT, rfc="RFC 7112"),
    ),
)
IPV4_OPTIONS = Group(
    "IPv4 options",
    tuple(
        _stopped(name, how, by.direct(4, headers.ipv4_options(options)), rfc=rfc)
        for name, how, options, rfc in (
            ("No-operation options", "Ten words of them: the longest header there is.", headers.NO_OPERATIONS, "RFC 791"),
            ("Record route", "39 bytes.", headers.RECORD_ROUTE, "RFC 791"),
            ("Timestamp", "12 bytes.", headers.TIMESTAMP, "RFC 791"),
            ("Router alert", "4 bytes.", headers.ROUTER_ALERT, "RFC 2113"),
            ("Source route", "A loose source route at its end.", headers.SOURCE_ROUTE, "RFC 7126"),
        )
    ),
)
_HIDDEN = (ENCAPSULATION, REPLIES)
_Q, _AD, _OLD = link_layer.TAGGED, link_layer.PROVIDER_TAGGED, link_layer.OLD_TAGGED
TAGS = Group(
    "Tags",
    (
        _stopped("One 802.1Q tag", "The switch looks behind one.", by.to_neighbour(4, link_layer.tags((_Q, 100))), rfc="802.1Q"),
        _stopped("A priority tag", "Tag number 0.", by.to_neighbour(4, link_layer.tags((_Q, 0))), rfc="802.1Q"),
        _stopped("One 802.1ad tag", "A provider's tag alone.", by.to_neighbour(4, link_layer.tags((_AD, 100))), rfc="802.1Q"),
        _passes("Two 802.1Q tags", "The switch sees a tag, not IP.", by.to_neighbour(4, link_layer.tags((_Q, 100), (_Q, 200))), *_HIDDEN, rfc="802.1Q"),
        _passes("Two 802.1Q tags, IPv6", "The same over IPv6.", by.to_neighbour(6, link_layer.tags((_Q, 100), (_Q, 200))), *_HIDDEN, rfc="802.1Q"),
        _passes("Two priority tags", "Both of number 0, which hosts skip.", by.to_neighbour(4, link_layer.tags((_Q, 0), (_Q, 0))), *_HIDDEN, rfc="CVE-2021-27853"),
        _passes("802.1ad over 802.1Q", "A provider's tag and a customer's.", by.to_neighbour(4, link_layer.tags((_AD, 100), (_Q, 200))), *_HIDDEN, rfc="802.1Q"),
        _passes("Three tags", "One more.", by.to_neighbour(4, link_layer.tags((_AD, 1), (_Q, 2), (_Q, 3))), *_HIDDEN, rfc="802.1Q"),
        _passes("A tag of type 0x9100", "A tag from before 802.1ad, which the switch does not know.", by.to_neighbour(4, link_layer.tags((_OLD, 100), (_Q, 200))), *_HIDDEN),
    ),
)
FRAMES = Group(
    "Other frames",
    (
        _stopped("LLC and SNAP", "The switch reads the ethertype behind it.", by.to_neighbour(4, link_layer.snap()), rfc="RFC 1042"),
        _stopped("LLC and SNAP with a false length", "A length of 1.", by.to_neighbour(4, link_layer.snap(length=1)), rfc="CVE-2021-27861"),
        _stopped("LLC and SNAP below a priority tag", "Both at once.", by.to_neighbour(4, link_layer.snap(outer=_Q)), rfc="CVE-2021-27853"),
        _passes("SNAP of another organization", "The switch reads no ethertype.", by.to_neighbour(4, link_layer.snap(bytes.fromhex("0000f8"))), *_HIDDEN, rfc="802.1H"),
        _passes("IP straight on LLC", "No SNAP header.", by.to_neighbour(4, link_layer.llc_ip), *_HIDDEN, rfc="RFC 948"),
        _passes("PPPoE", "A session of one's own, with an accomplice.", by.to_neighbour(4, link_layer.pppoe), *_HIDDEN, rfc="RFC 2516"),
        _passes("MPLS", "One label.", by.to_neighbour(4, link_layer.mpls(link_layer.MPLS)), *_HIDDEN, rfc="RFC 3032"),
        _passes("MPLS, IPv6", "The same over IPv6.", by.to_neighbour(6, link_layer.mpls(link_layer.MPLS)), *_HIDDEN, rfc="RFC 3032"),
        _passes("MPLS, second ethertype", "0x8848, once for multicast.", by.to_neighbour(4, link_layer.mpls(link_layer.MPLS_MULTICAST)), *_HIDDEN, rfc="RFC 5332"),
        _passes("MAC in MAC", "Ethernet in Ethernet.", by.to_neighbour(4, link_layer.mac_in_mac), *_HIDDEN, rfc="802.1ah"),
        _passes("MACsec", "Encrypted or not, the switch sees no IP.", by.to_neighbour(4, link_layer.macsec), *_HIDDEN, rfc="802.1AE"),
        _passes("Network service header", "IP behind a service header.", by.to_neighbour(4, link_layer.nsh), *_HIDDEN, rfc="RFC 8300"),
        _passes("IP under another ethertype", "0x88b5, for experiments.", by.to_neighbour(4, link_layer.under_ethertype(link_layer.EXPERIMENT)), *_HIDDEN),
        _passes("IP under ARP's ethertype", "What a line needs, and no ARP.", by.to_neighbour(4, link_layer.under_ethertype(link_layer.ETH_ARP)), REPLIES),
        _passes("IPv4 longer than its frame", "The switch reads no header at all.", by.to_neighbour(4, link_layer.length_beyond_frame), REPLIES, PREFIX, BINDING),
        _passes("IPv4 of version 5", "A version that is none.", by.to_neighbour(4, link_layer.another_version), REPLIES, PREFIX, BINDING),
    ),
)
_INSIDE = (TUNNELS, REPLIES)
IN_TUNNELS = Group(
    "Tunnels",
    tuple(
        _passes(name, how, arrange, *_INSIDE, rfc=rfc)
        for name, how, arrange, rfc in (
            ("IPv4 in IPv4", "Protocol 4.", _tunnel(tunnels.in_ip, 4), "RFC 2003"),
            ("IPv6 in IPv4 (6in4, 6to4, 6rd, ISATAP)", "Protocol 41.", _tunnel(tunnels.in_ip, 4, 6), "RFC 4213"),
            ("IPv4 in IPv6 (DS-Lite, MAP-E)", "Next header 4.", _tunnel(tunnels.in_ip, 6), "RFC 2473"),
            ("IPv6 in IPv6", "Next header 41.", _tunnel(tunnels.in_ip, 6, 6), "RFC 2473"),
            ("GRE", "Protocol 47.", _tunnel(tunnels.in_gre, 4), "RFC 2784"),
            ("GRE over IPv6", "Next header 47.", _tunnel(tunnels.in_gre, 6), "RFC 7676"),
            ("EtherIP", "Protocol 97.", _tunnel(tunnels.in_etherip, 4), "RFC 3378"),
            ("L2TPv3", "Protocol 115.", _tunnel(tunnels.in_l2tp, 4), "RFC 3931"),
            ("MPLS in IP", "Protocol 137.", _tunnel(tunnels.in_mpls, 4), "RFC 4023"),
        )
    ),
)
_SPOOFED = (PORT_25, PREFIX, BINDING)
ADDRESSES = Group(
    "Addresses of others",
    (
        _passes("A static neighbour's address, IPv4", "Its host is switched off.", by.borrowed(4, STATIC), BOUND, BINDING, rfc="RFC 2827"),
        _passes("A static neighbour's address, IPv6", "The same over IPv6.", by.borrowed(6, STATIC), BOUND, BINDING, rfc="RFC 2827"),
        _passes("ARP for a static neighbour", "Its host is on; its traffic is drawn here.", by.redirected(4), BOUND, BINDING, rfc="RFC 826"),
        _passes("Neighbour advertisements for a static neighbour", "The same over IPv6.", by.redirected(6), BOUND, BINDING, rfc="RFC 6620"),
        _passes("A static neighbour's MAC address, IPv4", "Both addresses cloned; the switch learns the new place.", by.cloned(4), BOUND, BINDING),
        _passes("A static neighbour's MAC address, IPv6", "The same over IPv6.", by.cloned(6), BOUND, BINDING),
        _passes("A server's address", "From the ISP's network of mail servers.", by.of_a_server(4), *_SPOOFED, rfc="RFC 2827"),
        _passes("An unlisted pool, IPv4", "Addresses that no list holds.", by.direct(4, space=UNLISTED), PORT_25, PREFIX),
        _passes("An unlisted pool, IPv6", "The same over IPv6.", by.direct(6, space=UNLISTED), PORT_25, PREFIX),
        _passes("Link-local addresses, IPv6", "To a mail server on the same Ethernet.", by.link_local(6), *_SPOOFED),
        _passes("Link-local addresses, IPv4", "The same over IPv4.", by.link_local(4), *_SPOOFED),
        _stopped("Another dynamic line's address", "It is closed too.", by.borrowed(4, DYNAMIC)),
        _passes("The address of an exception", "A dynamic neighbour's, which may speak to port 25.", by.of_an_exception(4), BINDING),
    ),
)
TRIANGLES = Group(
    "Triangles",
    tuple(
        trick
        for version in (4, 6)
        for trick in (
            _passes(f"Helper outside, IPv{version}", "A helper sends with a dynamic line's address; the line relays the answers.", by.helper_outside(version), REPLIES, rfc="Qian 2010"),
            _passes(f"Relay outside, IPv{version}", "A dynamic line sends with the address of a host outside, which relays the answers.", by.relay_outside(version), *_SPOOFED, rfc="Qian 2010"),
            _passes(f"Relay on a static line, IPv{version}", "A dynamic line sends with the address of a static one, which relays the answers.", by.relay_inside(version, sender_in=DYNAMIC, relay_in=STATIC), BOUND, BINDING, rfc="Qian 2010"),
            _stopped(f"Helper on a static line, IPv{version}", "A static line sends with a dynamic one's address; port 25 is closed to it.", by.relay_inside(version, sender_in=STATIC, relay_in=DYNAMIC), rfc="Qian 2010"),
            _stopped(f"Relay on another dynamic line, IPv{version}", "A dynamic line sends with another one's address.", by.relay_inside(version, sender_in=DYNAMIC, relay_in=DYNAMIC)),
            _stopped(f"Helper outside, static server inside, IPv{version}", "The answers cross no uplink; plain rules stop it only where they hold on uplinks too.", by.helper_outside(version, to_company=True), *_SPOOFED, rfc="Qian 2010"),
        )
    ),
)
OUT_OF_REACH = Group(
    "Out of reach",
    (
        _passes("A VPN over UDP", "VXLAN here; WireGuard, OpenVPN or TLS look no different.", _vxlan(4), REPLIES, rfc="RFC 7348"),
        _passes("A VPN over UDP and IPv6", "The same over IPv6.", _vxlan(6), REPLIES, rfc="RFC 7348"),
        _passes("Teredo", "IPv6 in UDP.", _teredo(), REPLIES, rfc="RFC 4380"),
        _passes("IPsec", "ESP hides what it carries.", _tunnel(tunnels.in_esp, 4), REPLIES, rfc="RFC 4303"),
        _passes("IPsec over IPv6", "The same over IPv6.", _tunnel(tunnels.in_esp, 6, 6), REPLIES, rfc="RFC 4303"),
        _passes("TCP under another protocol number, IPv4", "Number 200, put right by an accomplice.", by.to_accomplice(4, headers.under_protocol_ipv4(headers.UNASSIGNED)), REPLIES),
        _passes("TCP under another protocol number, IPv6", "The same over IPv6.", by.to_accomplice(6, headers.under_protocol_ipv6(headers.UNASSIGNED)), REPLIES),
        _passes("TCP under 'no next header'", "Next header 59, after which hosts look no further.", by.to_accomplice(6, headers.under_protocol_ipv6(headers.NO_NEXT_HEADER)), REPLIES, rfc="RFC 8200"),
        _passes("Minimal encapsulation", "Protocol 55.", _tunnel(tunnels.in_minimal, 4), REPLIES, rfc="RFC 2004"),
        _passes("IPIP, protocol 94", "A number nobody remembers.", _tunnel(tunnels.in_ipip, 4), REPLIES),
        _passes("Ethernet in IP", "Protocol 143.", _tunnel(tunnels.in_ethernet, 4), REPLIES, rfc="RFC 8986"),
        _passes("A triangle into a forgotten pool", "The relay's address is in no list, so its answers are nobody's business.", by.helper_outside(4, relay_in=UNLISTED), rfc="Qian 2010"),
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
