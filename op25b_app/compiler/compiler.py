"""Compile a policy to the flow rules of its switches."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from op25b_app.compiler.address_labels import Addresses
from op25b_app.compiler.admit import admit_rules
from op25b_app.compiler.egress import egress_batches, egress_exceptions, egress_rules, source_batches
from op25b_app.compiler.ingress import ingress_batches, ingress_exceptions, ingress_rules
from op25b_app.compiler.rule_factory import RuleBatch
from op25b_app.compiler.snooping import snooping_rules
from op25b_app.compiler.subscriber import line_rules
from op25b_app.compiler.switch_context import SwitchContext
from op25b_app.net.prefix_set import Key
from op25b_app.openflow.flow_rule import FlowRule, Match, RuleRole
from op25b_app.policy.model import Binding, Policy, Switch

Segment = tuple[FlowRule, ...]
"""Rules of one table, at least one; all of them block or none does."""


def compile_rules(policy: Policy, switch: Switch, at: float) -> tuple[FlowRule, ...]:
    """Return the rules that make ``switch`` do what ``decide`` says, with the exceptions in force ``at``.

    ``at`` is in seconds since 1970. The order is safe to load front to back: a rule leads only to tables that
    come before it, and in a table blocks come before permits.
    """
    return Compiler(policy).rules(switch, at)


class Compiler:
    """Compiler for the switches of a policy; what they share is compiled once.

    Rules of no single line are the same objects, in the same segments, for all switches of one mode and
    forwarding. Rules that the policy of ``previous`` has too are taken from there, as the same objects.
    """

    def __init__(self, policy: Policy, previous: Compiler | None = None) -> None:
        self._policy = policy
        self._addresses: Addresses = Addresses(policy, previous._addresses if previous else None)
        self._parts: dict[Hashable, _Part] = {}
        self._parts_before = previous._parts if previous else {}
        self._binding_rules: dict[str, Mapping[Binding, Sequence[FlowRule]]] = {}
        """Rules of single bindings, by the name of their switch."""
        self._batches: dict[Hashable, _Compiled] = {}
        self._batches_before = previous._batches if previous else {}

    def change_lines(self, policy: Policy) -> None:
        """Compile a policy that differs in bindings and ports of some switches alone, felt nowhere else.

        See ``policy/facts.py: are_felt_elsewhere``.
        """
        self._policy = policy

    def rules(self, switch: Switch, at: float) -> tuple[FlowRule, ...]:
        """Return the rules of a switch of the policy, as ``compile_rules`` does."""
        return tuple(chain.from_iterable(self.segments(switch, at)))

    def segments(self, switch: Switch, at: float) -> tuple[Segment, ...]:
        """Return the same rules, in the same order, cut where switches share them."""
        known = self._binding_rules.get(switch.name, {})
        context = SwitchContext(self._policy, switch, at, self._addresses, known)
        kind = switch.mode, switch.forwarding_table
        parts = [
            self._rules(_of_lines, context, switch.name, (context.timeouts, *_lines_of(switch))),
            self._batched(source_batches, context, (*kind, context.served)),
        ]
        if context.binding_rules:
            self._binding_rules[switch.name] = context.binding_rules
        for rules, batches, exceptions in _DIRECTIONS if switch.uplink_ports else _DIRECTIONS[:1]:
            parts += [
                self._rules(rules, context, kind),
                self._batched(batches, context, kind),
                self._rules(exceptions, context, kind, context.timeouts),
            ]
        return tuple(sorted(chain.from_iterable(parts), key=_safety))

    def _rules(
        self,
        part: Callable[[SwitchContext], Iterable[FlowRule]],
        context: SwitchContext,
        shared_by: Hashable,
        state: Hashable = None,
    ) -> Sequence[Segment]:
        """Return the segments of a part; compile it again only for a new ``state``."""
        name = part, shared_by
        known = self._parts.get(name) or self._parts_before.get(name)
        if name not in self._parts or known is None or known.state != state:
            segments = _by_table(part(context))
            self._parts[name] = known = _Part(state, _kept(segments, known.segments if known else ()))
        return known.segments

    def _batched(
        self,
        part: Callable[[SwitchContext], Iterable[RuleBatch]],
        context: SwitchContext,
        shared_by: Hashable,
    ) -> Sequence[Segment]:
        name = part, shared_by
        if name not in self._parts:
            batches = [batch for batch in part(context) if batch.keys]
            self._parts[name] = _Part(None, [self._compiled(batch, shared_by) for batch in batches])
        return self._parts[name].segments

    def _compiled(self, batch: RuleBatch, shared_by: Hashable) -> Segment:
        name = batch.template, shared_by
        before = self._batches_before.get(name)
        if before is None:
            compiled = _Compiled(batch.keys, tuple(batch.template.rules(batch.keys)))
        elif before.keys == batch.keys:
            compiled = before
        else:
            known = dict(zip(before.keys, before.segment, strict=True))
            compiled = _Compiled(batch.keys, tuple(batch.template.rules(batch.keys, known)))
        self._batches[name] = compiled
        return compiled.segment


class _Part(NamedTuple):
    state: Hashable
    segments: Sequence[Segment]


class _Compiled(NamedTuple):
    keys: Sequence[Key]
    segment: Segment


_DIRECTIONS = (
    (egress_rules, egress_batches, egress_exceptions),
    (ingress_rules, ingress_batches, ingress_exceptions),
)


def _lines_of(switch: Switch) -> tuple[Hashable, ...]:
    """Return what may change of a switch while its policy stays the same."""
    roles = switch.uplink_ports, switch.trusted_ports, frozenset(switch.vlans.items())
    return switch.bindings, switch.muted_lines, *roles


def _of_lines(context: SwitchContext) -> Iterator[FlowRule]:
    yield from admit_rules(context)
    yield from snooping_rules(context)
    yield from line_rules(context)


def _by_table(rules: Iterable[FlowRule]) -> list[Segment]:
    """Group rules by table and block; of rules with one key, keep the first that lasts longest."""
    by_key: dict[tuple[int, int, Match], FlowRule] = {}
    for rule in rules:
        other = by_key.setdefault(rule.key, rule)
        if other.hard_timeout and (not rule.hard_timeout or rule.hard_timeout > other.hard_timeout):
            by_key[rule.key] = rule
    segments: dict[tuple[int, bool], list[FlowRule]] = {}
    for rule in by_key.values():
        segments.setdefault((rule.table, _blocks(rule)), []).append(rule)
    return [tuple(segment) for segment in segments.values()]


def _kept(segments: Iterable[Segment], before: Sequence[Segment]) -> list[Segment]:
    """Return the segments, made of the objects of ``before`` where they are equal."""
    rules = {rule: rule for segment in before for rule in segment}
    whole = {segment: segment for segment in before}
    made = (tuple(rules.get(rule, rule) for rule in segment) for segment in segments)
    return [whole.get(segment, segment) for segment in made]


def _safety(segment: Segment) -> tuple[int, bool]:
    return -segment[0].table, not _blocks(segment[0])


def _blocks(rule: FlowRule) -> bool:
    return rule.role in (RuleRole.BLOCK, RuleRole.WOULD_BLOCK)
