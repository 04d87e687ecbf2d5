"""Lease files of ISC DHCP (dhcpd.leases and dhcpd6.leases): one statement a line, the last lease wins."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass, field

from op25b_app.formats.fault import Faults
from op25b_app.formats.lease_record import (
    MAX_LINE,
    LeaseRecord,
    LeaseRecords,
    identifier,
    known,
    last_of_each,
    mac_address,
    mac_text,
    numbered,
    octets,
    seconds,
    whole_lines,
    within_limit,
)
from op25b_app.net.prefix import Prefix, quoted

_LEASE = re.compile(r"(?:lease|iaaddr|iaprefix)\s+(\S+)\s*\{$")
_ASSOCIATION = re.compile(r'ia-(?:na|ta|pd)\s+(".*")\s*\{$')
_IAID_BYTES = 4
"""The name of an association is its number (IAID) and the client's DUID."""
_WORDS = {
    "starts": 1,
    "ends": 1,
    "binding": 2,
    "hardware": 2,
    "uid": 1,
    "client-hostname": 1,
    "option": 2,
    "set": 3,
}
"""Number of words in the name of a statement, by its first word."""
_FIELDS = {
    "option agent.circuit-id": "circuit_id",
    "option agent.remote-id": "remote_id",
    "option agent.subscriber-id": "subscriber_id",
    "option agent.unknown-6": "subscriber_id",
    "uid": "client_id",
    "set circuit_id =": "circuit_id",
    "set circuit-id =": "circuit_id",
    "set remote_id =": "remote_id",
    "set remote-id =": "remote_id",
    "set interface_id =": "interface_id",
    "set interface-id =": "interface_id",
    "set subscriber_id =": "subscriber_id",
    "set subscriber-id =": "subscriber_id",
}
"""Fields by statement; ``set`` keeps a variable that a configuration makes of an option."""
_MOMENT = re.compile(r"[0-6] ([0-9]{4})/([0-9]{2})/([0-9]{2}) ([0-9]{2}):([0-9]{2}):([0-9]{2})")
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)
_COMMENT = re.compile(r'^((?:[^"#]|"(?:[^"\\]|\\.)*")*)#.*$')


def is_isc(first_line: str) -> bool:
    """Return whether a text with this first line is a lease file of ISC DHCP."""
    line = first_line.removeprefix("\ufeff").strip()
    if "dhcpd.leases(5)" in line or "isc-dhcp" in line:
        return True
    return bool(_LEASE.match(line) or _ASSOCIATION.match(line)) or line.startswith("authoring-byte-order ")


@dataclass
class _Open:
    """A lease whose block is open."""

    line: int
    prefix: Prefix | None
    state: str = ""
    mac: int | None = None
    since: int | None = None
    until: int | None = None
    fields: dict[str, str] = field(default_factory=dict)


def read_isc(text: str) -> LeaseRecords:
    """Return the leases of a file: of each address the last one."""
    lines, is_complete = whole_lines(text)
    reader = _Reader()
    for number, line in numbered(lines):
        reader.line(number, line)
        if not within_limit(reader.records, number, reader.faults):
            break
    is_complete = is_complete and not reader.depth
    return LeaseRecords(last_of_each(reader.records), reader.faults.reported(), is_complete)


class _Reader:
    """Reader of one line after another."""

    def __init__(self) -> None:
        self.records: list[LeaseRecord] = []
        self.faults = Faults()
        self.depth = 0
        """Number of open blocks."""
        self._lease: _Open | None = None
        self._lease_depth = 0
        self._client = ""

    def line(self, number: int, written: str) -> None:
        """Read a line."""
        line = written.strip()
        if "#" in line:
            line = _COMMENT.sub(r"\1", line).strip()
        if not line:
            return
        if len(line) > MAX_LINE:
            self.faults.add(number, f"longer than {MAX_LINE:,} characters; remove the line")
        elif line == "}":
            self._close(number)
        elif line.endswith("{"):
            self._open(number, line)
        elif not line.endswith(";"):
            self.faults.add(number, f"{quoted(line)} is no statement of a lease file; remove the line")
        elif self._lease is not None and self.depth == self._lease_depth:
            self._statement(number, self._lease, line)

    def _open(self, number: int, line: str) -> None:
        self.depth += 1
        if self._lease is not None:
            return
        if association := _ASSOCIATION.match(line):
            self._client = identifier(_value(association[1])[_IAID_BYTES:])
        elif lease := _LEASE.match(line):
            self._lease, self._lease_depth = _Open(number, None), self.depth
            try:
                self._lease.prefix = Prefix.parse(lease[1])
            except ValueError as failure:
                self.faults.add(number, str(failure))
            if self._client:
                self._lease.fields["client_id"] = self._client

    def _close(self, number: int) -> None:
        if not self.depth:
            self.faults.add(number, "no block is open here; remove the line")
            return
        lease = self._lease
        if lease is not None and self.depth == self._lease_depth:
            if lease.prefix is not None:
                mac = "" if lease.mac is None else mac_text(lease.mac)
                self.records.append(
                    LeaseRecord(
                        line=lease.line,
                        prefix=lease.prefix,
                        is_active=lease.state == "active",
                        mac=lease.mac,
                        since=lease.since,
                        until=lease.until,
                        fields=known(**lease.fields, mac=mac),
                    )
                )
            self._lease = None
        self.depth -= 1
        if not self.depth:
            self._client = ""

    def _statement(self, number: int, lease: _Open, line: str) -> None:
        parts = line[:-1].split(None, 1)
        words = _WORDS.get(parts[0], 0) if parts else 0
        if not words:
            return
        *named, value = parts[0], *"".join(parts[1:]).split(None, words - 1)
        name = " ".join(named)
        if len(named) < words:
            self.faults.add(number, f"{quoted(line)} has no value; remove the lease")
            lease.prefix = None
            return
        try:
            if name == "starts":
                lease.since = _moment(value)
            elif name == "ends":
                lease.until = _moment(value)
            elif name == "binding state":
                lease.state = value
            elif name == "hardware ethernet":
                lease.mac = mac_address(value)
            elif name == "client-hostname":
                lease.fields["hostname"] = identifier(_value(value))
            elif name in _FIELDS:
                lease.fields[_FIELDS[name]] = identifier(_value(value))
        except ValueError as failure:
            self.faults.add(number, str(failure))
            lease.prefix = None


def _moment(text: str) -> int | None:
    """Return ``4 2026/11/26 21:10:41`` (UTC), ``epoch 1796076641`` or ``never`` as seconds since 1970."""
    if text == "never":
        return None
    if text.startswith("epoch "):
        return seconds(text.removeprefix("epoch ").strip())
    moment = _MOMENT.fullmatch(text)
    if moment is None:
        raise ValueError(f"{quoted(text)} is not a moment; one is like 4 2026/11/26 21:10:41")
    year, month, day, hour, minute, second = map(int, moment.groups())
    if not (year >= 1970 and 1 <= month <= 12 and 1 <= day <= 31):
        raise ValueError(f"{quoted(text)} is not a date from 1970 on")
    return calendar.timegm((year, month, day, hour, minute, second))


def _value(text: str) -> bytes:
    """Return a value: a quoted text, or hexadecimal octets with colons between them."""
    if len(text) >= 2 and text[0] == text[-1] == '"':
        written = text[1:-1].encode("utf-8", "replace")
        return _ESCAPE.sub(_unescaped, written) if b"\\" in written else written
    try:
        return octets(text)
    except ValueError:
        raise ValueError(f"{quoted(text)} is neither a text in quotes nor hexadecimal octets") from None


def _unescaped(escape: re.Match[bytes]) -> bytes:
    code = escape[1]
    return bytes((int(code, 8) & 0xFF,)) if code[:1].isdigit() and code[:1] < b"8" else code
