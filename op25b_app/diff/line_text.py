"""Describe in words what becomes of lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from op25b_app.diff.line_changes import Fate, LineChange, LineChanges, Reason
from op25b_app.diff.words import counted, joined
from op25b_app.net.port_number import port_name
from op25b_app.net.ranges import Ranges, merged
from op25b_app.policy.diagnostic import names_in_words
from op25b_app.policy.model import SubscriberPort

_MAX_SWITCHES = 2
"""Maximum number of switches whose lines are named in a sentence."""
_MAX_KINDS = 3
"""Maximum number of losses that are given as reasons for a refusal."""

_FATES = {
    Fate.LOSES_ALL: ("loses all of it", "lose all of it"),
    Fate.LOSES_IPV4: ("loses all IPv4", "lose all IPv4"),
    Fate.LOSES_IPV6: ("loses all IPv6", "lose all IPv6"),
    Fate.LOSES_SOME: ("loses that of some addresses", "lose that of some addresses"),
    Fate.GETS: ("gets traffic that was blocked", "get traffic that was blocked"),
    Fate.HAS_NONE: ("has none, as before", "have none, as before"),
}
"""Words behind the number of lines in the headline: for one line, and for several."""
_LOST = {
    Fate.LOSES_ALL: "all traffic",
    Fate.LOSES_IPV4: "all IPv4 traffic",
    Fate.LOSES_IPV6: "all IPv6 traffic",
    Fate.LOSES_SOME: "the traffic of some addresses",
}
_REASONS = {
    Reason.TAG: "the new policy does not let these ports carry their frames (vlans)",
    Reason.UPLINK: "these ports become uplinks, where no own address may be a source",
    Reason.REBOUND: "other addresses are bound there",
    Reason.FOREIGN: "their addresses are no longer among those that the switch serves",
}


def lines_headline(changes: LineChanges) -> str:
    """Return ``3 of 72 lines keep their traffic; 69 lose all of it``."""
    kept, total = changes.count(Fate.KEEPS), changes.total
    verb = "keeps its" if kept == 1 else "keep their"
    parts = [f"{kept:,} of {counted(total, 'line')} {verb} traffic"]
    for fate, (one, several) in _FATES.items():
        if count := changes.count(fate):
            parts.append(f"{count:,} {one if count == 1 else several}")
    return "; ".join(parts)


def losses(changes: LineChanges) -> Iterator[str]:
    """Yield a sentence for each kind of loss: how many lines, why, and which."""
    for change, lines in changes.losses:
        verb = "loses" if len(lines) == 1 else "lose"
        lost = f"{counted(len(lines), 'line')} {verb} {_LOST[change.fate]}"
        yield f"{lost}, because {_reason(change)}: {places(lines)}"


def cuts_off(changes: LineChanges) -> list[str]:
    """Return the reasons for which an operator has to agree to what lines lose; none for few lines."""
    if not changes.cuts_off_many:
        return []
    of_total = f"of {counted(changes.total, 'line')} would lose all traffic, because"
    cut_off = [each for each in changes.losses if each[0].fate is Fate.LOSES_ALL]
    found = [f"{len(lines):,} {of_total} {_reason(change)}: {places(lines)}" for change, lines in cut_off]
    return found[:_MAX_KINDS]


def opens_lines(changes: LineChanges) -> list[str]:
    """Return the reason for which an operator has to agree to lines that become trusted; none for few."""
    if not changes.opens_many:
        return []
    trusted = f"{len(changes.trusted):,} of {counted(changes.total, 'line')}"
    return [f"port 25 would open for {trusted}, whose ports become trusted: {places(changes.trusted)}"]


def places(lines: Sequence[SubscriberPort]) -> str:
    """Return ``ports 1-2 and 4-24 of access-1``; of many switches, only the first are named."""
    by_switch: dict[str, list[SubscriberPort]] = {}
    for line in lines:
        by_switch.setdefault(line.switch, []).append(line)
    shown = [*by_switch.items()][:_MAX_SWITCHES]
    written = [f"{_ports(own)} of {name}" for name, own in shown]
    if rest := len(by_switch) - len(shown):
        more = len(lines) - sum(len(own) for _, own in shown)
        written.append(f"{counted(more, 'line')} of {counted(rest, 'more switch', 'more switches')}")
    return joined(written)


def _ports(lines: Sequence[SubscriberPort]) -> str:
    whole = merged([(line.port, line.port) for line in lines if line.vlan is None])
    written = [_named("port", whole, port_name)] if whole else []
    tagged: dict[int, list[int]] = {}
    for line in lines:
        if line.vlan is not None:
            tagged.setdefault(line.port, []).append(line.vlan)
    by_tags: dict[Ranges, list[int]] = {}
    for port, vlans in tagged.items():
        by_tags.setdefault(merged([(vlan, vlan) for vlan in vlans]), []).append(port)
    for tags, ports in by_tags.items():
        where = _named("port", merged([(port, port) for port in ports]), port_name)
        written.append(f"{where} under {_named('tag', tags, _tag)}")
    return names_in_words(written, separator="; ")


def _named(word: str, numbers: Ranges, name: Callable[[int], str]) -> str:
    texts = [name(first) if first == last else f"{first}-{last}" for first, last in numbers]
    is_one = len(numbers) == 1 and numbers[0][0] == numbers[0][1]
    return f"{word}{'' if is_one else 's'} {names_in_words(texts) if len(texts) > 2 else joined(texts)}"


def _tag(vlan: int) -> str:
    return str(vlan) if vlan else "0 (none)"


def _reason(change: LineChange) -> str:
    assert change.reason is not None
    if change.reason is Reason.UNBOUND:
        version = {Fate.LOSES_IPV4: "no IPv4 address", Fate.LOSES_IPV6: "no IPv6 address"}
        return f"{version.get(change.fate, 'nothing')} is bound there"
    return _REASONS[change.reason]
