"""Read messages of DHCP and DHCPv6: what a client asks for or gives up, and what a server grants.

Both protocols come to one form. Sections named are those of RFC 2131 for DHCP, of RFC 8415 for DHCPv6.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator
from typing import NamedTuple

from op25b_app.net.prefix import Prefix

MAX_PREFIXES = 32
"""Maximum number of addresses and prefixes that are read from one message."""
MAX_RELAYS = 4
"""Maximum number of relay agents' messages around a client's or a server's."""

_INFINITE = 0xFFFFFFFF
"""Lease time without an end (RFC 2131, 3.3; RFC 8415, 7.7)."""

# DHCP: the fixed part, its magic cookie, and options (RFC 2131, 2; RFC 2132, 3 and 9).
_BOOT_REQUEST, _BOOT_REPLY = 1, 2
_FIXED = struct.Struct("!BBBBIHHIIII16s64x128x4s")
_COOKIE = bytes.fromhex("63825363")
_PAD, _END = 0, 255
_REQUESTED_ADDRESS, _LEASE_TIME, _MESSAGE_TYPE, _CLIENT_IDENTIFIER = 50, 51, 53, 61
_ETHERNET = 1
"""Type of hardware in DHCP messages and in client identifiers."""

# DHCPv6: options (RFC 8415, 21), and status codes (21.13).
_CLIENT_ID, _IA_NA, _IA_TA, _IA_ADDRESS, _RELAY_MESSAGE, _STATUS, _RAPID_COMMIT = 1, 3, 4, 5, 9, 13, 14
_IA_PD, _IA_PREFIX = 25, 26
_OPTIONS_AT = {_IA_NA: 12, _IA_TA: 4, _IA_PD: 12}
"""Bytes before the options of an identity association."""
_RELAY_FORWARD, _RELAY_REPLY, _RELAY_HEADER = 12, 13, 34
_SUCCESS, _NO_BINDING, _NOT_ON_LINK = 0, 3, 4
_MAX_DUID = 130
"""Maximum number of bytes in a DUID (RFC 8415, 11.1)."""


class MessageKind(enum.Enum):
    """Purpose of a message for the addresses of a client."""

    DISCOVER = "DHCPDISCOVER"
    REQUEST = "DHCPREQUEST"
    RELEASE = "DHCPRELEASE"
    DECLINE = "DHCPDECLINE"
    ACK = "DHCPACK"
    NAK = "DHCPNAK"
    SOLICIT = "Solicit"
    REQUEST_6 = "Request"
    CONFIRM = "Confirm"
    RENEW = "Renew"
    REBIND = "Rebind"
    RELEASE_6 = "Release"
    DECLINE_6 = "Decline"
    REPLY = "Reply"

    @property
    def is_of_server(self) -> bool:
        """True for answers."""
        return self in (MessageKind.ACK, MessageKind.NAK, MessageKind.REPLY)

    @property
    def gives_up(self) -> bool:
        """True where a client gives up addresses."""
        return self in _GIVES_UP


_GIVES_UP = frozenset(
    {MessageKind.RELEASE, MessageKind.DECLINE, MessageKind.RELEASE_6, MessageKind.DECLINE_6}
)
_KINDS_4 = {
    _BOOT_REQUEST: {
        1: MessageKind.DISCOVER,
        3: MessageKind.REQUEST,
        4: MessageKind.DECLINE,
        7: MessageKind.RELEASE,
    },
    _BOOT_REPLY: {5: MessageKind.ACK, 6: MessageKind.NAK},
}
"""DHCP message types that matter, by the direction (RFC 2132, 9.6); an inform asks for no address."""
_KINDS_6 = {
    1: MessageKind.SOLICIT,
    3: MessageKind.REQUEST_6,
    4: MessageKind.CONFIRM,
    5: MessageKind.RENEW,
    6: MessageKind.REBIND,
    7: MessageKind.REPLY,
    8: MessageKind.RELEASE_6,
    9: MessageKind.DECLINE_6,
}
"""DHCPv6 message types that matter (RFC 8415, 7.3)."""


class Association(NamedTuple):
    """Kind and number of an identity association (RFC 8415, 12); DHCP has only (0, 0)."""

    kind: int
    number: int


class Item(NamedTuple):
    """An address or a delegated prefix in a message.

    ``seconds`` are its valid lifetime: None without an end, 0 where it is no longer valid.
    """

    association: Association
    prefix: Prefix
    seconds: int | None


class DhcpMessage(NamedTuple):
    """A message of a client or a server.

    ``transaction`` is equal in a request and its answers. ``names`` are those by which a server may know the
    client. ``mac`` is the Ethernet address in a DHCP message (None where it is not one), and None for DHCPv6.
    ``items`` are what a client names, or what a server grants. ``unbound`` are associations that the server
    does not know, or all (None) where the client is told that it has moved, or may not have the address.
    """

    kind: MessageKind
    transaction: bytes
    names: frozenset[bytes]
    mac: int | None
    items: tuple[Item, ...]
    rapid_commit: bool = False
    unbound: frozenset[Association] | None = frozenset()
    is_relayed: bool = False


def read_dhcp(payload: bytes) -> DhcpMessage | None:
    """Return the DHCP message of a UDP payload; None for any that neither asks for nor grants an address."""
    if len(payload) < _FIXED.size:
        return None
    (
        *(direction, kind_of_hardware, size, _, number, _, _, current, offered, _, _),
        hardware,
        cookie,
    ) = _FIXED.unpack_from(payload)
    if cookie != _COOKIE or size > 16:
        return None
    options = dict(reversed([*_options_4(payload[_FIXED.size :])]))
    kind = _KINDS_4.get(direction, {}).get(_number(options.get(_MESSAGE_TYPE), 1) or 0)
    if kind is None:
        return None
    is_ethernet = kind_of_hardware == _ETHERNET and size == 6
    mac = int.from_bytes(hardware[:6], "big") if is_ethernet else None
    names = {bytes([kind_of_hardware]) + hardware[:size], options.get(_CLIENT_IDENTIFIER, b"")} - {b""}
    transaction = b"4" + number.to_bytes(4, "big") + hardware[:size]
    seconds = _number(options.get(_LEASE_TIME), 4)
    items: tuple[Item, ...] = ()
    if kind is MessageKind.ACK:
        # An answer to an inform has no lease time (RFC 2131, 4.3.5).
        if seconds is None or not offered:
            return None
        items = (_item_4(offered, _lifetime(seconds)),)
    elif kind is not MessageKind.NAK:
        address = current or _number(options.get(_REQUESTED_ADDRESS), 4)
        items = (_item_4(address, 0),) if address else ()
    unbound: frozenset[Association] | None = None if kind is MessageKind.NAK else frozenset()
    return DhcpMessage(kind, transaction, frozenset(names), mac, items, unbound=unbound)


def read_dhcpv6(payload: bytes) -> DhcpMessage | None:
    """Return the DHCPv6 message of a UDP payload, without the relay agents' messages around it.

    Returns None for any that neither asks for nor grants an address, or has no client identifier.
    """
    relays = 0
    while payload[:1] and payload[0] in (_RELAY_FORWARD, _RELAY_REPLY):
        inner = [value for code, value in _options_6(payload[_RELAY_HEADER:]) if code == _RELAY_MESSAGE]
        if relays == MAX_RELAYS or len(inner) != 1:
            return None
        relays, payload = relays + 1, inner[0]
    kind = _KINDS_6.get(payload[0]) if len(payload) >= 4 else None
    if kind is None:
        return None
    options = [*_options_6(payload[4:])]
    client = next((value for code, value in options if code == _CLIENT_ID), b"")
    if not 2 < len(client) <= _MAX_DUID:
        return None
    associations = [(code, value) for code, value in options if code in _OPTIONS_AT]
    unbound: frozenset[Association] | None = frozenset(_unbound(associations))
    if _status(options) == _NOT_ON_LINK:
        unbound = None
    return DhcpMessage(
        kind=kind,
        transaction=b"6" + payload[1:4] + client,
        names=frozenset([client]),
        mac=None,
        items=tuple(_items_6(associations))[:MAX_PREFIXES],
        rapid_commit=any(code == _RAPID_COMMIT for code, _ in options),
        unbound=unbound,
        is_relayed=relays > 0,
    )


def _item_4(address: int, seconds: int | None) -> Item:
    return Item(Association(0, 0), Prefix(4, address, 32), seconds)


def _items_6(associations: list[tuple[int, bytes]]) -> Iterator[Item]:
    for kind, value in associations:
        start = _OPTIONS_AT[kind]
        if len(value) < start:
            continue
        name = Association(kind, int.from_bytes(value[:4], "big"))
        for code, content in _options_6(value[start:]):
            read = _address if code == _IA_ADDRESS and kind != _IA_PD else None
            read = _delegated if code == _IA_PREFIX and kind == _IA_PD else read
            if read is not None and (found := read(content)) is not None:
                yield Item(name, *found)


def _address(content: bytes) -> tuple[Prefix, int | None] | None:
    """Read an address with its lifetimes and options (21.6); None for one that was refused."""
    if len(content) < 24 or _status([*_options_6(content[24:])]) != _SUCCESS:
        return None
    address, _, valid = content[:16], *struct.unpack_from("!II", content, 16)
    return Prefix(6, int.from_bytes(address, "big"), 128), _lifetime(valid)


def _delegated(content: bytes) -> tuple[Prefix, int | None] | None:
    """Read a prefix with its lifetimes and options (21.22); None for one that was refused."""
    if len(content) < 25 or _status([*_options_6(content[25:])]) != _SUCCESS:
        return None
    _, valid, length = struct.unpack_from("!IIB", content)
    if not 1 <= length <= 128:
        return None
    whole = Prefix(6, 0, length)
    return whole._replace(network=int.from_bytes(content[9:25], "big") & whole.mask), _lifetime(valid)


def _unbound(associations: list[tuple[int, bytes]]) -> Iterator[Association]:
    for kind, value in associations:
        start = _OPTIONS_AT[kind]
        if len(value) >= start and _status([*_options_6(value[start:])]) == _NO_BINDING:
            yield Association(kind, int.from_bytes(value[:4], "big"))


def _status(options: list[tuple[int, bytes]]) -> int:
    """Return the status code among options; without one it is success (21.13)."""
    found = next((value for code, value in options if code == _STATUS), b"")
    return int.from_bytes(found[:2], "big") if len(found) >= 2 else _SUCCESS


def _lifetime(seconds: int) -> int | None:
    return None if seconds == _INFINITE else seconds


def _number(value: bytes | None, size: int) -> int | None:
    """Return the number in an option of ``size`` bytes; None where it has another size."""
    return int.from_bytes(value, "big") if value is not None and len(value) == size else None


def _options_4(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (code, value) of DHCP options; what is cut short ends them (RFC 2132, 2)."""
    at = 0
    while at < len(data) and data[at] != _END:
        if data[at] == _PAD:
            at += 1
            continue
        begin = at + 2
        end = begin + data[at + 1] if begin <= len(data) else len(data) + 1
        if end > len(data):
            return
        yield data[at], data[begin:end]
        at = end


def _options_6(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (code, value) of DHCPv6 options; what is cut short ends them (RFC 8415, 21.1)."""
    at = 0
    while at + 4 <= len(data):
        code, length = struct.unpack_from("!HH", data, at)
        if at + 4 + length > len(data):
            return
        yield code, data[at + 4 : at + 4 + length]
        at += 4 + length
