"""What a switch makes of what it is sent, where it reports otherwise, or does nothing.

A rule that is reported with less of its cookie, or with other flags, than it was sent with does the same.
What the switch makes of it is remembered, and counts as the rule that was sent. A change that leaves a table
as it was is not sent again at once, but after ever longer.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from itertools import chain
from typing import NamedTuple

from op25b_app.openflow.codec import Command, InstalledRule
from op25b_app.openflow.flow_mods import Change, Group
from op25b_app.openflow.flow_rule import FlowRule, cut_cookies
from op25b_app.openflow.instruction_encoder import meaning
from op25b_app.sync.flow_table import Key
from op25b_app.sync.reconcile import Comparison

TIMES_AT_ONCE = 2
"""How often a change is sent at once: somebody else may have undone it."""
FIRST_WAIT, LONGEST_WAIT = 30.0, 300.0
"""Seconds before a change that had no effect is sent again: at first, and in the end."""


class Unheeded(NamedTuple):
    """A change that had no effect ``times`` times in a row: the rule ``before`` it is there after it."""

    before: FlowRule | None
    times: int
    again_at: float


class ReadBack:
    """What one switch makes of the rules that it is sent, over all of its connections."""

    def __init__(self) -> None:
        self._images: dict[Key, tuple[FlowRule, InstalledRule]] = {}
        """By key, the rule that was sent and what the switch reports of it."""
        self._sent: Sequence[Group] = ()
        self._unheeded: dict[Key, Unheeded] = {}

    def copy(self) -> ReadBack:
        """Return another one that knows the same."""
        other = ReadBack()
        other._images, other._unheeded, other._sent = {**self._images}, {**self._unheeded}, self._sent
        return other

    @property
    def cuts_cookies(self) -> bool:
        """Whether the switch does not report cookies as they are sent, and may not compare them either."""
        return any(sent.cookie != reported.rule.cookie for sent, reported in self._images.values())

    def sends(self, groups: Sequence[Group]) -> None:
        """Take note of changes that are sent now."""
        self._sent = groups

    def as_sent(self, found: Sequence[InstalledRule]) -> Sequence[InstalledRule]:
        """Return a table that was read with the rules that were sent in the place of their images."""
        return [self._original(installed) for installed in found] if self._images else found

    def knows_better(self, comparison: Comparison, found: Sequence[InstalledRule]) -> bool:
        """Look for images of what was just sent in a table that was read, and say whether there are new ones.

        Only what the comparison finds fault with can be one.
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

    def learn(self, comparison: Comparison, now: float, *, all_taken: bool) -> None:
        """See which of the changes that were just made have made no difference.

        None counts as made where not ``all_taken``: what follows a refusal was not even sent.
        """
        if not self._sent and not self._unheeded:
            return
        sent = self._sent_about({change.rule.key for change in comparison.repairs}) if all_taken else {}
        known, self._unheeded, self._sent = self._unheeded, {}, ()
        for change in comparison.repairs:
            key = change.rule.key
            before, made = known.get(key), sent.get(key)
            if before is not None and before.before != change.before:
                before = None
            if made is not None and (made.command, made.before) == (change.command, change.before):
                times = 1 + (0 if before is None else before.times)
                before = Unheeded(change.before, times, now + _wait(times))
            if before is not None:
                self._unheeded[key] = before

    def waits(self, change: Change, now: float) -> bool:
        """Whether a change had no effect before and is not to be sent again yet."""
        known = self._unheeded.get(change.rule.key)
        return known is not None and now < known.again_at

    def next_at(self, now: float) -> float | None:
        """When to send again what had no effect; None where there is nothing of that kind."""
        moments = [known.again_at for known in self._unheeded.values() if known.again_at > now]
        return min(moments, default=None)

    def was_disturbed(self) -> None:
        """Others have changed something: what had no effect may have one now."""
        self._unheeded.clear()

    def _sent_about(self, keys: Set[Key]) -> dict[Key, Change]:
        """The changes that were just sent about some rules."""
        if not keys:
            return {}
        changes = chain.from_iterable(self._sent)
        return {change.rule.key: change for change in changes if change.rule.key in keys}

    def _original(self, installed: InstalledRule) -> InstalledRule:
        image = self._images.get(installed.rule.key)
        if image is None or not _equal(image[1], installed):
            return installed
        rule = image[0]._replace(hard_timeout=installed.rule.hard_timeout)
        return installed._replace(rule=rule, flags=0)


def _wait(times: int) -> float:
    """Seconds until a change is sent again that had no effect so many times."""
    if times < TIMES_AT_ONCE:
        return 0.0
    return min(FIRST_WAIT * 2.0 ** min(times - TIMES_AT_ONCE, 16), LONGEST_WAIT)


def _is_addition(change: Change) -> bool:
    return change.command is Command.ADD


def _is_image(sent: FlowRule, installed: InstalledRule) -> bool:
    """Whether a rule does what another one does that was sent in its place, and is not told as that."""
    rule = installed.rule
    is_cut = rule.cookie == sent.cookie or rule.cookie in cut_cookies(sent.cookie)
    alike = meaning(rule.action) == sent.action and bool(rule.hard_timeout) == bool(sent.hard_timeout)
    return is_cut and alike and not installed.idle_timeout


def _equal(one: InstalledRule, other: InstalledRule) -> bool:
    """Whether two reports are of one rule, the time that it has left aside."""
    return (
        one.flags == other.flags
        and one.idle_timeout == other.idle_timeout
        and one.rule._replace(hard_timeout=0) == other.rule._replace(hard_timeout=0)
    )
