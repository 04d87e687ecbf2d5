"""Facts that are found out while a policy is in force, and the policy with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from op25b_app.net.port_number import PortNumbers
from op25b_app.net.prefix import Prefix
from op25b_app.policy.address_space import Space
from op25b_app.policy.model import Binding, Policy, SubscriberPort
from op25b_app.policy.port_names import exceptions_in_effect, switch_in_effect


class Facts(NamedTuple):
    """Facts that a policy leaves to be found out.

    ``bindings`` are those of addresses that change hands, by the name of the switch. ``ports`` are the ports
    of a switch as it describes them, by its name. ``muted`` are ports and VLANs of lines whose DHCP messages
    are not copied for now, by the name of the switch.
    """

    bindings: Mapping[str, tuple[Binding, ...]] = MappingProxyType({})
    ports: Mapping[str, PortNumbers] = MappingProxyType({})
    muted: Mapping[str, frozenset[tuple[int, int | None]]] = MappingProxyType({})


def in_effect(written: Policy, facts: Facts) -> Policy:
    """Return a policy as it is written, together with the facts; the same object where there are none.

    Learned bindings come behind the written ones of a switch. Those of a switch that the policy does not have
    are left out. Ports with names are numbers in it, as far as their switch has described them.
    """
    found = (*facts.bindings.items(), *facts.muted.items())
    learned = [name for name, of_switch in found if of_switch and name in written.switches]
    changed = dict.fromkeys([*learned, *written.switches_by_port_name])
    return after_change(written, facts, written, changed) if changed else written


def after_change(before: Policy, facts: Facts, written: Policy, changed: Iterable[str]) -> Policy:
    """Return the policy in effect after facts about some switches have changed.

    ``before`` was in effect, of the same ``written`` policy; other switches are taken from there, as the same
    objects.
    """
    switches = dict(before.switches)
    for name in changed:
        if name in written.switches:
            switch = switch_in_effect(written, name, facts.ports.get(name))
            learned = facts.bindings.get(name, ())
            bindings = (*switch.bindings, *learned)
            muted = facts.muted.get(name, frozenset())
            is_changed = bool(learned or muted)
            switches[name] = replace(switch, bindings=bindings, muted_lines=muted) if is_changed else switch
    exceptions, waiting = exceptions_in_effect(written, switches)
    return replace(
        before,
        switches=MappingProxyType(switches),
        exceptions=before.exceptions if exceptions == before.exceptions else exceptions,
        exceptions_by_name=before.exceptions_by_name if waiting == before.exceptions_by_name else waiting,
        space_before=before.space,
    )


def are_felt_elsewhere(before: Policy, after: Policy, changed: Iterable[str]) -> bool:
    """Return whether other switches than the ``changed`` ones may treat a packet differently.

    The policies differ in facts about these switches alone. A static address is exempt on its line only, and
    nowhere else; an exception for a line permits answers to its addresses everywhere.
    """
    if before.exceptions != after.exceptions:
        return True
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
