"""Those that never become a switch: strangers, half handshakes, and bytes that are no OpenFlow."""

from __future__ import annotations

import asyncio
import ssl
import struct
from contextlib import suppress

from testing.fake_switch import Kind
from testing.fake_switch.wire import MAX_BYTES, OPENFLOW_13, pack
from tests.faults.campaign.hostile.attack import Attack, announced
from tests.faults.campaign.hostile.registry import hostile

_SCAN_SECONDS = 0.1
_TRICKLE_SECONDS = 0.3
_METER_CONFIG, _MORE = 10, 1
FLOOD_BYTES = 5_000_000.0
"""What one connection sends in a second."""


def meter_configs() -> bytes:
    """A multipart reply of 64 KiB that nobody asked for: meter configurations of one band each."""
    config = struct.pack("!HHI", 24, 1, 1) + struct.pack("!HHII4x", 1, 16, 1000, 0)
    body = struct.pack("!HHxxxx", _METER_CONFIG, _MORE) + config * ((MAX_BYTES - 16) // len(config))
    return pack(OPENFLOW_13, Kind.MULTIPART_REPLY, 1, body)


@hostile("says nothing", 30, 35)
async def say_nothing(attack: Attack) -> None:
    async with attack.connected() as connection:
        attack.did("connections")
        await connection.until_closed()


@hostile("half a hello", 30)
async def say_half_a_hello(attack: Attack) -> None:
    async with attack.connected() as connection:
        await connection.send(pack(OPENFLOW_13, Kind.HELLO, 0)[:4])
        attack.did("half hellos")
        await connection.until_closed()


@hostile("a hello and no features", 30)
async def say_no_features(attack: Attack) -> None:
    async with attack.connected() as connection:
        await connection.send(pack(OPENFLOW_13, Kind.HELLO, 0))
        attack.did("hellos")
        await connection.until_closed()


@hostile("echo instead of features", 30)
async def echo_without_features(attack: Attack) -> None:
    """It stays alive without ever being a switch."""
    async with attack.connected() as connection:
        await connection.send(pack(OPENFLOW_13, Kind.HELLO, 0))
        while True:
            await connection.send(pack(OPENFLOW_13, Kind.ECHO_REQUEST, 1))
            attack.did("echoes")
            await asyncio.sleep(0.5)


@hostile("byte by byte", 30)
async def trickle(attack: Attack) -> None:
    """A message of 64 KiB that never gets complete."""
    async with attack.connected() as connection:
        await connection.send(pack(OPENFLOW_13, Kind.HELLO, 0) + announced(Kind.MULTIPART_REPLY))
        while True:
            await connection.send(b"\0")
            attack.did("bytes")
            await asyncio.sleep(_TRICKLE_SECONDS)


@hostile("multipart flood without a hello", 30)
async def flood_without_hello(attack: Attack) -> None:
    block = meter_configs()
    async with attack.connected() as connection:
        await connection.flood(block, FLOOD_BYTES, lambda: attack.did("replies"))


@hostile("port scan", 30, 35, 39)
async def scan(attack: Attack) -> None:
    while True:
        connection = await attack.connect(plain=True)
        attack.did("connections")
        if attack.chance.random() < 0.5:
            connection.reset()
        else:
            connection.close()
        await asyncio.sleep(_SCAN_SECONDS)


@hostile("another protocol", 39)
async def another_protocol(attack: Attack) -> None:
    while True:
        async with attack.connected(plain=True) as connection:
            await connection.send(b"GET / HTTP/1.0\r\n\r\n" * 10)
            attack.did("requests")
            await asyncio.sleep(_SCAN_SECONDS)


@hostile("an old OpenFlow", 39)
async def old_openflow(attack: Attack) -> None:
    while True:
        async with attack.connected() as connection:
            await connection.send(pack(1, Kind.HELLO, 0))
            attack.did("hellos")
            await asyncio.sleep(_SCAN_SECONDS)


@hostile("half a TLS handshake", 35)
async def half_a_tls_handshake(attack: Attack) -> None:
    """A client's hello, and then nothing: without TLS these are bytes of another protocol."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(incoming, outgoing, server_hostname="controller")
    with suppress(ssl.SSLWantReadError):
        session.do_handshake()
    async with attack.connected(plain=True) as connection:
        await connection.send(outgoing.read())
        attack.did("half handshakes")
        await connection.drop_until_closed()
