"""Leases as a CSV file, which any database of an ISP can write: ``switch,port,address``, and more."""

from __future__ import annotations

import re
from collections.abc import Mapping

from op25b_app.formats.csv_table import rows
from op25b_app.formats.fault import Faults
from op25b_app.formats.lease_record import MAX_LEASES, mac_address, seconds, whole_lines
from op25b_app.formats.line_pattern import line_name
from op25b_app.formats.moment import moment
from op25b_app.lines.lease import Lease, LeaseFile, diagnostic
from op25b_app.net.prefix import Prefix, quoted

REQUIRED = ("switch", "port", "address")
COLUMNS = (*REQUIRED, "vlan", "mac", "until")


def csv_leases(file: str, text: str) -> LeaseFile:
    """Return the leases of a CSV file with a header, its columns in any order.

    ``vlan``, ``mac`` and ``until`` may be missing, or empty. ``until`` is a moment with a time zone, or
    seconds since 1970.
    """
    lines, is_complete = whole_lines(text)
    faults = Faults()
    leases: list[Lease] = []
    for row in rows(lines, faults, REQUIRED):
        if unknown := next((name for name in row.values if name not in COLUMNS), None):
            what = f"the header has a column {quoted(unknown)}"
            faults.add(row.line, f"{what}; columns are {', '.join(COLUMNS)}")
            break
        if len(leases) == MAX_LEASES:
            faults.add(row.line, f"with this the file has more than {MAX_LEASES:,} leases; split it")
            break
        try:
            leases.append(lease_of_row(row.line, row.values))
        except ValueError as failure:
            faults.add(row.line, str(failure))
    problems = tuple(diagnostic(file, fault) for fault in faults.reported())
    return LeaseFile(tuple(leases), problems, is_complete, not (leases or problems))


def lease_of_row(number: int, row: Mapping[str, str]) -> Lease:
    """Return the lease that the values of a row describe, by the names of their columns.

    Raises ValueError, its text a remedy, for values that are no lease.
    """
    parts = [row["switch"], row["port"], *filter(None, [row.get("vlan", "")])]
    mac, until = row.get("mac", ""), row.get("until", "")
    return Lease(
        prefix=Prefix.parse(row["address"]),
        line=line_name("/".join(parts)),
        mac=mac_address(mac) if mac else None,
        since=None,
        until=_until(until) if until else None,
        file_line=number,
    )


def _until(text: str) -> int:
    return seconds(text) if re.fullmatch("[0-9]+", text) else moment(text)
