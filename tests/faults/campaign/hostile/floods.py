"""Switches that send more than anybody asked for."""

from __future__ import annotations

import asyncio
import struct

from testing.fake_switch import Kind
from testing.fake_switch.monitor import EXPERIMENTER_MONITOR
from testing.fake_switch.wire import MAX_BYTES, ONF, OPENFLOW_13, pack
from tests.faults.campaign.hostile.attack import Attack, block_of
from tests.faults.campaign.hostile.handshakes import FLOOD_BYTES, meter_configs
from tests.faults.campaign.hostile.registry import hostile

_MESSAGES = 1000
"""In a second, of those that are small."""
_BLOCK = 50
_PORT_BYTES = 64
_MATCH = struct.pack("!HHxxxx", 1, 4)
_FLOW_REMOVED = struct.pack("!QHBBIIHHQQ", 0x25B0 << 48, 10, 2, 2, 1, 0, 0, 0, 0, 0) + _MATCH
_PACKET_IN = struct.pack("!IHBBQ", 0xFFFFFFFF, 64, 0, 0, 0) + _MATCH + bytes(2) + bytes(64)
_UPDATE_REMOVED = struct.pack("!HHHHHHHBxQ", 32, 1, 2, 10, 0, 0, 4, 2, 0x25B0 << 48) + _MATCH


async def _flood(attack: Attack, message: bytes) -> None:
    """A switch that is as it should be, and beside that sends a message a thousand times a second."""
    async with attack.playing(attack.switch()) as connection:
        await asyncio.sleep(1.0)
        block = message * _BLOCK
        await connection.flood(block, len(message) * _MESSAGES, lambda: attack.did("messages", _BLOCK))


@hostile("multipart flood of a switch", 30)
async def flood_multipart(attack: Attack) -> None:
    async with attack.playing(attack.switch()) as connection:
        await asyncio.sleep(1.0)
        await connection.flood(meter_configs(), FLOOD_BYTES, lambda: attack.did("replies"))


@hostile("multipart replies of every kind", 30)
async def flood_multipart_of_every_kind(attack: Attack) -> None:
    """Kinds 0 to 17 and the experimenter's, full of zeros."""
    kinds = [*range(18), 0xFFFF]
    async with attack.playing(attack.switch()) as connection:
        while True:
            kind = attack.chance.choice(kinds)
            body = struct.pack("!HHxxxx", kind, attack.chance.randrange(2)) + bytes(4096)
            await connection.send(pack(OPENFLOW_13, Kind.MULTIPART_REPLY, 1, body))
            attack.did("replies")
            await asyncio.sleep(0.02)


@hostile("error flood", 30, 39)
async def flood_errors(attack: Attack) -> None:
    await _flood(attack, pack(OPENFLOW_13, Kind.ERROR, 1, struct.pack("!HH", 5, 1) + bytes(64)))


@hostile("port status flood", 30, 39)
async def flood_port_status(attack: Attack) -> None:
    """One port goes up and down all the time."""
    hardware, name = bytes([2, 0, 0, 0, 0, 9]), b"port-9"
    port = struct.pack("!I4x6s2x16sIIIIIIII", 9, hardware, name, 0, 4, 0, 0, 0, 0, 0, 0)
    assert len(port) == _PORT_BYTES
    there, gone = (pack(OPENFLOW_13, Kind.PORT_STATUS, 0, bytes([why]) + bytes(7) + port) for why in (0, 1))
    await _flood(attack, there + gone)


@hostile("packet-in flood", 30)
async def flood_packet_in(attack: Attack) -> None:
    await _flood(attack, pack(OPENFLOW_13, Kind.PACKET_IN, 0, _PACKET_IN))


@hostile("flow-removed flood", 33, 39)
async def flood_flow_removed(attack: Attack) -> None:
    """Reports of rules of ours that are gone, which they are not."""
    await _flood(attack, pack(OPENFLOW_13, Kind.FLOW_REMOVED, 0, _FLOW_REMOVED))


@hostile("flow monitor flood", 33, 39)
async def flood_updates(attack: Attack) -> None:
    body = struct.pack("!HHxxxx", 0xFFFF, 0) + struct.pack("!II", ONF, EXPERIMENTER_MONITOR)
    await _flood(attack, pack(OPENFLOW_13, Kind.MULTIPART_REPLY, 0, body + _UPDATE_REMOVED))


@hostile("echo flood", 30)
async def flood_echo(attack: Attack) -> None:
    await _flood(attack, pack(OPENFLOW_13, Kind.ECHO_REQUEST, 1, bytes(100)))


@hostile("the longest messages", 30)
async def flood_longest(attack: Attack) -> None:
    block = block_of(pack(OPENFLOW_13, Kind.ECHO_REQUEST, 1, bytes(MAX_BYTES - 8)))
    async with attack.playing(attack.switch()) as connection:
        await connection.flood(block, FLOOD_BYTES, lambda: attack.did("messages"))


@hostile("messages of an unknown type", 39)
async def flood_unknown(attack: Attack) -> None:
    await _flood(attack, pack(OPENFLOW_13, 99, 1, bytes(8)))
