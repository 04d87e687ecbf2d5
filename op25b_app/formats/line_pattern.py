"""Patterns that make the name of a line from what a lease says, such as ``{remote_id}/{circuit_id}``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from op25b_app.net.prefix import quoted

FIELDS = ("remote_id", "circuit_id", "interface_id", "subscriber_id", "client_id", "hostname", "mac")
"""Fields of a lease that describe its holder.

Identifiers that are printable ASCII stand as text, others in lower-case hexadecimal digits.
"""
MAX_PATTERN = 1000
"""Maximum number of characters in a pattern."""

_PART = re.compile(r"\{([^{}]*)\}|([^{}]+)")
_LINE = re.compile(r"[^/]+/(?:[1-9][0-9]{0,9}|LOCAL)(?:/(?:untagged|0|[1-9][0-9]{0,3}))?", re.ASCII)


def line_name(text: str) -> str:
    """Return ``SWITCH/PORT`` or ``SWITCH/PORT/VLAN`` as it is; the VLAN may be ``untagged``.

    Raises ValueError, its text a remedy, for anything else.
    """
    if not _LINE.fullmatch(text) or not text.isprintable():
        raise ValueError(f"{quoted(text)} is not a line; write one like access-1/3, or access-1/3/100 by tag")
    return text


@dataclass(frozen=True)
class LinePattern:
    """A pattern: texts, and between them the names of fields."""

    parts: tuple[tuple[str, str], ...]
    """Pairs of a field's name and a text, of which one is empty."""

    @classmethod
    def parse(cls, text: str) -> LinePattern:
        """Return the pattern that a text describes.

        Raises ValueError, its text a remedy, for anything else.
        """
        found = [*_PART.finditer(text)] if len(text) <= MAX_PATTERN else []
        if not found or sum(len(part[0]) for part in found) != len(text):
            raise ValueError(f"{quoted(text)} is not a pattern; write one like {{remote_id}}/{{circuit_id}}")
        for part in found:
            if part[1] not in (None, *FIELDS):
                raise ValueError(f"no lease has the field {quoted(part[1])}; fields are {', '.join(FIELDS)}")
        return cls(tuple((part[1] or "", part[2] or "") for part in found))

    def line(self, fields: Mapping[str, str]) -> str:
        """Return the line that the fields of a lease make.

        Raises ValueError where a field is missing, or the result is no line.
        """
        for name, _ in self.parts:
            if name and name not in fields:
                raise ValueError(f"the lease has no {name}, of which its line is made; take another field")
        return line_name("".join(fields[name] if name else text for name, text in self.parts))
