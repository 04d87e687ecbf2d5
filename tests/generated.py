"""Policies and packets for property tests.

Packets are drawn at the edges of the policy's prefixes, since that is where a prefix rule is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType

from hypothesis import strategies as st

from op25b_app.net.nat64 import embed
from op25b_app.net.prefix import WIDTH, Prefix
from op25b_app.policy.model import (
    Binding,
    Hardening,
    Inbound,
    LearnedLines,
    LineSource,
    LineSourceKind,
    LocatedPrefix,
    MailException,
    Mode,
    Policy,
    SourceLocation,
    SourceValidation,
    SubscriberPort,
    Switch,
    Tunnels,
)
from op25b_app.policy.packet import ETH_IPV4, ETH_IPV6, TCP, UDP, Packet

NOW = 1_800_000_000.0
PORTS_OF_INTEREST = (24, 25, 26, 465, 587, 40000)
UDP_TUNNELS = (0, 66, 4789, 4790)
"""Ports that ``block_udp_ports`` may hold: fragments, one next to DHCP's, two that touch."""
IN_PORTS = (1, 2, 3, 4, 5)
"""Subscriber lines 1 and 2, uplink 3, trusted 4, and 5, which has no role."""
SWITCH = "access-1"
NAT64 = (Prefix.parse("64:ff9b::/96"), Prefix.parse("2001:db8:64::/48"))
MACS = (0x02_00_00_00_00_01, 0x02_00_00_00_00_03)
ETHERTYPES = (0x888E, 0x88CC)
_PLACE = SourceLocation("policy.yaml", 1, 1)
_TAGS = st.frozensets(st.sampled_from((None, 0, 100, 200)), max_size=3)
_LINE_VLANS = st.sampled_from((None, None, 0, 100, 300))
"""VLANs of a line; the port may carry each of them but 300."""
_MUTED = st.sampled_from(((1, None), (2, None), (1, 0), (1, 100), (2, 200)))
_VLANS = st.dictionaries(st.sampled_from((1, 2, 3)), _TAGS, max_size=2)


@st.composite
def prefixes(draw: st.DrawFn, longest: int | None = None) -> Prefix:
    """Prefixes that nest and touch often: few bits vary, at few lengths. ``longest`` limits the length."""
    version = draw(st.sampled_from((4, 4, 6)))
    width = WIDTH[version]
    lengths = range(longest + 1) if longest is not None else (0, 1, 8, 9, 10, 24, width - 1, width)
    length = draw(st.sampled_from(lengths))
    shift = width - length
    start = 0 if longest is not None else (10 << 24) << (width - 32)
    varied = draw(st.integers(0, 7)) if longest is None else draw(st.integers(0, (1 << length) - 1))
    network = (start >> shift << shift) ^ (varied << shift) if shift < width else 0
    return Prefix(version, network & ((1 << width) - 1), length)


SNOOPING = LearnedLines((LineSource("DHCP snooping", LineSourceKind.DHCP, _PLACE),), False, 3600, _PLACE)
"""Lines are learned from DHCP."""


@st.composite
def policies(draw: st.DrawFn, longest: int | None = None) -> Policy:
    """Any policy over two switches of which ``SWITCH`` is looked at."""
    some = st.lists(prefixes(longest), max_size=5, unique=True)
    dynamic = draw(some)
    static = [prefix for prefix in draw(some) if prefix not in dynamic]
    bound = draw(
        st.lists(st.tuples(st.sampled_from((SWITCH, "access-2")), st.sampled_from((1, 2)), some), max_size=3)
    )
    names = {SWITCH: 1, "access-2": 2}
    return Policy(
        isp_name="",
        mail_destinations=_listed(draw(some)),
        nat64_prefixes=_listed(draw(st.lists(st.sampled_from(NAT64), max_size=1))),
        dynamic=_listed(dynamic),
        static=_listed(static),
        inbound=Inbound(draw(st.booleans()), draw(st.booleans()), _PLACE, _PLACE),
        hardening=draw(hardenings(longest)),
        exceptions=tuple(draw(st.lists(exceptions(longest), max_size=3))),
        switches=MappingProxyType(
            {
                name: Switch(
                    name=name,
                    dpid=dpid,
                    subscriber_ports=frozenset({1, 2}),
                    uplink_ports=frozenset({3}),
                    trusted_ports=frozenset({4}),
                    mode=draw(st.sampled_from((Mode.ENFORCE, Mode.ENFORCE, Mode.MONITOR))),
                    place=_PLACE,
                    serves=draw(st.one_of(st.none(), st.none(), some.map(_listed))),
                    vlans=MappingProxyType(
                        draw(st.dictionaries(st.sampled_from((1, 2, 3)), _TAGS, max_size=2))
                    ),
                    bindings=tuple(
                        Binding(
                            port,
                            draw(st.sampled_from((None, None, *MACS))),
                            _listed(addresses),
                            _PLACE,
                            draw(_LINE_VLANS),
                        )
                        for on, port, addresses in bound
                        if on == name
                    ),
                    forwarding_table=draw(st.sampled_from((None, None, 7))),
                    muted_lines=draw(st.frozensets(_MUTED, max_size=2)),
                )
                for name, dpid in names.items()
            }
        ),
        address_space_place=_PLACE,
        lines=draw(st.sampled_from((None, SNOOPING))),
    )


@st.composite
def hardenings(draw: st.DrawFn, longest: int | None = None) -> Hardening:
    ends = draw(st.lists(prefixes(longest), max_size=2))
    udp_ports = draw(st.one_of(st.just(frozenset()), st.frozensets(st.sampled_from(UDP_TUNNELS), max_size=3)))
    return Hardening(
        source_validation=draw(st.sampled_from(SourceValidation)),
        block_encapsulation=draw(st.booleans()),
        ethertypes=draw(st.frozensets(st.sampled_from(ETHERTYPES))),
        tunnels=Tunnels(draw(st.booleans()), _listed(ends), udp_ports, _PLACE),
        block_unreadable_tcp=draw(st.booleans()),
        source_validation_place=_PLACE,
        encapsulation_place=_PLACE,
        unreadable_tcp_place=_PLACE,
    )


@st.composite
def exceptions(draw: st.DrawFn, longest: int | None = None) -> MailException:
    switches = st.sampled_from((SWITCH, "access-2"))
    lines = st.builds(SubscriberPort, switches, st.sampled_from((1, 2)), _LINE_VLANS)
    source = draw(st.one_of(prefixes(longest), lines))
    return MailException(
        name="exception",
        source=source,
        destination=draw(st.one_of(st.none(), prefixes(longest))),
        expires=draw(st.sampled_from((None, int(NOW) - 1, int(NOW) + 60, int(NOW) + 10**6))),
        reason="",
        place=_PLACE,
        starts=draw(st.sampled_from((None, None, int(NOW) - 5, int(NOW), int(NOW) + 1))),
    )


@st.composite
def packets(draw: st.DrawFn, policy: Policy) -> Packet:
    """A TCP (seldom UDP) packet between addresses at the edges of the policy's prefixes."""
    version = draw(st.sampled_from((4, 6)))
    addresses = st.sampled_from(edges(policy, version))
    return packet(
        in_port=draw(st.sampled_from(IN_PORTS)),
        version=version,
        source=draw(addresses),
        destination=draw(addresses),
        protocol=draw(st.sampled_from((TCP, TCP, TCP, TCP, UDP))),
        source_port=draw(st.sampled_from(PORTS_OF_INTEREST)),
        destination_port=draw(st.sampled_from((25, *PORTS_OF_INTEREST))),
        tags=draw(st.sampled_from(((), (), (0,), (100,)))),
    )


def packet(
    in_port: int,
    version: int,
    source: int,
    destination: int,
    source_port: int,
    destination_port: int,
    protocol: int = TCP,
    tags: tuple[int, ...] = (),
) -> Packet:
    return Packet(
        in_port=in_port,
        eth_type=ETH_IPV4 if version == 4 else ETH_IPV6,
        version=version,
        source=source,
        destination=destination,
        protocol=protocol,
        source_port=source_port,
        destination_port=destination_port,
        tags=tags,
    )


def edges(policy: Policy, version: int) -> list[int]:
    """The first and last address of every prefix, and one before and one after each."""
    top = (1 << WIDTH[version]) - 1
    found = {0, top}
    for prefix in _all_prefixes(policy):
        if prefix.version == version:
            found |= {prefix.first, prefix.last, max(prefix.first - 1, 0), min(prefix.last + 1, top)}
    return sorted(found)


def _all_prefixes(policy: Policy) -> Iterator[Prefix]:
    listed = [*policy.mail_destinations, *policy.dynamic, *policy.static, *policy.hardening.tunnels.permit_to]
    for switch in policy.switches.values():
        listed += switch.serves or ()
        listed += [entry for binding in switch.bindings for entry in binding.addresses]
    written = [entry.prefix for entry in listed]
    for exception in policy.exceptions:
        written += [exception.source] if isinstance(exception.source, Prefix) else []
        written += [exception.destination] if exception.destination else []
    yield from written
    for nat64 in policy.nat64_prefixes:
        yield nat64.prefix
        yield from (embed(nat64.prefix, prefix) for prefix in written if prefix.version == 4)


def _listed(chosen: list[Prefix]) -> tuple[LocatedPrefix, ...]:
    return tuple(LocatedPrefix(prefix, _PLACE) for prefix in chosen)
