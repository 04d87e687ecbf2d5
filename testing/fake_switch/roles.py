"""Roles of controllers (OpenFlow 1.3.5, 6.3.4 and 7.3.9; 1.4.1, 7.4.4; ONF extension 191)."""

from __future__ import annotations

import enum
import struct
from typing import TYPE_CHECKING

from testing.fake_switch import refusals
from testing.fake_switch.wire import Cursor, Kind, Message, RefusedError, pack

if TYPE_CHECKING:
    from testing.fake_switch.channel import Channel

_REQUEST = struct.Struct("!IxxxxQ")
_STATUS = struct.Struct("!IBxxxQ")
_NO_GENERATION = 0xFFFFFFFFFFFFFFFF
_ANOTHER_MASTER = 0


class Role(enum.IntEnum):
    NO_CHANGE = 0
    EQUAL = 1
    MASTER = 2
    SLAVE = 3


def grant_role(channel: Channel, message: Message) -> list[bytes]:
    """Answer a role request; a new master makes the old one a slave, which is told."""
    switch = channel.switch
    number, generation = Cursor(message.body, refusals.BAD_LENGTH).take(_REQUEST)
    if number not in Role._value2member_map_:
        raise RefusedError(refusals.BAD_ROLE)
    role = Role(number)
    if role in (Role.MASTER, Role.SLAVE):
        if switch.generation is not None and _is_older(generation, switch.generation):
            raise RefusedError(refusals.STALE_ROLE)
        switch.generation = generation
    if role is Role.MASTER:
        for other in switch.channels:
            if other is not channel and other.role is Role.MASTER:
                other.role = Role.SLAVE
                other.report_role(_STATUS.pack(Role.SLAVE, _ANOTHER_MASTER, generation))
    if role is not Role.NO_CHANGE:
        channel.role = role
    known = _NO_GENERATION if switch.generation is None else switch.generation
    return [pack(channel.version, Kind.ROLE_REPLY, message.xid, _REQUEST.pack(channel.role, known))]


def _is_older(generation: int, known: int) -> bool:
    """Whether a generation lies before the known one, in the circle of 64 bits."""
    return (generation - known) & 1 << 63 != 0
