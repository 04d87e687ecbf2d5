"""Lease files of Kea (its "memfile" database), for DHCPv4 and DHCPv6."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from op25b_app.formats.fault import Faults
from op25b_app.formats.lease_record import (
    MAX_LINE,
    LeaseRecord,
    LeaseRecords,
    identifier,
    known,
    last_of_each,
    mac_address,
    mac_text,
    numbered,
    octets,
    seconds,
    whole_lines,
    within_limit,
)
from op25b_app.formats.relay_information import relay_options, sub_options
from op25b_app.net.prefix import WIDTH, Prefix

_REQUIRED = ("address", "valid_lifetime", "expire", "state")
_COMMA = "&#x2c"
"""Text that Kea writes for a comma in a value."""
_ASSIGNED = "0"
"""State of a lease that a client holds; others are declined, expired, released or registered by a client."""
_INFINITE = 0xFFFFFFFF
_DELEGATED = "2"
"""``lease_type`` of a delegated prefix."""


def is_kea(first_line: str) -> bool:
    """Return whether a text with this first line is a lease file of Kea."""
    names = first_line.removeprefix("\ufeff").strip().split(",")
    return {*_REQUIRED} <= {*names}


def lease_files(name: str, there: Collection[str]) -> list[str]:
    """Return the files that together hold the leases of ``name``, the oldest first.

    ``there`` are the files of the folder. A clean-up moves leases to files with further endings.
    """
    completed = f"{name}.completed"
    older = [completed] if completed in there else [f"{name}.2", f"{name}.1"]
    return [*(each for each in older if each in there), name]


def read_kea(text: str) -> LeaseRecords:
    """Return the leases of a file: of each address its last row."""
    lines, is_complete = whole_lines(text)
    faults = Faults()
    if not lines:
        return LeaseRecords((), (), is_complete)
    header = lines[0].removeprefix("\ufeff").strip().split(",")
    if not is_kea(lines[0]):
        faults.add(1, f"not a lease file of Kea; its first line has {', '.join(_REQUIRED)}")
        return LeaseRecords((), faults.reported(), is_complete)
    fewest = 1 + max(map(header.index, _REQUIRED))
    records: list[LeaseRecord] = []
    for number, line in numbered(lines):
        if number == 1 or not line.strip():
            continue
        values = line.rstrip("\r").split(",") if len(line) <= MAX_LINE else []
        if not fewest <= len(values) <= len(header):
            faults.add(number, f"not a row with {len(header)} values; remove it")
            continue
        try:
            records.append(_record(number, dict(zip(header, values, strict=False))))
        except ValueError as failure:
            faults.add(number, str(failure))
        if not within_limit(records, number, faults):
            break
    return LeaseRecords(last_of_each(records), faults.reported(), is_complete)


def _record(number: int, row: Mapping[str, str]) -> LeaseRecord:
    prefix = Prefix.parse(row["address"])
    if row.get("lease_type") == _DELEGATED:
        prefix = Prefix.parse(f"{row['address']}/{row.get('prefix_len', '')}")
    elif prefix.length != WIDTH[prefix.version]:
        raise ValueError(f"{prefix} is a prefix; a lease has an address")
    lifetime, until = seconds(row["valid_lifetime"]), seconds(row["expire"])
    mac = mac_address(row["hwaddr"]) if len(row.get("hwaddr", "")) == len("02:00:00:00:00:01") else None
    client = _octets(row.get("client_id") or row.get("duid") or "")
    fields = known(
        mac="" if mac is None else mac_text(mac),
        client_id=identifier(client),
        hostname=row.get("hostname", "").replace(_COMMA, ","),
    )
    fields |= _relayed(row.get("user_context", "").replace(_COMMA, ","))
    return LeaseRecord(
        line=number,
        prefix=prefix,
        is_active=row["state"] == _ASSIGNED and lifetime > 0,
        mac=mac,
        since=max(0, until - lifetime),
        until=None if lifetime == _INFINITE else until,
        fields=fields,
    )


def _octets(text: str) -> bytes:
    try:
        return octets(text)
    except ValueError:
        return b""


def _relayed(user_context: str) -> dict[str, str]:
    """Return the identifiers that Kea keeps with ``store-extended-info``; none where it keeps none.

    Older versions have other keys: ``relays`` instead of ``relay-info``, and the text of the sub-options in
    place of a mapping.
    """
    if "relay" not in user_context:
        return {}
    try:
        context = json.loads(user_context)
    except (ValueError, RecursionError):
        return {}
    isc = context.get("ISC") if isinstance(context, dict) else None
    if not isinstance(isc, dict):
        return {}
    agent = isc.get("relay-agent-info")
    if agent is not None:
        return sub_options(_hexadecimal(agent.get("sub-options") if isinstance(agent, dict) else agent))
    relays = isc.get("relay-info", isc.get("relays"))
    found: dict[str, str] = {}
    for relay in relays if isinstance(relays, list) else ():  # the relay at the server first
        if isinstance(relay, dict):
            found |= relay_options(_hexadecimal(relay.get("options")))
    return found


def _hexadecimal(text: Any) -> bytes:
    try:
        return bytes.fromhex(text.removeprefix("0x")) if isinstance(text, str) else b""
    except ValueError:
        return b""
