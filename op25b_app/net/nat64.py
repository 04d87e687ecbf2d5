"""Convert IPv4 prefixes to and from IPv6 prefixes behind a NAT64 (RFC 6052)."""

from __future__ import annotations

from op25b_app.net.prefix import Prefix

LENGTHS = (32, 40, 48, 56, 64, 96)
"""Lengths in bits that a NAT64 prefix may have (RFC 6052, section 2.2)."""


def embed(nat64: Prefix, prefix: Prefix) -> Prefix:
    """Return the IPv6 prefix that holds exactly what ``prefix`` (IPv4) holds, behind ``nat64``.

    Bits 64 to 71 stay zero in all but a /96, so an address may lie around them (section 2.2).
    """
    if nat64.length == 96:
        return Prefix(6, nat64.network | prefix.network, 96 + prefix.length)
    before = 64 - nat64.length
    after = 32 - before
    high, low = divmod(prefix.network, 1 << after)
    length = nat64.length + prefix.length + (8 if prefix.length > before else 0)
    return Prefix(6, nat64.network | high << 64 | low << (56 - after), length)


def extract(nat64: Prefix, prefix: Prefix) -> Prefix | None:
    """Return the IPv4 prefix that ``prefix`` (IPv6) reaches behind ``nat64``; None where it reaches none."""
    if prefix.covers(nat64):
        return Prefix(4, 0, 0)
    if not nat64.covers(prefix):
        return None
    places = [place for place in range(nat64.length, 128) if nat64.length == 96 or not 64 <= place < 72][:32]
    network = 0
    for place in places:
        network = network << 1 | prefix.network >> 127 - place & 1
    return Prefix(4, network, sum(place < prefix.length for place in places))
