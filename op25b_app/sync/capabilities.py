"""Record what a switch is capable of: as it reports, and as its refusals show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Capabilities(NamedTuple):
    """Optional capabilities of a switch.

    ``monitor`` is reporting rule changes as they happen, ``tags`` is matching and writing metadata.
    ``capacity`` is the capacity by table in rules, as far as it is known.
    """

    bundles: bool = False
    monitor: bool = False
    tags: bool = True
    capacity: Mapping[int, int] = {}


class KnownCapabilities(NamedTuple):
    """Knowledge of a switch's capabilities over one connection; nothing changes this value.

    ``reported`` is None until the switch is asked; it is complete once its table is read. Where it refused
    rules in this cycle because of them, ``bundles_failed`` or ``tags_failed`` is true. ``seen_capacity`` is
    the capacity by table, in rules, of tables that were full. ``was_full`` is true where a table was full
    before the switch was asked for its capacity. It ``takes_resets`` unless it refused the flag that resets
    counters. With ``any_cookie`` rules are deleted whatever their cookies are, as it does not keep cookies.
    """

    reported: Capabilities | None = None
    bundles_failed: bool = False
    tags_failed: bool = False
    seen_capacity: Mapping[int, int] = {}
    was_full: bool = False
    capacity_asked: bool = False
    takes_resets: bool = True
    any_cookie: bool = False

    @property
    def usable(self) -> Capabilities:
        """The reported capabilities, without those that have failed."""
        reported = self.reported or Capabilities()
        if not (self.bundles_failed or self.tags_failed or self.seen_capacity):
            return reported
        return reported._replace(
            bundles=reported.bundles and not self.bundles_failed,
            tags=reported.tags and not self.tags_failed,
            capacity={**reported.capacity, **self.seen_capacity},
        )

    def with_report(self, *, capacity: Mapping[int, int] | None = None, **flags: bool) -> KnownCapabilities:
        """Return this with what the switch has reported; unchanged where it was not asked."""
        if self.reported is None:
            return self
        capacity = {**self.reported.capacity, **(capacity or {})}
        return self._replace(reported=self.reported._replace(capacity=capacity, **flags))

    def renewed(self) -> KnownCapabilities:
        """Return this without the failures of the last cycle."""
        return self._replace(bundles_failed=False, tags_failed=False)

    def without_capacity(self, *, reported: bool) -> KnownCapabilities:
        """Return this without the capacities seen; where ``reported``, also without those reported."""
        known = self._replace(seen_capacity={})
        if not (reported and self.capacity_asked and self.reported):
            return known
        return known._replace(capacity_asked=False, reported=self.reported._replace(capacity={}))
