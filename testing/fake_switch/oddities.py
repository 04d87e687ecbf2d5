"""What switches do otherwise: messages that they refuse or take, and rules told as they were not sent."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Iterator

from testing.fake_switch.flow_mod import FlowMod
from testing.fake_switch.messages import (
    action,
    actions,
    bundle_add,
    bundle_control,
    flow_mod,
    flow_statistics,
    goto,
    match,
    multipart,
    output,
    oxm,
    set_field,
    write_metadata,
)
from testing.fake_switch.wire import ONF, Kind, pack

Odd = Callable[[FlowMod], FlowMod]
"""What a switch makes of a rule, or tells of it."""

IPV4, IPV6, ARP = (oxm(5, 2, eth_type) for eth_type in (0x0800, 0x86DD, 0x0806))
TCP, ICMPV6 = oxm(10, 1, 6), oxm(10, 1, 58)
SOLICITATION = (IPV6, ICMPV6, oxm(29, 1, 135))
TAGGED = oxm(6, 2, 0x1000, 0x1000)

MATCHES = {
    "everything": match(),
    "prefix": match(IPV4, oxm(11, 4, 10 << 24, 0xFF000000)),
    "host bits": match(IPV4, oxm(11, 4, 10 << 24 | 1, 0xFF000000)),
    "no prerequisite": match(oxm(11, 4, 10 << 24)),
    "late prerequisite": match(oxm(11, 4, 10 << 24), IPV4),
    "ports": match(IPV4, TCP, oxm(13, 2, 25), oxm(14, 2, 25)),
    "port without protocol": match(IPV4, oxm(14, 2, 25)),
    "port range": match(IPV4, TCP, oxm(14, 2, 16, 0xFFF0)),
    "field twice": match(IPV4, IPV4),
    "field too long": match(oxm(5, 4, 0x0800)),
    "unknown field": match(oxm(60, 4, 0)),
    "unknown class": match(oxm(3, 4, 0, oxm_class=0x1234)),
    "masked port": match(oxm(0, 4, 0, 0xFF)),
    "port, mask of ones": match(oxm(0, 4, 1, 0xFFFFFFFF)),
    "ethertype, mask of ones": match(oxm(5, 2, 0x0800, 0xFFFF), oxm(11, 4, 1)),
    "ethertype, mask of zeros": match(oxm(5, 2, 0, 0)),
    "masked ethertype": match(oxm(5, 2, 0x0800, 0xFF00)),
    "tag": match(oxm(6, 2, 0x1064)),
    "tag, any number": match(TAGGED),
    "no tag, masked": match(oxm(6, 2, 0, 0x1000)),
    "tag too large": match(oxm(6, 2, 0x3000)),
    "tag priority": match(TAGGED, oxm(7, 1, 3)),
    "tag priority, no tag": match(oxm(7, 1, 3)),
    "tag priority, untagged": match(oxm(6, 2, 0), oxm(7, 1, 3)),
    "DSCP too large": match(IPV4, oxm(8, 1, 0x40)),
    "ICMPv6 in IPv4": match(IPV4, ICMPV6, oxm(29, 1, 135)),
    "neighbour, masked": match(*SOLICITATION, oxm(31, 16, 5, 0xFF)),
    "neighbour, another code": match(*SOLICITATION, oxm(30, 1, 1), oxm(31, 16, 5)),
    "neighbour's address, wrong type": match(IPV6, ICMPV6, oxm(29, 1, 136), oxm(32, 6, 5)),
    "flow label too large": match(IPV6, oxm(28, 4, 1 << 21)),
    "ARP": match(ARP, oxm(21, 2, 1), oxm(22, 4, 10 << 24, 0xFF000000), oxm(24, 6, 5)),
    "ARP in IPv4": match(IPV4, oxm(21, 2, 1)),
    "MPLS": match(oxm(5, 2, 0x8847), oxm(34, 4, 5), oxm(35, 1, 1), oxm(36, 1, 1)),
    "metadata": match(oxm(2, 8, 5, 0xFF)),
    "TCP flags": match(IPV4, TCP, oxm(42, 2, 2)),
    "another kind of match": b"\0\2\0\4\0\0\0\0",
    "match of two bytes": b"\0\1\0\2\0\0\0\0",
    "match longer than its message": b"\0\1\1\2\0\0\0\0",
    "field cut short": b"\0\1\0\7\x80\0\4\0",
}
INSTRUCTIONS = {
    "none": b"",
    "output": actions(output(1)),
    "jump": goto(1),
    "jump back": goto(0),
    "jump and output": goto(1) + actions(output(2)),
    "metadata": write_metadata(0x105, 0xFF) + goto(1),
    "jump, then metadata": goto(1) + write_metadata(5, 0xFF),
    "write, clear": struct.pack("!HHI", 5, 8, 0) + actions(output(2), instruction=3),
    "unknown": struct.pack("!HHI", 7, 8, 0),
    "of an experimenter": struct.pack("!HHI", 0xFFFF, 8, 0),
    "four bytes": struct.pack("!HHI", 1, 4, 0),
    "twelve bytes": struct.pack("!HHI", 1, 12, 0),
    "long jump": struct.pack("!HHIQ", 1, 16, 1 << 24, 0),
    "trailing bytes": goto(1) + bytes(4),
    "meter": struct.pack("!HHI", 6, 8, 1),
    "no actions": actions(),
    "to any port": actions(output(0xFFFFFFFF)),
    "to the tables": actions(output(0xFFFFFFF9)),
    "to NORMAL": actions(output(0xFFFFFFFA)),
    "to the controller": actions(output(0xFFFFFFFD)),
    "to a reserved port": actions(output(0xFFFFFF00)),
    "to a port above 16 bits": actions(output(70000)),
    "to a group": actions(action(22, 5)),
    "unknown action": actions(action(99)),
    "output of eight bytes": actions(action(0, 5)),
    "action of four bytes": actions(struct.pack("!HHI", 17, 4, 0)),
    "push a tag": actions(action(17, 0x8100 << 16), output(2)),
    "push another ethertype": actions(action(17, 0x9100 << 16)),
    "pop a tag": actions(action(18)),
    "push and pop": actions(action(17, 0x8100 << 16), action(18)),
    "set an address": actions(set_field(oxm(4, 6, 5))),
    "set an IP address": actions(set_field(oxm(11, 4, 5))),
    "set the input port": actions(set_field(oxm(0, 4, 5))),
    "set an unknown field": actions(set_field(oxm(60, 4, 5))),
    "set metadata": actions(set_field(oxm(2, 8, 5))),
    "action of an experimenter": actions(action(0xFFFF, 5)),
}
FLOW_MODS = {
    "table 253": {"table": 253},
    "add to all tables": {"table": 255},
    "modify all tables": {"table": 255, "command": 1},
    "delete from all tables": {"table": 255, "command": 3},
    "no such command": {"command": 5},
    "no such command or table": {"command": 9, "table": 255},
    "unknown flags": {"flags": 32},
    "all flags": {"flags": 31},
    "cookie mask": {"cookie": 9, "cookie_mask": 5},
    "time-outs": {"timeouts": (5, 9)},
    "output port of an addition": {"out_port": 77},
}


def _drop_told_as(instructions: bytes) -> Odd:
    return lambda flow: flow if flow.instructions else flow._replace(instructions=instructions)


def _with_cookie(change: Callable[[int], int]) -> Odd:
    return lambda flow: flow._replace(cookie=change(flow.cookie))


def _applied_told_as_written(flow: FlowMod) -> FlowMod:
    if flow.instructions[:2] != b"\0\4":
        return flow
    return flow._replace(instructions=b"\0\3" + flow.instructions[2:])


def _with_empty_lists(flow: FlowMod) -> FlowMod:
    return flow._replace(instructions=actions() + flow.instructions + actions(instruction=3))


CLEAR = struct.pack("!HHI", 5, 8, 0)
SAME_MEANING: dict[str, Odd] = {
    "a drop told as clearing the actions": _drop_told_as(CLEAR),
    "a drop told as applying no action": _drop_told_as(actions()),
    "a drop told as writing no action": _drop_told_as(actions(instruction=3)),
    "no actions beside whatever there is": _with_empty_lists,
    "applied told as written": _applied_told_as_written,
    "clearing before it applies": lambda flow: (
        flow._replace(instructions=CLEAR + flow.instructions) if flow.program.apply else flow
    ),
    "more flags": lambda flow: flow._replace(flags=flow.flags | 31),
    "flags of an addition": lambda flow: flow._replace(flags=flow.flags | 6),
    "cookies lost": _with_cookie(lambda cookie: 0),
    "cookies of 32 bits": _with_cookie(lambda cookie: cookie & 0xFFFFFFFF),
    "cookies of 48 bits": _with_cookie(lambda cookie: cookie & (1 << 48) - 1),
    "cookies lost, drops cleared": lambda flow: _drop_told_as(CLEAR)(flow._replace(cookie=0)),
}
"""What switches make of a rule that still does what it did."""
OTHER_MEANING: dict[str, Odd] = {
    "what forwards told as a drop": lambda flow: flow._replace(instructions=b""),
    "drops told as forwarding": _drop_told_as(actions(output(0xFFFFFFFA))),
    "an idle time-out": lambda flow: flow._replace(idle_timeout=60),
}
"""What looks as if the rule did something else."""


def odd_messages(version: int) -> Iterator[tuple[str, bytes]]:
    """What a switch has to refuse, or to take although it looks odd."""
    xid = itertools.count(10)
    for name, body in MATCHES.items():
        yield f"match: {name}", flow_mod(version, next(xid), body)
    for name, body in INSTRUCTIONS.items():
        yield f"instructions: {name}", flow_mod(version, next(xid), instructions=body)
    for name, fields in FLOW_MODS.items():
        yield f"flow-mod: {name}", flow_mod(version, next(xid), **fields)  # type: ignore[arg-type]
    for name, kind, body in (
        ("echo", Kind.ECHO_REQUEST, b"abc"),
        ("second hello", Kind.HELLO, b""),
        ("short flow-mod", Kind.FLOW_MOD, b"abc"),
        ("short role request", Kind.ROLE_REQUEST, b""),
        ("features request with a body", Kind.FEATURES_REQUEST, b"ab"),
        ("unknown type", 77, b""),
        ("unknown experimenter", Kind.EXPERIMENTER, struct.pack("!II", 0x1234, 1)),
        ("short experimenter", Kind.EXPERIMENTER, b"1234"),
        ("configuration", Kind.GET_CONFIG_REQUEST, b""),
        ("short multipart", Kind.MULTIPART_REQUEST, b"\0"),
    ):
        yield name, pack(version, kind, next(xid), body)
    yield "unknown multipart", multipart(version, next(xid), 99)
    yield "short flow request", multipart(version, next(xid), 1, bytes(8))
    yield "multipart of an experimenter", multipart(version, next(xid), 0xFFFF, struct.pack("!II", 0x1234, 0))
    yield "multipart of the ONF", multipart(version, next(xid), 0xFFFF, struct.pack("!II", ONF, 99))
    yield "another version", pack(9 - version, Kind.BARRIER_REQUEST, next(xid))


def bundle_messages(version: int) -> Iterator[tuple[str, bytes]]:
    """Bundles as they should be and as they should not; the same connection throughout."""
    rule = match(IPV4)

    def control(xid: int, bundle: int, what: int, flags: int = 3) -> bytes:
        return bundle_control(version, xid, bundle, what, flags)

    yield "open", control(1, 7, 0)
    yield "open again", control(2, 7, 0)
    yield "commit after that", control(3, 7, 4)
    yield "add without open", bundle_add(8, flow_mod(version, 4))
    yield "add what is refused at once", bundle_add(8, flow_mod(version, 5, match(oxm(11, 4, 1))))
    yield "close", control(6, 8, 2)
    yield "add after close", bundle_add(8, flow_mod(version, 7, priority=5))
    yield "commit what is gone", control(8, 8, 4)
    yield "discard what never was", control(9, 99, 6)
    yield "close what never was", control(10, 99, 2)
    yield "reply as a request", control(11, 9, 1)
    yield "other flags", control(12, 9, 0) + bundle_add(9, flow_mod(version, 13), flags=1)
    yield (
        "message of another xid",
        bundle_add(10, flow_mod(version, 14)[:4] + bytes(4) + flow_mod(version, 14)[8:]),
    )
    yield "barrier in a bundle", bundle_add(10, pack(version, Kind.BARRIER_REQUEST, 15))
    yield "message cut short", bundle_add(10, flow_mod(version, 16)[:20])
    yield "what stands in the way", flow_mod(version, 17, rule, priority=7)
    yield "first", bundle_add(11, flow_mod(version, 18, priority=8))
    yield "fails at the commit", bundle_add(11, flow_mod(version, 19, priority=7, flags=2))
    yield "last", bundle_add(11, flow_mod(version, 20, priority=9))
    yield "commit that fails", control(21, 11, 2) + control(22, 11, 4)
    yield "as it was", flow_statistics(version, 23)
    yield "good", b"".join(bundle_add(12, flow_mod(version, 24 + n, priority=20 + n)) for n in range(3))
    yield "commit", control(30, 12, 2) + control(31, 12, 4)
    yield "all there", flow_statistics(version, 32)
    yield (
        "too much",
        b"".join(bundle_add(13, flow_mod(version, 33 + n, table=1, priority=n)) for n in range(4)),
    )
    yield "commit of too much", control(40, 13, 2) + control(41, 13, 4)
    yield "nothing of it there", flow_statistics(version, 42)
