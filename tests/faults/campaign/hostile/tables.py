"""Switches whose tables, or whose answers about them, are made to hurt."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterable
from random import Random

from op25b_app.openflow.flow_rule import FieldValue, FlowRule, Goto
from testing.fake_switch import Abilities, FakeSwitch, Kind, Message, Refusal
from testing.fake_switch.conduct import Conduct
from testing.fake_switch.messages import match, oxm
from testing.fake_switch.rules import put
from testing.fake_switch.wire import HEADER, MAX_BYTES, OPENFLOW_13, pack
from tests.faults.campaign.hostile.attack import Attack, block_of
from tests.faults.campaign.hostile.registry import hostile

TABLE_BYTES = 240_000_000
_FLOW, _MORE = 1, 1
_OURS = 0x25B0 << 48
_IPV4, _TCP = oxm(5, 2, 0x0800), oxm(10, 1, 6)
_UNKNOWN_FIELDS = (
    oxm(42, 2, 2),  # tcp_flags of OpenFlow 1.5
    oxm(26, 1, 1, 3, oxm_class=1),  # NXM_NX_IP_FRAG
    oxm(29, 1, 64, oxm_class=1),  # NXM_NX_IP_TTL
    oxm(105, 4, 1, 1, oxm_class=1),  # NXM_NX_CT_STATE
    oxm(0, 4, 1, oxm_class=1),  # NXM_NX_REG0
    oxm(33, 4, 1, oxm_class=1),  # NXM_NX_PKT_MARK
)
_BITS = 13
_UNDO_SECONDS = 0.01
_VISIT_SECONDS = 20.0
_REFUSED = Refusal(5, 4)


def is_statistics(message: bytes) -> bool:
    """Whether a message is a part of the entries of a switch."""
    return message[1] == Kind.MULTIPART_REPLY and int.from_bytes(message[8:10], "big") == _FLOW


def is_last(message: bytes) -> bool:
    return not message[11] & _MORE


def entry(fields: bytes, *, cookie: int, table: int = 2, priority: int = 500) -> bytes:
    """``struct ofp_flow_stats`` of a rule that drops."""
    head = struct.pack("!HBxIIHHHHxxxxQQQ", 48 + len(fields), table, 1, 0, priority, 0, 0, 0, cookie, 0, 0)
    return head + fields


def part(xid: int, body: bytes, *, more: bool) -> bytes:
    """A part of the answer to a question for entries."""
    head = HEADER.pack(OPENFLOW_13, Kind.MULTIPART_REPLY, 16 + len(body), xid)
    return head + struct.pack("!HHxxxx", _FLOW, _MORE if more else 0) + body


def xid_of(message: bytes) -> int:
    return int.from_bytes(message[4:8], "big")


def huge_table(xid: int, size: int) -> Iterable[bytes]:
    """Parts of the entries of a switch, all different, ``size`` bytes together."""
    one = entry(match(_IPV4, _TCP, oxm(11, 4, 0)), cookie=7)
    place = one.index(_TCP) + len(_TCP) + 4
    count = (MAX_BYTES - 16) // len(one)
    body = bytearray(one * count)
    length = len(one)
    numbers = range(count)
    body[place + 2 :: length] = bytes(number >> 8 for number in numbers)
    body[place + 3 :: length] = bytes(number & 255 for number in numbers)
    for number in range(max(1, size // len(body))):
        body[place::length] = bytes([number >> 8 & 255]) * count
        body[place + 1 :: length] = bytes([number & 255]) * count
        yield part(xid, bytes(body), more=True)
    yield part(xid, b"", more=False)


@hostile("huge table", 34, most=2)
async def send_huge_table(attack: Attack) -> None:
    def bend(message: bytes) -> Iterable[bytes]:
        if not is_statistics(message):
            yield message
        elif is_last(message):
            for piece in huge_table(xid_of(message), TABLE_BYTES):
                attack.did("bytes", len(piece))
                yield piece

    async with attack.playing(attack.switch(), bend):
        await asyncio.sleep(3 * _VISIT_SECONDS)


@hostile("endless table", 34)
async def send_endless_table(attack: Attack) -> None:
    """Its entries come in small parts, slowly, and never end."""
    asked: list[int] = []

    def bend(message: bytes) -> Iterable[bytes]:
        if is_statistics(message):
            asked[:] = [xid_of(message)]
            return ()
        return (message,)

    body = entry(match(_IPV4), cookie=7)
    async with attack.playing(attack.switch(), bend) as connection:
        while True:
            await asyncio.sleep(0.05)
            if asked:
                await connection.send(part(asked[0], body, more=True))
                attack.did("parts")


@hostile("garbage for statistics", 30, 37)
async def send_garbage(attack: Attack) -> None:
    def bend(message: bytes) -> Iterable[bytes]:
        if not is_statistics(message):
            return (message,)
        attack.did("answers")
        return (part(xid_of(message), attack.chance.randbytes(attack.chance.randrange(4000)), more=False),)

    async with attack.playing(attack.switch(), bend):
        await asyncio.sleep(_VISIT_SECONDS)


@hostile("fields that nobody knows, under our cookie", 36)
async def have_unknown_fields(attack: Attack) -> None:
    """And a rule of ours is missing, so that there is something to repair."""
    unknown = b"".join(
        entry(match(_IPV4, _TCP, field), cookie=_OURS | 8 << 40 | number)
        for number, field in enumerate(_UNKNOWN_FIELDS)
    )

    def bend(message: bytes) -> Iterable[bytes]:
        if not is_statistics(message) or not is_last(message):
            return (message,)
        attack.did("answers")
        return (part(xid_of(message), message[16:] + unknown, more=False),)

    switch = attack.switch(capabilities=Abilities(tables=8, part_bytes=20_000))
    async with attack.playing(switch, bend):
        await _undo(attack, switch, 1.0, _VISIT_SECONDS)


@hostile("rules that blow up the proof", 31)
async def blow_up_the_proof(attack: Attack) -> None:
    """Thirteen rules of another application, each of one bit of source and destination."""
    switch = attack.switch()
    rules = [FlowRule(0, 1000 + bit, _one_bit(bit, attack.chance), Goto(1), cookie=7) for bit in range(_BITS)]
    put(switch, *rules)
    async with attack.playing(switch):
        attack.did("tables")
        await asyncio.sleep(_VISIT_SECONDS)


def _one_bit(bit: int, chance: Random) -> tuple[FieldValue, ...]:
    """Match one of the upper bits of source and destination, which are the ones that a proof takes apart."""
    mask = 1 << (31 - bit)
    source, destination = (chance.choice((0, mask)) for _ in range(2))
    ipv4 = FieldValue("eth_type", 0x0800)
    return ipv4, FieldValue("ipv4_src", source, mask), FieldValue("ipv4_dst", destination, mask)


@hostile("undoes our repairs", 33)
async def undo(attack: Attack) -> None:
    switch = attack.switch()
    async with attack.playing(switch):
        await _undo(attack, switch, _UNDO_SECONDS, 3 * _VISIT_SECONDS)


async def _undo(attack: Attack, switch: FakeSwitch, pause: float, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while loop.time() < end:
        await asyncio.sleep(pause)
        if ours := [each for each in switch.entries() if each.flow.cookie >> 48 == 0x25B0]:
            switch.remove(attack.chance.choice(ours))
            attack.did("deletions")


@hostile("stops reading", 30, 34)
async def stop_reading(attack: Attack) -> None:
    """It asks, and reads none of the answers."""
    block = block_of(pack(OPENFLOW_13, Kind.ECHO_REQUEST, 1, bytes(1000)), 50_000)
    async with attack.connected(receive_buffer=2048) as connection:
        await connection.shake_hands(attack.dpid)
        attack.did("handshakes")
        await connection.flood(block, 500_000, lambda: attack.did("blocks"))


async def _misbehave(attack: Attack, conduct: Conduct) -> None:
    switch = attack.switch(capabilities=Abilities(tables=8, bundles=attack.chance.random() < 0.5))
    switch.conduct = conduct
    async with attack.playing(switch):
        for _ in range(10):
            await asyncio.sleep(_VISIT_SECONDS / 10)
            attack.did("flow-mods taken", len(switch.flow_mods))
            attack.did("moments")
            switch.flow_mods.clear()


@hostile("refuses everything", 33, 36)
async def refuse(attack: Attack) -> None:
    await _misbehave(attack, Conduct(refuse=lambda flow: _REFUSED))


@hostile("confirms nothing", 33)
async def confirm_nothing(attack: Attack) -> None:
    def silent(message: Message) -> bool:
        return message.kind in (Kind.BARRIER_REQUEST, Kind.EXPERIMENTER)

    await _misbehave(attack, Conduct(silent_about=silent))


@hostile("swallows what it is sent", 33)
async def swallow(attack: Attack) -> None:
    chance = Random(attack.dpid)
    await _misbehave(attack, Conduct(swallow=lambda flow: chance.random() < 0.3))


@hostile("answers late", 33)
async def answer_late(attack: Attack) -> None:
    await _misbehave(attack, Conduct(delay=lambda message: 3.0))
