"""Find the settings of a policy that do without refused rules, by compiling without them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from op25b_app.policy.model import Policy, SourceValidation
from op25b_app.sync.ruleset import Key

_LESS_STRICT = (SourceValidation.PREFIX, SourceValidation.PORT_25, SourceValidation.OFF)


def alternatives(policy: Policy) -> Iterator[tuple[str, Policy]]:
    """Yield each change of one setting that asks for less, as it is written, and the policy with it.

    The smallest loss comes first.
    """
    inbound, hardening = policy.inbound, policy.hardening
    if policy.snoops_dhcp:
        yield "lines.sources without dhcp: snooping", replace(policy, lines=None)
    if hardening.tunnels.block or hardening.tunnels.udp_ports:
        tunnels = replace(hardening.tunnels, block=False, udp_ports=frozenset(), permit_to=())
        yield "hardening.tunnels: permit", replace(policy, hardening=replace(hardening, tunnels=tunnels))
    if hardening.ethertypes:
        fewer = replace(hardening, ethertypes=frozenset())
        yield "hardening.ethertypes: []", replace(policy, hardening=fewer)
    stricter = hardening.source_validation
    for validation in _LESS_STRICT[_LESS_STRICT.index(stricter) + 1 if stricter in _LESS_STRICT else 0 :]:
        changed = replace(hardening, source_validation=validation)
        yield f"hardening.source_validation: {validation.value}", replace(policy, hardening=changed)
    if hardening.block_unreadable_tcp:
        changed = replace(hardening, block_unreadable_tcp=False)
        yield "hardening.unreadable_tcp: permit", replace(policy, hardening=changed)
    if hardening.block_encapsulation:
        changed = replace(hardening, block_encapsulation=False)
        yield "hardening.encapsulation: permit", replace(policy, hardening=changed)
    if inbound.block_port_25:
        yield "inbound.port_25: permit", replace(policy, inbound=replace(inbound, block_port_25=False))
    if inbound.block_spoofed_replies:
        changed_inbound = replace(inbound, block_spoofed_replies=False)
        yield "inbound.spoofed_replies: permit", replace(policy, inbound=changed_inbound)


def settings_without(
    policy: Policy, keys: Iterable[Key], compiled: Callable[[Policy], Mapping[Key, object]]
) -> list[str]:
    """Return the settings with which no rule of these ``keys`` is wanted any more; empty if there are none.

    ``compiled`` returns the rules of a policy by key.
    """
    left, settings = set(keys), []
    for text, changed in alternatives(policy):
        if not left:
            break
        gone = left - compiled(changed).keys()
        if gone:
            settings.append(text)
            left -= gone
    return [] if left else settings
