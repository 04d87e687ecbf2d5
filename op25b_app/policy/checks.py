"""Check a policy as a whole for contradictions and probable mistakes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import islice, zip_longest

from op25b_app.net.nat64 import LENGTHS
from op25b_app.net.port_number import port_name
from op25b_app.net.prefix import WIDTH, Intervals, Prefix, format_address, quoted
from op25b_app.net.prefix_set import Key, LpmTable, end_of, key_of
from op25b_app.policy.address_space import Space
from op25b_app.policy.diagnostic import Diagnostic, error, unknown_switch, warning
from op25b_app.policy.document import Document
from op25b_app.policy.exposure import exposures
from op25b_app.policy.lint import first_alike, lint
from op25b_app.policy.model import (
    FIRST_FOREIGN_TABLE,
    LAST_FOREIGN_TABLE,
    LocatedPrefix,
    MailException,
    Policy,
    PortRole,
    SourceLocation,
    SourceValidation,
    SubscriberPort,
    Switch,
)
from op25b_app.policy.port_names import NamedRoles
from op25b_app.policy.schema import PORT_LISTS, PortName

UNBOUND_SHOWN = 3
"""Number of static prefixes without a line that are named; the rest are counted."""
WIDE_SHOWN = 3
"""Number of mail destinations of more than one host that are named; the rest are counted."""


def check(policy: Policy, document: Document, at: float) -> list[Diagnostic]:
    """Return the contradictions (errors) and doubtful parts (warnings) of a parsed policy.

    ``at`` is in seconds since 1970.
    """
    return [
        *_forwarding(document),
        *_hidden_ip(document),
        *_serves(policy),
        *first_alike([*_vlans(policy)]),
        *_both_dynamic_and_static(policy),
        *_nat64(policy),
        *_wide_mail_destinations(policy),
        *_ports(document),
        *_named_ports(policy),
        *_lines(policy),
        *_datapath_ids(policy),
        *_exceptions(policy, at),
        *_static_without_line(policy),
        *_sources_of_lines(policy),
        *_no_uplink(policy, document),
        *lint(policy, document),
        *(warning(exposure.place, exposure.text) for exposure in exposures(policy, at)),
    ]


def _forwarding(document: Document) -> Iterator[Diagnostic]:
    if not SourceValidation(document.written.hardening.source_validation).of_every_packet:
        return
    for name, switch in document.written.switches.items():
        if switch.forwarding == FIRST_FOREIGN_TABLE:
            mode = document.written.hardening.source_validation
            what = f"table {FIRST_FOREIGN_TABLE} is where 'source_validation: {mode}' looks at sources"
            place = document.place(("switches", name, "forwarding"))
            yield error(place, f"{what}; write one from {FIRST_FOREIGN_TABLE + 1} to {LAST_FOREIGN_TABLE}")


def _hidden_ip(document: Document) -> Iterator[Diagnostic]:
    places = document.item_places(("hardening", "ethertypes"))
    for ethertype, place in zip(document.written.hardening.ethertypes, places, strict=True):
        if ethertype in _CARRIES_IP:
            what = f"{ethertype:#06x} ({_CARRIES_IP[ethertype]}) carries IP that no rule sees"
            yield warning(place, f"{what}, port 25 included; take it out, or see docs/placement.md")


_CARRIES_IP = {
    0x8100: "a second tag",
    0x88A8: "a second tag",
    0x9100: "a tag",
    0x9200: "a tag",
    0x8847: "MPLS",
    0x8848: "MPLS",
    0x8864: "PPPoE",
    0x88E7: "provider backbone bridging",
    0x894F: "NSH",
}


def _serves(policy: Policy) -> Iterator[Diagnostic]:
    if not any(switch.serves for switch in policy.switches.values()):
        return
    own = _addresses((*policy.dynamic, *policy.static))
    for switch in policy.switches.values():
        for prefix, place in switch.serves or ():
            if not own.touch(prefix):
                what = f"{prefix} is in neither dynamic nor static space, so {switch.name} cannot serve it"
                yield error(place, f"{what}; list it there or take it out")


def _both_dynamic_and_static(policy: Policy) -> Iterator[Diagnostic]:
    both = policy.space.in_both
    dynamic = {prefix: place for prefix, place in policy.dynamic if prefix in both} if both else {}
    for prefix, place in policy.static if both else ():
        if prefix in dynamic:
            yield error(place, f"{prefix} is dynamic as well ({dynamic[prefix]}); keep it in one of the two")


def _nat64(policy: Policy) -> Iterator[Diagnostic]:
    for prefix, place in policy.nat64_prefixes:
        if prefix.version != 6 or prefix.length not in LENGTHS:
            lengths = ", ".join(map(str, LENGTHS))
            yield error(
                place, f"{prefix} cannot hold IPv4 addresses; write an IPv6 prefix of length {lengths}"
            )


def _wide_mail_destinations(policy: Policy) -> Iterator[Diagnostic]:
    """Yield one warning for all: a port-25 filter sees the first stop of a source route, not the last."""
    wide = [each for each in policy.mail_destinations if each.prefix.length < WIDTH[each.prefix.version]]
    if not wide:
        return
    names = [str(prefix) for prefix, _ in wide[:WIDE_SHOWN]]
    rest = len(wide) - len(names)
    more = f" and {rest} more" if rest else ""
    what = f"{', '.join(names)}{more} {'holds' if len(wide) == 1 else 'hold'} more than one host"
    how = "one that forwards source-routed packets carries mail on to anywhere"
    yield warning(wide[0].place, f"{what}: {how}; name the mail servers alone, or see docs/bypasses.md")


def _ports(document: Document) -> Iterator[Diagnostic]:
    for name, switch in document.written.switches.items():
        taken: dict[int, str] = {}
        for key in PORT_LISTS:
            places = document.item_places(("switches", name, key))
            for ports, place in zip(getattr(switch, key), places, strict=True):
                if isinstance(ports, PortName):
                    continue
                twice = [port for port in ports if taken.get(port, key) != key]
                if twice:
                    other = taken[twice[0]]
                    yield error(
                        place, f"port {port_name(twice[0])} is already one of {other}; give it one role"
                    )
                taken.update((port, key) for port in ports if port not in taken)


def _named_ports(policy: Policy) -> Iterator[Diagnostic]:
    """Check names of ports as far as that is possible without the switch: no name has two roles."""
    for switch in policy.switches.values():
        roles = NamedRoles(switch.by_name)
        first: dict[str, PortRole] = {}
        for entry in switch.by_name:
            if entry.role is None:
                continue
            other = first.setdefault(entry.pattern, entry.role)
            if other is entry.role and not entry.is_pattern:
                other = min(roles.by_pattern(entry.pattern) - {entry.role}, key=_ROLES.index, default=other)
            if other is not entry.role:
                what = f"{quoted(entry.pattern)} is already one of {other.value}_ports"
                yield error(entry.place, f"{what}; give each port one role")


_ROLES = list(PortRole)


def _lines(policy: Policy) -> Iterator[Diagnostic]:
    """Check that the lines of bindings and exceptions are subscriber ports of known switches."""
    roles = {name: NamedRoles(switch.by_name) for name, switch in policy.switches.items()}
    for switch in policy.switches.values():
        for binding in switch.bindings:
            if binding.port_name is not None:
                yield from _named_line(switch, roles[switch.name], binding.port_name, binding.place)
                continue
            bound = SubscriberPort(switch.name, binding.port, binding.vlan)
            if problem := line_problem(policy, bound, binding.place):
                yield problem
    for exception in policy.written_exceptions:
        line, port = exception.source, exception.port_name
        if not isinstance(line, SubscriberPort):
            continue
        if port is not None and line.switch in roles:
            yield from _named_line(policy.switches[line.switch], roles[line.switch], port, exception.place)
        elif problem := line_problem(policy, line, exception.place):
            yield problem


def _vlans(policy: Policy) -> Iterator[Diagnostic]:
    for switch in policy.switches.values():
        for port in switch.vlans:
            role = switch.role_of(port)
            if role is PortRole.TRUSTED:
                what = f"port {port_name(port)} of {switch.name} is trusted, so its tags are not looked at"
                yield warning(switch.place, f"{what}; take it out of the vlans")
            elif not switch.has_role(port) and not _has_roles_by_name(switch):
                yield warning(switch.place, _no_role(switch, port))


def _has_roles_by_name(switch: Switch) -> bool:
    return any(entry.role is not None for entry in switch.by_name)


def _named_line(switch: Switch, roles: NamedRoles, name: str, place: SourceLocation) -> Iterator[Diagnostic]:
    """Check the role of a line with a name, as far as names tell it: the port may have one by number."""
    found = roles.of(name)
    if found and PortRole.SUBSCRIBER not in found:
        what = f"port {quoted(name)} of {switch.name} is its {min(found, key=_ROLES.index).value} port"
        yield error(place, f"{what}; a line is a subscriber port")


def line_problem(policy: Policy, line: SubscriberPort, place: SourceLocation) -> Diagnostic | None:
    """Return what is wrong with a line that is named at a place; None where the policy has it."""
    switch = policy.switches.get(line.switch)
    if switch is None:
        return error(place, unknown_switch(line.switch, policy.switches))
    port, carried = line.port, {tag or 0 for tag in switch.vlans.get(line.port, {None})}
    if switch.role_of(port) is not PortRole.SUBSCRIBER:
        what = f"port {port_name(port)} of {switch.name} is its {switch.role_of(port).value} port"
        return error(place, f"{what}; a line is a subscriber port")
    if policy.hardening.block_encapsulation and line.vlan is not None and line.vlan not in carried:
        what = f"port {port_name(port)} of {switch.name} may not carry {_tag_text(line.vlan)}"
        return error(place, f"{what}; add {line.vlan or 'untagged'} to its vlans, or correct it here")
    if not switch.has_role(port) and not _has_roles_by_name(switch):
        return warning(place, _no_role(switch, port))
    return None


def _tag_text(vlan: int) -> str:
    return f"tag {vlan}" if vlan else "frames without a tag"


def _no_role(switch: Switch, port: int) -> str:
    return f"port {port_name(port)} of {switch.name} has no role; add it to its subscriber_ports"


def _datapath_ids(policy: Policy) -> Iterator[Diagnostic]:
    first: dict[int, Switch] = {}
    for switch in policy.switches.values():
        if not switch.dpid:
            continue
        other = first.setdefault(switch.dpid, switch)
        if other is not switch:
            what = f"{switch.name} has the dpid {switch.dpid:#x} of {other.name} ({other.place})"
            yield error(switch.place, f"{what}; look the dpid up on the switch")


def _exceptions(policy: Policy, at: float) -> Iterator[Diagnostic]:
    first: dict[str, SourceLocation] = {}
    mail = _addresses(policy.mail_destinations)
    for exception in policy.written_exceptions:
        if first.setdefault(exception.name, exception.place) != exception.place:
            where = first[exception.name]
            yield error(exception.place, f"the name '{exception.name}' is taken ({where}); write another")
        if exception.starts is not None and exception.is_past(exception.starts):
            what = f"exception '{exception.name}' expires when it starts, or before"
            yield error(exception.place, f"{what}; write a later moment behind expires")
        elif exception.is_past(at):
            yield warning(
                exception.place, f"exception '{exception.name}' is past and permits nothing; remove it"
            )
    for exception in (*policy.exceptions, *policy.exceptions_by_name):
        yield from _exception_reach(policy, mail, exception)


def _exception_reach(policy: Policy, mail: Intervals, exception: MailException) -> Iterator[Diagnostic]:
    source, destination, place = exception.source, exception.destination, exception.place
    if isinstance(source, SubscriberPort):
        if destination is None and not _has_addresses(policy, exception, source):
            what = f"exception '{exception.name}' lets any host answer from port 25 to all dynamic space"
            yield warning(place, f"{what}; name its destination, or bind the line's addresses")
    elif destination is not None and not _can_speak(policy, source, destination):
        what = f"{source} cannot speak to {destination}"
        yield error(place, f"{what}; write both as IPv4 or both as IPv6")
    if destination is not None and mail.cover(destination):
        what = f"exception '{exception.name}' permits nothing new"
        yield warning(place, f"{what}: {destination} is among the mail destinations; remove it")


def _has_addresses(policy: Policy, exception: MailException, line: SubscriberPort) -> bool:
    """Return whether anything is bound to the line of an exception, whose port may be written by name."""
    switch = policy.switches.get(line.switch)
    return any(
        (binding.port, binding.port_name) == (line.port, exception.port_name) and binding.addresses
        for binding in (switch.bindings if switch is not None else ())
        if None in (binding.vlan, line.vlan) or binding.vlan == line.vlan
    )


def _can_speak(policy: Policy, source: Prefix, destination: Prefix) -> bool:
    return source.version == destination.version or (source.version == 6 and bool(policy.nat64_prefixes))


def _static_without_line(policy: Policy) -> Iterator[Diagnostic]:
    """Yield one warning for all, at the place of the first; none where addresses of lines are learned."""
    if policy.lines is not None:
        return
    bound = _addresses(listed for _, listed in policy.bound_prefixes())
    unbound = {version: _unbound(table, bound) for version, table in policy.space.tables.items()}
    count = sum(map(len, unbound.values()))
    if not count:
        return
    found = ((listed, unbound[listed.prefix.version].get(key_of(listed.prefix))) for listed in policy.static)
    shown = list(
        islice(((listed, address) for listed, address in found if address is not None), UNBOUND_SHOWN)
    )
    names = [f"{format_address(prefix.version, address)} of {prefix}" for (prefix, _), address in shown]
    rest = count - len(names)
    more = f" and addresses of {rest} more" if rest else ""
    it = "it" if count == 1 else "them"
    what = f"no binding ties {', '.join(names)}{more} to a line"
    yield warning(shown[0][0].place, f"{what}: any line can borrow {it}; bind {it} under a switch's bindings")


def _sources_of_lines(policy: Policy) -> Iterator[Diagnostic]:
    first: dict[str, SourceLocation] = {}
    for source in policy.lines.sources if policy.lines is not None else ():
        if first.setdefault(source.name, source.place) != source.place:
            what = f"lines are learned from {source.name} already ({first[source.name]})"
            yield error(source.place, f"{what}; keep one of them")
    validation = policy.hardening.source_validation
    if first and validation is not SourceValidation.BINDING:
        what = f"under 'source_validation: {validation.value}' learned addresses matter in static space only"
        place = policy.hardening.source_validation_place
        yield warning(place, f"{what}; write binding to hold each line to its own")


def _unbound(table: LpmTable[Space], bound: Intervals) -> dict[Key, int]:
    """Return the first address that any line can borrow of each static prefix that has one."""
    found: dict[Key, int] = {}
    following = (key >> 8 for key in islice(table.keys, 1, None))
    entries = zip_longest(table.keys, table.values, following)
    for position, (key, space, next_first) in enumerate(entries, 1):
        if space is Space.DYNAMIC:
            continue
        # There may be very many prefixes, and most of them begin with an address of their own.
        address: int | None = key >> 8
        if address == next_first or bound.end(table.version, key >> 8) is not None:
            address = _first_unbound(table, position, key, bound)
        if address is not None:
            found[key] = address
    return found


def _first_unbound(table: LpmTable[Space], position: int, key: Key, bound: Intervals) -> int | None:
    """Return the first address of a static prefix that no binding and no dynamic prefix inside it holds.

    The entries inside the prefix begin at ``position`` of the table.
    """
    version, keys, values = table.version, table.keys, table.values
    address, end = key >> 8, end_of(version, key)
    while address < end:
        while position < len(keys) and keys[position] >> 8 <= address:
            if values[position] is Space.DYNAMIC:
                address = max(address, end_of(version, keys[position]))
                position = max(position, bisect_left(keys, address << 8) - 1)
            position += 1
        last = bound.end(version, address)
        if last is None:
            return address if address < end else None
        address = last + 1
    return None


def _addresses(listed: Iterable[LocatedPrefix]) -> Intervals:
    return Intervals(prefix for prefix, _ in listed)


def _no_uplink(policy: Policy, document: Document) -> Iterator[Diagnostic]:
    if policy.switches and not any(map(_has_uplink, policy.switches.values())):
        what = "no switch has an uplink port, so answers to spoofed mail connections (the return leg) pass"
        yield warning(document.key_place(("switches",)), f"{what}; name the uplink_ports")


def _has_uplink(switch: Switch) -> bool:
    return bool(switch.uplink_ports) or any(entry.role is PortRole.UPLINK for entry in switch.by_name)
