"""Read what a source says of lines, whatever its kind."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from op25b_app.formats.dnsmasq import read_dnsmasq
from op25b_app.formats.fault import Fault
from op25b_app.formats.isc import read_isc
from op25b_app.formats.kea import lease_files, read_kea
from op25b_app.formats.lease_record import LeaseRecords
from op25b_app.lines.csv_leases import csv_leases
from op25b_app.lines.json_leases import json_leases
from op25b_app.lines.lease import LeaseFile, diagnostic
from op25b_app.lines.server_leases import server_leases
from op25b_app.policy.model import LineSource, LineSourceKind

_READERS: Mapping[LineSourceKind, Callable[[str], LeaseRecords]] = {
    LineSourceKind.KEA: read_kea,
    LineSourceKind.ISC: read_isc,
    LineSourceKind.DNSMASQ: read_dnsmasq,
}


def names_of_files(source: LineSource, name: str, there: Collection[str]) -> list[str]:
    """Return the names of the files that hold the leases of a source, the oldest first.

    ``name`` is that of the source's file, ``there`` are the files of its folder.
    """
    return lease_files(name, there) if source.kind is LineSourceKind.KEA else [name]


def read_source(source: LineSource, contents: Sequence[tuple[str, bytes]]) -> LeaseFile:
    """Return what the contents of a source say; they are (file, content), the oldest first.

    Content that cannot be read at all is a problem, and not complete.
    """
    if source.kind is LineSourceKind.URL:
        [(url, content)] = contents
        return json_leases(url, content)
    texts: list[tuple[str, str]] = []
    for file, content in contents:
        try:
            texts.append((file, content.decode("utf-8-sig")))
        except UnicodeDecodeError as failure:
            line = content.count(b"\n", 0, failure.start) + 1
            fault = Fault(line, 1, "it is not UTF-8 text; write it as UTF-8")
            return LeaseFile((), (diagnostic(file, fault),), False)
    if source.kind is LineSourceKind.CSV:
        [(file, text)] = texts
        return csv_leases(file, text)
    assert source.pattern is not None
    read = _READERS[source.kind]
    return server_leases([(file, read(text)) for file, text in texts], source.pattern)
