"""Marker: a rule that no packet matches and that records which policy a switch holds.

It stands below the rule for all other packets in op25b's last table, so it does nothing. The policy's digest
is its IPv6 source and the revision its IPv6 destination, since any switch keeps these fields.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from op25b_app.compiler.matches import destination, source
from op25b_app.compiler.pipeline import MARKER_PRIORITY
from op25b_app.compiler.rule_factory import rule_of
from op25b_app.net.prefix import Prefix
from op25b_app.openflow.flow_rule import FlowRule, RuleRole, cut_cookies

MAX_REVISIONS = 1 << 64
"""Lowest revision that is ignored: no controller has counted up to it."""

_DIGITS = 32
_HOST = 128


class Marker(NamedTuple):
    """Revision, from 1 upwards, and digest: the first 32 hexadecimal digits of the policy's SHA-256."""

    revision: int
    digest: str


def marker_rule(marker: Marker, table: int) -> FlowRule:
    """Return the rule of a marker in ``table``."""
    digest = int(marker.digest[:_DIGITS], 16)
    match = (*source(Prefix(6, digest, _HOST)), *destination(Prefix(6, marker.revision, _HOST)))
    return rule_of(table, MARKER_PRIORITY, RuleRole.MARKER, None, *match)


def is_marker(rule: FlowRule) -> bool:
    """Return whether a rule is a marker; where the switch cut or lost its cookie, by its match."""
    if rule.priority != MARKER_PRIORITY:
        return False
    if rule.is_managed:
        return rule.cookie >> 40 & 0xFF == RuleRole.MARKER
    marker = _marker_in(rule)
    if marker is None:
        return False
    original = marker_rule(marker, rule.table)
    return rule.match == original.match and rule.cookie in cut_cookies(original.cookie)


def newest_marker(rules: Iterable[FlowRule]) -> Marker | None:
    """Return the marker with the highest revision, if any; two stand side by side during a change."""
    markers = map(_marker_in, filter(is_marker, rules))
    return max((marker for marker in markers if marker is not None), default=None)


def _marker_in(rule: FlowRule) -> Marker | None:
    """Return the marker that a match holds; None where it holds none."""
    fields = {field.name: field.value for field in rule.match if field.mask is None}
    if "ipv6_src" not in fields or fields.get("ipv6_dst", MAX_REVISIONS) >= MAX_REVISIONS:
        return None
    return Marker(fields["ipv6_dst"], f"{fields['ipv6_src']:0{_DIGITS}x}")
