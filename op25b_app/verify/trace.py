"""Trace one packet through the rules that a switch holds (OpenFlow 1.3.5, section 5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from op25b_app.openflow.fields import ETHERNET_FIELDS, WIDTHS
from op25b_app.openflow.flow_rule import matches
from op25b_app.openflow.stored_rule import (
    ClearActions,
    GotoTable,
    PopMpls,
    PopVlan,
    PushMpls,
    PushVlan,
    SetField,
    SetVlanPriority,
    StoredRule,
    WriteActions,
    WriteMetadata,
    sends,
)
from op25b_app.policy.model import Verdict

_TRACKED = 0x20
"""The bit of ``ct_state`` that is set once a connection tracker has seen the packet (ovs-fields(7))."""


class Trace(NamedTuple):
    """The end of a packet's way: the verdict and the rule that gives it, None where no rule matches.

    ``undefined`` is True where several rules of the highest priority matched on the way.
    """

    verdict: Verdict
    rule: StoredRule | None
    undefined: bool


def walk(rules: Sequence[StoredRule], fields: Mapping[str, int], handover_table: int | None) -> Trace:
    """Follow a packet with these header fields (by OXM name, absent fields left out) from table 0.

    Steps with an unknown effect (the output of a group, say) are skipped: no proof returns a packet for which
    they matter. Where several rules of one priority match, one of them wins.
    """
    return next(walks(rules, fields, handover_table), Trace(Verdict.BLOCK, None, undefined=True))


def walks(
    rules: Sequence[StoredRule], fields: Mapping[str, int], handover_table: int | None
) -> Iterator[Trace]:
    """Yield every possible way of a packet: each rule of the highest matching priority may win.

    A way that returns to the same table or an earlier one is left out.
    """
    ways = [_Way(0, {"metadata": 0, "ct_state": 0, **fields})]
    while ways:
        way = ways.pop()
        matching = [each for each in rules if each.table == way.table and matches(each.match, way.packet)]
        if not matching:
            yield Trace(Verdict.BLOCK, None, way.undefined)
            continue
        highest = max(each.priority for each in matching)
        winners = [each for each in matching if each.priority == highest]
        undefined = way.undefined or len(winners) > 1
        following: list[_Way] = []
        for rule in winners:
            end = _step_by_step(rule, way, handover_table)
            if isinstance(end, Verdict):
                yield Trace(end, rule, undefined)
            elif end.is_behind(way):
                following.append(end._replace(undefined=undefined))
        ways += reversed(following)


class _Way(NamedTuple):
    """A packet that enters a table."""

    table: int
    packet: dict[str, int]
    sends_later: bool = False
    undefined: bool = False

    def is_behind(self, other: _Way) -> bool:
        """Return whether a packet can come from ``other`` to this entrance only once."""
        here, there = ((way.packet["ct_state"] & _TRACKED, way.table) for way in (self, other))
        return here > there


def _step_by_step(rule: StoredRule, way: _Way, handover_table: int | None) -> Verdict | _Way:
    """Apply a rule: return the verdict, or the entrance of the next table."""
    packet, sends_later = {**way.packet}, way.sends_later
    permit = Verdict.WOULD_BLOCK if rule.only_counts else Verdict.PERMIT
    table: int | None = None
    for step in rule.steps:
        if sends(step):
            return permit
        if isinstance(step, GotoTable):
            table = step.table
            packet["ct_state"] |= _TRACKED if step.tracked else 0
        elif isinstance(step, WriteActions):
            sends_later |= any(map(sends, step.steps))
        elif isinstance(step, ClearActions):
            sends_later = False
        else:
            _change(packet, step)
    if table is None:
        return permit if sends_later else Verdict.BLOCK
    return permit if table == handover_table else _Way(table, packet, sends_later)


def _change(packet: dict[str, int], step: object) -> None:
    if isinstance(step, SetField):
        packet[step.name] = step.value
    elif isinstance(step, WriteMetadata):
        packet["metadata"] = packet["metadata"] & ~step.mask | step.value & step.mask
    elif isinstance(step, PopVlan):
        packet["vlan_vid"] = 0
    elif isinstance(step, SetVlanPriority):
        packet["vlan_pcp"] = step.value
        packet["vlan_vid"] = packet["vlan_vid"] or 0x1000
    elif isinstance(step, (PopMpls, PushMpls)):
        packet["eth_type"] = step.eth_type
        for name in WIDTHS.keys() - ETHERNET_FIELDS:
            packet[name] = 0
    elif isinstance(step, PushVlan):
        if packet["vlan_vid"]:
            packet["eth_type"] = 0x8100
        packet["vlan_vid"] = 0x1000
