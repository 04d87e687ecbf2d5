"""Make op25b's flow rules: one, or one for each prefix."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple

from op25b_app.compiler.matches import IP
from op25b_app.net.ortc import NO, YES, SmallestTable
from op25b_app.net.prefix import WIDTH
from op25b_app.net.prefix_set import Key
from op25b_app.openflow.fields import OXM_ORDER
from op25b_app.openflow.flow_rule import COOKIE_OWNER, Action, FieldValue, FlowRule, Match, RuleRole, match_of

_MASKS: dict[int, list[int | None]] = {
    version: [*(((1 << length) - 1) << width - length for length in range(width)), None]
    for version, width in WIDTH.items()
}
"""Masks by IP version and prefix length; None for an address in full."""


def rule_of(table: int, priority: int, role: RuleRole, action: Action, *fields: FieldValue) -> FlowRule:
    """Return an op25b rule; ``fields`` may come in any order and repeat."""
    match = match_of(fields)
    digest = _digest(" ".join([f"{table:d}", *map(_text, match)]))
    return FlowRule(int(table), int(priority), match, action, _marked(role) | digest)


class RuleTemplate(NamedTuple):
    """Rules that differ in one prefix only, and in their priority by ``step`` for each bit of its length.

    ``before`` and ``after`` are the other fields, by their place in OXM order; ``field`` is the prefix's.
    """

    table: int
    priority: int
    step: int
    role: RuleRole
    action: Action
    version: int
    before: Match
    field: str
    after: Match

    def rules(
        self, keys: Iterable[Key], known: Mapping[Key, FlowRule] = MappingProxyType({})
    ) -> Iterator[FlowRule]:
        """Yield a rule for each prefix, without its field for length 0; ``known`` are rules made before."""
        table, first, step, role, action, version, before, name, after = self
        masks, mark = _MASKS[version], _marked(role)
        priorities = [first + step * length for length in range(len(masks))]
        head = " ".join([f"{table:d}", *map(_text, before)])
        tail = "".join(f" {_text(field)}" for field in after)
        for key in keys:
            rule = known.get(key)
            if rule is None:
                length = key & 0xFF
                address = FieldValue(name, key >> 8, masks[length])
                match = (*before, address, *after) if length else (*before, *after)
                text = f"{head} {_text(address)}{tail}" if length else head + tail
                rule = FlowRule(table, priorities[length], match, action, mark | _digest(text))
            yield rule


class RuleBatch(NamedTuple):
    """Wanted rules of a template."""

    template: RuleTemplate
    keys: Sequence[Key]


def rules_of(batches: Iterable[RuleBatch]) -> Iterator[FlowRule]:
    """Yield the rules of all batches."""
    for template, keys in batches:
        yield from template.rules(keys)


def batch(
    table: int,
    priority: int,
    what: tuple[RuleRole, Action],
    version: int,
    side: Literal["src", "dst"],
    keys: Sequence[Key],
    fields: Iterable[FieldValue] = (),
    step: int = 0,
) -> RuleBatch:
    """Return rules for each of ``keys`` as source or destination; they match ``fields`` too."""
    name = f"ipv{version}_{side}"
    others = match_of((*IP[version], *fields))
    before = tuple(field for field in others if OXM_ORDER[field.name] < OXM_ORDER[name])
    template = RuleTemplate(
        int(table), int(priority), step, *what, version, before, name, others[len(before) :]
    )
    return RuleBatch(template, keys)


def longest_match_batches(
    table: int,
    priority: int,
    what: tuple[tuple[RuleRole, Action], tuple[RuleRole, Action]],
    version: int,
    side: Literal["src", "dst"],
    answers: SmallestTable,
    fields: Iterable[FieldValue] = (),
) -> Iterator[RuleBatch]:
    """Yield the rules that do ``what[0]`` where the answer is YES, and ``what[1]`` where it is NO within YES.

    The prefix length is added to ``priority``. The last rule of the table covers the rest.
    """
    yes, no = answers.entries.get(YES, ()), [key for key in answers.entries.get(NO, ()) if key]
    for done, keys in zip(what, (yes, no), strict=True):
        yield batch(table, priority, done, version, side, keys, fields, step=1)


def _marked(role: RuleRole) -> int:
    """Return the bits of a cookie that hold owner and role."""
    return COOKIE_OWNER << 48 | int(role) << 40


def _digest(text: str) -> int:
    """Return the 40 bits of a cookie that separate rules of one role: equal for an equal table and match."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=5).digest(), "big")


def _text(field: FieldValue) -> str:
    return f"{field.name}={field.value}/{field.mask}"
