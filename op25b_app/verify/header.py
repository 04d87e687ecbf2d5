"""Header fields of the proof: their order in the diagrams and their values.

The order is that of the ranks in ``openflow/fields.py``.
"""

from __future__ import annotations

from op25b_app.net.ranges import Ranges, merged
from op25b_app.openflow.fields import HEADER_FIELDS, VLAN_PRESENT, WIDTHS

MAX_INTERVALS = 1 << 12
"""Maximum number of intervals for a mask with holes; above it, the mask is not modelled."""

FIELDS = tuple(field.name for field in sorted(HEADER_FIELDS, key=lambda field: field.rank or 0))
"""Every header field of a packet, in the order of the diagrams."""
LEVELS = {name: level for level, name in enumerate(FIELDS)}
UNTAGGED = 0
"""Value of vlan_vid for a packet without a tag; VLAN id N has the value N + 1."""
_VLANS = 1 + 4096
SIZES = tuple(_VLANS if name == "vlan_vid" else 1 << WIDTHS[name] for name in FIELDS)


class TooManyIntervalsError(ValueError):
    """A mask has so many holes that its intervals are not listed."""


def intervals(name: str, value: int, mask: int | None) -> Ranges:
    """Return the intervals of a field's values that a match accepts.

    Raises TooManyIntervalsError, its text a reason, for a mask with too many holes.
    """
    width = WIDTHS[name]
    full = (1 << width) - 1
    mask = full if mask is None else mask & full
    if value & ~mask:  # more bits than the field has, or than the mask leaves
        return ()
    if name == "vlan_vid":
        return _vlan_intervals(value, mask)
    free = ~mask & full
    tail = (free + 1 & ~free).bit_length() - 1 if free & 1 else 0
    holes = [bit for bit in range(tail, width) if free >> bit & 1]
    if 1 << len(holes) > MAX_INTERVALS:
        raise TooManyIntervalsError(f"the mask {mask:#x} of {name} has {len(holes)} holes")
    firsts = [value]
    for bit in holes:
        firsts += [first | 1 << bit for first in firsts]
    return tuple((first, first | (1 << tail) - 1) for first in sorted(firsts))


def vlan_value(vlan_vid: int) -> int:
    """Return the value in the proof's domain for an OpenFlow ``vlan_vid``."""
    return (vlan_vid & 0xFFF) + 1 if vlan_vid & VLAN_PRESENT else UNTAGGED


def _vlan_intervals(value: int, mask: int) -> Ranges:
    if mask & 0x1FFF == 0x1FFF:
        place = vlan_value(value)
        return ((place, place),) if value & VLAN_PRESENT or not value else ()
    by_vlan_vid = enumerate((0, *range(VLAN_PRESENT, VLAN_PRESENT + _VLANS - 1)))
    return merged([(place, place) for place, vlan_vid in by_vlan_vid if vlan_vid & mask == value & mask])
