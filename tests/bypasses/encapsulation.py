"""Bends that put the whole packet into another: tunnels that a switch may know by their protocol number."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

from tests.bypasses.bends import Bend, carries_tcp
from tests.bypasses.extension_headers import ESP, esp_content, esp_payload
from tests.bypasses.fragments import in_fragments
from tests.bypasses.headers import ETH_IPV4, ETH_IPV6, UDP, Ethernet, Ipv4, Ipv6, ports, udp_message

IPV4, IPV6, GRE, MINIMAL, IPIP, ETHERIP, L2TP, MPLS, ETHERNET = 4, 41, 47, 55, 94, 97, 115, 137, 143
ENCAPSULATION, IPCOMP, WESP, ROHC, AGGFRAG, NSH = 98, 108, 141, 142, 144, 145
VXLAN_PORT, TEREDO_PORT, GENEVE_PORT, L2TP_PORT, GTP_PORT, MPLS_PORT, GUE_PORT = (
    4789,
    3544,
    6081,
    1701,
    2152,
    6635,
    6080,
)
NAMED_PORTS = (VXLAN_PORT, TEREDO_PORT, GENEVE_PORT, L2TP_PORT, GTP_PORT, MPLS_PORT, GUE_PORT)
UNNAMED_PORT = 443
"""Of a VPN that hides among QUIC."""
_ETHERIP_HEADER = bytes((0x30, 0))
_SESSION = struct.pack("!I", 25)
_LABEL = struct.pack("!I", 100 << 12 | 1 << 8 | 64)
_VXLAN_HEADER = struct.pack("!II", 0x08000000, 25 << 8)
_NO_ADDRESSES = bytes(12)
_GENEVE_HEADER = struct.pack("!HHI", 0, 0x6558, 25 << 8)
_PPP_PROTOCOLS = {4: 0x0021, 6: 0x0057}
_L2TP_HEADER = struct.pack("!HHH", 0x0002, 25, 25)
_GTP_TEID = 25
_FLOW_HEADER = bytes(8)
_DEFLATE = 2
_ROHC_IR = bytes((0xFC, 0, 0))
_NSH_NEXT = {4: 1, 6: 2}
_HEADERS = {GRE: 4, MPLS: 4, WESP: 4 + 8, ROHC: len(_ROHC_IR), AGGFRAG: 4, ENCAPSULATION: 8, NSH: 8}
"""Bytes before the inner packet, by protocol."""

Wrap = Callable[[int, bytes], tuple[int, bytes]]
"""From the IP version and bytes of a packet to the outer protocol number and what stands behind it."""
Ends = dict[int, tuple[bytes, bytes]]
"""By IP version the two ends of a tunnel: source and destination address."""


def tunnel(wrap: Wrap, outer: int, ends: Ends) -> Bend:
    """TCP of either IP version in a tunnel of IP version ``outer``."""
    source, destination = ends[outer]

    def bend(frame: bytes) -> list[bytes]:
        if not carries_tcp(frame):
            return [frame]
        ethernet = Ethernet.read(frame)
        protocol, payload = wrap(4 if ethernet.ethertype == ETH_IPV4 else 6, ethernet.payload)
        if outer == 4:
            packet: Ipv4 | Ipv6 = Ipv4(source, destination, protocol, payload)
        else:
            packet = Ipv6(source, destination, protocol, payload)
        ethertype = ETH_IPV4 if outer == 4 else ETH_IPV6
        return [ethernet._replace(ethertype=ethertype, payload=packet.write()).write()]

    return bend


def in_ip(version: int, packet: bytes) -> tuple[int, bytes]:
    """RFC 2003, RFC 4213, RFC 2473."""
    return {4: IPV4, 6: IPV6}[version], packet


def in_gre(version: int, packet: bytes) -> tuple[int, bytes]:
    """RFC 2784."""
    return GRE, struct.pack("!HH", 0, _ethertype(version)) + packet


def in_etherip(version: int, packet: bytes) -> tuple[int, bytes]:
    """RFC 3378."""
    return ETHERIP, _ETHERIP_HEADER + _frame(version, packet)


def in_l2tp(version: int, packet: bytes) -> tuple[int, bytes]:
    """L2TPv3 straight over IP, without a cookie (RFC 3931, section 4.1.1)."""
    return L2TP, _SESSION + _frame(version, packet)


def in_mpls(_: int, packet: bytes) -> tuple[int, bytes]:
    """RFC 4023."""
    return MPLS, _LABEL + packet


def in_minimal(_: int, packet: bytes) -> tuple[int, bytes]:
    """Minimal encapsulation of IPv4 (RFC 2004), its checksum left 0."""
    inner = Ipv4.read(packet)
    return MINIMAL, struct.pack("!BBH", inner.protocol, 0, 0) + inner.destination + inner.payload


def in_ipip(_: int, packet: bytes) -> tuple[int, bytes]:
    """Protocol 94 of IANA's registry."""
    return IPIP, packet


def in_ethernet(version: int, packet: bytes) -> tuple[int, bytes]:
    """Protocol 143 (RFC 8986, section 10.1)."""
    return ETHERNET, _frame(version, packet)


def in_esp(version: int, packet: bytes) -> tuple[int, bytes]:
    """ESP in tunnel mode (RFC 4303)."""
    return ESP, esp_payload(packet, in_ip(version, packet)[0])


def in_encapsulation_header(_: int, packet: bytes) -> tuple[int, bytes]:
    """Protocol 98 (RFC 1241), its header left 0."""
    return ENCAPSULATION, _FLOW_HEADER + packet


def in_ipcomp(version: int, packet: bytes) -> tuple[int, bytes]:
    """IPComp in tunnel mode with DEFLATE (RFC 3173, RFC 2394)."""
    squeezed = zlib.compressobj(wbits=-15)
    data = squeezed.compress(packet) + squeezed.flush()
    return IPCOMP, struct.pack("!BBH", in_ip(version, packet)[0], 0, _DEFLATE) + data


def in_wesp(version: int, packet: bytes) -> tuple[int, bytes]:
    """Wrapped ESP that is not encrypted (RFC 5840, section 2)."""
    next_header = in_ip(version, packet)[0]
    return WESP, struct.pack("!BBBB", next_header, 12, 0, 0) + struct.pack("!II", 0x100, 1) + packet


def in_rohc(_: int, packet: bytes) -> tuple[int, bytes]:
    """The uncompressed profile of ROHC (RFC 5795, RFC 5858)."""
    return ROHC, _ROHC_IR + packet


def in_aggfrag(_: int, packet: bytes) -> tuple[int, bytes]:
    """Whole packets in an AGGFRAG payload (RFC 9347, section 6.1.1)."""
    return AGGFRAG, bytes(4) + packet


def in_nsh(version: int, packet: bytes) -> tuple[int, bytes]:
    """A network service header of type 2 without context (RFC 8300, RFC 9491)."""
    return NSH, struct.pack("!HBBI", 63 << 6 | 2, 2, _NSH_NEXT[version], 25 << 8 | 255) + packet


def over_udp(ends: Ends, outer: int, port: int) -> Wrap:
    """What its decapsulators listen for on a port; VXLAN on any that none of them has."""
    contain = _CONTENTS.get(port, _vxlan)
    return lambda version, packet: (
        UDP,
        udp_message(*ends[outer], port, port, contain(version, packet)),
    )


def _vxlan(version: int, packet: bytes) -> bytes:
    """RFC 7348."""
    return _VXLAN_HEADER + _frame(version, packet)


def _geneve(version: int, packet: bytes) -> bytes:
    """RFC 8926, without options."""
    return _GENEVE_HEADER + _frame(version, packet)


def _l2tp(version: int, packet: bytes) -> bytes:
    """A data message of L2TPv2 with PPP inside (RFC 2661, RFC 1661)."""
    return _L2TP_HEADER + struct.pack("!HH", 0xFF03, _PPP_PROTOCOLS[version]) + packet


def _gtp(_: int, packet: bytes) -> bytes:
    """A G-PDU of GTP-U (3GPP TS 29.281)."""
    return struct.pack("!BBHI", 0x30, 255, len(packet), _GTP_TEID) + packet


def _gue(version: int, packet: bytes) -> bytes:
    """Generic UDP encapsulation, version 0 (draft-ietf-intarea-gue)."""
    return struct.pack("!BBH", 0, in_ip(version, packet)[0], 0) + packet


_CONTENTS: dict[int, Callable[[int, bytes], bytes]] = {
    TEREDO_PORT: lambda _, packet: packet,
    GENEVE_PORT: _geneve,
    L2TP_PORT: _l2tp,
    GTP_PORT: _gtp,
    MPLS_PORT: lambda _, packet: _LABEL + packet,
    GUE_PORT: _gue,
}
"""RFC 4380, RFC 8926, RFC 2661, 3GPP TS 29.281, RFC 7510, GUE."""
_LENGTHS = {
    TEREDO_PORT: 0,
    GENEVE_PORT: len(_GENEVE_HEADER) + 14,
    L2TP_PORT: len(_L2TP_HEADER) + 4,
    GTP_PORT: 8,
    MPLS_PORT: len(_LABEL),
    GUE_PORT: 4,
    VXLAN_PORT: len(_VXLAN_HEADER) + 14,
    UNNAMED_PORT: len(_VXLAN_HEADER) + 14,
}
"""Bytes between the UDP header and the inner packet, by port."""


def fragmented_tunnel(wrap: Wrap, ends: Ends, size: int) -> Bend:
    """A tunnel over IPv4 whose packets are cut into fragments of ``size`` bytes, a multiple of 8."""
    whole = tunnel(wrap, 4, ends)

    def bend(frame: bytes) -> list[bytes]:
        (packed,) = whole(frame)
        if packed == frame:
            return [frame]
        ethernet = Ethernet.read(packed)
        packets = in_fragments(Ipv4.read(ethernet.payload), size)
        return [ethernet._replace(payload=packet.write()).write() for packet in packets]

    return bend


def unwrapped(outer: Ipv4 | Ipv6, protocol: int, payload: bytes) -> bytes | None:
    """The IP packet inside a tunnel's packet; None where it is none of these tunnels."""
    if protocol in (IPV4, IPV6, IPIP):
        return payload
    if protocol in _HEADERS:
        return payload[_HEADERS[protocol] :]
    if protocol == IPCOMP:
        return zlib.decompress(payload[4:], wbits=-15)
    if protocol in (ETHERIP, L2TP, ETHERNET):
        header = {ETHERIP: len(_ETHERIP_HEADER), L2TP: len(_SESSION), ETHERNET: 0}[protocol]
        return payload[header + 14 :]
    if protocol == MINIMAL:
        inner, destination = payload[0], payload[4:8]
        return Ipv4(outer.source, destination, inner, payload[8:]).write()
    if protocol == ESP and esp_content(payload)[0] in (IPV4, IPV6):
        return esp_content(payload)[1]
    if protocol == UDP and ports(payload)[1] in _LENGTHS:
        return payload[8 + _LENGTHS[ports(payload)[1]] :]
    return None


def _ethertype(version: int) -> int:
    return {4: ETH_IPV4, 6: ETH_IPV6}[version]


def _frame(version: int, packet: bytes) -> bytes:
    return _NO_ADDRESSES + struct.pack("!H", _ethertype(version)) + packet
