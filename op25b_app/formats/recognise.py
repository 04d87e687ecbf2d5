"""Recognise the format of a file by its name and its first line."""

from __future__ import annotations

import re
from pathlib import PurePath

from op25b_app.formats.dnsmasq import is_dnsmasq
from op25b_app.formats.isc import is_isc
from op25b_app.formats.kea import is_kea

_RIR = re.compile(r"2(?:\.3)?\|(?:afrinic|apnic|arin|iana|lacnic|nro|ripencc)\|", re.I)
_RPSL = re.compile(r"(?:route6?|as-set|route-set|inetnum|inet6num|mntner|aut-num):\s", re.I)
_CSV = re.compile(r"[\w\"][^:#]*[,;\t]")


def probable_format(name: str, text: str) -> str | None:
    """Return the options of a reference to a file, such as ``format: kea``; None where it may be a list."""
    lines = (line.strip() for line in text[:10_000].splitlines())
    first = text.partition("\n")[0]
    content = next((line for line in lines if line and line[0] not in "#;%"), "")
    ending = PurePath(name).suffix.lower()
    for line in (first, content):
        if is_kea(line):
            return "format: kea"
        if is_isc(line):
            return "format: isc"
        if is_dnsmasq(line):
            return "format: dnsmasq"
    if _RIR.match(content):
        return "format: rir, opaque_id: ID"
    if _RPSL.match(content):
        return "format: rpsl"
    if content.startswith("{") or ending in (".json", ".jsonl", ".ndjson"):
        return "format: json-lines, key: NAME"
    if ending == ".csv" or _CSV.match(content):
        return "format: csv, column: NAME"
    return None
