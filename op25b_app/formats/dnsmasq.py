"""Lease files of dnsmasq, for DHCPv4 and DHCPv6."""

from __future__ import annotations

import re
from collections.abc import Sequence

from op25b_app.formats.fault import Faults
from op25b_app.formats.lease_record import (
    MAX_LEASES,
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
)
from op25b_app.net.prefix import Prefix, quoted

_ROW = re.compile(r"[0-9]{1,20} \S+ [0-9a-fA-F.:]+ \S+ \S+")


def is_dnsmasq(first_line: str) -> bool:
    """Return whether a text with this first line is a lease file of dnsmasq."""
    line = first_line.removeprefix("\ufeff").strip()
    return line.startswith("duid ") or _ROW.fullmatch(line) is not None


def read_dnsmasq(text: str) -> LeaseRecords:
    """Return the leases of a file. dnsmasq keeps nothing of what relays say."""
    lines, is_complete = whole_lines(text)
    faults = Faults()
    records: list[LeaseRecord] = []
    for number, line in numbered(lines):
        words = line.split()
        if not words or words[0] == "duid":
            continue
        if len(words) != 5:
            faults.add(number, f"{quoted(line)} is no lease of dnsmasq; remove the line")
            continue
        if len(records) == MAX_LEASES:
            faults.add(number, f"with this the file has more than {MAX_LEASES:,} leases; split it")
            break
        try:
            records.append(_record(number, words))
        except ValueError as failure:
            faults.add(number, str(failure))
    return LeaseRecords(last_of_each(records), faults.reported(), is_complete)


def _record(number: int, words: Sequence[str]) -> LeaseRecord:
    until, holder, address, hostname, client = words
    prefix = Prefix.parse(address)
    mac = mac_address(holder.rpartition("-")[2]) if prefix.version == 4 and _is_ethernet(holder) else None
    fields = known(
        mac="" if mac is None else mac_text(mac),
        client_id="" if client == "*" else identifier(octets(client)),
        hostname="" if hostname == "*" else hostname,
    )
    end = seconds(until)
    return LeaseRecord(number, prefix, True, mac, None, end or None, fields)


def _is_ethernet(holder: str) -> bool:
    """Return whether a hardware address is that of Ethernet; another type stands before it, as ``20-``."""
    kind, dash, _ = holder.partition("-")
    return not dash or kind.lstrip("0") in ("1", "6")
