"""Bends of the frame: tags, LLC, PPPoE, MPLS and others, and what a neighbour makes of them."""

from __future__ import annotations

import struct
from collections.abc import Callable

from tests.bypasses.bends import Bend, of_frame
from tests.bypasses.headers import ETH_ARP, ETH_IPV4, ETH_IPV6, Ethernet

TAGGED, PROVIDER_TAGGED, OLD_TAGGED = 0x8100, 0x88A8, 0x9100
PPPOE, MPLS, MPLS_MULTICAST, MAC_IN_MAC, MACSEC, NSH = 0x8864, 0x8847, 0x8848, 0x88E7, 0x88E5, 0x894F
EXPERIMENT = 0x88B5
"""IEEE 802 local experimental ethertype 1."""
_PPP = {ETH_IPV4: 0x0021, ETH_IPV6: 0x0057}
_NSH = {ETH_IPV4: 1, ETH_IPV6: 2}
_LENGTH_AT = {ETH_IPV4: 2, ETH_IPV6: 4}
"""Where the length stands in an IP header: IPv4's counts the header, IPv6's does not."""
_SECTAG, _ICV = bytes((0x08, 0, 0, 0, 0, 1)), bytes(16)
_LLC_IP = bytes((0x06, 0x06, 0x03))
_SNAP = bytes((0xAA, 0xAA, 0x03))
_LARGEST_LENGTH = 1500


def tags(*stack: tuple[int, int]) -> Bend:
    """Tags as (ethertype, VLAN number), from the outside in (IEEE 802.1Q)."""

    def change(frame: Ethernet) -> list[Ethernet]:
        for ethertype, vlan in reversed(stack):
            payload = struct.pack("!HH", vlan, frame.ethertype) + frame.payload
            frame = frame._replace(ethertype=ethertype, payload=payload)
        return [frame]

    return of_frame(change)


def snap(organization: bytes = bytes(3), *, length: int | None = None, outer: int | None = None) -> Bend:
    """IEEE 802.3 with LLC and SNAP (RFC 1042), perhaps with a false length and below a priority tag."""

    def change(frame: Ethernet) -> list[Ethernet]:
        payload = _SNAP + organization + struct.pack("!H", frame.ethertype) + frame.payload
        frame = frame._replace(ethertype=len(payload) if length is None else length, payload=payload)
        if outer is not None:
            frame = frame._replace(
                ethertype=outer, payload=struct.pack("!HH", 0, frame.ethertype) + frame.payload
            )
        return [frame]

    return of_frame(change)


def _llc_ip(frame: Ethernet) -> list[Ethernet]:
    payload = _LLC_IP + frame.payload
    return [frame._replace(ethertype=len(payload), payload=payload)]


def _pppoe(frame: Ethernet) -> list[Ethernet]:
    inner = struct.pack("!H", _PPP[frame.ethertype]) + frame.payload
    return [frame._replace(ethertype=PPPOE, payload=struct.pack("!BBHH", 0x11, 0, 1, len(inner)) + inner)]


def mpls(ethertype: int) -> Bend:
    """One label (RFC 3032)."""
    label = struct.pack("!I", 100 << 12 | 1 << 8 | 64)
    return of_frame(lambda frame: [frame._replace(ethertype=ethertype, payload=label + frame.payload)])


def _mac_in_mac(frame: Ethernet) -> list[Ethernet]:
    return [frame._replace(ethertype=MAC_IN_MAC, payload=struct.pack("!I", 1) + frame.write())]


def _macsec(frame: Ethernet) -> list[Ethernet]:
    secured = struct.pack("!H", frame.ethertype) + frame.payload
    return [frame._replace(ethertype=MACSEC, payload=_SECTAG + secured + _ICV)]


def _nsh(frame: Ethernet) -> list[Ethernet]:
    header = struct.pack("!HBBI", 0x0FC2, 2, _NSH[frame.ethertype], 1 << 8 | 255)
    return [frame._replace(ethertype=NSH, payload=header + frame.payload)]


def under_ethertype(ethertype: int) -> Bend:
    """IP under a number that says something else."""
    return of_frame(lambda frame: [frame._replace(ethertype=ethertype)])


def _length_beyond_frame(frame: Ethernet) -> list[Ethernet]:
    at = _LENGTH_AT[frame.ethertype]
    claimed = struct.pack("!H", int.from_bytes(frame.payload[at : at + 2], "big") + 8)
    return [frame._replace(payload=frame.payload[:at] + claimed + frame.payload[at + 2 :])]


def _another_version(frame: Ethernet) -> list[Ethernet]:
    return [frame._replace(payload=bytes((0x50 | frame.payload[0] & 15,)) + frame.payload[1:])]


def plain_frame(frame: bytes) -> bytes:
    """What a neighbour that takes all of these apart has in hand in the end."""
    ethernet = Ethernet.read(frame)
    while (opened := _opened(ethernet)) is not None:
        ethernet = opened
    return ethernet.write()


def _opened(frame: Ethernet) -> Ethernet | None:
    """The frame without what is outermost; None where that is a good IP header or nothing known."""
    if frame.ethertype <= _LARGEST_LENGTH:
        return _without_llc(frame)
    if frame.ethertype in _OPENERS:
        return _OPENERS[frame.ethertype](frame)
    if frame.ethertype in (EXPERIMENT, ETH_ARP) and frame.payload[0] >> 4 == 4:
        return frame._replace(ethertype=ETH_IPV4)
    if frame.ethertype == ETH_IPV4 and frame.payload[0] >> 4 == 5:
        return frame._replace(payload=bytes((0x40 | frame.payload[0] & 15,)) + frame.payload[1:])
    if frame.ethertype in _LENGTH_AT:
        return _mended_length(frame)
    return None


def _mended_length(frame: Ethernet) -> Ethernet | None:
    at = _LENGTH_AT[frame.ethertype]
    length = len(frame.payload) - (40 if frame.ethertype == ETH_IPV6 else 0)
    if int.from_bytes(frame.payload[at : at + 2], "big") <= length:
        return None
    return frame._replace(payload=frame.payload[:at] + struct.pack("!H", length) + frame.payload[at + 2 :])


def _without_llc(frame: Ethernet) -> Ethernet:
    if frame.payload[:3] == _LLC_IP:
        return frame._replace(ethertype=ETH_IPV4, payload=frame.payload[3:])
    return _behind_ethertype(frame, 6)


def _behind_ethertype(frame: Ethernet, at: int) -> Ethernet:
    return frame._replace(
        ethertype=int.from_bytes(frame.payload[at : at + 2], "big"), payload=frame.payload[at + 2 :]
    )


def _without_tag(frame: Ethernet) -> Ethernet:
    return _behind_ethertype(frame, 2)


def _without_pppoe(frame: Ethernet) -> Ethernet:
    return _by_number(_PPP, frame, int.from_bytes(frame.payload[6:8], "big"), 8)


def _without_nsh(frame: Ethernet) -> Ethernet:
    return _by_number(_NSH, frame, frame.payload[3], 8)


def _without_label(frame: Ethernet) -> Ethernet:
    version = frame.payload[4] >> 4
    return frame._replace(ethertype=ETH_IPV4 if version == 4 else ETH_IPV6, payload=frame.payload[4:])


def _without_sectag(frame: Ethernet) -> Ethernet:
    inner = frame.payload[len(_SECTAG) : -len(_ICV)]
    return frame._replace(ethertype=int.from_bytes(inner[:2], "big"), payload=inner[2:])


def _without_second_addresses(frame: Ethernet) -> Ethernet:
    return Ethernet.read(frame.payload[4:])


def _by_number(numbers: dict[int, int], frame: Ethernet, number: int, header: int) -> Ethernet:
    ethertypes = {value: ethertype for ethertype, value in numbers.items()}
    return frame._replace(ethertype=ethertypes[number], payload=frame.payload[header:])


_OPENERS: dict[int, Callable[[Ethernet], Ethernet]] = {
    TAGGED: _without_tag,
    PROVIDER_TAGGED: _without_tag,
    OLD_TAGGED: _without_tag,
    PPPOE: _without_pppoe,
    MPLS: _without_label,
    MPLS_MULTICAST: _without_label,
    MAC_IN_MAC: _without_second_addresses,
    MACSEC: _without_sectag,
    NSH: _without_nsh,
}

llc_ip = of_frame(_llc_ip)
"""IP straight on LLC (RFC 948)."""
pppoe = of_frame(_pppoe)
"""PPPoE session 1 (RFC 2516)."""
mac_in_mac = of_frame(_mac_in_mac)
"""IEEE 802.1ah, without a backbone tag."""
macsec = of_frame(_macsec)
"""IEEE 802.1AE, integrity only: what a switch without the key sees of it is the same."""
nsh = of_frame(_nsh)
"""A network service header (RFC 8300, section 2)."""
length_beyond_frame = of_frame(_length_beyond_frame)
"""An IP length of 8 bytes more than there are, which no switch can parse."""
another_version = of_frame(_another_version)
"""Version 5 in an IPv4 header."""
