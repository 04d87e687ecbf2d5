"""One packet through the rules that a switch holds, step by step (OpenFlow 1.3.5, section 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from op25b_app.policy.model import Verdict
from op25b_app.rules.lookup import matches
from op25b_app.rules.proof.header import ETHERNET_FIELDS, WIDTHS
from op25b_app.rules.proof.stored import (
    ClearLater,
    Jump,
    Later,
    PopMpls,
    PopTag,
    PushMpls,
    PushTag,
    SetField,
    SetTagPriority,
    StoredRule,
    WriteMetadata,
    sends,
)

_TRACKED = 0x20
"""The bit of ``ct_state`` that says that a connection tracker has seen the packet (ovs-fields(7))."""


class Walk(NamedTuple):
    """Where a packet ends: the verdict and the rule that gives it, None where no rule matches.

    ``undefined`` tells that two rules of one priority matched on the way.
    """

    verdict: Verdict
    rule: StoredRule | None
    undefined: bool


def walk(rules: Sequence[StoredRule], fields: Mapping[str, int], handover_table: int | None) -> Walk:
    """Follow a packet with these header fields (by OXM name, absent ones not at all) from table 0.

    Of what is not known (what a group sends, say), the packet meets nothing: a proof shows none for which
    that makes a difference.
    """
    packet = {"metadata": 0, "ct_state": 0, **fields}
    table: int | None = 0
    sends_later = undefined = False
    rule: StoredRule | None = None
    while table is not None:
        matching = [each for each in rules if each.table == table and matches(each.match, packet)]
        if not matching:
            return Walk(Verdict.BLOCK, None, undefined)
        rule = max(matching, key=lambda each: each.priority)
        undefined |= sum(each.priority == rule.priority for each in matching) > 1
        permit = Verdict.WOULD_BLOCK if rule.only_counts else Verdict.PERMIT
        table = None
        for step in rule.steps:
            if sends(step):
                return Walk(permit, rule, undefined)
            if isinstance(step, Jump):
                table = step.table
                packet["ct_state"] |= _TRACKED if step.tracked else 0
            elif isinstance(step, Later):
                sends_later |= any(map(sends, step.steps))
            elif isinstance(step, ClearLater):
                sends_later = False
            else:
                _change(packet, step)
        if table is not None and table == handover_table:
            return Walk(permit, rule, undefined)
        if table is None and sends_later:
            return Walk(permit, rule, undefined)
    return Walk(Verdict.BLOCK, rule, undefined)


def _change(packet: dict[str, int], step: object) -> None:
    if isinstance(step, SetField):
        packet[step.name] = step.value
    elif isinstance(step, WriteMetadata):
        packet["metadata"] = packet["metadata"] & ~step.mask | step.value & step.mask
    elif isinstance(step, PopTag):
        packet["vlan_vid"] = 0
    elif isinstance(step, SetTagPriority):
        packet["vlan_pcp"] = step.value
        packet["vlan_vid"] = packet["vlan_vid"] or 0x1000
    elif isinstance(step, (PopMpls, PushMpls)):
        packet["eth_type"] = step.eth_type
        for name in WIDTHS.keys() - ETHERNET_FIELDS:
            packet[name] = 0
    elif isinstance(step, PushTag):
        if packet["vlan_vid"]:
            packet["eth_type"] = 0x8100
        packet["vlan_vid"] = 0x1000
