"""Sources of learned lines, as a policy names them: files, a URL, DHCP."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from op25b_app.formats.line_pattern import LinePattern
from op25b_app.net.prefix import quoted
from op25b_app.policy.model import LineSourceKind

EVERY_SECONDS = 30
"""Seconds between two readings of a URL, unless the policy says otherwise."""
_SHORTEST, _LONGEST = 1, 366 * 86_400
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class LineSourceSection(NamedTuple):
    """One source as it is written; ``named`` is the name of a file, a URL, or ``snooping``."""

    kind: LineSourceKind
    named: str
    pattern: LinePattern | None = None
    token_file: str | None = None
    every: int = EVERY_SECONDS


def read_duration(value: Any) -> int:
    """Return seconds that are written like ``90s``, ``30m``, ``1h`` or ``7d``.

    Raises ValueError, its text a remedy, for anything else.
    """
    found = re.fullmatch(r"([0-9]{1,9}) ?([smhd])", value, re.ASCII) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"{quoted(str(value))} is not a time; write one like 90s, 30m, 1h or 7d")
    seconds = int(found[1]) * _UNITS[found[2]]
    if not _SHORTEST <= seconds <= _LONGEST:
        raise ValueError(f"{quoted(value)} is not between 1 second and 366 days")
    return seconds


def read_line_source(value: Any) -> LineSourceSection:
    """Return the source that a mapping of the policy describes.

    Raises ValueError, its text a remedy, for anything else.
    """
    examples = "{file: leases.csv} or {kea: leases.csv, line: '{remote_id}/{circuit_id}'}"
    kinds = [kind for kind in LineSourceKind if isinstance(value, dict) and kind.value in value]
    if len(kinds) != 1:
        raise ValueError(f"not a source of lines; write one like {examples}")
    [kind] = kinds
    named = value[kind.value]
    if not isinstance(named, str) or not named.strip() or not named.isprintable():
        raise ValueError(f"{kind.value} names no source; write one like {examples}")
    _refuse_other_keys(kind, value)
    if kind is LineSourceKind.DHCP and named != "snooping":
        raise ValueError(f"{quoted(named)} is not a way to learn from DHCP; write dhcp: snooping")
    if kind is LineSourceKind.URL and not re.match(r"https?://[^/]", named):
        raise ValueError(f"{quoted(named)} is no URL; write one like https://radius.example.net/lines")
    return LineSourceSection(
        kind,
        named,
        _pattern(kind, value.get("line")),
        _token_file(value),
        read_duration(value["every"]) if "every" in value else EVERY_SECONDS,
    )


def _refuse_other_keys(kind: LineSourceKind, value: dict[Any, Any]) -> None:
    known = [kind.value]
    if kind.needs_pattern:
        known.append("line")
    if kind is LineSourceKind.URL:
        known += ["token_file", "every"]
    wrong = next((key for key in value if key not in known), None)
    if wrong is not None:
        raise ValueError(f"a {kind.value} source has no {quoted(str(wrong))}; keys are {', '.join(known)}")


def _pattern(kind: LineSourceKind, written: Any) -> LinePattern | None:
    if not kind.needs_pattern:
        return None
    if not isinstance(written, str):
        raise ValueError(
            f"a {kind.value} source needs a pattern for lines; write line: '{{remote_id}}/{{circuit_id}}'"
        )
    return LinePattern.parse(written)


def _token_file(value: dict[Any, Any]) -> str | None:
    written = value.get("token_file")
    if written is not None and (not isinstance(written, str) or not written.strip()):
        raise ValueError("token_file names no file; write the name of the file with the token")
    return written


SOURCE_SCHEMA = {
    "anyOf": [
        {
            "type": "object",
            "properties": {
                kind.value: {"const": "snooping"} if kind is LineSourceKind.DHCP else {"type": "string"},
                **({"line": {"type": "string"}} if kind.needs_pattern else {}),
                **(
                    {
                        "token_file": {"type": "string"},
                        "every": {"type": "string", "pattern": "^[0-9]{1,9} ?[smhd]$"},
                    }
                    if kind is LineSourceKind.URL
                    else {}
                ),
            },
            "required": [kind.value, *["line"] * kind.needs_pattern],
            "additionalProperties": False,
        }
        for kind in LineSourceKind
    ]
}
"""JSON Schema of a source."""
