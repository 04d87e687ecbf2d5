"""Tables as comma-separated values (RFC 4180) with a header, one row a line."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from op25b_app.formats.fault import Faults
from op25b_app.net.prefix import quoted

MAX_COLUMNS = 1000
"""Maximum number of columns of a table."""


class Row(NamedTuple):
    """One row of a table: the number of its line, and its values by column."""

    line: int
    values: Mapping[str, str]


def rows(lines: Sequence[str], faults: Faults, required: Sequence[str] = ()) -> Iterator[Row]:
    """Yield the rows below the header; the first line that is not empty is the header.

    Values are separated as in the header: by commas, semicolons or tabs. Names of columns are in lower case.
    What cannot be read goes to ``faults``.
    """
    numbered = ((number, line.rstrip("\r")) for number, line in enumerate(lines, 1))
    header: list[str] | None = None
    separator = ","
    for number, line in numbered:
        if not line.strip():
            continue
        if header is None:
            separator = _separator(line)
            header = _header(number, line.removeprefix("\ufeff"), separator, faults, required)
            if header is None:
                return
            continue
        values = split(line, separator)
        if values is None:
            faults.add(number, 'a value is not quoted as in a CSV file; write "..." around all of it')
        elif len(values) != len(header):
            what = f"{len(values)} values, and the header has {len(header)} columns"
            faults.add(number, f"{what}; write one value for each column")
        else:
            yield Row(number, dict(zip(header, values, strict=True)))


def _separator(header: str) -> str:
    return next((each for each in ",;\t" if each in header), ",")


def _header(
    number: int, line: str, separator: str, faults: Faults, required: Sequence[str]
) -> list[str] | None:
    names = [name.lower() for name in split(line, separator) or []]
    twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
    missing = [name for name in required if name not in names]
    if not names or len(names) > MAX_COLUMNS:
        faults.add(number, "not the header of a CSV file; write the names of the columns")
    elif twice is not None:
        faults.add(number, f"two columns are called {quoted(twice)}; keep one of them")
    elif missing:
        what = f"the header has no column {quoted(missing[0])}"
        faults.add(number, f"{what}; write the names of the columns into the first line")
    else:
        return names
    return None


def split(line: str, separator: str) -> list[str] | None:
    """Return the values of a line, without spaces around them; None where their quotes do not fit."""
    if '"' not in line:
        return [value.strip() for value in line.split(separator)]
    try:
        (values,) = csv.reader([line], delimiter=separator, strict=True, skipinitialspace=True)
    except (csv.Error, ValueError):
        return None
    return [value.strip() for value in values]
