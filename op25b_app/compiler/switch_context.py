"""Values of a policy for one switch at one moment, as all of its tables need them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from op25b_app.compiler.address_labels import Addresses, prefixes_of
from op25b_app.compiler.rule_factory import rule_of
from op25b_app.net.port_number import NO_PORT
from op25b_app.net.prefix import Prefix
from op25b_app.openflow.flow_rule import NORMAL, Action, FieldValue, FlowRule, Goto, RuleRole
from op25b_app.policy.model import Binding, MailException, Mode, Policy, SourceValidation, Switch

MAX_HARD_TIMEOUT = 65535
"""Maximum hard time-out in seconds; the field has 16 bits (OpenFlow 1.3.5, section 7.3.4.1)."""


Served = tuple[Prefix, ...] | None
"""Prefixes behind a switch; None means all of own space, or that no rule depends on them."""


class SwitchContext:
    """Values for the rules of one switch; ``at`` is in seconds since 1970.

    ``known`` are rules of bindings, made for the same switch when other lines had other bindings.
    """

    def __init__(
        self,
        policy: Policy,
        switch: Switch,
        at: float,
        addresses: Addresses | None = None,
        known: Mapping[Binding, Sequence[FlowRule]] = MappingProxyType({}),
    ) -> None:
        self.policy = policy
        self.switch = switch
        self.addresses = addresses or Addresses(policy)
        self.hardening = policy.hardening
        self.forward: Action = NORMAL
        if switch.forwarding_table is not None:
            self.forward = Goto(switch.forwarding_table)
        self.block: tuple[RuleRole, Action] = (RuleRole.BLOCK, None)
        if switch.mode is Mode.MONITOR:
            self.block = (RuleRole.WOULD_BLOCK, self.forward)
        self.served: Served = None
        if switch.serves is not None and self.hardening.source_validation is SourceValidation.PREFIX:
            self.served = tuple(prefixes_of(switch.serves))
        timeouts = [_hard_timeout(exception, at) for exception in policy.exceptions]
        self.timeouts = tuple(timeouts)
        """Seconds for each exception; 0 where it is past, nearly so or to come, None where it never ends."""
        self.exceptions = [
            entry for entry, timeout in zip(policy.exceptions, timeouts, strict=True) if timeout != 0
        ]
        self._at = at
        self._known = known
        self.binding_rules: dict[Binding, Sequence[FlowRule]] = {}
        """Rules of the bindings that were asked for."""

    def rules_of_binding(
        self, binding: Binding, make: Callable[[SwitchContext, Binding], Iterable[FlowRule]]
    ) -> Sequence[FlowRule]:
        """Return the rules of a binding: those that are ``known``, or else new ones."""
        rules = self._known.get(binding)
        if rules is None:
            rules = tuple(make(self, binding))
        self.binding_rules[binding] = rules
        return rules

    def destinations(self, exception: MailException) -> list[Prefix | None]:
        """Return the destination of an exception, also as seen behind NAT64; None is any destination."""
        if exception.destination is None:
            return [None]
        return [exception.destination, *self.addresses.behind_nat64([exception.destination])]

    def exception_rule(
        self,
        table: int,
        priority: int,
        action: Action,
        exception: MailException,
        fields: Iterable[FieldValue],
    ) -> FlowRule:
        """Return a rule that ends no later than its exception."""
        rule = rule_of(table, priority, RuleRole.EXCEPTION, action, *fields)
        return rule._replace(hard_timeout=_hard_timeout(exception, self._at) or 0)


def _hard_timeout(exception: MailException, at: float) -> int | None:
    if exception.starts is not None and at < exception.starts:
        return 0
    if exception.expires is None:
        return None
    return min(max(0, int(exception.expires - at)), MAX_HARD_TIMEOUT)


def known_bindings(switch: Switch) -> Iterator[Binding]:
    """Yield the bindings to ports whose numbers are known."""
    return (binding for binding in switch.bindings if binding.port != NO_PORT)


def bound_by_line(switch: Switch, version: int) -> Mapping[tuple[int, int | None], Sequence[Prefix]]:
    """Return the prefixes of one IP version bound to each line (port and VLAN), ascending by prefix."""
    by_line: dict[tuple[int, int | None], set[Prefix]] = {}
    for binding in known_bindings(switch):
        here = (prefix for prefix in prefixes_of(binding.addresses) if prefix.version == version)
        by_line.setdefault((binding.port, binding.vlan), set()).update(here)
    return {line: sorted(prefixes) for line, prefixes in by_line.items()}


def same_version(one: Prefix | None, other: Prefix | None) -> bool:
    """Return whether both can be addresses of one packet; None is any address."""
    return one is None or other is None or one.version == other.version
