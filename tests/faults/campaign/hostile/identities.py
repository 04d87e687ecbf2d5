"""Connections that claim to be somebody else."""

from __future__ import annotations

import asyncio

from tests.faults.campaign.hostile.attack import Attack
from tests.faults.campaign.hostile.registry import hostile

_UNKNOWN_SECONDS = 0.2


@hostile("auxiliary connection of an honest switch", 22)
async def auxiliary_of_honest(attack: Attack) -> None:
    async with attack.connected() as connection:
        await connection.shake_hands(attack.target.cloned, auxiliary=1)
        attack.did("handshakes")
        await connection.until_closed()


@hostile("auxiliary connections of its own", 22)
async def auxiliary_of_its_own(attack: Attack) -> None:
    async with attack.playing(attack.switch()):
        await asyncio.sleep(1.0)
        for number in (1, 2, 3):
            async with attack.connected() as connection:
                await connection.shake_hands(attack.dpid, auxiliary=number)
                attack.did("handshakes")
                await asyncio.sleep(0.5)


@hostile("clone of an honest switch", 22, 38)
async def clone_honest(attack: Attack) -> None:
    async with attack.playing(attack.switch(attack.target.cloned)) as connection:
        attack.did("connections")
        await asyncio.sleep(attack.chance.uniform(2, 6))
        await connection.send(b"")


@hostile("clones of each other", 22)
async def clone_each_other(attack: Attack) -> None:
    async with attack.playing(attack.switch(attack.target.twin)) as connection:
        attack.did("connections")
        await asyncio.sleep(attack.chance.uniform(1, 4))
        await connection.send(b"")


@hostile("another datapath id each time", 22, 30)
async def always_another(attack: Attack) -> None:
    while True:
        async with attack.connected() as connection:
            await connection.shake_hands(attack.chance.getrandbits(63) | 1 << 40)
            attack.did("handshakes")
            await asyncio.sleep(_UNKNOWN_SECONDS)
