"""Warn of probable mistakes in a valid policy, each with its place and its remedy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from op25b_app.net.prefix import WIDTH
from op25b_app.net.prefix_set import key_of
from op25b_app.policy.address_space import Space
from op25b_app.policy.diagnostic import Diagnostic, warning
from op25b_app.policy.document import Document
from op25b_app.policy.model import (
    LocatedPrefix,
    Mode,
    Policy,
    PortRole,
    SourceLocation,
    SourceValidation,
    SubscriberPort,
    Switch,
)
from op25b_app.policy.schema import SwitchSection
from op25b_app.policy.yaml_source import Path

MAX_ALIKE = 20
"""Maximum number of warnings of one kind; further ones are counted."""
MAX_UNBOUND_SHARE = 0.5
"""Share of the lines that may lack a binding, without a warning, where sources are validated by binding."""


def lint(policy: Policy, document: Document) -> Iterator[Diagnostic]:
    """Yield a warning for each probable mistake."""
    for found in (
        _empty_dynamic(policy, document),
        _without_effect(policy, document),
        _bound_outside(policy),
        _bound_to_two_switches(policy),
        _exceptions_in_vain(policy),
        _lines_without_binding(policy),
        _forgotten_version(policy, document),
        _nothing_looked_at(policy),
    ):
        yield from first_alike([*found])


def unbound_lines(policy: Policy) -> list[SubscriberPort]:
    """Return the lines that can get an address and no further, since nothing is bound to them.

    Where addresses of lines are learned, any line may get a binding.
    """
    if policy.hardening.source_validation is not SourceValidation.BINDING or policy.lines is not None:
        return []
    return [
        line
        for switch in policy.switches.values()
        if switch.mode is Mode.ENFORCE
        for bound in [{(each.port, each.vlan) for each in switch.bindings if each.addresses}]
        for line in switch.lines()
        if bound.isdisjoint(
            ((line.port, None), (line.port, line.vlan if line.vlan is not None else 0)),
        )
    ]


def first_alike(alike: Sequence[Diagnostic]) -> Iterator[Diagnostic]:
    """Yield the first warnings of one kind and, where there are more, one with their number."""
    yield from alike[:MAX_ALIKE]
    if len(alike) > MAX_ALIKE:
        what = f"and {len(alike) - MAX_ALIKE:,} more of the kind of the {MAX_ALIKE} before"
        yield warning(alike[MAX_ALIKE].place, what)


def _empty_dynamic(policy: Policy, document: Document) -> Iterator[Diagnostic]:
    space = document.written.address_space
    if "dynamic" in space.model_fields_set and not (space.dynamic or policy.dynamic):
        what = "dynamic is empty: no address of the ISP is closed to port 25"
        place = document.key_place(("address_space", "dynamic"))
        yield warning(place, f"{what}; list the pools of changing addresses")


def _without_effect(policy: Policy, document: Document) -> Iterator[Diagnostic]:
    validation = policy.hardening.source_validation
    for name, switch in document.written.switches.items():
        if switch.serves is not None and validation is not SourceValidation.PREFIX:
            what = f"serves applies under 'source_validation: prefix' only, and this is '{validation.value}'"
            place = document.key_place(("switches", name, "serves"))
            yield warning(place, f"{what}; take it out, or write prefix")
        if validation is not SourceValidation.BINDING:
            for place in _macs(policy.switches[name], switch, document):
                what = (
                    f"mac applies under 'source_validation: binding' only, and this is '{validation.value}'"
                )
                yield warning(place, f"{what}; take it out, or write binding")


def _macs(switch: Switch, written: SwitchSection, document: Document) -> Iterator[SourceLocation]:
    """Yield the place of the MAC address of each binding; of those in files, only the first."""
    path: Path = ("switches", switch.name, "bindings")
    sections = [*enumerate(written.bindings)]
    yield from (
        document.key_place((*path, index, "mac")) for index, section in sections if section.mac is not None
    )
    if any(section.file is not None for _, section in sections):
        own = {document.place((*path, index)) for index, _ in sections}
        places = (binding.place for binding in switch.bindings if binding.mac is not None)
        yield from islice((place for place in places if place not in own), 1)


def _bound_outside(policy: Policy) -> Iterator[Diagnostic]:
    tables = policy.space.tables
    for line, (prefix, place) in policy.bound_prefixes():
        is_listed = tables[prefix.version].label(key_of(prefix)) is not Space.UNLISTED
        if not is_listed and policy.space.spaces_in(prefix) == {Space.UNLISTED}:
            what = f"{prefix} is bound to {line}"
            remedy = "list it there or take it out"
            yield warning(place, f"{what}, and is in neither dynamic nor static space; {remedy}")


def _bound_to_two_switches(policy: Policy) -> Iterator[Diagnostic]:
    """Warn of an address bound on two switches; lines of one switch may share it (two links, say)."""
    if sum(bool(switch.bindings) for switch in policy.switches.values()) < 2:
        return
    around: list[tuple[SubscriberPort, LocatedPrefix]] = []
    for line, listed in sorted(policy.bound_prefixes(), key=lambda bound: bound[1]):
        while around and not around[-1][1].prefix.covers(listed.prefix):
            around.pop()
        other = next((each for each in around if each[0].switch != line.switch), None)
        if other is not None:
            what = f"{listed.prefix} is bound to {line}"
            where = f"and, {other[1].place}, to {other[0]}"
            yield warning(listed.place, f"{what} {where}; bind it where its customer is")
        around.append((line, listed))


def _exceptions_in_vain(policy: Policy) -> Iterator[Diagnostic]:
    for exception in policy.written_exceptions:
        if isinstance(exception.source, SubscriberPort):
            continue
        spaces = policy.space.spaces_in(exception.source)
        what = f"exception '{exception.name}' is for {exception.source}"
        if spaces == {Space.STATIC}:
            yield warning(exception.place, f"{what}, which is static and exempt without it; remove it")
        elif spaces == {Space.UNLISTED}:
            remedy = "list it there, or correct it"
            yield warning(exception.place, f"{what}, which is in neither dynamic nor static space; {remedy}")


def _lines_without_binding(policy: Policy) -> Iterator[Diagnostic]:
    unbound = len(unbound_lines(policy))
    lines = sum(len([*switch.lines()]) for switch in policy.switches.values())
    if unbound > lines * MAX_UNBOUND_SHARE:
        what = f"{unbound:,} of {lines:,} lines have no binding: they can get an address and no further"
        remedy = "bind their addresses, or write prefix"
        yield warning(policy.hardening.source_validation_place, f"{what}; {remedy}")


def _forgotten_version(policy: Policy, document: Document) -> Iterator[Diagnostic]:
    """Warn of an IP version that lines lose: sources are validated, but none of its addresses is listed."""
    validation, place = policy.hardening.source_validation, policy.hardening.source_validation_place
    if validation is SourceValidation.BINDING and policy.lines is None:
        bound = {listed.prefix.version for _, listed in policy.bound_prefixes()}
        for version in _missing(bound):
            what = f"no binding has an IPv{version} address: every line loses IPv{version}"
            yield warning(place, f"{what}; bind those of the lines")
    elif validation is SourceValidation.PREFIX:
        own = {entry.prefix.version for entry in (*policy.dynamic, *policy.static)}
        for version in _missing(own):
            what = f"no IPv{version} prefix is dynamic or static: every line loses IPv{version}"
            yield warning(place, f"{what}; list those of the ISP, or write port-25")
        for switch in policy.switches.values():
            served = {entry.prefix.version for entry in switch.serves or ()}
            for version in own & {*_missing(served)}:
                what = f"{switch.name} serves no IPv{version} prefix: its lines lose IPv{version}"
                serves = document.key_place(("switches", switch.name, "serves"))
                yield warning(serves, f"{what}; list those behind it")


def _missing(versions: Iterable[int]) -> list[int]:
    """Return the missing IP version where the other one is present."""
    there = {*versions}
    return [version for version in WIDTH if version not in there] if there else []


def _nothing_looked_at(policy: Policy) -> Iterator[Diagnostic]:
    for switch in policy.switches.values():
        others = (PortRole.SUBSCRIBER, PortRole.UPLINK)
        if any(entry.role in others for entry in switch.by_name):
            continue
        trusted = switch.trusted_ports or any(entry.role is PortRole.TRUSTED for entry in switch.by_name)
        if trusted and not (switch.subscriber_ports or switch.uplink_ports):
            what = f"{switch.name} has only trusted ports, where all packets are permitted"
            yield warning(switch.place, f"{what}; name its subscriber_ports and uplink_ports")
