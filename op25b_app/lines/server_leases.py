"""Leases of a DHCP server: of Kea, ISC DHCP or dnsmasq."""

from __future__ import annotations

from collections.abc import Sequence

from op25b_app.formats.fault import Faults
from op25b_app.formats.lease_record import LeaseRecord, LeaseRecords
from op25b_app.formats.line_pattern import LinePattern
from op25b_app.lines.lease import Lease, LeaseFile, diagnostic
from op25b_app.net.prefix import Prefix
from op25b_app.policy.diagnostic import Diagnostic


def server_leases(files: Sequence[tuple[str, LeaseRecords]], pattern: LinePattern) -> LeaseFile:
    """Return the leases that clients hold, by what several files of one server say together.

    ``files`` are (name, content), the oldest first: a later one has the last word. A lease that the pattern
    makes no line of is left out, with a warning.
    """
    last: dict[Prefix, tuple[int, LeaseRecord]] = {}
    problems: list[Diagnostic] = []
    for number, (file, content) in enumerate(files):
        problems += (diagnostic(file, fault) for fault in content.faults)
        for record in content.leases:
            last.pop(record.prefix, None)
            last[record.prefix] = number, record
    faults = [Faults() for _ in files]
    leases = []
    for number, record in last.values():
        if not record.is_active:
            continue
        try:
            line = pattern.line(record.fields)
        except ValueError as failure:
            faults[number].add(record.line, f"{record.prefix}: {failure}", severity="warning")
        else:
            leases.append(Lease(record.prefix, line, record.mac, record.since, record.until, record.line))
    for (file, _), without_line in zip(files, faults, strict=True):
        problems += (diagnostic(file, fault) for fault in without_line.reported())
    is_complete = all(content.is_complete for _, content in files)
    return LeaseFile(tuple(leases), tuple(problems), is_complete, not last)
