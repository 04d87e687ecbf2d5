"""Facts that are found out while a policy is in force, and the policy with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from op25b_app.policy.model import Binding, Policy


class Facts(NamedTuple):
    """What a policy leaves to be found out.

    ``bindings`` are those of addresses that change hands, by the name of the switch.
    """

    bindings: Mapping[str, tuple[Binding, ...]] = MappingProxyType({})


def in_effect(written: Policy, facts: Facts) -> Policy:
    """Return a policy as it is written, together with the facts; the same object where there are none.

    Learned bindings come behind the written ones of a switch. Those of a switch that the policy does not have
    are left out.
    """
    learned = {name: found for name, found in facts.bindings.items() if found and name in written.switches}
    if not learned:
        return written
    switches = dict(written.switches)
    for name, bindings in learned.items():
        switch = switches[name]
        switches[name] = replace(switch, bindings=(*switch.bindings, *bindings))
    return replace(written, switches=MappingProxyType(switches), space_before=written.space)
