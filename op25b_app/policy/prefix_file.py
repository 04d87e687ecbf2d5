"""Read files with one prefix a line; of a changed file, only the changed lines."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from op25b_app.net.prefix import Prefix
from op25b_app.policy.diagnostic import Diagnostic, error
from op25b_app.policy.model import LocatedPrefix, SourceLocation

MAX_PROBLEMS = 50
"""Maximum number of problems reported for one prefix file; further ones are counted."""


class PrefixFile(NamedTuple):
    """Prefixes of a file, in its order, and the problems of lines that cannot be read."""

    text: str
    listed: tuple[LocatedPrefix, ...]
    problems: tuple[Diagnostic, ...]


def read_prefix_file(name: str, text: str, before: PrefixFile | None = None) -> PrefixFile:
    """Return the prefixes in ``text``, one a line; ``#`` starts a comment.

    ``before`` is the earlier content of the file: only the lines from the first to the last that differ are
    parsed again.
    """
    if before is None or before.problems:
        return _parse(name, text, 1)
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
    moved = _moved(tail, new.count("\n", 0, end) + 1 - after)
    return PrefixFile(text, (*head, *changed.listed, *moved), changed.problems)


def _parse(name: str, text: str, first: int) -> PrefixFile:
    """Parse lines; ``first`` is the number of the first one."""
    listed: list[LocatedPrefix] = []
    problems: list[Diagnostic] = []
    wrong = 0
    for number, line in enumerate(text.split("\n"), first):
        written = line.partition("#")[0].strip()
        if not written:
            continue
        place = SourceLocation(name, number, line.index(written) + 1)
        try:
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
