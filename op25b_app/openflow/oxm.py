"""Encode and decode OXM, the OpenFlow extensible match (OpenFlow 1.3.5 and 1.5.1, section 7.2.3).

On the wire, a match names its fields by class and number; a :class:`~op25b_app.openflow.flow_rule.Match` by
name. An unknown field gets a name made of its numbers, so that the rules of any application can be read. A
match that cannot be encoded from such names keeps the bytes of the switch: a :class:`ReportedMatch`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

from op25b_app.openflow.fields import MATCH_FIELDS, Masking
from op25b_app.openflow.flow_rule import FieldValue, Match

BASIC = 0x8000
"""OFPXMC_OPENFLOW_BASIC."""
EXPERIMENTER = 0xFFFF
"""OFPXMC_EXPERIMENTER: the payload begins with an experimenter id of four bytes."""

REMEMBERED_FIELDS = 1 << 12
"""Maximum number of fields in each cache: most occur in many rules, prefixes in few."""

UNREADABLE = "unreadable"
"""Name of the field that stands for a match that breaks the format; its value holds the bytes read."""

_MATCH_OXM = 1
_MATCH = struct.Struct("!HH")
_HEADER = struct.Struct("!HBB")
_HEADER_SIZE = 4
_HAS_MASK = 0x100


class OxmType(NamedTuple):
    """Match field of the basic class; ``length`` in bytes, ``full_mask`` has the bits that carry a value."""

    name: str
    number: int
    length: int
    full_mask: int
    maskable: bool


FIELDS = tuple(
    OxmType(field.name, field.oxm, field.length, (1 << field.bits) - 1, field.masking is not Masking.NEVER)
    for field in sorted(MATCH_FIELDS, key=lambda field: field.oxm or 0)
    if field.oxm is not None
)
"""Fields of the basic class by number."""

_NUMBER = itemgetter(0)
_BY_NAME = {field.name: field for field in FIELDS}
_BY_HEADER = {
    BASIC << 16 | field.number << 9 | masked << 8 | field.length << masked: (
        field.name,
        field.full_mask,
        field.maskable,
    )
    for field in FIELDS
    for masked in (0, 1)
}


class ReportedMatch(tuple[FieldValue, ...]):
    """Match that :func:`encode_match` cannot write from its fields.

    ``octets`` is the ``struct ofp_match`` of the switch; empty where the match breaks the format.
    """

    octets: bytes

    @property
    def can_be_named(self) -> bool:
        """True where a message can identify the rule by this match."""
        return bool(self.octets)

    def __new__(cls, fields: Iterable[FieldValue], octets: bytes = b"") -> ReportedMatch:
        """Return a match with these fields and octets."""
        match = super().__new__(cls, fields)
        match.octets = octets
        return match


def unreadable_match(data: bytes) -> ReportedMatch:
    """Return the stand-in for a match that breaks the format; another ``data`` gives another match."""
    return ReportedMatch([FieldValue(UNREADABLE, int.from_bytes(b"\1" + data, "big"))])


def encode_match(match: Match) -> bytes:
    """Return ``struct ofp_match``, padded to eight bytes; for a :class:`ReportedMatch`, its ``octets``.

    Raises ValueError for a match that no switch would accept: an unknown field, fields out of order or twice,
    a value wider than its field, a mask where none is permitted, bits of the value outside the mask.
    """
    if isinstance(match, ReportedMatch) and match.can_be_named:
        return match.octets
    parts = [b""]
    last = -1
    length = _MATCH.size
    for field in match:
        number, encoded = _encode_field(field)
        if number <= last:
            raise ValueError(f"{field.name} is out of order in {[each.name for each in match]}")
        last = number
        length += len(encoded)
        parts.append(encoded)
    parts[0] = _MATCH.pack(_MATCH_OXM, length)
    parts.append(bytes(-length % 8))
    return b"".join(parts)


def decode_match(message: bytes, offset: int) -> tuple[Match, int]:
    """Return the match at byte ``offset`` of a message, and the offset behind its padding.

    Fields come in OXM order. A mask of all ones becomes None, and a field with a mask of zeros is left out.
    No value has bits outside its mask. The result is a :class:`ReportedMatch` where :func:`encode_match`
    could not write it. Raises ValueError for a match that is cut short or of another type.
    """
    if len(message) < offset + _MATCH.size:
        raise ValueError(f"match cut short at byte {offset}")
    kind, length = _MATCH.unpack_from(message, offset)
    if kind != _MATCH_OXM:
        raise ValueError(f"match of type {kind} at byte {offset}")
    end = offset + length
    if length < _MATCH.size or end > len(message):
        raise ValueError(f"match of {length} bytes at byte {offset} of {len(message)}")
    fields = []
    position = offset + _MATCH.size
    last, is_plain = -1, True
    while position < end:
        start, position = position, position + _HEADER_SIZE
        if position <= end:
            position += message[position - 1]
        if position > end:
            raise ValueError(f"match field cut short at byte {start}")
        read = order, _, can_be_written = _decode_field(message[start:position])
        is_plain = is_plain and can_be_written and order > last
        last = order
        fields.append(read)
    behind = end + (-length % 8)
    if is_plain:
        return tuple([field for _, field, _ in fields if field is not None]), behind
    fields.sort(key=_NUMBER)
    match = tuple([field for _, field, _ in fields if field is not None])
    orders = {order for order, _, _ in fields}
    if len(orders) == len(fields) and all(can_be_written for _, _, can_be_written in fields):
        return match, behind
    return ReportedMatch(match, message[offset:end] + bytes(-length % 8)), behind


def match_size(message: bytes, offset: int) -> int:
    """Return the size in bytes of the match at ``offset``, its padding included."""
    length = int.from_bytes(message[offset + 2 : offset + 4], "big")
    return length + (-length % 8)


def decode_field(data: bytes) -> FieldValue | None:
    """Return the field that begins ``data``, as in SET_FIELD; None if cut short or with a mask of zeros."""
    if len(data) < _HEADER_SIZE or len(data) < _HEADER_SIZE + data[3]:
        return None
    _, field, _ = _decode_field(data[: _HEADER_SIZE + data[3]])
    return field


@lru_cache(REMEMBERED_FIELDS)
def _encode_field(field: FieldValue) -> tuple[int, bytes]:
    """Return the number of a field and its bytes."""
    name, value, mask = field
    oxm = _BY_NAME.get(name)
    if oxm is None:
        raise ValueError(f"no OpenFlow match field is called {name!r}")
    if not 0 <= value <= oxm.full_mask:
        raise ValueError(f"{name}={value:#x} does not fit {oxm.full_mask.bit_length()} bits")
    encoded = value.to_bytes(oxm.length, "big")
    if mask is None or mask == oxm.full_mask:
        return oxm.number, _HEADER.pack(BASIC, oxm.number << 1, oxm.length) + encoded
    if not oxm.maskable:
        raise ValueError(f"{name} takes no mask in OpenFlow")
    if not 0 < mask <= oxm.full_mask:
        raise ValueError(f"{name} has the mask {mask:#x}; it must be 1 to {oxm.full_mask:#x}")
    if value & ~mask:
        raise ValueError(f"{name}={value:#x} has bits outside its mask {mask:#x}")
    header = _HEADER.pack(BASIC, oxm.number << 1 | 1, 2 * oxm.length)
    return oxm.number, header + encoded + mask.to_bytes(oxm.length, "big")


@lru_cache(REMEMBERED_FIELDS)
def _decode_field(data: bytes) -> tuple[int, FieldValue | None, bool]:
    """Return the order of a field (class and number), the field, and whether it can be encoded.

    The field is None for a mask of zeros.
    """
    header = int.from_bytes(data[:_HEADER_SIZE], "big")
    payload = data[_HEADER_SIZE:]
    order = header >> 9
    name, full_mask, maskable = _BY_HEADER.get(header, ("", -1, False))
    if not name:
        name, payload = _name_unknown(header, payload)
    if not header & _HAS_MASK:
        value = int.from_bytes(payload, "big")
        return order, FieldValue(name, value), value <= full_mask
    middle = len(payload) // 2
    mask = int.from_bytes(payload[middle:], "big")
    value = int.from_bytes(payload[:middle], "big") & mask
    known, full_mask = full_mask, full_mask if full_mask >= 0 else (1 << 8 * (len(payload) - middle)) - 1
    if mask & full_mask == full_mask:
        return order, FieldValue(name, value), value <= known
    return order, FieldValue(name, value, mask) if mask else None, not mask or (maskable and mask <= known)


def _name_unknown(header: int, payload: bytes) -> tuple[str, bytes]:
    """Return a name made of numbers, and the payload without its experimenter id."""
    oxm_class, number = header >> 16, header >> 9 & 0x7F
    name = f"oxm_{oxm_class:04x}_{number}"
    if oxm_class == EXPERIMENTER and len(payload) >= 4:
        return f"{name}_{payload[:4].hex()}", payload[4:]
    return name, payload
