"""Read CSV files with the bindings of a switch, or with exceptions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from op25b_app.formats.csv_table import Row, rows
from op25b_app.formats.fault import Faults
from op25b_app.formats.moment import moment
from op25b_app.net.port_number import NO_PORT
from op25b_app.net.prefix import Prefix, parse_address, parse_prefixes, quoted
from op25b_app.policy.diagnostic import Diagnostic
from op25b_app.policy.model import Binding, LocatedPrefix, MailException, SourceLocation, SubscriberPort
from op25b_app.policy.schema import (
    NamedLine,
    PortName,
    line_of,
    read_destinations,
    read_line_port,
    read_line_vlan,
    read_mac,
    read_name,
    read_text,
)

BINDING_COLUMNS = ("port", "address", "mac", "vlan")
EXCEPTION_COLUMNS = ("name", "source", "destination", "starts", "expires", "reason")
_T = TypeVar("_T")
_REQUIRED = 2
"""Number of the columns, the first of each list, that a file must have."""


class BindingFile(NamedTuple):
    """The bindings of a file, one for each line and MAC address, and the problems of its lines."""

    text: str
    bindings: tuple[Binding, ...]
    problems: tuple[Diagnostic, ...]


def binding_of(
    port: int | PortName,
    vlan: int | None,
    mac: int | None,
    addresses: tuple[LocatedPrefix, ...],
    place: SourceLocation,
) -> Binding:
    """Return a binding to a line, whose port is given by number or by name."""
    number, name = (NO_PORT, port.text) if isinstance(port, PortName) else (port, None)
    return Binding(number, mac, addresses, place, vlan, name)


def exceptions_of(
    name: str,
    source: Prefix | SubscriberPort | NamedLine,
    destinations: Iterable[Prefix | None],
    moments: tuple[int | None, int | None],
    reason: str,
    place: SourceLocation,
) -> Iterator[MailException]:
    """Yield an exception for each destination, all with the same start and end."""
    port = None
    if isinstance(source, NamedLine):
        port, source = source.port, SubscriberPort(source.switch, NO_PORT, source.vlan)
    starts, expires = moments
    for destination in destinations:
        yield MailException(name, source, destination, expires, reason, place, starts, port)


class ExceptionFile(NamedTuple):
    """The exceptions of a file, one for each destination, and the problems of its lines."""

    text: str
    exceptions: tuple[MailException, ...]
    problems: tuple[Diagnostic, ...]


def read_binding_file(name: str, text: str, before: BindingFile | None = None) -> BindingFile:
    """Return the bindings in ``text``: ``port,address``, and perhaps ``mac`` and ``vlan``, in any order.

    Several rows of one line and MAC address are one binding. ``before`` is returned where the text is the
    same.
    """
    if before is not None and before.text == text:
        return before
    faults = Faults()
    addresses: dict[tuple[int | PortName, int | None, int | None], list[LocatedPrefix]] = {}
    for row in _rows(text, BINDING_COLUMNS, faults):
        cells = _Cells(row, faults)
        port = cells.read("port", read_line_port)
        vlan = cells.read("vlan", _vlan)
        mac = cells.read("mac", read_mac)
        prefixes = cells.read("address", parse_prefixes)
        if port is not None and prefixes is not None and not cells.is_wrong:
            place = SourceLocation(name, row.line, 1)
            bound = addresses.setdefault((port, vlan, mac), [])
            bound += (LocatedPrefix(prefix, place) for prefix in prefixes)
    bindings = (
        binding_of(port, vlan, mac, tuple(bound), bound[0].place)
        for (port, vlan, mac), bound in addresses.items()
    )
    return BindingFile(text, tuple(bindings), _problems(name, faults))


def read_exception_file(name: str, text: str, before: ExceptionFile | None = None) -> ExceptionFile:
    """Return the exceptions in ``text``: ``name,source``, and perhaps more columns, in any order.

    A source is an address, a prefix, ``SWITCH/PORT`` or ``SWITCH/PORT/VLAN``; spaces separate several
    destinations. ``before`` is returned where the text is the same.
    """
    if before is not None and before.text == text:
        return before
    faults = Faults()
    exceptions: list[MailException] = []
    for row in _rows(text, EXCEPTION_COLUMNS, faults):
        cells = _Cells(row, faults)
        named = cells.read("name", read_name)
        source = cells.read("source", _source)
        destinations = cells.read("destination", _destinations) or (None,)
        starts = cells.read("starts", moment)
        expires = cells.read("expires", moment)
        reason = cells.read("reason", read_text) or ""
        if named is not None and source is not None and not cells.is_wrong:
            place = SourceLocation(name, row.line, 1)
            exceptions += exceptions_of(named, source, destinations, (starts, expires), reason, place)
    return ExceptionFile(text, tuple(exceptions), _problems(name, faults))


def _rows(text: str, columns: Sequence[str], faults: Faults) -> Iterator[Row]:
    for row in rows(text.split("\n"), faults, columns[:_REQUIRED]):
        unknown = next((name for name in row.values if name not in columns), None)
        if unknown is not None:
            what = f"the header has a column {quoted(unknown)}"
            faults.add(row.line, f"{what}; columns are {', '.join(columns)}")
            return
        missing = next((name for name in columns[:_REQUIRED] if not row.values[name]), None)
        if missing is not None:
            faults.add(row.line, f"{quoted(missing)} is empty; write it")
        else:
            yield row


class _Cells:
    """The values of a row; the first that cannot be read is a fault of the row."""

    def __init__(self, row: Row, faults: Faults) -> None:
        self._row = row
        self._faults = faults
        self.is_wrong = False

    def read(self, column: str, reader: Callable[[str], _T]) -> _T | None:
        """Return a value; None where it is empty, the column is missing, or it cannot be read."""
        written = self._row.values.get(column, "")
        if not written or self.is_wrong:
            return None
        try:
            return reader(written)
        except ValueError as failure:
            self._faults.add(self._row.line, str(failure))
            self.is_wrong = True
            return None


def _destinations(text: str) -> tuple[Prefix, ...]:
    return read_destinations(text.split())


def _source(text: str) -> Prefix | SubscriberPort | NamedLine:
    first, *rest = text.split("/")
    if not rest or len(rest) > 2 or _is_address(first):
        return Prefix.parse(text)
    return line_of(first, read_line_port(rest[0]), _vlan(rest[1]) if len(rest) > 1 else None)


def _vlan(text: str) -> int:
    return read_line_vlan(int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else text)


def _is_address(text: str) -> bool:
    try:
        parse_address(text)
    except ValueError:
        return False
    return True


def _problems(name: str, faults: Faults) -> tuple[Diagnostic, ...]:
    return tuple(
        Diagnostic(SourceLocation(name, fault.line, fault.column), fault.severity, fault.message)
        for fault in faults.reported()
    )
