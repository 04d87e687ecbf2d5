"""Learn how a switch reports the rules it is sent, and which changes it ignores.

A rule that is reported with less of its cookie, or with other flags, than were sent does the same. This image
is remembered and taken for the rule that was sent. A change without effect is sent again after ever longer
waits.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from itertools import chain
from typing import NamedTuple

from op25b_app.openflow.codec import FlowModCommand, FlowStats
from op25b_app.openflow.flow_mods import Change, UpdateStep
from op25b_app.openflow.flow_rule import FlowRule, cut_cookies
from op25b_app.openflow.instruction_encoder import meaning
from op25b_app.sync.reconcile import Comparison
from op25b_app.sync.ruleset import Key

TIMES_AT_ONCE = 2
"""Number of times a change is sent without a wait: another application may have undone it."""
FIRST_WAIT, LONGEST_WAIT = 30.0, 300.0
"""Seconds before a change without effect is sent again: the first wait and the longest."""


class IneffectiveChange(NamedTuple):
    """Change that had no effect ``times`` times in a row; the rule ``before`` it stays.

    ``again_at`` is the time, in seconds since 1970, from which it may be sent again.
    """

    before: FlowRule | None
    times: int
    again_at: float


class ReadBack:
    """Reports of one switch on the rules that it was sent, over all of its connections."""

    def __init__(self) -> None:
        self._images: dict[Key, tuple[FlowRule, FlowStats]] = {}
        """Rule that was sent and the report of it, by key."""
        self._sent: Sequence[UpdateStep] = ()
        self._ineffective: dict[Key, IneffectiveChange] = {}

    def copy(self) -> ReadBack:
        """Return an independent copy."""
        other = ReadBack()
        other._images, other._ineffective, other._sent = {**self._images}, {**self._ineffective}, self._sent
        return other

    @property
    def cuts_cookies(self) -> bool:
        """True where the switch reports other cookies than were sent, and may not compare them either."""
        return any(sent.cookie != reported.rule.cookie for sent, reported in self._images.values())

    def note_sent(self, steps: Sequence[UpdateStep]) -> None:
        """Note changes that are sent now."""
        self._sent = steps

    def as_sent(self, found: Sequence[FlowStats]) -> Sequence[FlowStats]:
        """Return a table that was read, with the rules that were sent in the place of their images."""
        return [self._original(installed) for installed in found] if self._images else found

    def find_images(self, comparison: Comparison, found: Sequence[FlowStats]) -> bool:
        """Look for images of the last rules sent in a table that was read; return whether there are new ones.

        Only rules that the comparison finds fault with can be images.
        """
        odd = {rule.key for rule in comparison.others}
        odd.update(change.rule.key for change in comparison.repairs if change.before is not None)
        sent = {key: change.rule for key, change in self._sent_about(odd).items() if _is_addition(change)}
        images = {
            installed.rule.key: (sent[installed.rule.key], installed._replace(duration=0.0))
            for installed in (found if sent else ())
            if installed.rule.key in sent and _is_image(sent[installed.rule.key], installed)
        }
        self._images.update(images)
        return bool(images)

    def note_ineffective(self, comparison: Comparison, now: float, *, all_taken: bool) -> None:
        """Note which of the last changes made no difference.

        Where not ``all_taken`` they are ignored: what follows a refusal was not even sent.
        """
        if not self._sent and not self._ineffective:
            return
        sent = self._sent_about({change.rule.key for change in comparison.repairs}) if all_taken else {}
        known, self._ineffective, self._sent = self._ineffective, {}, ()
        for change in comparison.repairs:
            key = change.rule.key
            before, made = known.get(key), sent.get(key)
            if before is not None and before.before != change.before:
                before = None
            if made is not None and (made.command, made.before) == (change.command, change.before):
                times = 1 + (0 if before is None else before.times)
                before = IneffectiveChange(change.before, times, now + _wait(times))
            if before is not None:
                self._ineffective[key] = before

    def is_deferred(self, change: Change, now: float) -> bool:
        """Return whether a change had no effect before and is not to be sent again yet."""
        known = self._ineffective.get(change.rule.key)
        return known is not None and now < known.again_at

    def next_at(self, now: float) -> float | None:
        """Return when to send a change without effect again, in seconds since 1970; None without one."""
        moments = [known.again_at for known in self._ineffective.values() if known.again_at > now]
        return min(moments, default=None)

    def forget_ineffective(self) -> None:
        """Forget changes without effect: after a change on the switch they may have one."""
        self._ineffective.clear()

    def _sent_about(self, keys: Set[Key]) -> dict[Key, Change]:
        if not keys:
            return {}
        changes = chain.from_iterable(self._sent)
        return {change.rule.key: change for change in changes if change.rule.key in keys}

    def _original(self, installed: FlowStats) -> FlowStats:
        image = self._images.get(installed.rule.key)
        if image is None or not _equal(image[1], installed):
            return installed
        rule = image[0]._replace(hard_timeout=installed.rule.hard_timeout)
        return installed._replace(rule=rule, flags=0)


def _wait(times: int) -> float:
    """Return the seconds to wait after a change had no effect so many times."""
    if times < TIMES_AT_ONCE:
        return 0.0
    return min(FIRST_WAIT * 2.0 ** min(times - TIMES_AT_ONCE, 16), LONGEST_WAIT)


def _is_addition(change: Change) -> bool:
    return change.command is FlowModCommand.ADD


def _is_image(sent: FlowRule, installed: FlowStats) -> bool:
    """Return whether a reported rule does the same as the one sent in its place."""
    rule = installed.rule
    is_cut = rule.cookie == sent.cookie or rule.cookie in cut_cookies(sent.cookie)
    alike = meaning(rule.action) == sent.action and bool(rule.hard_timeout) == bool(sent.hard_timeout)
    return is_cut and alike and not installed.idle_timeout


def _equal(one: FlowStats, other: FlowStats) -> bool:
    """Return whether two reports are of one rule, except for the time left."""
    return (
        one.flags == other.flags
        and one.idle_timeout == other.idle_timeout
        and one.rule._replace(hard_timeout=0) == other.rule._replace(hard_timeout=0)
    )
