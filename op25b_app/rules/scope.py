"""What a policy means for one switch at one moment, as all of its tables need it."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping

from op25b_app.policy.model import Line, Listed, MailException, Mode, Policy, Switch
from op25b_app.policy.nat64 import embed
from op25b_app.policy.prefix import Prefix
from op25b_app.rules.flow import COOKIE_OWNER, NORMAL, Action, Field, FlowRule, Goto, Match, Role, match_of
from op25b_app.rules.prefixes import Table, minimal_table, of_version

MAX_HARD_TIMEOUT = 65535
"""Seconds; the field has 16 bits (OpenFlow 1.3.5, section 7.3.4.1)."""

VERSIONS = (4, 6)


class Space(enum.Enum):
    """What the longest listed prefix says of an address."""

    DYNAMIC = "dynamic"
    STATIC = "static"
    BOUND = "static, on one line only"
    UNLISTED = "unlisted"


class Scope:
    """The values that the rules of one switch are made of."""

    def __init__(self, policy: Policy, switch: Switch, at: float) -> None:
        self.policy = policy
        self.switch = switch
        self.hardening = policy.hardening
        self.forward: Action = NORMAL
        if switch.forwarding_table is not None:
            self.forward = Goto(switch.forwarding_table)
        self.block: tuple[Role, Action] = (Role.BLOCK, None)
        if switch.mode is Mode.MONITOR:
            self.block = (Role.WOULD_BLOCK, self.forward)
        mail = prefixes_of(policy.mail_destinations)
        self.mail = [*mail, *self._behind_nat64(mail)]
        self.own = prefixes_of((*policy.dynamic, *policy.static))
        self.space = {version: _space(policy, version) for version in VERSIONS}
        self.exceptions = [entry for entry in policy.exceptions if _seconds_left(entry, at) != 0]
        self._at = at

    def destinations(self, exception: MailException) -> list[Prefix | None]:
        """Where an exception leads, as any IP version sees it; None is anywhere."""
        if exception.destination is None:
            return [None]
        return [exception.destination, *self._behind_nat64([exception.destination])]

    def exception_rule(
        self,
        table: int,
        priority: int,
        action: Action,
        exception: MailException,
        fields: Iterable[Field],
    ) -> FlowRule:
        """A rule that ends no later than its exception."""
        left = _seconds_left(exception, self._at)
        timeout = min(left or 0, MAX_HARD_TIMEOUT)
        return rule_of(table, priority, Role.EXCEPTION, action, *fields)._replace(hard_timeout=timeout)

    def bound_anywhere(self, version: int) -> list[Prefix]:
        """What is bound to any line of any switch."""
        return [
            prefix
            for switch in self.policy.switches.values()
            for prefixes in bound_by_port(switch, version).values()
            for prefix in prefixes
        ]

    def bound_to(self, line: Line) -> list[Prefix]:
        """What is bound to one line, of both IP versions."""
        switch = self.policy.switches.get(line.switch)
        if switch is None:
            return []
        return [
            prefix for version in VERSIONS for prefix in bound_by_port(switch, version).get(line.port, ())
        ]

    def _behind_nat64(self, prefixes: Iterable[Prefix]) -> list[Prefix]:
        nat64 = prefixes_of(self.policy.nat64_prefixes)
        return [embed(outer, prefix) for prefix in prefixes if prefix.version == 4 for outer in nat64]


def rule_of(table: int, priority: int, role: Role, action: Action, *fields: Field) -> FlowRule:
    """A rule of ours; ``fields`` may repeat each other and come in any order."""
    match = match_of(fields)
    return FlowRule(table, priority, match, action, _cookie(role, table, match))


def longest_match_rules(
    table: int,
    base: int,
    version: int,
    marked: Mapping[Prefix, bool],
    what: tuple[tuple[Role, Action], tuple[Role, Action]],
    fields_of: Callable[[Prefix], tuple[Field, ...]],
) -> Iterator[FlowRule]:
    """The fewest rules that do ``what[0]`` to the marked addresses and ``what[1]`` to those taken back from
    them, by longest prefix: its length is added to ``base``. Unmarked space is left to the table's last rule.
    """
    for prefix, is_marked in minimal_table(version, marked, False).items():
        if prefix.length > 0 or is_marked:
            role, action = what[0] if is_marked else what[1]
            yield rule_of(table, base + prefix.length, role, action, *fields_of(prefix))


def bound_by_port(switch: Switch, version: int) -> Mapping[int, list[Prefix]]:
    """What is bound to each line of a switch, ascending by port and prefix."""
    by_port: dict[int, set[Prefix]] = {}
    for binding in sorted(switch.bindings, key=lambda binding: binding.port):
        prefixes = of_version(prefixes_of(binding.addresses), version)
        by_port.setdefault(binding.port, set()).update(prefixes)
    return {port: sorted(prefixes) for port, prefixes in by_port.items()}


def prefixes_of(listed: Iterable[Listed]) -> list[Prefix]:
    return [entry.prefix for entry in listed]


def same_version(one: Prefix | None, other: Prefix | None) -> bool:
    """Can both be addresses of one packet? None is any address."""
    return one is None or other is None or one.version == other.version


def _space(policy: Policy, version: int) -> Table[Space]:
    space = dict.fromkeys(of_version(prefixes_of(policy.dynamic), version), Space.DYNAMIC)
    space.update(dict.fromkeys(of_version(prefixes_of(policy.static), version), Space.STATIC))
    return space


def _cookie(role: Role, table: int, match: Match) -> int:
    """Owner, role and 40 bits of digest: the same for the same rule whenever it is compiled."""
    text = repr((int(table), *(tuple(field) for field in match)))
    digest = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=5).digest(), "big")
    return COOKIE_OWNER << 48 | role << 40 | digest


def _seconds_left(exception: MailException, at: float) -> int | None:
    """Whole seconds an exception still has: 0 where it is past or nearly so, None where it never ends."""
    return None if exception.expires is None else max(0, int(exception.expires - at))
