"""Read the fields of a packet as a person writes them."""

from __future__ import annotations

import re
from dataclasses import replace

from op25b_app.policy.packet import ETH_IPV4, ETH_IPV6, ICMPV6, TCP, UDP, Packet

PROTOCOLS = {"tcp": TCP, "udp": UDP, "icmp": 1, "icmpv6": ICMPV6}
"""IP protocols that have a name here; others are written as a number."""
USUAL_SOURCE_PORT = 49152
"""Default source port: the first dynamic port (RFC 6335, section 6)."""
SMTP_PORT = 25
"""Default destination port."""


def read_protocol(text: str) -> int:
    """Return the number of an IP protocol, from its name or number. Raises ValueError, with a remedy."""
    number = PROTOCOLS.get(text.lower(), int(text) if re.fullmatch(r"[0-9]{1,3}", text) else 256)
    if number > 255:
        raise ValueError(f"'{text}' is no protocol; write {', '.join(PROTOCOLS)} or 0 to 255")
    return number


def read_mac(text: str) -> int:
    """Return a MAC address as an integer. Raises ValueError where ``text`` is none."""
    octets = text.split(":")
    try:
        if len(octets) == 6 and text.isascii():
            return int.from_bytes(bytes(int(octet, 16) for octet in octets), "big")
    except ValueError:
        pass
    raise ValueError(f"'{text}' is not a MAC address")


def make_packet(
    in_port: int,
    source: tuple[int, int],
    destination: tuple[int, int],
    protocol: int,
    ports: tuple[int, int],
    mac: int | None = None,
    tag: int | None = None,
) -> Packet:
    """Return an IP packet of these fields.

    Addresses are (version, integer). ``ports`` are source and destination port, and are ignored unless the
    protocol is TCP or UDP. ``mac`` None is some Ethernet source. ``tag`` is a VLAN id, None without a tag.
    Raises ValueError where one address is IPv4 and the other IPv6.
    """
    version = destination[0]
    if source[0] != version:
        raise ValueError("one address is IPv4 and the other IPv6")
    source_port, destination_port = ports if protocol in (TCP, UDP) else (None, None)
    packet = Packet(
        in_port=in_port,
        eth_type=ETH_IPV4 if version == 4 else ETH_IPV6,
        version=version,
        source=source[1],
        destination=destination[1],
        protocol=protocol,
        source_port=source_port,
        destination_port=destination_port,
        tags=() if tag is None else (tag,),
    )
    return packet if mac is None else replace(packet, eth_source=mac)
