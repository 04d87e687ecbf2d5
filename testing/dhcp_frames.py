"""Frames of DHCP and DHCPv6 as clients and servers send them, from what they say."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from op25b_app.net.prefix import Prefix
from op25b_app.policy.packet import ETH_IPV4, ETH_IPV6, UDP
from testing.frames import ipv4, ipv6

BROADCAST, SERVER_MAC = 0xFFFFFFFFFFFF, 0x02_00_00_00_00_FE
ALL_AGENTS, ALL_AGENTS_MAC = Prefix.parse("ff02::1:2").network, 0x3333_0001_0002
LINK_LOCAL, SERVER_LINK_LOCAL = Prefix.parse("fe80::1").network, Prefix.parse("fe80::fe").network
SERVER = Prefix.parse("192.0.2.67").network
DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)
SOLICIT, ADVERTISE, REQUEST_6, CONFIRM, RENEW, REBIND, REPLY, RELEASE_6, DECLINE_6 = range(1, 10)
IA_NA, IA_TA, IA_PD, RAPID_COMMIT = 3, 4, 25, 14
NO_BINDING, NOT_ON_LINK = 3, 4


def address(text: str) -> int:
    return Prefix.parse(text).network


def frame(
    payload: bytes,
    *,
    version: int,
    ports: tuple[int, int],
    mac: int,
    to: int,
    source: int,
    destination: int,
    tag: int | None = None,
) -> bytes:
    """A frame with a UDP datagram; its checksum is left out."""
    datagram = struct.pack("!HHHH", *ports, 8 + len(payload), 0) + payload
    packet = (ipv4 if version == 4 else ipv6)(source, destination, UDP, datagram)
    tags = b"" if tag is None else struct.pack("!HH", 0x8100, tag)
    ethertype = struct.pack("!H", ETH_IPV4 if version == 4 else ETH_IPV6)
    return to.to_bytes(6, "big") + mac.to_bytes(6, "big") + tags + ethertype + packet


def dhcp(
    kind: int,
    *,
    mac: int,
    xid: int = 1,
    current: int = 0,
    offered: int = 0,
    options: Iterable[tuple[int, bytes]] = (),
) -> bytes:
    """A DHCP message (RFC 2131, section 2); ``mac`` is the client's."""
    direction = 2 if kind in (OFFER, ACK, NAK) else 1
    head = struct.pack("!BBBBIHHIIII", direction, 1, 6, 0, xid, 0, 0, current, offered, 0, 0)
    listed = [(53, bytes([kind])), *options]
    body = b"".join(bytes([code, len(value)]) + value for code, value in listed)
    return head + mac.to_bytes(6, "big") + bytes(10 + 64 + 128) + bytes.fromhex("63825363") + body + b"\xff"


def request(
    mac: int,
    *,
    kind: int = REQUEST,
    xid: int = 1,
    asked: str = "",
    current: str = "",
    tag: int | None = None,
    sender: int | None = None,
    options: Iterable[tuple[int, bytes]] = (),
) -> bytes:
    """A client's frame: broadcast, or to the server where it has an address (``current``)."""
    wanted = [(50, address(asked).to_bytes(4, "big"))] if asked else []
    held = address(current) if current else 0
    message = dhcp(kind, mac=mac, xid=xid, current=held, options=[*wanted, *options])
    return frame(
        message,
        version=4,
        ports=(68, 67),
        mac=mac if sender is None else sender,
        to=SERVER_MAC if held else BROADCAST,
        source=held,
        destination=SERVER if held else 0xFFFFFFFF,
        tag=tag,
    )


def answer(
    mac: int,
    given: str = "",
    *,
    kind: int = ACK,
    xid: int = 1,
    seconds: int | None = 600,
    tag: int | None = None,
    source: int = SERVER,
    options: Iterable[tuple[int, bytes]] = (),
) -> bytes:
    """A server's frame, broadcast as before a client has an address."""
    time = [] if seconds is None else [(51, seconds.to_bytes(4, "big"))]
    offered = address(given) if given else 0
    message = dhcp(kind, mac=mac, xid=xid, offered=offered, options=[*time, (54, bytes(4)), *options])
    return frame(
        message,
        version=4,
        ports=(67, 68),
        mac=SERVER_MAC,
        to=BROADCAST,
        source=source,
        destination=0xFFFFFFFF,
        tag=tag,
    )


def option(code: int, value: bytes) -> bytes:
    return struct.pack("!HH", code, len(value)) + value


def status(code: int) -> bytes:
    return option(13, struct.pack("!H", code))


def association(kind: int, *inside: bytes, number: int = 7) -> bytes:
    times = b"" if kind == IA_TA else bytes(8)
    return option(kind, struct.pack("!I", number) + times + b"".join(inside))


def held(text: str, seconds: int = 600, *inside: bytes) -> bytes:
    """The option of an address, or of a prefix where ``text`` has a length."""
    prefix = Prefix.parse(text)
    network = prefix.network.to_bytes(16, "big")
    if "/" in text:
        return option(26, struct.pack("!IIB", seconds, seconds, prefix.length) + network + b"".join(inside))
    return option(5, network + struct.pack("!II", seconds, seconds) + b"".join(inside))


def dhcpv6(kind: int, duid: bytes, *options: bytes, xid: int = 1) -> bytes:
    """A DHCPv6 message (RFC 8415, section 8)."""
    return bytes([kind]) + xid.to_bytes(3, "big") + option(1, duid) + b"".join(options)


def relayed(kind: int, message: bytes, *options: bytes) -> bytes:
    """A relay agent's message around another (RFC 8415, section 9): 12 to a server, 13 to a client."""
    addresses = bytes(16) + LINK_LOCAL.to_bytes(16, "big")
    return bytes([kind, 0]) + addresses + b"".join(options) + option(9, message)


def to_server(message: bytes, *, mac: int, tag: int | None = None, is_relayed: bool = False) -> bytes:
    return frame(
        message,
        version=6,
        ports=(547 if is_relayed else 546, 547),
        mac=mac,
        to=ALL_AGENTS_MAC,
        source=LINK_LOCAL,
        destination=ALL_AGENTS,
        tag=tag,
    )


def to_client(message: bytes, *, mac: int, tag: int | None = None, is_relayed: bool = False) -> bytes:
    return frame(
        message,
        version=6,
        ports=(547, 547 if is_relayed else 546),
        mac=SERVER_MAC,
        to=mac,
        source=SERVER_LINK_LOCAL,
        destination=LINK_LOCAL,
        tag=tag,
    )
