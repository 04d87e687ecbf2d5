"""Facts that are found out while a policy is in force, and the policy with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    if not any(found for name, found in facts.bindings.items() if name in written.switches):
        return written
    return after_change(written, facts, written, facts.bindings)


def after_change(before: Policy, facts: Facts, written: Policy, changed: Iterable[str]) -> Policy:
    """Return the policy in effect after facts about some switches have changed.

    ``before`` was in effect, of the same ``written`` policy; other switches are taken from there, as the same
    objects.
    """
    switches = dict(before.switches)
    for name in changed:
        switch, learned = written.switches.get(name), facts.bindings.get(name, ())
        if switch is not None:
            bindings = (*switch.bindings, *learned)
            switches[name] = replace(switch, bindings=bindings) if learned else switch
    return replace(before, switches=MappingProxyType(switches), space_before=before.space)
