"""Read files with one prefix or range a line; of a changed file, only the changed lines."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import NamedTuple

from op25b_app.formats.prefix_rows import FileFormat, read_prefix_rows
from op25b_app.formats.recognise import probable_format
from op25b_app.net.prefix import Prefix, parse_prefixes
from op25b_app.policy.diagnostic import Diagnostic, error
from op25b_app.policy.model import LocatedPrefix, SourceLocation

MAX_PROBLEMS = 50
"""Maximum number of problems reported for one prefix file; further ones are counted."""


_COMMENT = re.compile(r"[#;]|(?:^|(?<=\s))//")


class PrefixFile(NamedTuple):
    """Prefixes of a file, in its order, and the problems of lines that cannot be read."""

    text: str
    listed: tuple[LocatedPrefix, ...]
    problems: tuple[Diagnostic, ...]


def read_prefix_file(name: str, text: str, before: PrefixFile | None = None) -> PrefixFile:
    """Return the prefixes in ``text``: a prefix, an address or a range a line.

    ``#``, ``;``, and ``//`` that a space or nothing precedes, start a comment. ``before`` is the earlier
    content of the file: only the lines from the first to the last that differ are parsed again.
    """
    if before is None or before.problems:
        return _parsed(name, text)
    if before.text == text:
        return before
    old, new = before.text + "\n", text + "\n"
    start = old.rfind("\n", 0, _common_start(old, new)) + 1
    same = _common_start(old[start:][::-1], new[start:][::-1])
    end = new.find("\n", len(new) - same) + 1 or len(new)
    first, after = old.count("\n", 0, start) + 1, old.count("\n", 0, len(old) - len(new) + end) + 1
    head = before.listed[: bisect_left(before.listed, first, key=_line)]
    tail = before.listed[bisect_left(before.listed, after, key=_line) :]
    changed = _parse(name, new[start:end], first)
    if changed.problems:
        return _parsed(name, text)
    moved = _moved(tail, new.count("\n", 0, end) + 1 - after)
    return PrefixFile(text, (*head, *changed.listed, *moved), changed.problems)


def read_formatted_file(
    name: str, text: str, form: FileFormat, before: PrefixFile | None = None
) -> PrefixFile:
    """Return the prefixes in ``text``, a file of another format; ``before`` where the text is the same."""
    if before is not None and before.text == text:
        return before
    found, faults = read_prefix_rows(text, form)
    listed = tuple(LocatedPrefix(prefix, SourceLocation(name, line, 1)) for line, prefix in found)
    problems = (
        Diagnostic(SourceLocation(name, fault.line, fault.column), fault.severity, fault.message)
        for fault in faults
    )
    return PrefixFile(text, listed, tuple(problems))


def _parsed(name: str, text: str) -> PrefixFile:
    """Parse a whole file; where it is plainly of another format, that is its only problem."""
    parsed = _parse(name, text, 1)
    if parsed.problems and (options := probable_format(name, text)):
        what = f"this is no list of prefixes; write {{file: {PurePath(name).name}, {options}}}"
        return PrefixFile(text, (), (error(SourceLocation(name, 1, 1), what),))
    return parsed


def _parse(name: str, text: str, first: int) -> PrefixFile:
    """Parse lines; ``first`` is the number of the first one."""
    listed: list[LocatedPrefix] = []
    problems: list[Diagnostic] = []
    wrong = 0
    for number, line in enumerate(text.split("\n"), first):
        written = line.strip()
        if "#" in written or ";" in written or "//" in written:
            written = _COMMENT.split(written, 1)[0].rstrip()
        if not written:
            continue
        place = SourceLocation(name, number, line.index(written) + 1)
        try:
            if "-" in written:
                listed += (LocatedPrefix(prefix, place) for prefix in parse_prefixes(written))
            else:
                listed.append(LocatedPrefix(Prefix.parse(written), place))
        except ValueError as failure:
            wrong += 1
            if wrong <= MAX_PROBLEMS + 1:
                problems.append(error(place, str(failure)))
    if wrong > MAX_PROBLEMS:
        what = f"and {wrong - MAX_PROBLEMS} more lines of this file are no prefixes"
        problems[MAX_PROBLEMS:] = [error(problems[MAX_PROBLEMS].place, what)]
    return PrefixFile(text, tuple(listed), tuple(problems))


def _moved(listed: Sequence[LocatedPrefix], lines: int) -> Iterable[LocatedPrefix]:
    if lines == 0:
        return listed
    return (
        LocatedPrefix(prefix, SourceLocation(file, line + lines, column))
        for prefix, (file, line, column) in listed
    )


def _line(listed: LocatedPrefix) -> int:
    return listed.place.line


def _common_start(one: str, other: str) -> int:
    """Return the length of the common start, in characters."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
