"""Parse the text of ``ovs-ofctl dump-flows`` and ``dump-groups`` into stored rules.

Dumps may be made with or without ``-O OpenFlow13`` (ovs-actions(7), ovs-fields(7)).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from op25b_app.openflow.fields import MATCH_FIELDS, REGISTERS, WIDTHS
from op25b_app.openflow.flow_rule import CONTROLLER_PORT, FieldValue, Match
from op25b_app.openflow.stored_rule import (
    ClearActions,
    GotoTable,
    MayDrop,
    MaySend,
    OutputAction,
    PopMpls,
    PopVlan,
    PushMpls,
    PushVlan,
    SetField,
    SetVlanPriority,
    Step,
    StoredRule,
    Unsupported,
    WriteActions,
    WriteMetadata,
    sends,
)

_RESERVED_PORTS = {
    "IN_PORT": 0xFFFFFFF8,
    "NORMAL": 0xFFFFFFFA,
    "FLOOD": 0xFFFFFFFB,
    "ALL": 0xFFFFFFFC,
    "CONTROLLER": CONTROLLER_PORT,
    "LOCAL": 0xFFFFFFFE,
}
_DEFAULT_PRIORITY = 32768
_ANY_PORT = 0
"""Placeholder for an output port that is not reserved; it matters only that the packet leaves."""

_ETH = {"ip": 0x0800, "ipv6": 0x86DD, "arp": 0x0806, "rarp": 0x8035, "mpls": 0x8847, "mplsm": 0x8848}
_KEYWORDS = {
    **{name: (FieldValue("eth_type", number),) for name, number in _ETH.items()},
    **{
        name + suffix: (FieldValue("eth_type", eth_type), FieldValue("ip_proto", protocol))
        for name, protocol in (("tcp", 6), ("udp", 17), ("sctp", 132))
        for suffix, eth_type in (("", 0x0800), ("6", 0x86DD))
    },
    "icmp": (FieldValue("eth_type", 0x0800), FieldValue("ip_proto", 1)),
    "icmp6": (FieldValue("eth_type", 0x86DD), FieldValue("ip_proto", 58)),
}
_NAMES = {
    written: field.name for field in MATCH_FIELDS for written in (field.ofctl, *field.aliases) if written
}
"""OpenFlow names by the names of ``ovs-ofctl``."""
_BY_PROTOCOL = {
    shared: {field.needs.ip_proto: field.name for field in MATCH_FIELDS if field.shared == shared}
    for shared in sorted({field.shared for field in MATCH_FIELDS if field.shared})
}
_FLAGS_OF = {field.name: field.flags for field in MATCH_FIELDS if field.flags}
"""Names of flags by match field, the lowest bit first."""
_STATISTICS = {"cookie", "duration", "table", "n_packets", "n_bytes", "idle_age", "hard_age", "priority"}
_IGNORED = {"idle_timeout", "hard_timeout", "importance"}
_FLAGS = {"send_flow_rem", "reset_counts", "check_overlap", "no_packet_counts", "no_byte_counts"}
_WITHOUT_EFFECT = re.compile(r"(set_queue:\d+|pop_queue|dec_ttl|dec_ttl\([\d,]*\)|note:[0-9a-f.]*)")
_SETTERS = {
    "mod_dl_src": "eth_src",
    "mod_dl_dst": "eth_dst",
    "mod_nw_src": "ipv4_src",
    "mod_nw_dst": "ipv4_dst",
    "mod_tp_src": "tp_src",
    "mod_tp_dst": "tp_dst",
}


class DumpError(ValueError):
    """Error for a line that cannot be parsed; ``str()`` gives the line and the reason."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where}: {reason}")
        self.where = where
        self.reason = reason


GroupSteps = Mapping[int, "tuple[Step, ...]"]
"""Steps of each group, by group id."""


def read_groups(name: str, text: str) -> GroupSteps:
    """Return the steps of each group in ``ovs-ofctl dump-groups`` text, by group id.

    ``name`` is for messages. Raises DumpError for the first line that is no group.
    """
    groups: dict[int, tuple[Step, ...]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or re.match(r"\s*(NXST_GROUP_DESC|OFPST_GROUP_DESC) reply", line):
            continue
        group = re.fullmatch(r"\s*group_id=(\d+),type=(\w+)(?:,(.*))?", line.rstrip())
        if group is None:
            raise DumpError(f"{name}:{number}", "no 'group_id=' and 'type=', the line is no group")
        try:
            buckets = [_bucket(bucket) for bucket in re.split(r"(?:^|,)bucket=", group[3] or "")[1:]]
        except ValueError as problem:
            raise DumpError(f"{name}:{number}", str(problem)) from None
        groups[int(group[1])] = tuple(_of_group(int(group[1]), group[2], buckets))
    return groups


def _bucket(text: str) -> list[Step]:
    """Return the actions of a bucket as steps; the text before them is ignored."""
    _, _, actions = text.partition("actions=")
    return list(_steps(_split(actions), (), "", {}))


_UNKNOWN_IN_A_GROUP = (Unsupported, MaySend, GotoTable, WriteActions)
"""Steps that may send a packet. A bucket of Open vSwitch may also continue in another table."""


def _of_group(number: int, kind: str, buckets: list[list[Step]]) -> Iterator[Step]:
    """Yield the steps that stand for a group (OpenFlow 1.3.5, section 5.6).

    After the group, the packet goes on unchanged.
    """
    sending = [any(map(sends, bucket)) for bucket in buckets]
    unknown = [step for bucket in buckets for step in bucket if isinstance(step, _UNKNOWN_IN_A_GROUP)]
    if any(isinstance(step, SetField) for bucket in buckets for step in bucket):
        yield Unsupported(f"group {number} changes packets")
        return
    if kind == "ff":
        if any(sending) or unknown:
            yield MaySend(f"which bucket of group {number} is alive is not known")
    elif any(sending) and (kind in ("all", "indirect") or all(sending)):
        yield OutputAction(_ANY_PORT)
    elif any(sending) or unknown:
        yield MaySend(f"group {number} sends some packets and not others")


def read_dump(name: str, text: str, groups: GroupSteps | None = None) -> list[StoredRule]:
    """Return the rules of ``ovs-ofctl dump-flows`` text, in its order.

    ``name`` is for messages. A group missing in ``groups`` may send packets. Raises DumpError for the first
    line that is no rule.
    """
    rules = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or re.match(r"\s*(NXST_FLOW|OFPST_FLOW) reply", line):
            continue
        where = f"{name}:{number}"
        try:
            rules.append(_read_rule(line.strip(), where, groups or {}))
        except ValueError as problem:
            raise DumpError(where, str(problem)) from None
    return rules


def _read_rule(line: str, where: str, groups: GroupSteps) -> StoredRule:
    before, actions_word, actions = line.partition(" actions=")
    if not actions_word:
        before, actions_word, actions = line.partition("actions=")
    if not actions_word or not actions:
        raise ValueError("no 'actions=', the line is cut short or is no flow rule")
    values: dict[str, str] = {}
    written: list[tuple[str, str | None]] = []
    for token in _split(before):
        key, equals, value = token.partition("=")
        if key in _FLAGS:
            continue
        if key in _STATISTICS or key in _IGNORED:
            values[key] = value
        else:
            written.append((key, value if equals else None))
    match = _match(written)
    text = f"table={values.get('table', '0')}, priority={values.get('priority', _DEFAULT_PRIORITY)}"
    shown = ",".join(key if value is None else f"{key}={value}" for key, value in written)
    return StoredRule(
        table=_number(values.get("table", "0")),
        priority=_number(values.get("priority", str(_DEFAULT_PRIORITY))),
        match=match,
        steps=tuple(_steps(_split(actions), match, where, groups)),
        cookie=_number(values.get("cookie", "0")),
        where=where,
        text=f"{text}{',' + shown if shown else ''} actions={actions}",
    )


def _split(text: str) -> list[str]:
    """Split at commas and blanks outside parentheses and quotes; raise ValueError if unbalanced."""
    tokens, depth, quoted, token = [], 0, False, ""
    for character in text:
        quoted ^= character == '"'
        depth += (character == "(") - (character == ")")
        if character in ", " and depth == 0 and not quoted:
            tokens.append(token)
            token = ""
        else:
            token += character
    if depth or quoted:
        raise ValueError(f"'{text}' ends within parentheses or quotes")
    return [token for token in (*tokens, token) if token]


def _match(written: Iterable[tuple[str, str | None]]) -> Match:
    fields: dict[str, FieldValue] = {}
    for key, value in written:
        for field in _fields(key, value, fields):
            fields[field.name] = field
    return tuple(fields.values())


def _fields(key: str, text: str | None, known: dict[str, FieldValue]) -> Iterator[FieldValue]:
    if text is None:
        if key not in _KEYWORDS:
            raise ValueError(f"'{key}' is not a match that is known")
        yield from _KEYWORDS[key]
    elif key in ("vlan_tci", "dl_vlan"):
        yield from _vlan_fields(key, text)
    elif key in ("dl_vlan_pcp", "vlan_pcp"):
        if "vlan_vid" not in known:  # only a tag has a priority
            yield FieldValue("vlan_vid", 0x1000, 0x1000)
        yield _field("vlan_pcp", text)
    elif key == "in_port":
        yield FieldValue("in_port", _RESERVED_PORTS[text] if text in _RESERVED_PORTS else _port(text))
    elif key in _FLAGS_OF:
        yield _flags_field(key, text)
    elif key == "nw_tos":
        yield FieldValue("ip_dscp", _number(text) >> 2)
    elif key == "arp_op" or (
        key == "nw_proto" and known.get("eth_type") == FieldValue("eth_type", _ETH["arp"])
    ):
        yield FieldValue("arp_op", _number(text))
    elif key in _BY_PROTOCOL:
        protocol = known.get("ip_proto", FieldValue("", -1)).value
        if protocol not in _BY_PROTOCOL[key]:
            raise ValueError(f"'{key}' without a protocol that has it")
        yield _field(_BY_PROTOCOL[key][protocol], text)
    else:
        name = _NAMES.get(key, key)
        known_name = name in WIDTHS or name in REGISTERS
        yield _field(name, text) if known_name else FieldValue(name, 0)


def _flags_field(name: str, text: str) -> FieldValue:
    """Parse flags such as ``+syn-ack``, or a number with or without a mask."""
    if not re.fullmatch(r"([+-][a-z]+)+", text):
        return _field(name, text)
    value = mask = 0
    for sign, flag in re.findall(r"([+-])([a-z]+)", text):
        if flag not in _FLAGS_OF[name]:
            raise ValueError(f"'{flag}' is not a flag of {name}")
        bit = 1 << _FLAGS_OF[name].index(flag)
        mask |= bit
        value |= bit if sign == "+" else 0
    return FieldValue(name, value, mask)


def _vlan_fields(key: str, text: str) -> Iterator[FieldValue]:
    """Yield the fields of ``dl_vlan``, or of ``vlan_tci``: priority (3 bits), presence (1), number (12)."""
    value_text, _, mask_text = text.partition("/")
    value = _number(value_text)
    if key == "dl_vlan":
        yield FieldValue("vlan_vid", 0 if value == 0xFFFF else 0x1000 | value)
        return
    mask = _number(mask_text) if mask_text else 0xFFFF
    if mask & 0x1FFF:
        number_mask = None if mask & 0x1FFF == 0x1FFF else mask & 0x1FFF
        yield FieldValue("vlan_vid", value & mask & 0x1FFF, number_mask)
    if mask & 0xE000 and value & 0x1000:
        priority_mask = None if mask & 0xE000 == 0xE000 else mask >> 13
        yield FieldValue("vlan_pcp", (value & mask) >> 13, priority_mask)


def _field(name: str, text: str) -> FieldValue:
    value_text, slash, mask_text = text.partition("/")
    value, width = _value(value_text)
    if not slash:
        return FieldValue(name, value)
    if width is not None and mask_text.isdecimal():
        if int(mask_text) > width:
            raise ValueError(f"'{text}' is no prefix; an address has {width} bits")
        mask = ((1 << int(mask_text)) - 1) << (width - int(mask_text))
    else:
        mask, _ = _value(mask_text)
    return FieldValue(name, value & mask, mask)


def _value(text: str) -> tuple[int, int | None]:
    """Return a number or an address as an integer; for an IP address also its width in bits."""
    if re.fullmatch(r"[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}", text):
        octets = bytes(int(octet, 16) for octet in text.split(":"))
        return int.from_bytes(octets, "big"), None
    if "." in text or ":" in text:
        address = ipaddress.ip_address(text)
        return int(address), address.max_prefixlen
    return _number(text), None


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise ValueError(f"'{text}' is not a number") from None


def _port(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"the port {text} has a name here; dump with `ovs-ofctl --no-names`")
    return int(text)


def _steps(tokens: list[str], match: Match, where: str, groups: GroupSteps) -> Iterator[Step]:
    for place, token in enumerate(tokens):
        name, _, argument = token.partition(":")
        if token == "drop" or _WITHOUT_EFFECT.fullmatch(token):
            continue
        if name == "group" and argument.isdecimal():
            unknown = MaySend(f"what group {argument} does is not known here")
            yield from groups.get(int(argument), (unknown,))
        elif later := re.fullmatch(r"write_actions\((.*)\)", token):
            if "write_actions" in later[1]:
                raise ValueError("'write_actions' stands within 'write_actions'; a switch has one action set")
            yield WriteActions(tuple(_steps(_split(later[1]), match, where, groups)))
        elif tracking := re.fullmatch(r"ct(?:\((.*)\))?", token):
            yield from _tracking(token, tracking[1] or "", is_last=place == len(tokens) - 1)
        elif name in ("pop_mpls", "push_mpls"):
            change = PopMpls if name == "pop_mpls" else PushMpls
            yield change(_number(argument), where, token)
        else:
            yield _step(token, match, is_last=place == len(tokens) - 1)


def _tracking(token: str, argument: str, is_last: bool) -> Iterator[Step]:
    """Yield the steps of a ``ct`` action.

    Without a table, the packet goes on unchanged. With one, it goes on there, tracked. NAT is unmodelled.
    """
    arguments = dict(part.partition("=")[::2] for part in _split(argument))
    if any(name.startswith("nat") for name in arguments):
        yield Unsupported(token)
    elif "table" in arguments:
        yield GotoTable(_number(arguments["table"]), tracked=True) if is_last else Unsupported(token)


def _step(token: str, match: Match, is_last: bool) -> Step:
    name, _, argument = token.partition(":")
    if token in _RESERVED_PORTS or token.isdecimal() or token.startswith('"'):
        return OutputAction(_RESERVED_PORTS.get(token, _ANY_PORT))
    if name in _READERS:
        return _READERS[name](argument)
    if token.startswith(("controller(", "CONTROLLER:")):
        return OutputAction(CONTROLLER_PORT)
    if name in _SETTERS:
        field = next(_fields(_SETTERS[name], argument, {each.name: each for each in match}))
        return SetField(field.name, field.value)
    if resubmit := re.fullmatch(r"resubmit\(,(\d+)\)", token):
        return GotoTable(int(resubmit[1])) if is_last else Unsupported(token)
    return Unsupported(token)


def _output(argument: str) -> Step:
    if argument.isdecimal() or argument.startswith('"') or argument in _RESERVED_PORTS:
        return OutputAction(_RESERVED_PORTS.get(argument, _ANY_PORT))
    return Unsupported(f"output:{argument}")


def _set_field(argument: str) -> Step:
    text, arrow, name = argument.partition("->")
    if not arrow:
        raise ValueError(f"'set_field:{argument}' sets no field")
    field = _field(_NAMES.get(name, name), text)
    return SetField(*field)


def _set_tag(argument: str) -> Step:
    """Set the number of the VLAN tag; a packet without a tag gets one."""
    return SetField("vlan_vid", 0x1000 | _number(argument))


def _write_metadata(argument: str) -> Step:
    field = _field("metadata", argument)
    return WriteMetadata(field.value, (1 << 64) - 1 if field.mask is None else field.mask)


_READERS: dict[str, Callable[[str], Step]] = {
    "goto_table": lambda argument: GotoTable(_number(argument)),
    "output": _output,
    "enqueue": lambda argument: OutputAction(_ANY_PORT),
    "set_field": _set_field,
    "push_vlan": lambda argument: PushVlan(_number(argument)),
    "pop_vlan": lambda argument: PopVlan(),
    "strip_vlan": lambda argument: PopVlan(),
    "mod_vlan_vid": _set_tag,
    "set_vlan_vid": _set_tag,
    "mod_vlan_pcp": lambda argument: SetVlanPriority(_number(argument)),
    "set_vlan_pcp": lambda argument: SetVlanPriority(_number(argument)),
    "write_metadata": _write_metadata,
    "clear_actions": lambda argument: ClearActions(),
    "meter": lambda argument: MayDrop(),
}
