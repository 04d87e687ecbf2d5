"""Facts that are found out while a policy is in force, and the policy with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from op25b_app.net.prefix import Prefix
from op25b_app.policy.address_space import Space
from op25b_app.policy.model import Binding, Policy, SubscriberPort


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


def are_felt_elsewhere(before: Policy, after: Policy, changed: Iterable[str]) -> bool:
    """Return whether other switches than the ``changed`` ones may treat a packet differently.

    The policies differ in the bindings of these switches alone. A static address is exempt on its line only,
    and nowhere else; an exception for a line permits answers to its addresses everywhere.
    """
    excepted = {entry.source.switch for entry in after.exceptions if isinstance(entry.source, SubscriberPort)}
    for name in changed:
        old, new = (
            {listed.prefix for binding in policy.switches[name].bindings for listed in binding.addresses}
            for policy in (before, after)
        )
        if name in excepted or (after.static and any(_is_static(after, prefix) for prefix in old ^ new)):
            return True
    return False


def _is_static(policy: Policy, prefix: Prefix) -> bool:
    return Space.STATIC in policy.space.spaces_in(prefix)
