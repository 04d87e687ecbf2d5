"""Leases: an address or a delegated prefix that a line has from one moment to another."""

from __future__ import annotations

from typing import NamedTuple

from op25b_app.formats.fault import Fault
from op25b_app.net.prefix import Prefix
from op25b_app.policy.diagnostic import Diagnostic
from op25b_app.policy.model import SourceLocation


class Lease(NamedTuple):
    """An address, or a delegated prefix, that belongs to a line.

    ``line`` is ``SWITCH/PORT`` or ``SWITCH/PORT/VLAN``, as it is written: whether there is such a port is not
    looked up. ``since`` and ``until`` are in seconds since 1970; None for an unknown start, and for no end.
    ``file_line`` is the number of the line of the file.
    """

    prefix: Prefix
    line: str
    mac: int | None
    since: int | None
    until: int | None
    file_line: int


class LeaseFile(NamedTuple):
    """The leases of a file, and what cannot be read.

    ``complete`` is False where the last line, or lease, is only half there: it is left out, and no problem.
    ``is_empty`` is True where the file names no address at all, not even one of an ended lease.
    """

    leases: tuple[Lease, ...]
    problems: tuple[Diagnostic, ...]
    complete: bool
    is_empty: bool = False


def diagnostic(file: str, fault: Fault) -> Diagnostic:
    """Return a fault of a file as a problem at its place."""
    return Diagnostic(SourceLocation(file, fault.line, fault.column), fault.severity, fault.message)
