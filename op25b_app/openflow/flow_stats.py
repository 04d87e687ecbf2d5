"""Decode match and instructions of a reported rule, so that one bad rule hides no other.

A rule that breaks the format gets a match of one unknown field and opaque instructions, so a proof cannot
pass over it.
"""

from __future__ import annotations

import struct

from op25b_app.openflow.flow_rule import Action, Match, OpaqueInstructions
from op25b_app.openflow.instruction_encoder import decode_action
from op25b_app.openflow.oxm import decode_match, match_size, unreadable_match
from op25b_app.openflow.oxs import Statistics, decode_statistics

_BROKEN_INSTRUCTION = bytes(4)
"""Instruction of length 0: the bytes behind it are no known instruction."""
_NO_STATISTICS = Statistics(0.0, 0, 0)


def match_and_action(data: bytes) -> tuple[Match, Action]:
    """Return the match at the beginning of ``data`` and the action of the instructions behind it."""
    try:
        match, position = decode_match(data, 0)
    except ValueError:
        return unreadable_match(data), OpaqueInstructions(_BROKEN_INSTRUCTION + data)
    return match, decode_action(data[position:])


def match_statistics_and_rest(data: bytes) -> tuple[bytes, Statistics]:
    """Return the input of :func:`match_and_action` from OpenFlow 1.5, and the statistics inside it.

    Where statistics break the format, they are 0 and the whole of ``data`` becomes unreadable.
    """
    position = match_size(data, 0)
    try:
        statistics, end = decode_statistics(data, position)
    except (ValueError, struct.error):
        return b"\0" + data, _NO_STATISTICS
    return data[:position] + data[end:], statistics


def match_only(data: bytes) -> Match:
    """Return the match at the beginning of ``data``, or its stand-in."""
    try:
        return decode_match(data, 0)[0]
    except ValueError:
        return unreadable_match(data)
