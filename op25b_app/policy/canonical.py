"""Reduce parts of a policy to comparable values, without places in files."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Hashable, Iterable, Mapping
from typing import Any

from op25b_app.net.prefix import Prefix
from op25b_app.policy.model import LocatedPrefix, SourceLocation


def meaning(part: Any, without: Collection[str] = ()) -> Hashable:
    """Return a value that differs where a part of a policy has another meaning.

    It covers all fields but places in files and the fields of ``part`` named in ``without``. The order of
    prefixes and of mappings is ignored.
    """
    if dataclasses.is_dataclass(part):
        named = (
            (field.name, getattr(part, field.name)) for field in dataclasses.fields(part) if field.compare
        )
        return tuple(
            (name, meaning(value))
            for name, value in named
            if name not in without and not isinstance(value, SourceLocation)
        )
    if isinstance(part, Mapping):
        return frozenset((key, meaning(value)) for key, value in part.items())
    if type(part) is tuple:
        return prefixes(part) if part and isinstance(part[0], LocatedPrefix) else tuple(map(meaning, part))
    assert isinstance(part, Hashable)
    return part


def prefixes(listed: Iterable[LocatedPrefix]) -> frozenset[Prefix]:
    """Return the prefixes of a list as a set."""
    return frozenset(entry.prefix for entry in listed)
