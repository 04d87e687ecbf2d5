"""Read the identifiers of a line that relays add to messages of DHCP clients (RFC 3046, RFC 8415)."""

from __future__ import annotations

from collections.abc import Iterator

from op25b_app.formats.lease_record import identifier

_SUB_OPTIONS = {1: "circuit_id", 2: "remote_id", 6: "subscriber_id"}
"""Sub-options of option 82 (RFC 3046, section 3.0; RFC 3993)."""
_OPTIONS = {18: "interface_id", 37: "remote_id", 38: "subscriber_id"}
"""Options of a relay message (RFC 8415, section 21.18; RFC 4649; RFC 4580)."""
_REMOTE_ID, _ENTERPRISE_BYTES = 37, 4
"""A remote id of DHCPv6 has an enterprise number before it (RFC 4649, section 3)."""


def sub_options(option: bytes) -> dict[str, str]:
    """Return the identifiers in option 82; what is cut short is left out."""
    return _named(_tlv(option, 1), _SUB_OPTIONS)


def relay_options(options: bytes) -> dict[str, str]:
    """Return the identifiers in the options of a relay message; what is cut short is left out."""
    cut = (
        (code, value[_ENTERPRISE_BYTES:] if code == _REMOTE_ID else value) for code, value in _tlv(options, 2)
    )
    return _named(cut, _OPTIONS)


def _named(options: Iterator[tuple[int, bytes]], names: dict[int, str]) -> dict[str, str]:
    return {names[code]: identifier(value) for code, value in options if code in names and value}


def _tlv(data: bytes, width: int) -> Iterator[tuple[int, bytes]]:
    """Yield (code, value) of options whose code and length have ``width`` bytes each."""
    at = 0
    while at + 2 * width <= len(data):
        code = int.from_bytes(data[at : at + width], "big")
        begin = at + 2 * width
        at = begin + int.from_bytes(data[at + width : begin], "big")
        if at > len(data):
            return
        yield code, data[begin:at]
