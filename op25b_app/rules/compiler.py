"""From a policy to the flow rules of one switch at one moment."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable, Iterator

from op25b_app.policy.model import Line, Listed, MailException, Mode, Policy, SourceValidation, Switch
from op25b_app.policy.nat64 import embed
from op25b_app.policy.prefix import WIDTH, Prefix
from op25b_app.rules.flow import COOKIE_OWNER, NORMAL, Action, Field, FlowRule, Goto, Match, Role, match_of
from op25b_app.rules.pipeline import (
    ETH_IPV4,
    ETH_IPV6,
    IP_TCP,
    SMTP,
    SUBMISSION_PORTS,
    Admit,
    Egress,
    EgressSmtp,
    Ingress,
    IngressAddresses,
    Table,
)
from op25b_app.rules.prefixes import (
    cover_of_label,
    entries_inside,
    longest_matches,
    minimal_cover,
    minimal_table,
    of_version,
    overlay,
)

MAX_HARD_TIMEOUT = 65535
"""Seconds; the field has 16 bits (OpenFlow 1.3.5, section 7.3.4.1)."""

VERSIONS = (4, 6)
_ETH_TYPE = {4: Field("eth_type", ETH_IPV4), 6: Field("eth_type", ETH_IPV6)}
_TCP = Field("ip_proto", IP_TCP)


class _Space(enum.Enum):
    """What the longest listed prefix says of an address."""

    DYNAMIC = "dynamic"
    STATIC = "static"
    BOUND = "static, on one line only"
    UNLISTED = "unlisted"


def compile_rules(policy: Policy, switch: Switch, at: float) -> tuple[FlowRule, ...]:
    """The rules that make ``switch`` do what ``decide`` says, for exceptions in force ``at`` a moment.

    ``at`` is in seconds since 1970. The order is safe to load front to back: a rule leads only to
    tables that come before it, and in a table blocks come before permits.
    """
    compiler = _Compiler(policy, switch, at)
    rules = [*compiler.egress(), *compiler.admit()]
    if switch.uplink_ports:
        rules = [*compiler.ingress(), *rules]
    by_key: dict[tuple[int, int, Match], FlowRule] = {}
    for rule in rules:
        other = by_key.get(rule.key)
        if other is None or _outlives(rule, other):
            by_key[rule.key] = rule
    return tuple(sorted(by_key.values(), key=lambda rule: (-rule.table, rule.role not in _BLOCKS)))


_BLOCKS = (Role.BLOCK, Role.WOULD_BLOCK)


class _Compiler:
    def __init__(self, policy: Policy, switch: Switch, at: float) -> None:
        self._policy = policy
        self._switch = switch
        self._at = at
        table = switch.forwarding_table
        self._forward: Action = NORMAL if table is None else Goto(table)
        self._block: tuple[Role, Action] = (Role.BLOCK, None)
        if switch.mode is Mode.MONITOR:
            self._block = (Role.WOULD_BLOCK, self._forward)
        self._mail = [*_prefixes(policy.mail_destinations)]
        self._mail += self._behind_nat64(self._mail)
        self._space = {version: _space(policy, version) for version in VERSIONS}
        self._exceptions = [exception for exception in policy.exceptions if _seconds_left(exception, at) != 0]

    def admit(self) -> Iterator[FlowRule]:
        """Table 0: the direction, from the role of the port."""
        switch, known = self._switch, Admit.KNOWN_PORT
        for port in sorted(switch.subscriber_ports):
            yield _rule(Table.ADMIT, known, Role.PORT, Goto(Table.EGRESS), *_in_port(port))
        for port in sorted(switch.uplink_ports):
            yield _rule(Table.ADMIT, known, Role.PORT, Goto(Table.INGRESS), *_in_port(port))
        for port in sorted(switch.trusted_ports):
            yield _rule(Table.ADMIT, known, Role.PORT, self._forward, *_in_port(port))
        yield _rule(Table.ADMIT, Admit.UNKNOWN_PORT, Role.PORT, Goto(Table.EGRESS))

    def egress(self) -> Iterator[FlowRule]:
        """From subscribers: the port, then for port 25 the addresses."""
        yield _rule(Table.EGRESS, Egress.OTHERWISE, Role.FORWARD, self._forward)
        for version in VERSIONS:
            yield _rule(
                Table.EGRESS,
                Egress.SMTP,
                Role.SELECT,
                Goto(Table.EGRESS_SMTP),
                *_tcp(version, "tcp_dst", SMTP),
            )
            for port in SUBMISSION_PORTS:
                match = _tcp(version, "tcp_dst", port)
                yield _rule(Table.EGRESS, Egress.SUBMISSION, Role.SUBMISSION, self._forward, *match)
        yield from self._mail_destinations()
        yield from self._egress_exceptions()
        yield from self._bound_sources()
        yield from self._sources()

    def ingress(self) -> Iterator[FlowRule]:
        """From uplinks: the port, then the addresses; nothing at all where nothing can be blocked."""
        yield _rule(Table.INGRESS, Ingress.OTHERWISE, Role.FORWARD, self._forward)
        after_replies = self._forward
        if self._policy.inbound.block_port_25:
            after_replies = Goto(Table.INGRESS_SMTP)
        yield from self._ingress_smtp()
        yield from self._ingress_replies(after_replies)

    def _mail_destinations(self) -> Iterator[FlowRule]:
        for version in VERSIONS:
            for prefix in minimal_cover(version, self._mail):
                yield _rule(
                    Table.EGRESS_SMTP,
                    EgressSmtp.MAIL_DESTINATION,
                    Role.MAIL_DESTINATION,
                    self._forward,
                    *_destination(prefix),
                )

    def _egress_exceptions(self) -> Iterator[FlowRule]:
        """A line is known by its port here, an address by itself anywhere."""
        for exception in self._exceptions:
            source = exception.source
            for destination in self._destinations(exception):
                if isinstance(source, Line):
                    if source.switch != self._switch.name:
                        continue
                    fields = (*_in_port(source.port), *_destination(destination))
                elif _same_version(source, destination):
                    fields = (*_source(source), *_destination(destination))
                else:
                    continue
                yield self._exception_rule(
                    Table.EGRESS_SMTP, EgressSmtp.EXCEPTION, self._forward, exception, fields
                )

    def _bound_sources(self) -> Iterator[FlowRule]:
        """Static addresses that are bound here: permitted on their own line."""
        for version in VERSIONS:
            space = self._space[version]
            ascending = sorted(space)
            for port, bound in _bound_by_port(self._switch, version):
                labels = longest_matches(space, bound, _Space.UNLISTED)
                local = dict(zip(bound, labels, strict=True))
                for prefix in bound:
                    local.update((inner, space[inner]) for inner in entries_inside(ascending, prefix))
                for prefix in cover_of_label(version, local, _Space.STATIC):
                    match = (*_in_port(port), *_source(prefix))
                    yield _rule(
                        Table.EGRESS_SMTP, EgressSmtp.BOUND_SOURCE, Role.STATIC, self._forward, *match
                    )

    def _sources(self) -> Iterator[FlowRule]:
        """Static, dynamic and unlisted space by longest prefix."""
        permitted = {_Space.STATIC}
        if self._policy.hardening.source_validation is SourceValidation.OFF:
            permitted.add(_Space.UNLISTED)
        table, otherwise = Table.EGRESS_SMTP, EgressSmtp.OTHERWISE
        unlisted_is_permitted = _Space.UNLISTED in permitted
        for version in VERSIONS:
            bound = (prefix for _, prefixes in self._bound_anywhere(version) for prefix in prefixes)
            space = overlay(self._space[version], bound, _only_on_its_line, _Space.UNLISTED)
            permits = {prefix: label in permitted for prefix, label in space.items()}
            smallest = minimal_table(version, permits, unlisted_is_permitted)
            for prefix, permit in smallest.items():
                if prefix.length == 0 and not permit:
                    continue
                role, action = (Role.STATIC, self._forward) if permit else self._block
                yield _rule(table, EgressSmtp.SOURCE + prefix.length, role, action, *_source(prefix))
        role, action = self._block
        yield _rule(table, otherwise, role, action)

    def _bound_anywhere(self, version: int) -> Iterator[tuple[int, list[Prefix]]]:
        for switch in self._policy.switches.values():
            yield from _bound_by_port(switch, version)

    def _ingress_replies(self, permit: Action) -> Iterator[FlowRule]:
        policy, table, at = self._policy, Table.INGRESS_REPLIES, IngressAddresses
        own = self._own_sources()
        if not (own or policy.inbound.block_spoofed_replies):
            return
        for version in VERSIONS:
            match = _tcp(version, "tcp_src", SMTP)
            yield _rule(Table.INGRESS, Ingress.FROM_SMTP, Role.SELECT, Goto(table), *match)
            for prefix in minimal_cover(version, self._mail):
                yield _rule(table, at.MAIL_SOURCE, Role.MAIL_DESTINATION, permit, *_source(prefix))
            for prefix in minimal_cover(version, own):
                yield _rule(table, at.OWN_SOURCE, *self._block, *_source(prefix))
        if policy.inbound.block_spoofed_replies:
            yield from self._reply_exceptions(permit)
            for version in VERSIONS:
                yield from self._into_dynamic(table, version, permit, ())
        yield _rule(table, at.OTHERWISE, Role.FORWARD, permit)

    def _reply_exceptions(self, permit: Action) -> Iterator[FlowRule]:
        """The way back. A line is known by what is bound to it; without bindings it may be anybody."""
        for exception in self._exceptions:
            sources: list[Prefix | None]
            if isinstance(exception.source, Line):
                sources = [*_bound_to(self._policy, exception.source)] or [None]
            else:
                sources = [exception.source]
            for source in sources:
                for destination in self._destinations(exception):
                    if _same_version(source, destination):
                        fields = (*_source(destination), *_destination(source))
                        yield self._exception_rule(
                            Table.INGRESS_REPLIES, IngressAddresses.EXCEPTION, permit, exception, fields
                        )

    def _ingress_smtp(self) -> Iterator[FlowRule]:
        policy, table, at = self._policy, Table.INGRESS_SMTP, IngressAddresses
        own = self._own_sources()
        if not (own or policy.inbound.block_port_25):
            return
        for version in VERSIONS:
            match = _tcp(version, "tcp_dst", SMTP)
            yield _rule(Table.INGRESS, Ingress.TO_SMTP, Role.SELECT, Goto(table), *match)
            if not policy.inbound.block_port_25:
                for prefix in minimal_cover(version, self._mail):
                    yield _rule(table, at.MAIL_SOURCE, Role.MAIL_DESTINATION, self._forward, *_source(prefix))
            without = self._mail if policy.inbound.block_port_25 else ()
            for prefix in minimal_cover(version, own, without):
                yield _rule(table, at.OWN_SOURCE, *self._block, *_source(prefix))
            if policy.inbound.block_port_25:
                yield from self._into_dynamic(table, version, self._forward, match)
        yield _rule(table, at.OTHERWISE, Role.FORWARD, self._forward)

    def _into_dynamic(self, table: Table, version: int, permit: Action, match: Match) -> Iterator[FlowRule]:
        """Blocks what goes to dynamic space by longest prefix; ``match`` comes on top."""
        dynamic = {prefix: label is _Space.DYNAMIC for prefix, label in self._space[version].items()}
        for prefix, blocked in minimal_table(version, dynamic, False).items():
            if prefix.length == 0 and not blocked:
                continue
            role, action = self._block if blocked else (Role.FORWARD, permit)
            priority = IngressAddresses.DESTINATION + prefix.length
            yield _rule(table, priority, role, action, *match, *_destination(prefix))

    def _own_sources(self) -> list[Prefix]:
        """Own space, which no uplink may send from; empty where sources are not validated."""
        if self._policy.hardening.source_validation is SourceValidation.OFF:
            return []
        return _prefixes((*self._policy.dynamic, *self._policy.static))

    def _destinations(self, exception: MailException) -> list[Prefix | None]:
        """Where an exception leads, as any IP version sees it; None is anywhere."""
        if exception.destination is None:
            return [None]
        return [exception.destination, *self._behind_nat64([exception.destination])]

    def _behind_nat64(self, prefixes: Iterable[Prefix]) -> list[Prefix]:
        nat64 = [listed.prefix for listed in self._policy.nat64_prefixes]
        return [embed(outer, prefix) for prefix in prefixes if prefix.version == 4 for outer in nat64]

    def _exception_rule(
        self,
        table: Table,
        priority: int,
        action: Action,
        exception: MailException,
        fields: Iterable[Field],
    ) -> FlowRule:
        rule = _rule(table, priority, Role.EXCEPTION, action, *fields)
        left = _seconds_left(exception, self._at)
        return rule._replace(hard_timeout=min(left or 0, MAX_HARD_TIMEOUT))


def _rule(table: int, priority: int, role: Role, action: Action, *fields: Field) -> FlowRule:
    match = match_of(fields)
    return FlowRule(table, priority, match, action, _cookie(role, table, match))


def _cookie(role: Role, table: int, match: Match) -> int:
    """Owner, role and 40 bits of digest: the same for the same rule whenever it is compiled."""
    text = repr((int(table), *(tuple(field) for field in match)))
    digest = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=5).digest(), "big")
    return COOKIE_OWNER << 48 | role << 40 | digest


def _seconds_left(exception: MailException, at: float) -> int | None:
    """Whole seconds an exception still has: 0 where it is past or nearly so, None where it never ends."""
    return None if exception.expires is None else max(0, int(exception.expires - at))


def _outlives(rule: FlowRule, other: FlowRule) -> bool:
    return other.hard_timeout != 0 and (rule.hard_timeout == 0 or rule.hard_timeout > other.hard_timeout)


def _space(policy: Policy, version: int) -> dict[Prefix, _Space]:
    space = dict.fromkeys(of_version(_prefixes(policy.dynamic), version), _Space.DYNAMIC)
    space.update(dict.fromkeys(of_version(_prefixes(policy.static), version), _Space.STATIC))
    return space


def _only_on_its_line(label: _Space) -> _Space:
    return _Space.BOUND if label is _Space.STATIC else label


def _bound_by_port(switch: Switch, version: int) -> Iterator[tuple[int, list[Prefix]]]:
    """Ports of a switch with the prefixes that are bound to them, ascending."""
    by_port: dict[int, set[Prefix]] = {}
    for binding in switch.bindings:
        by_port.setdefault(binding.port, set()).update(of_version(_prefixes(binding.addresses), version))
    for port, prefixes in sorted(by_port.items()):
        yield port, sorted(prefixes)


def _bound_to(policy: Policy, line: Line) -> list[Prefix]:
    switch = policy.switches.get(line.switch)
    if switch is None:
        return []
    return [
        prefix
        for version in VERSIONS
        for port, prefixes in _bound_by_port(switch, version)
        if port == line.port
        for prefix in prefixes
    ]


def _prefixes(listed: Iterable[Listed]) -> list[Prefix]:
    return [entry.prefix for entry in listed]


def _same_version(one: Prefix | None, other: Prefix | None) -> bool:
    return one is None or other is None or one.version == other.version


def _in_port(port: int) -> tuple[Field]:
    return (Field("in_port", port),)


def _tcp(version: int, name: str, port: int) -> tuple[Field, ...]:
    return _ETH_TYPE[version], _TCP, Field(name, port)


def _source(prefix: Prefix | None) -> tuple[Field, ...]:
    return _address("src", prefix)


def _destination(prefix: Prefix | None) -> tuple[Field, ...]:
    return _address("dst", prefix)


def _address(side: str, prefix: Prefix | None) -> tuple[Field, ...]:
    """Match fields of one address, prerequisite included; None, like a length of 0, needs no address."""
    if prefix is None:
        return ()
    if prefix.length == 0:
        return (_ETH_TYPE[prefix.version],)
    mask = None if prefix.length == WIDTH[prefix.version] else prefix.mask
    return _ETH_TYPE[prefix.version], Field(f"ipv{prefix.version}_{side}", prefix.network, mask)
