"""Resolve the names of ports in a policy by what each switch says of its ports.

A name that fits no port, or not one where one is needed, opens nothing: a port without a role counts as a
subscriber port, addresses stay bound, and to no line. The switch is degraded, for a reason that names it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from op25b_app.net.port_number import LOCAL_PORT, NO_PORT, PortNumbers, port_name
from op25b_app.net.prefix import quoted
from op25b_app.policy.diagnostic import names_in_words
from op25b_app.policy.model import (
    MAX_TAGS,
    Binding,
    MailException,
    NamedPorts,
    Policy,
    PortRole,
    Resolution,
    SubscriberPort,
    Switch,
)


def switch_in_effect(written: Policy, name: str, described: PortNumbers | None) -> Switch:
    """Return a switch of a written policy with its ports by number.

    ``described`` are its ports as it describes them; None where it has not, and no port has a name yet.
    """
    switch = written.switches[name]
    if name not in written.switches_by_port_name:
        return switch
    if described is None:
        return replace(switch, resolution=Resolution(None))
    of_lines = [binding.port_name for binding in switch.bindings]
    of_lines += [entry.port_name for entry in written.exceptions_by_name if _switch_of(entry) == name]
    return _resolved(switch, _Ports(name, described), [each for each in of_lines if each is not None])


def exceptions_in_effect(written: Policy, switches: Mapping[str, Switch]) -> _Exceptions:
    """Return the exceptions of a written policy with their ports by number, for switches in effect.

    Those whose port is not known wait, and permit nothing. So do those for a line whose addresses may be
    among bindings to ports that are not known: without any, any host could answer from port 25 to all dynamic
    space.
    """
    if not written.switches_by_port_name:
        return _Exceptions(written.exceptions, ())
    ports: dict[str, _Ports] = {}
    kept: list[MailException] = []
    waiting: list[MailException] = []
    for entry in (*written.exceptions, *written.exceptions_by_name):
        line, name = entry.source, entry.port_name
        if isinstance(line, SubscriberPort) and name is not None and line.switch in switches:
            switch = switches[line.switch]
            if switch.name not in ports:
                ports[switch.name] = _Ports(switch.name, _described(switch))
            if (number := _line(switch, ports[switch.name], name)) != NO_PORT:
                entry = replace(entry, source=line._replace(port=number), port_name=None)
        (waiting if entry.port_name is not None or _waits(switches, entry) else kept).append(entry)
    return _Exceptions(tuple(kept), tuple(waiting))


class _Exceptions(NamedTuple):
    """Exceptions with their ports by number, and those that wait for a port."""

    exceptions: tuple[MailException, ...]
    waiting: tuple[MailException, ...]


def is_unresolved(switch: Switch) -> bool:
    """Return whether the ports of a switch in effect are not known, though the policy has some by name."""
    return switch.resolution is not None and switch.resolution.described is None


def missing_ports(policy: Policy, switches: Iterable[str]) -> list[str]:
    """Return the names of the switches whose ports have to be known to say what some switches do.

    ``policy`` is in effect. Beside a switch itself, those with exceptions for lines matter to all: answers
    come in by the uplinks of any switch.
    """
    exceptions = (*policy.exceptions, *policy.exceptions_by_name)
    with_exceptions = {
        entry.source.switch for entry in exceptions if isinstance(entry.source, SubscriberPort)
    }
    wanted = with_exceptions.union(switches)
    return [name for name, switch in policy.switches.items() if is_unresolved(switch) and name in wanted]


class NamedRoles:
    """The roles that a policy gives ports of one switch by name."""

    def __init__(self, named: Iterable[NamedPorts]) -> None:
        self._exact: dict[str, set[PortRole]] = {}
        patterns: dict[PortRole, list[str]] = {}
        for entry in named:
            if entry.role is not None and entry.is_pattern:
                patterns.setdefault(entry.role, []).append(entry.pattern)
            elif entry.role is not None:
                self._exact.setdefault(entry.pattern, set()).add(entry.role)
        self._fits = {role: _expression(each).fullmatch for role, each in patterns.items()}

    def of(self, name: str) -> set[PortRole]:
        """Return the roles of a port with this name."""
        return self.by_pattern(name) | self._exact.get(name, set())

    def by_pattern(self, name: str) -> set[PortRole]:
        """Return the roles that a port with this name has by patterns."""
        return {role for role, fits in self._fits.items() if fits(name)}


def _expression(patterns: Iterable[str]) -> re.Pattern[str]:
    """Return an expression for the names that fit one of the patterns, upper and lower case apart."""
    return re.compile("|".join(map(_as_expression, patterns)), re.DOTALL)


def _as_expression(pattern: str) -> str:
    parts = re.split(r"(\*+|\?)", pattern)
    return "".join({"*": ".*", "?": "."}.get(part[:1], re.escape(part)) for part in parts)


def _is_pattern(name: str) -> bool:
    return "*" in name or "?" in name


def _switch_of(exception: MailException) -> str | None:
    return exception.source.switch if isinstance(exception.source, SubscriberPort) else None


def _described(switch: Switch) -> PortNumbers | None:
    return switch.resolution.described if switch.resolution is not None else None


class _Ports:
    """The ports of a switch by name, and what is wrong with names."""

    def __init__(self, switch: str, described: PortNumbers | None) -> None:
        self.switch = switch
        self.described = described
        self._numbers: dict[str, list[int]] = {}
        for name, number in sorted(described or ()):
            self._numbers.setdefault(name, []).append(number)

    def fitting(self, name: str) -> list[int]:
        """Return the ports that a name fits; a pattern never fits LOCAL, a name never several ports."""
        if not _is_pattern(name):
            numbers = self._numbers.get(name, [])
            return numbers if len(numbers) == 1 else []
        fits = _expression((name,)).fullmatch
        found = (numbers for each, numbers in self._numbers.items() if fits(each))
        return [number for numbers in found for number in numbers if number != LOCAL_PORT]

    def number(self, name: str) -> int:
        """Return the port with this name; NO_PORT where none has it, or several."""
        found = self.fitting(name)
        return found[0] if found else NO_PORT

    def are_called(self, name: str) -> int:
        """Return how many ports have a name."""
        return len(self._numbers.get(name, ()))

    def shown(self, numbers: Iterable[int]) -> str:
        """Return numbers of ports with their names, in words."""
        names = {number: name for name, all_of_it in self._numbers.items() for number in all_of_it}
        ordered = sorted(numbers)
        words = names_in_words(
            [f"{port_name(number)} ({quoted(names[number])})" if number in names else port_name(number)
             for number in ordered]
        )  # fmt: skip
        return f"port{'s' * (len(ordered) > 1)} {words}"


def _resolved(written: Switch, ports: _Ports, lines: Iterable[str]) -> Switch:
    """Return a switch with its ports by number; ``lines`` are names of ports that are lines."""
    problems: list[str] = []
    switch = _with_roles(written, ports, problems)
    switch = _with_tags(switch, ports, problems)
    switch = replace(switch, bindings=tuple(_bindings(switch, ports)), by_name=())
    lines = [*dict.fromkeys(lines)]
    patterns = (entry.pattern for entry in written.by_name)
    problems[:0] = _unknown([*dict.fromkeys([*patterns, *lines])], ports)
    problems += _no_lines(switch, ports, lines)
    return replace(switch, resolution=Resolution(ports.described, tuple(problems)))


def _with_roles(written: Switch, ports: _Ports, problems: list[str]) -> Switch:
    """Return a switch with the roles by name; a port with two roles is left without one."""
    roles = {
        PortRole.SUBSCRIBER: {*written.subscriber_ports},
        PortRole.UPLINK: {*written.uplink_ports},
        PortRole.TRUSTED: {*written.trusted_ports},
    }
    for entry in written.by_name:
        if entry.role is not None:
            roles[entry.role].update(ports.fitting(entry.pattern))
    seen: set[int] = set()
    twice: set[int] = set()
    for numbers in roles.values():
        twice |= seen & numbers
        seen |= numbers
    if twice:
        what = f"{ports.shown(twice)} {'has' if len(twice) == 1 else 'have'} two roles"
        how = f"counted as subscriber port{'s' * (len(twice) > 1)}: give each one role in {written.name}"
        problems.append(f"{what}, {how}")
    subscriber, uplink, trusted = (frozenset(numbers - twice) for numbers in roles.values())
    return replace(written, subscriber_ports=subscriber, uplink_ports=uplink, trusted_ports=trusted)


def _with_tags(switch: Switch, ports: _Ports, problems: list[str]) -> Switch:
    """Return a switch with the tags by name; a port that has tags in two places has those of both."""
    named = [entry for entry in switch.by_name if entry.tags is not None]
    if not named:
        return switch
    vlans = dict(switch.vlans)
    twice: set[int] = set()
    for entry in named:
        assert entry.tags is not None
        for number in ports.fitting(entry.pattern):
            if number in vlans:
                twice.add(number)
            vlans[number] = entry.tags & vlans.get(number, entry.tags)
    if twice:
        what = f"{ports.shown(twice)} {'has' if len(twice) == 1 else 'have'} tags in two places of vlans"
        problems.append(f"{what}, of which only common ones are taken: keep one of them in {switch.name}")
    total = 0
    for number, tags in vlans.items():
        total += len(tags)
        if total > MAX_TAGS and number not in switch.vlans:
            vlans[number] = frozenset()
    if total > MAX_TAGS:
        what = f"{total:,} tags on all ports, each of which is a rule, so that some ports carry none"
        problems.append(f"{what}: write at most {MAX_TAGS:,} in {switch.name}")
    return replace(switch, vlans=MappingProxyType(vlans))


def _bindings(switch: Switch, ports: _Ports) -> Iterator[Binding]:
    for binding in switch.bindings:
        number = NO_PORT if binding.port_name is None else _line(switch, ports, binding.port_name)
        yield binding if number == NO_PORT else replace(binding, port=number, port_name=None)


def _line(switch: Switch, ports: _Ports, name: str) -> int:
    """Return the subscriber port with a name; NO_PORT where there is none."""
    number = ports.number(name)
    return number if number != NO_PORT and switch.role_of(number) is PortRole.SUBSCRIBER else NO_PORT


def _waits(switches: Mapping[str, Switch], exception: MailException) -> bool:
    """Return whether an exception has to wait until it is known which addresses its line has.

    Without any, it would let any host answer from port 25 to all dynamic space.
    """
    line = exception.source
    if not isinstance(line, SubscriberPort) or line.switch not in switches:
        return False
    bindings = switches[line.switch].bindings
    return any(each.port_name is not None for each in bindings) and not any(
        each.port == line.port and (None in (each.vlan, line.vlan) or each.vlan == line.vlan)
        for each in bindings
    )


def _unknown(names: Sequence[str], ports: _Ports) -> Iterator[str]:
    """Yield a sentence on the names that fit no port, and on those of several ports."""
    unknown = [name for name in names if not ports.fitting(name)]
    several = [name for name in unknown if ports.are_called(name)]
    none = [name for name in unknown if not ports.are_called(name)]
    where = f"correct {ports.switch} in the policy"
    if none:
        yield f"no port is called {names_in_words([*map(quoted, none)])}: {where}, or add the port"
    if several:
        called = names_in_words([f"{quoted(name)} ({ports.are_called(name)})" for name in several])
        yield f"several ports are called {called}: {where}, with their numbers"


def _no_lines(switch: Switch, ports: _Ports, names: Iterable[str]) -> Iterator[str]:
    """Yield a sentence on the names of lines that are no subscriber ports."""
    numbers = {ports.number(name) for name in names} - {NO_PORT}
    if others := [number for number in numbers if switch.role_of(number) is not PortRole.SUBSCRIBER]:
        what = f"bindings or exceptions are for {ports.shown(others)}"
        yield f"{what}, and a line is a subscriber port: correct {switch.name} in the policy"
