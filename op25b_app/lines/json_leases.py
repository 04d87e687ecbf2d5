"""Leases as JSON, as a URL answers them and as ``PUT /v1/lines`` takes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from op25b_app.formats.fault import Fault, Faults
from op25b_app.formats.lease_record import MAX_LEASES
from op25b_app.lines.csv_leases import COLUMNS, REQUIRED, lease_of_row
from op25b_app.lines.lease import Lease, LeaseFile, diagnostic
from op25b_app.net.prefix import Prefix, quoted

MAX_WRITTEN = 100
"""Maximum number of characters of an unusable value that are shown."""
EXAMPLE = '{"lines": [{"switch": "access-1", "port": 3, "address": "192.0.2.7"}]}'


def json_leases(source: str, content: bytes) -> LeaseFile:
    """Return the leases of a JSON object with a list ``lines``; each is an object with the columns of a CSV.

    Its values are texts or numbers. Text that is no such object is a problem, and not complete.
    """
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as failure:
        return _unusable(source, f"it is not JSON: {failure}")
    listed = found.get("lines", [] if "end" in found else None) if isinstance(found, dict) else None
    if not isinstance(listed, list):
        return _unusable(source, "it has no list of lines")
    if len(listed) > MAX_LEASES:
        return _unusable(source, f"it has more than {MAX_LEASES:,} leases")
    faults = Faults()
    leases: list[Lease] = []
    for number, item in enumerate(listed, 1):
        try:
            leases.append(lease_of_row(0, _row(item)))
        except ValueError as failure:
            faults.add(0, f"item {number}: {failure}")
    problems = tuple(diagnostic(source, fault) for fault in faults.reported())
    return LeaseFile(tuple(leases), problems, True, not listed)


def ended_prefixes(content: bytes) -> tuple[Prefix, ...]:
    """Return the addresses and prefixes in the list ``end`` of a JSON object; none where it has no list.

    Raises ValueError, its text a remedy, where one is no address or prefix. The content is JSON.
    """
    listed = json.loads(content).get("end", [])
    if not isinstance(listed, list) or len(listed) > MAX_LEASES:
        raise ValueError(
            f'end is no list of at most {MAX_LEASES:,} addresses; write {{"end": ["192.0.2.7"]}}'
        )
    found = []
    for number, text in enumerate(listed, 1):
        try:
            found.append(Prefix.parse(text if isinstance(text, str) else json.dumps(text)[:MAX_WRITTEN]))
        except ValueError as failure:
            raise ValueError(f"end, item {number}: {failure}") from None
    return tuple(found)


def _unusable(source: str, what: str) -> LeaseFile:
    return LeaseFile((), (diagnostic(source, Fault(0, 0, f"{what}; write {EXAMPLE}")),), False)


def _row(item: Any) -> Mapping[str, str]:
    if not isinstance(item, dict):
        raise ValueError(f"{quoted(json.dumps(item)[:MAX_WRITTEN])} is not an object; see {EXAMPLE}")
    row = {key: str(value) for key, value in item.items() if isinstance(value, str | int)}
    wrong = next((key for key, value in item.items() if key not in COLUMNS or isinstance(value, bool)), None)
    if wrong is not None:
        raise ValueError(f"{quoted(str(wrong))} is no key of a lease; keys are {', '.join(COLUMNS)}")
    missing = next((key for key in REQUIRED if not row.get(key)), None)
    if missing is not None:
        raise ValueError(f"it has no {missing}; keys are {', '.join(COLUMNS)}")
    return row
