"""Controllers' messages as bytes, broken ones too, written without anything of op25b."""

from __future__ import annotations

import struct

from testing.fake_switch.flow_mod import ALL_TABLES, ANY
from testing.fake_switch.match import BASIC
from testing.fake_switch.wire import ONF, OPENFLOW_13, Kind, pack


def oxm(number: int, octets: int, value: int, mask: int | None = None, oxm_class: int = BASIC) -> bytes:
    """One match field of the wire, whether it makes sense or not."""
    payload = value.to_bytes(octets, "big") + (b"" if mask is None else mask.to_bytes(octets, "big"))
    return struct.pack("!HBB", oxm_class, number << 1 | (mask is not None), len(payload)) + payload


def match(*fields: bytes) -> bytes:
    length = 4 + sum(map(len, fields))
    return struct.pack("!HH", 1, length) + b"".join(fields) + bytes(-length % 8)


def goto(table: int) -> bytes:
    return struct.pack("!HHBxxx", 1, 8, table)


def write_metadata(value: int, mask: int) -> bytes:
    return struct.pack("!HHxxxxQQ", 2, 24, value, mask)


def actions(*parts: bytes, instruction: int = 4) -> bytes:
    """APPLY_ACTIONS (4) or WRITE_ACTIONS (3)."""
    return struct.pack("!HHxxxx", instruction, 8 + sum(map(len, parts))) + b"".join(parts)


def output(port: int) -> bytes:
    return struct.pack("!HHIHxxxxxx", 0, 16, port, 0xFFFF)


def action(kind: int, number: int = 0) -> bytes:
    """An action of eight bytes."""
    return struct.pack("!HHI", kind, 8, number)


def set_field(field: bytes) -> bytes:
    length = 4 + len(field)
    return struct.pack("!HH", 25, length + -length % 8) + field + bytes(-length % 8)


def flow_mod(
    version: int,
    xid: int,
    body_match: bytes = match(),
    instructions: bytes = b"",
    *,
    command: int = 0,
    table: int = 0,
    priority: int = 100,
    cookie: int = 0,
    cookie_mask: int = 0,
    timeouts: tuple[int, int] = (0, 0),
    flags: int = 0,
    out_port: int = ANY,
) -> bytes:
    """``timeouts`` are idle and hard, in seconds."""
    fixed = struct.pack(
        "!QQBBHHHIII", cookie, cookie_mask, table, command, *timeouts, priority, ANY, out_port, ANY
    )
    return pack(version, Kind.FLOW_MOD, xid, fixed + struct.pack("!HH", flags, 0) + body_match + instructions)


def multipart(version: int, xid: int, kind: int, body: bytes = b"") -> bytes:
    return pack(version, Kind.MULTIPART_REQUEST, xid, struct.pack("!HHxxxx", kind, 0) + body)


def flow_statistics(
    version: int, xid: int, kind: int = 1, table: int = ALL_TABLES, cookie_mask: int = 0
) -> bytes:
    """A request for the entries; ``kind`` 2 for their sums."""
    body = struct.pack("!BxxxIIxxxxQQ", table, ANY, ANY, 0, cookie_mask) + match()
    return multipart(version, xid, kind, body)


def bundle_control(version: int, xid: int, bundle: int, control: int, flags: int = 3) -> bytes:
    """``control``: 0 open, 2 close, 4 commit, 6 discard."""
    body = struct.pack("!IHH", bundle, control, flags)
    if version == OPENFLOW_13:
        return pack(version, Kind.EXPERIMENTER, xid, struct.pack("!II", ONF, 2300) + body)
    return pack(version, Kind.BUNDLE_CONTROL, xid, body)


def bundle_add(bundle: int, message: bytes, flags: int = 3) -> bytes:
    version, _, _, xid = struct.unpack_from("!BBHI", message)
    body = struct.pack("!IxxH", bundle, flags) + message
    if version == OPENFLOW_13:
        return pack(version, Kind.EXPERIMENTER, xid, struct.pack("!II", ONF, 2301) + body)
    return pack(version, Kind.BUNDLE_ADD, xid, body)


def monitor(version: int, xid: int, number: int, flags: int, table: int = ALL_TABLES) -> bytes:
    """A request for a flow monitor."""
    if version == OPENFLOW_13:
        body = struct.pack("!IIIHHIBxxx", ONF, 1870, number, flags, 4, ANY, table) + match()
        return multipart(version, xid, 0xFFFF, body)
    body = struct.pack("!IIIHBB", number, ANY, ANY, flags, table, 0) + match()
    return multipart(version, xid, 16, body)


def role_request(version: int, xid: int, role: int, generation: int) -> bytes:
    return pack(version, Kind.ROLE_REQUEST, xid, struct.pack("!IxxxxQ", role, generation))
