"""Match the switches of two policies."""

from __future__ import annotations

from typing import NamedTuple

from op25b_app.policy.model import Policy, Switch


class MatchedSwitches(NamedTuple):
    """Switches of two policies: (old, new) of each that both have, and those that only one has."""

    common: list[tuple[Switch, Switch]]
    added: list[Switch]
    removed: list[Switch]


def pairs_of(old: Policy, new: Policy) -> MatchedSwitches:
    """Pair switches by datapath id; where only one policy has the id, by name."""
    successors = {switch.dpid: switch for switch in new.switches.values()}
    common = [
        (switch, successors.pop(switch.dpid)) for switch in old.switches.values() if switch.dpid in successors
    ]
    known = {switch.name for switch, _ in common}
    by_name = {switch.name: switch for switch in successors.values()}
    removed = []
    for switch in old.switches.values():
        if switch.name in known:
            continue
        successor = by_name.pop(switch.name, None)
        if successor is None:
            removed.append(switch)
        else:
            common.append((switch, successor))
    return MatchedSwitches(common, list(by_name.values()), removed)
