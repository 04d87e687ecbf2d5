"""Describe the changes between two policies in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone

from op25b_app.diff.address_text import AddressSet, PrefixWithHoles
from op25b_app.diff.line_text import lines_headline, losses
from op25b_app.diff.policy_diff import Effect, ExceptionEnd, RuleChanges, SwitchEffect
from op25b_app.diff.traffic import Kind, Traffic, VerdictChange
from op25b_app.diff.words import counted, joined, names
from op25b_app.net.port_number import port_name
from op25b_app.net.prefix import WIDTH, Prefix, format_address
from op25b_app.net.ranges import Ranges, size
from op25b_app.policy.diagnostic import MAX_NAMES, names_in_words
from op25b_app.policy.exposure import Port25Moves
from op25b_app.policy.model import MailException, PortRole, SubscriberPort
from op25b_app.policy.packet import ETH_ARP, TCP, UDP
from op25b_app.verify.counterexample import packet_of
from op25b_app.verify.header import UNTAGGED

MAX_INLINE = 2
"""Maximum number of prefixes in a sentence; more are listed below it."""
_MAX_LISTED = 3
_MAX_LINES = 10
_EXACT_UNTIL = 10**9

_SUBJECTS = {
    Kind.MAIL: "mail",
    Kind.MAIL_FROM_UPLINK: "mail",
    Kind.ANSWER_FROM_UPLINK: "TCP from port 25",
    Kind.BETWEEN_PORTS_25: "TCP from port 25 to port 25",
    Kind.UNREADABLE: "fragments and headers in which no TCP port can be read",
    Kind.TUNNEL: "tunnels (GRE, IP in IP and others)",
    Kind.UDP_PORT: "UDP to single ports (tunnels by block_udp_ports)",
    Kind.SERVICE: "DHCP, IGMP and neighbour discovery",
    Kind.OTHER: "other packets than mail",
    Kind.ARP: "some ARP",
    Kind.ETHERTYPE: "frames with other ethertypes than IPv4, IPv6 and ARP",
}
_MODES = {
    VerdictChange.LET_THROUGH: "monitor mode: everything that was blocked is counted and let through",
    VerdictChange.ENFORCED: "enforce mode: everything that was counted and let through is blocked",
}


def headline(traffic: Traffic) -> str:
    """Return a description of the packets, without a verb."""
    text = _subject(traffic)
    if traffic.kind is Kind.MODE:
        return text
    if traffic.kind is Kind.ROLE:
        before, after = (role.value for role in traffic.roles)
        return f"packets on {_ports(traffic.ports)}, {before} before and {after} now"
    if traffic.kind is Kind.TAG:
        return f"frames {_tags(traffic.tags)} on {_ports(traffic.ports)}"
    if traffic.sources is not None and traffic.destinations is not None:
        ends = f"from {_addresses(traffic.sources)} to {_addresses(traffic.destinations)}"
        text += f" {ends}" if text == _SUBJECTS[Kind.MAIL] else f", {ends}"
    if traffic.other_ports:
        text += f", on {_ports(traffic.ports, traffic.other_ports)}"
    if traffic.partly:
        text += ", not all of it (that depends on the port, the tag or Ethernet addresses)"
    return text


def _subject(traffic: Traffic) -> str:
    """Return the kind of packets, without addresses and ports."""
    if traffic.kind is Kind.MODE:
        return _MODES[traffic.change]
    if traffic.kind is Kind.ROLE:
        before, after = (role.value for role in traffic.roles)
        return f"packets on ports that are {before} before and {after} now"
    if traffic.kind is Kind.TAG:
        return "frames by their tags"
    return _SUBJECTS[traffic.kind] + (" from uplinks" if traffic.roles[1] is PortRole.UPLINK else "")


def listed(traffic: Traffic) -> AddressSet | None:
    """Return the addresses to list below the headline, which only counts them; None where it names all."""
    for addresses in (traffic.sources, traffic.destinations):
        if addresses is None or addresses.is_shorter_by_exclusion:
            continue
        if len(addresses.pieces) > MAX_INLINE:
            return addresses
    return None


def piece_text(piece: PrefixWithHoles) -> str:
    """Return ``100.64.0.0/10 (without 100.64.8.0/24)``."""
    written = prefix_text(piece.prefix)
    if not piece.holes:
        return written
    return f"{written} (without {_first([prefix_text(hole) for hole in piece.holes])})"


def amount(version: int, count: int) -> str:
    """Return ``256 addresses``; IPv6 as /64 networks where these are whole."""
    networks, rest = divmod(count, 1 << 64)
    if version == 6 and networks and not rest:
        return f"{_number(networks)} /64 network{'s' if networks > 1 else ''}"
    return f"{_number(count)} address{'es' if count > 1 else ''}"


def prefix_text(prefix: Prefix) -> str:
    """Return a prefix, without its length where it is a single address."""
    is_address = prefix.length == WIDTH[prefix.version]
    return format_address(prefix.version, prefix.network) if is_address else str(prefix)


def example_text(header: Mapping[str, int]) -> str:
    """Return a description of one packet."""
    packet = packet_of(header)
    where = f"on {_ports(((packet.in_port, packet.in_port),))}"
    if packet.tags:
        where += f" under tag {packet.tags[0]}"
    if packet.version is None:
        if packet.eth_type == ETH_ARP:
            return f"ARP of {format_address(4, packet.arp_sender)} {where}"
        return f"ethertype {packet.eth_type:#06x} {where}"
    ends = [format_address(packet.version, each) for each in (packet.source, packet.destination)]
    protocol = {TCP: "TCP", UDP: "UDP"}.get(packet.protocol or 0)
    if protocol is None:
        return f"IP protocol {packet.protocol} from {ends[0]} to {ends[1]} {where}"
    source, destination = ends
    ports = packet.source_port, packet.destination_port
    return f"{protocol} from {source} port {ports[0]} to {destination} port {ports[1]} {where}"


def exception_text(end: ExceptionEnd) -> str:
    """Return a sentence about the change of an exception."""
    before, after = end
    known = after or before
    assert known is not None, "an exception is in one of two policies"
    subject = f"exception '{known.name}' ({permission(known)})"
    if after is None:
        return f"{subject} no longer holds"
    if before is None:
        begin = "" if after.starts is None else f" {_moment(after.starts)}"
        return f"{subject} begins{begin}, and ends {_moment(after.expires)}"
    changes = []
    if before.starts != after.starts:
        begins = ["now" if each.starts is None else _moment(each.starts) for each in (after, before)]
        changes.append(f"begins {begins[0]} instead of {begins[1]}")
    if before.expires != after.expires:
        changes.append(f"ends {_moment(after.expires)} instead of {_moment(before.expires)}")
    return f"{subject} {', and '.join(changes)}"


def rules_text(switch: SwitchEffect) -> str:
    """Return the numbers of flow rules that change: on each switch if they are equal, else in all."""
    each = set(switch.rules.values())
    if len(each) == 1:
        return _rules(each.pop()) + (" on each" if len(switch.rules) > 1 else "")
    first, *others = switch.rules.values()
    for rules in others:
        first = type(first)(*map(sum, zip(first, rules, strict=True)))
    return f"{_rules(first)} in all"


def notes(switch: SwitchEffect) -> Iterator[str]:
    """Yield the changes other than verdicts."""
    for new, old in switch.renamed.items():
        yield f"{new} was called {old}"
    for name, dpid in switch.moved.items():
        yield f"{name} is another datapath now; the one with dpid {dpid:#x} keeps its rules as they are"
    before, after = ("NORMAL" if table is None else f"table {table}" for table in switch.forwarding_table)
    if before != after:
        yield f"permitted packets go on to {after} instead of {before}"
    if switch.unknown_because is not None:
        yield f"what becomes blocked and what becomes permitted {switch.unknown_because}"
    if switch.mode[0] is not switch.mode[1] and not switch.traffic:
        yield f"{switch.mode[1].value} mode instead of {switch.mode[0].value} mode"


def lines_notes(effect: Effect) -> Iterator[str]:
    """Yield the headline, and what concerns many lines or addresses; nothing where all is as before."""
    if effect.lines.total and not effect.treats_all_alike:
        yield lines_headline(effect.lines)
        yield from losses(effect.lines)
    yield from map(port_25_text, effect.port_25)


def network_notes(effect: Effect) -> Iterator[str]:
    """Yield the notes on the switches that only one policy has."""
    if effect.added:
        yield f"{names(effect.added)}: new in the policy; all rules are installed"
    if effect.removed:
        yield f"{names(effect.removed)}: no longer in the policy; the rules there stay as they are"


def port_25_text(moves: Port25Moves) -> str:
    """Return a sentence on the addresses that port 25 opens or closes for."""
    changes = [
        f"{word} for {amount(moves.version, count)}"
        for word, count in (("opens", moves.opened), ("closes", moves.closed))
        if count
    ]
    own = amount(moves.version, moves.own)
    return f"port 25 to any destination {' and '.join(changes)}, of {own} in the own IPv{moves.version} space"


def kinds(effect: Effect) -> Iterator[str]:
    """Yield what changes as kinds of packets, each once for all switches; nothing for switches all alike."""
    if len(effect.switches) < 2:
        return
    switches: dict[tuple[VerdictChange, str], int] = {}
    for switch in effect.switches:
        for kind in dict.fromkeys((traffic.change, _subject(traffic)) for traffic in switch.traffic):
            switches[kind] = switches.get(kind, 0) + len(switch.rules)
    for (change, subject), count in switches.items():
        where = f"on {counted(count, 'switch', 'switches')}"
        yield f"{subject}, {where}" if subject in _MODES.values() else f"{change.value}: {subject}, {where}"


def alike_text(effect: Effect) -> str:
    """Return the sentence that no packet is treated differently.

    It leaves out new switches, where the treatment before is not known.
    """
    where = " on the switches of both policies" if effect.added else ""
    return f"no packet is treated differently{where}"


def summary(effect: Effect) -> list[str]:
    """Return at most ten lines for a log."""
    lines = [*lines_notes(effect), *network_notes(effect)]
    if effect.treats_all_alike:
        lines.append(alike_text(effect))
    last = list(effect.objections.sentences)[:_MAX_LISTED]
    exceptions = [*map(exception_text, effect.exceptions)]
    if len(exceptions) > _MAX_LISTED:
        exceptions = [f"{len(exceptions):,} exceptions begin, end, or end at another time"]
    switches = [line for switch in effect.switches for line in _of_switches(switch)]
    room = _MAX_LINES - len(last)
    if len(lines) + len(switches) + len(exceptions) > room:
        switches = [*kinds(effect)] or switches
    lines += [*switches, *exceptions]
    if len(lines) > room:
        lines[room - 1 :] = [f"and {len(lines) - room + 1:,} more changes; `op25b diff` shows all"]
    return lines + last


def _of_switches(switch: SwitchEffect) -> Iterator[str]:
    """Yield a line for each note, for each change of verdicts, and one for the rules."""
    who = names(switch.names)
    yield from (f"{who}: {note}" for note in notes(switch))
    for change in VerdictChange:
        found = [traffic for traffic in switch.traffic if traffic.change is change]
        if found:
            more = f"; and {len(found) - 1} more" if len(found) > 1 else ""
            yield f"{who}: {sentence(found[0])}{more}"
    yield f"{who}: rules {rules_text(switch)}"


def who_text(switch: SwitchEffect) -> str:
    """Return the names of the switches, and whose addresses are shown for all of them."""
    who = names(switch.names)
    return (
        who if switch.like is None else f"{who}, alike but for ports and addresses; those of {switch.like}:"
    )


def sentence(traffic: Traffic) -> str:
    """Return the headline with its verb."""
    if traffic.kind is Kind.MODE:
        return headline(traffic)
    return f"{traffic.change.value}: {headline(traffic)}"


def _addresses(addresses: AddressSet) -> str:
    any_address = f"any IPv{addresses.version} address"
    if addresses.is_everything:
        return any_address
    if addresses.is_shorter_by_exclusion:
        return f"{any_address} but {_first(list(map(piece_text, addresses.others.pieces)))}"
    pieces, number = addresses.pieces, amount(addresses.version, addresses.count)
    if len(pieces) == 1 and pieces[0].holes:
        holes = _first([prefix_text(hole) for hole in pieces[0].holes])
        return f"{prefix_text(pieces[0].prefix)} without {holes} ({number})"
    if len(pieces) > MAX_INLINE:
        return f"{len(pieces):,} prefixes ({number})"
    written = joined(list(map(piece_text, pieces)))
    return written if addresses.count == 1 else f"{written} ({number})"


def _first(written: Sequence[str]) -> str:
    """Return the first words and the number of further ones."""
    rest = len(written) - MAX_INLINE
    if rest <= 1:
        return joined(written)
    return f"{', '.join(written[:MAX_INLINE])} and {rest:,} more"


def _few(words: Sequence[str]) -> str:
    return joined(words) if len(words) <= MAX_NAMES else names_in_words(words)


def _number(count: int) -> str:
    if count < _EXACT_UNTIL:
        return f"{count:,}"
    power = count.bit_length() - 1
    if count == 1 << power:
        return f"2^{power}"
    return f"about 2^{power if count < 3 << (power - 1) else power + 1}"


def _ports(ports: Ranges, others: Ranges = ()) -> str:
    """Return the ports, or "every port but" the remaining ones where that is shorter."""
    if others and len(others) < len(ports):
        return f"every port but {_port_numbers(others)}"
    return f"port{'s' if size(ports) > 1 else ''} {_port_numbers(ports)}"


def _port_numbers(ports: Ranges) -> str:
    written = [port_name(first) if first == last else f"{first}-{last}" for first, last in ports]
    return _few(written)


def _tags(places: Ranges) -> str:
    tagged = [(max(first, 1) - 1, last - 1) for first, last in places if last > UNTAGGED]
    written = ["without a tag"] if places[0][0] == UNTAGGED else []
    if tagged:
        one = size(tuple(tagged)) == 1
        numbers = _few([str(first) if first == last else f"{first}-{last}" for first, last in tagged])
        written.append(f"under {'tag' if one else 'tags'} {numbers}")
    return " or ".join(written)


def permission(exception: MailException) -> str:
    """Return the sender and the receiver of an exception."""
    source = exception.source
    sender = (
        f"port {port_name(source.port)} of {source.switch}"
        if isinstance(source, SubscriberPort)
        else prefix_text(source)
    )
    receiver = "anywhere" if exception.destination is None else prefix_text(exception.destination)
    return f"{sender} to {receiver}"


def _moment(seconds: int | None) -> str:
    if seconds is None:
        return "never"
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return f"at {moment:%Y-%m-%dT%H:%M:%SZ}"


def _rules(rules: RuleChanges) -> str:
    return f"+{rules.added:,} -{rules.removed:,} changed {rules.changed:,}, {rules.unchanged:,} unchanged"
