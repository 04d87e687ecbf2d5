"""Turn a header of the proof into a packet, a frame and text for Open vSwitch."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

from op25b_app.net.port_number import port_name
from op25b_app.openflow.fields import HEADER_FIELDS, VLAN_PRESENT
from op25b_app.openflow.ofctl import format_value
from op25b_app.policy.packet import (
    ETH_ARP,
    ETH_IPV4,
    ETH_IPV6,
    FRAGMENT,
    ICMPV6,
    TCP,
    UDP,
    Packet,
    read_frame,
)
from op25b_app.verify.diagram import Diagram
from op25b_app.verify.header import FIELDS

_USUAL: Mapping[str, int] = {
    "eth_type": ETH_IPV4,
    "ip_proto": TCP,
    "tcp_dst": 25,
    "tcp_src": 49152,
    "tcp_flags": 2,
    "udp_dst": 33434,
    "udp_src": 49152,
    "icmpv4_type": 8,
    "icmpv6_type": 128,
    "arp_op": 1,
    "eth_src": 0x02_00_00_00_00_01,
    "eth_dst": 0x02_00_00_00_00_02,
}
"""Field values of a counterexample where the field makes no difference."""


ETH_LLDP = 0x88CC
NEAREST_BRIDGE = 0x0180C200000E
"""Destination of LLDP frames for the next bridge only (IEEE 802.1AB, section 7.1)."""


def find_header(diagram: Diagram, is_wanted: Callable[[Any], bool], usual_port: int) -> dict[str, int]:
    """Return a header, as usual as possible, for which the function returns a wanted value.

    There must be one. Fields are by OXM name, in the values of the proof's domain.
    """
    header = {name: _USUAL.get(name, 0) for name in FIELDS} | {"in_port": usual_port}
    while not diagram.is_leaf:
        name = FIELDS[diagram.level]
        found: tuple[int, Diagram] | None = None
        for first, last, child in diagram.edges:
            if any(map(is_wanted, child.values)):
                if first <= header[name] <= last:
                    found = (header[name], child)
                    break
                found = found or (first, child)
        assert found is not None, "the caller knows that there is a wanted value"
        header[name], diagram = found
    return header


def packet_of(header: Mapping[str, int]) -> Packet:
    """Return the packet that a switch reads where it reads this header."""
    eth_type = header["eth_type"]
    version = {ETH_IPV4: 4, ETH_IPV6: 6}.get(eth_type)
    protocol = header["ip_proto"]
    transport = {TCP: "tcp", UDP: "udp"}.get(protocol) if version else None
    is_icmpv6 = version == 6 and protocol == ICMPV6
    return Packet(
        in_port=header["in_port"],
        eth_type=eth_type,
        version=version,
        source=header[f"ipv{version}_src"] if version else 0,
        destination=header[f"ipv{version}_dst"] if version else 0,
        protocol=protocol if version else None,
        source_port=header[f"{transport}_src"] if transport else None,
        destination_port=header[f"{transport}_dst"] if transport else None,
        fragment=version == 6 and protocol == FRAGMENT,
        eth_source=header["eth_src"],
        eth_destination=header["eth_dst"],
        tags=(header["vlan_vid"] - 1,) if header["vlan_vid"] else (),
        icmp_type=header["icmpv6_type"] if is_icmpv6 else None,
        nd_target=header["ipv6_nd_target"] if is_icmpv6 else None,
        arp_sender=header["arp_spa"] if eth_type == ETH_ARP else 0,
        arp_sender_mac=header["arp_sha"] if eth_type == ETH_ARP else 0,
    )


def frame_of(header: Mapping[str, int]) -> bytes | None:
    """Return a frame that Open vSwitch reads as ``header``; None where no frame reads so."""
    frame = header["eth_dst"].to_bytes(6, "big") + header["eth_src"].to_bytes(6, "big")
    if header["vlan_vid"]:
        frame += struct.pack("!HH", 0x8100, header["vlan_pcp"] << 13 | header["vlan_vid"] - 1)
    eth_type = header["eth_type"]
    payload = _PAYLOADS[eth_type](header) if eth_type in _PAYLOADS else bytes(46)
    frame += struct.pack("!H", eth_type if eth_type >= 0x600 else len(payload)) + payload
    if eth_type in (0x8100, 0x88A8) and not header["vlan_vid"]:
        frame = frame[:14]
    return frame if read_frame(header["in_port"], frame) == packet_of(header) else None


def describe(fields: Mapping[str, int]) -> str:
    """Return header fields as text: ``name=value`` with commas, addresses in their usual notation."""
    return ",".join(f"{name}={format_value(name, value)}" for name, value in fields.items())


def in_words(fields: Mapping[str, int]) -> str | None:
    """Return the common name of a packet that its fields do not make plain; None for any other packet."""
    if (fields["eth_type"], fields["eth_dst"]) == (ETH_LLDP, NEAREST_BRIDGE):
        return "an LLDP frame to the nearest bridge (ryu.topology takes those for itself)"
    return None


def trace_command(in_port: int, frame: bytes) -> str:
    """Return the command that traces the frame through a bridge; replace BRIDGE with its name."""
    return f"ovs-appctl ofproto/trace BRIDGE in_port={port_name(in_port)} {frame.hex()}"


def _ipv4(header: Mapping[str, int]) -> bytes:
    payload = _transport(header)
    fixed = (0x45, 0, 20 + len(payload), 0, 0, 64, header["ip_proto"], 0)
    return struct.pack("!BBHHHBBHII", *fixed, header["ipv4_src"], header["ipv4_dst"]) + payload


def _ipv6(header: Mapping[str, int]) -> bytes:
    protocol, payload = header["ip_proto"], _transport(header)
    if protocol == FRAGMENT:
        payload = struct.pack("!BBHI", TCP, 0, 8, 1) + bytes(8)
    elif protocol == 0:
        payload = b""
    fixed = struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64)
    addresses = header["ipv6_src"].to_bytes(16, "big") + header["ipv6_dst"].to_bytes(16, "big")
    return fixed + addresses + payload


def _arp(header: Mapping[str, int]) -> bytes:
    head = struct.pack("!HHBBH", 1, ETH_IPV4, 6, 4, header["arp_op"] & 0xFF)
    addresses = struct.pack("!I6xI", header["arp_spa"], header["arp_tpa"])
    return head + header["arp_sha"].to_bytes(6, "big") + addresses


_PAYLOADS = {ETH_IPV4: _ipv4, ETH_IPV6: _ipv6, ETH_ARP: _arp}


def _transport(header: Mapping[str, int]) -> bytes:
    protocol = header["ip_proto"]
    if protocol == TCP:
        ports = header["tcp_src"], header["tcp_dst"]
        return struct.pack("!HHIIHHHH", *ports, 1, 0, 5 << 12 | header["tcp_flags"], 8192, 0, 0)
    if protocol == UDP:
        return struct.pack("!HHHH", header["udp_src"], header["udp_dst"], 8, 0)
    if protocol == ICMPV6:
        kind = header["icmpv6_type"]
        return struct.pack("!BBHI", kind, 0, 0, 0) + header["ipv6_nd_target"].to_bytes(16, "big")
    return bytes(24)


def openflow_fields(header: Mapping[str, int]) -> dict[str, int]:
    """Return the match fields of a packet with this header (OpenFlow 1.3.5, table 11), by OXM name."""
    fields = {
        field.name: header[field.name]
        for field in HEADER_FIELDS
        if field.name != "vlan_vid" and field.needs.are_met(header)
    }
    fields["vlan_vid"] = VLAN_PRESENT | header["vlan_vid"] - 1 if header["vlan_vid"] else 0
    return fields
