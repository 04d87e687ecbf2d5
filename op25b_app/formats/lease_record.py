"""Leases as a DHCP server writes them, whichever server it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from op25b_app.formats.fault import Fault, Faults
from op25b_app.formats.moment import LAST_MOMENT
from op25b_app.net.prefix import Prefix, quoted

MAX_LEASES = 1 << 20
"""Maximum number of addresses in one lease file; the leases of a million lines."""
MAX_LINE = 1 << 16
"""Maximum number of characters in a line of a lease file; relay information makes it a few thousand."""

MAX_DIGITS = 20
"""Maximum number of digits of a number of seconds."""
_MAC = re.compile(r"[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}")


class LeaseRecord(NamedTuple):
    """The last word of a lease file on an address, or on a delegated prefix.

    ``fields`` holds what the file says of its holder: ``remote_id``, ``circuit_id``, ``interface_id``,
    ``subscriber_id``, ``client_id``, ``hostname`` and ``mac``, without those it does not know. ``since`` and
    ``until`` are in seconds since 1970; None for an unknown start, and for no end.
    """

    line: int
    prefix: Prefix
    is_active: bool
    mac: int | None
    since: int | None
    until: int | None
    fields: Mapping[str, str]


class LeaseRecords(NamedTuple):
    """The leases of a file, one for each address, and what cannot be read.

    ``is_complete`` is False where the last line, or lease, is only half there: the server is writing it.
    """

    leases: tuple[LeaseRecord, ...]
    faults: tuple[Fault, ...]
    is_complete: bool


def whole_lines(text: str) -> tuple[list[str], bool]:
    """Return the lines that are complete, and whether all are: a server appends to its file."""
    lines = text.split("\n")
    return lines[:-1], not lines[-1]


def last_of_each(records: Iterable[LeaseRecord]) -> tuple[LeaseRecord, ...]:
    """Return the last record of each prefix, in the order of the file."""
    last: dict[Prefix, LeaseRecord] = {}
    for record in records:
        last.pop(record.prefix, None)
        last[record.prefix] = record
    return tuple(last.values())


def within_limit(records: list[LeaseRecord], number: int, faults: Faults) -> bool:
    """Return whether a file may go on behind line ``number``; the fault is noted where it may not.

    Where there are more than MAX_LEASES records, only the last of each prefix stays among them.
    """
    if len(records) > MAX_LEASES:
        records[:] = last_of_each(records)
    if len(records) <= MAX_LEASES:
        return True
    faults.add(number, f"with this the file has more than {MAX_LEASES:,} leases; split it")
    records.pop()
    return False


def seconds(text: str) -> int:
    """Return a number of seconds since 1970, at most those of the year 9999.

    Raises ValueError, its text a remedy, for anything else.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise ValueError(f"{quoted(text)} is not a number of seconds; write those since 1970")
    return min(int(text), LAST_MOMENT)


def mac_address(text: str) -> int:
    """Return a MAC address; octets may lack a leading zero.

    Raises ValueError, its text a remedy, for anything else.
    """
    if not _MAC.fullmatch(text):
        raise ValueError(f"{quoted(text)} is not a MAC address; write one like 02:00:00:00:00:03")
    return int.from_bytes(octets(text), "big")


def octets(text: str) -> bytes:
    """Return the bytes of hexadecimal octets with colons between them.

    Raises ValueError where the text is anything else.
    """
    if not text[2::3].strip(":") and text[-3:-2] == ":":  # each has two digits, in most files
        return bytes.fromhex(text.replace(":", ""))
    return bytes.fromhex("".join(octet.zfill(2) for octet in text.split(":") if octet))


def identifier(value: bytes) -> str:
    """Return an identifier as text where all of it is printable ASCII, or else in hexadecimal digits."""
    if value.isascii() and (text := value.decode("ascii")).isprintable():
        return text
    return value.hex()


def mac_text(mac: int) -> str:
    """Return a MAC address as ``02:00:00:00:00:03``."""
    return mac.to_bytes(6, "big").hex(":")


def known(**fields: str) -> dict[str, str]:
    """Return the fields that have a value."""
    return {name: value for name, value in fields.items() if value}


def numbered(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Yield the lines with their numbers, without the byte order mark of the first."""
    for number, line in enumerate(lines, 1):
        yield number, line.removeprefix("\ufeff") if number == 1 else line
