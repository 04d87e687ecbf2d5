"""Check that a policy blocks mail at all, before it replaces another."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace

from op25b_app.diff.match_switches import pairs_of
from op25b_app.diff.words import names
from op25b_app.net.prefix import WIDTH
from op25b_app.net.prefix_cover import held_by
from op25b_app.net.ranges import Ranges, complement
from op25b_app.policy.model import (
    MailException,
    Mode,
    Policy,
    PortRole,
    SourceValidation,
    SubscriberPort,
    Switch,
    Verdict,
)
from op25b_app.policy.port_names import is_unresolved
from op25b_app.verify.budget import Budget, OverBudgetError, steps_for
from op25b_app.verify.diagram import Diagrams
from op25b_app.verify.header import LEVELS, SIZES
from op25b_app.verify.symbolic_policy import SymbolicPolicy, longest_match_stretches, with_nat64

_SMTP, _TCP = 25, 6
_VERSIONS = (4, 6)
_EXCEPTIONS = "exceptions permit mail from all of address_space.dynamic"
_TRIES = 8
"""Number of prefixes, and of gaps between prefixes, in which an example is sought first."""


def would_block_nothing(policy: Policy, switch: Switch, at: float) -> str | None:
    """Return why a policy blocks no mail from dynamic addresses at a switch's subscriber ports.

    None where it blocks some. Source validation is ignored: it blocks foreign addresses, not senders of mail.
    ``at`` is in seconds since 1970.
    """
    return _Closure(policy, at).violation(switch)


def stops_blocking(
    old: Policy | None, new: Policy, at: float, is_over: Callable[[], bool] = lambda: False
) -> list[str]:
    """Return, for each reason, a sentence on the switches that block mail under ``old`` but not ``new``.

    ``at`` is in seconds since 1970. The size of each policy limits the work; it ends early where ``is_over``,
    called now and then, returns True. A policy not decided by then is treated as one that blocks nothing.
    """
    if old is None:
        return []
    before, after = _Closure(old, at, is_over), _Closure(new, at, is_over)
    by_reason: dict[str, list[str]] = {}
    for switch, successor in pairs_of(old, new).common:
        reason = after.violation(successor)
        if reason is not None and before.violation(switch) is None:
            by_reason.setdefault(reason, []).append(successor.name)
    return [f"{names(switches)} would block nothing: {reason}" for reason, switches in by_reason.items()]


class _Closure:
    """The sources and destinations between which a policy closes port 25."""

    def __init__(self, policy: Policy, at: float, is_over: Callable[[], bool] = lambda: False) -> None:
        # An exception to come is counted as if it had started, since no other policy is compared then.
        begun = (replace(exception, starts=None) for exception in policy.exceptions)
        policy = replace(policy, exceptions=tuple(begun))
        self._policy = policy
        self._at = at
        self._is_over = is_over
        self._sources = {version: self._some_dynamic(version) for version in _VERSIONS}
        self._destinations = {version: self._closed(version) for version in _VERSIONS}
        self._exceptions = [exception for exception in policy.exceptions if exception.in_force(at)]
        self._examples = list(self._pairs())
        self._reason = self._violation_of_addresses()

    def violation(self, switch: Switch) -> str | None:
        """Return why nothing is blocked at a switch's subscriber ports; None where something is."""
        if switch.mode is Mode.MONITOR:
            return "it is in monitor mode, which counts and lets through"
        lines = self._usable_lines(switch)
        if not lines:
            return "it has no subscriber ports"
        if self._reason is not None or not self._exceptions:
            return self._reason
        if any(not self._excepts(line, *pair) for line in lines for pair in self._examples):
            return None
        try:
            if self._blocks_dynamic(switch):
                return None
        except OverBudgetError as error:
            return f"as far as could be checked within {error.within}, {_EXCEPTIONS}"
        return _EXCEPTIONS

    def _usable_lines(self, switch: Switch) -> list[SubscriberPort]:
        """Return the lines that may carry any frame at all.

        Where ports have names that are not resolved, the line of a port without a role stands for them.
        """
        if switch.by_name or is_unresolved(switch):
            free = next(port for port in itertools.count(1) if not switch.has_role(port))
            return [SubscriberPort(switch.name, free, 0)]
        if self._policy.hardening.block_encapsulation:
            return [line._replace(vlan=line.vlan or 0) for line in switch.lines()]
        return [SubscriberPort(switch.name, port) for port in switch.subscriber_ports]

    def _some_dynamic(self, version: int) -> Ranges:
        """Return dynamic addresses, at least some if there are any."""
        static = [entry.prefix for entry in self._policy.static if entry.prefix.version == version]
        dynamic = (entry.prefix for entry in self._policy.dynamic if entry.prefix.version == version)
        for prefix in itertools.islice(dynamic, _TRIES):
            inside = (each for each in static if each.length > prefix.length and prefix.covers(each))
            free = complement(held_by(inside), prefix.first, prefix.last)
            if free:
                return free
        return longest_match_stretches(self._policy, version, is_static=False)

    def _closed(self, version: int) -> Ranges:
        """Return the complement of the mail destinations."""
        seen = with_nat64(self._policy, (entry.prefix for entry in self._policy.mail_destinations))
        of_version = (prefix for prefix in seen if prefix.version == version)
        return complement(held_by(of_version), 0, (1 << WIDTH[version]) - 1)

    def _violation_of_addresses(self) -> str | None:
        """Return why the addresses alone leave nothing to block; None where they do not."""
        if not self._policy.dynamic:
            return "address_space.dynamic is empty"
        if not any(self._sources.values()):
            return "longer prefixes of address_space.static hold all of address_space.dynamic"
        if not self._examples:
            return "isp.mail_destinations hold every address"
        return None

    def _pairs(self) -> Iterator[tuple[int, int, int]]:
        """Yield packets that only an exception can permit: IP version, source and destination."""
        for version in _VERSIONS:
            ranges = self._sources[version][:_TRIES], self._destinations[version][:_TRIES]
            edges = (dict.fromkeys(edge for each in found for edge in each) for found in ranges)
            yield from ((version, source, destination) for source, destination in itertools.product(*edges))

    def _excepts(self, line: SubscriberPort, version: int, source: int, destination: int) -> bool:
        return any(
            (
                _covers(exception.source, line)
                if isinstance(exception.source, SubscriberPort)
                else exception.source.contains(version, source)
            )
            and self._leads_to(exception, version, destination)
            for exception in self._exceptions
        )

    def _leads_to(self, exception: MailException, version: int, address: int) -> bool:
        if exception.destination is None:
            return True
        seen = with_nat64(self._policy, [exception.destination])
        return any(prefix.contains(version, address) for prefix in seen)

    def _blocks_dynamic(self, switch: Switch) -> bool:
        """Return whether any mail from dynamic addresses is blocked; a second for 100,000 prefixes."""
        listed = len(self._policy.dynamic) + len(self._policy.static) + len(self._policy.mail_destinations)
        bound = sum(len(each.bindings) for each in self._policy.switches.values())
        steps = steps_for(listed + bound + len(self._policy.exceptions))
        diagrams = Diagrams(SIZES, Budget(steps, self._is_over))
        hardening = replace(self._policy.hardening, source_validation=SourceValidation.PORT_25)
        policy = replace(self._policy, hardening=hardening)
        symbolic = SymbolicPolicy(diagrams, policy, switch, self._at)
        verdicts = symbolic.verdicts(PortRole.SUBSCRIBER)
        permitted = diagrams.leaf(Verdict.PERMIT)
        asked = [
            symbolic.one_of("ip_proto", (_TCP,)),
            symbolic.one_of("tcp_dst", (_SMTP,)),
            symbolic.one_of("in_port", {line.port for line in self._usable_lines(switch)}),
            diagrams.negation(symbolic.forbidden_tag(PortRole.SUBSCRIBER)),
        ]
        for version, eth_type in zip(_VERSIONS, (0x0800, 0x86DD), strict=True):
            ranges = longest_match_stretches(self._policy, version, is_static=False)
            dynamic = diagrams.within(LEVELS[f"ipv{version}_src"], ranges)
            mail = diagrams.both(symbolic.one_of("eth_type", (eth_type,)), *asked, dynamic)
            if Verdict.BLOCK in diagrams.choose(mail, verdicts, permitted).values:
                return True
        return False


def _covers(source: SubscriberPort, line: SubscriberPort) -> bool:
    """Return whether an exception for ``source`` holds for all frames of a line."""
    is_port = (source.switch, source.port) == (line.switch, line.port)
    return is_port and source.vlan in (None, line.vlan)
