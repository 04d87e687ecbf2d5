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


def possible_traces(
    rules: Sequence[StoredRule], fields: Mapping[str, int], handover_table: int | None
) -> Iterator[Trace]:
    """Yield every possible way of a packet from table 0: each rule of the highest priority may win.

    ``fields`` are its header fields, by OXM name; absent ones are left out. A way that returns to the same
    table or an earlier one is left out. Steps with an unknown effect (the output of a group, say) are
    skipped: no proof returns a packet for which they matter.
    """
    arrivals = [_Arrival(0, {"metadata": 0, "ct_state": 0, **fields})]
    while arrivals:
        arrival = arrivals.pop()
        matching = [
            each for each in rules if each.table == arrival.table and matches(each.match, arrival.packet)
        ]
        if not matching:
            yield Trace(Verdict.BLOCK, None, arrival.undefined)
            continue
        highest = max(each.priority for each in matching)
        winners = [each for each in matching if each.priority == highest]
        undefined = arrival.undefined or len(winners) > 1
        following: list[_Arrival] = []
        for rule in winners:
            end = _step_by_step(rule, arrival, handover_table)
            if isinstance(end, Verdict):
                yield Trace(end, rule, undefined)
            elif end.is_after(arrival):
                following.append(end._replace(undefined=undefined))
        arrivals += reversed(following)


class _Arrival(NamedTuple):
    """A packet that arrives at a table."""

    table: int
    packet: dict[str, int]
    sends_later: bool = False
    undefined: bool = False

    def is_after(self, other: _Arrival) -> bool:
        """Return whether a packet can come from ``other`` to this arrival only once."""
        here, there = ((arrival.packet["ct_state"] & _TRACKED, arrival.table) for arrival in (self, other))
        return here > there


def _step_by_step(rule: StoredRule, arrival: _Arrival, handover_table: int | None) -> Verdict | _Arrival:
    """Apply a rule: return the verdict, or the arrival at the next table."""
    packet, sends_later = {**arrival.packet}, arrival.sends_later
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
    return permit if table == handover_table else _Arrival(table, packet, sends_later)


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
