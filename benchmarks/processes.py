"""Processes for one piece of work; CPU time and memory of processes, as the kernel counts them (proc(5))."""

from __future__ import annotations

import multiprocessing
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def apart(work: Callable[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs) -> Result:
    """What ``work`` gives in a fresh process, which holds no memory of this one."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments, named)


def cpu_nanoseconds(process: int) -> int:
    """Time on a processor of all threads of a process and its descendants, those that ended left out.

    The first field of ``schedstat`` is exact to the nanosecond, unlike the ticks of ``stat``.
    """
    return sum(_own_cpu_nanoseconds(found) for found in (process, *descendants(process)))


def descendants(process: int) -> Iterator[int]:
    try:
        lists = [path.read_text() for path in Path(f"/proc/{process}/task").glob("*/children")]
    except (FileNotFoundError, ProcessLookupError):
        return
    for child in (int(word) for text in lists for word in text.split()):
        yield child
        yield from descendants(child)


def peak_megabytes(process: int) -> float:
    """The most memory that a process has held at once so far."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    assert found, f"no VmHWM of process {process}"
    return int(found[1]) / 1024


def _own_cpu_nanoseconds(process: int) -> int:
    total = 0
    for thread in Path(f"/proc/{process}/task").glob("*"):
        try:
            total += int((thread / "schedstat").read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue  # a thread that just ended
    return total
