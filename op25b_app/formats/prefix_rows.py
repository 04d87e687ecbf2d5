"""Prefixes in files of other formats, each with the number of its line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from op25b_app.formats.csv_table import rows
from op25b_app.formats.dnsmasq import read_dnsmasq
from op25b_app.formats.fault import Fault, Faults
from op25b_app.formats.isc import read_isc
from op25b_app.formats.kea import read_kea
from op25b_app.formats.lease_record import LeaseRecords
from op25b_app.net.prefix import WIDTH, Prefix, parse_address, parse_prefixes, prefixes_of_range, quoted


class FileFormat(NamedTuple):
    """The format of a file of prefixes, and which of its entries are meant: an option and its value."""

    name: str
    option: str = ""
    value: str = ""


OPTIONS = {
    "csv": ("column",),
    "json-lines": ("key",),
    "rir": ("opaque_id", "country"),
    "rpsl": ("origin",),
    "kea": (),
    "isc": (),
    "dnsmasq": (),
}
"""Formats by name, each with its options, of which one is written; ``origin`` may be left out."""
OPTIONAL = frozenset({"rpsl"})

Found = Iterator[tuple[int, Prefix]]


def read_prefix_rows(text: str, form: FileFormat) -> tuple[list[tuple[int, Prefix]], tuple[Fault, ...]]:
    """Return the prefixes of a text in a format of ``OPTIONS``, by line, and what cannot be read."""
    faults = Faults()
    lines = [line.rstrip("\r") for line in text.removeprefix("\ufeff").split("\n")]
    leases = _LEASES.get(form.name)
    if leases is not None:
        content = leases(text)
        found = [(record.line, record.prefix) for record in content.leases if record.is_active]
        return found, content.faults
    found = [*_READERS[form.name](lines, form, faults)]
    if not found and not faults.reported() and form.name in ("rir", "rpsl") and form.option:
        faults.add(1, f"no entry has the {form.option} {quoted(form.value)}; correct it, or take it out")
    return found, faults.reported()


_LEASES: dict[str, Callable[[str], LeaseRecords]] = {
    "kea": read_kea,
    "isc": read_isc,
    "dnsmasq": read_dnsmasq,
}


def _csv(lines: Sequence[str], form: FileFormat, faults: Faults) -> Found:
    column = form.value.lower()
    for row in rows(lines, faults, [column]):
        if written := row.values[column]:
            yield from _parsed(row.line, written, faults)


def _parsed(number: int, written: str, faults: Faults) -> Found:
    try:
        for prefix in parse_prefixes(written):
            yield number, prefix
    except ValueError as failure:
        faults.add(number, str(failure))


def _json_lines(lines: Sequence[str], form: FileFormat, faults: Faults) -> Found:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value: Any = json.loads(line)
        except (ValueError, RecursionError):
            faults.add(number, "not JSON; write one object a line")
            continue
        if not isinstance(value, dict) or form.value not in value:
            faults.add(number, f"no object with the key {quoted(form.value)}; write one a line")
            continue
        for written in value[form.value] if isinstance(value[form.value], list) else [value[form.value]]:
            if isinstance(written, str):
                yield from _parsed(number, written.strip(), faults)
            elif written is not None:
                faults.add(number, f"{quoted(str(written))} is not a prefix; write it in quotes")


def _rir(lines: Sequence[str], form: FileFormat, faults: Faults) -> Found:
    """Read the statistics exchange format of the registries: delegated, and delegated-extended."""
    of_country = form.option == "country"
    wanted = form.value.upper() if of_country else form.value
    for number, line in enumerate(lines, 1):
        if not line or line[0] == "#":
            continue
        columns = line.split("|")
        if columns[-1] == "summary" or re.fullmatch(r"[0-9]+(\.[0-9]+)?", columns[0]):
            continue
        if len(columns) < 7:
            faults.add(number, f"{quoted(line)} is no entry of a registry; remove the line")
            continue
        _, country, kind, start, value, _, status = columns[:7]
        holder = country.upper() if of_country else columns[7] if len(columns) > 7 else ""
        if holder != wanted or kind not in ("ipv4", "ipv6") or status not in ("allocated", "assigned"):
            continue
        try:
            for prefix in _delegated(kind, start, value):
                yield number, prefix
        except ValueError as failure:
            faults.add(number, str(failure))


def _delegated(kind: str, start: str, value: str) -> list[Prefix]:
    """Return the prefixes of an entry: ``value`` is a number of IPv4 addresses, or a length of IPv6."""
    if kind == "ipv6":
        return [Prefix.parse(f"{start}/{value}")]
    version, first = parse_address(start)
    count = int(value) if re.fullmatch("[0-9]{1,10}", value) else 0
    if version != 4 or not 0 < count <= (1 << WIDTH[4]) - first:
        raise ValueError(f"{quoted(value)} is not the number of addresses from {start} on; correct it")
    return [*prefixes_of_range(version, first, first + count - 1)]


_ATTRIBUTE = re.compile(r"([A-Za-z][\w-]*):\s*([^#]*)")


def _rpsl(lines: Sequence[str], form: FileFormat, faults: Faults) -> Found:
    """Read the route and route6 objects of a registry (RFC 2622, RFC 4012); others are passed over."""
    route: tuple[int, str] | None = None
    is_wanted = is_inside = False
    for number, line in enumerate([*lines, ""], 1):
        if not line.strip():
            if route is not None and is_wanted:
                yield from _parsed(*route, faults)
            route, is_inside = None, False
            continue
        if line[0] in "%#" or (is_inside and line[0] in " \t+"):
            continue
        attribute = _ATTRIBUTE.match(line)
        if attribute is None:
            faults.add(number, f"{quoted(line)} is no attribute of an object; remove the line")
            continue
        name, value = attribute[1].lower(), attribute[2].strip()
        if not is_inside:
            is_inside = True
            is_wanted = not form.value
            route = (number, value) if name in ("route", "route6") else None
        elif name == "origin" and value.upper() == form.value.upper():
            is_wanted = True


_READERS: dict[str, Callable[[Sequence[str], FileFormat, Faults], Found]] = {
    "csv": _csv,
    "json-lines": _json_lines,
    "rir": _rir,
    "rpsl": _rpsl,
}
