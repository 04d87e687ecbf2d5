"""What a switch reports, and what its refusals show, makes one value."""

from __future__ import annotations

from op25b_app.sync.capabilities import Capabilities, KnownCapabilities

REPORTED = KnownCapabilities(Capabilities(bundles=True, capacity={0: 10, 2: 30}))


def test_a_switch_that_was_not_asked_reports_nothing() -> None:
    unknown = KnownCapabilities()
    assert unknown.usable == Capabilities()
    assert unknown.with_report(bundles=True, capacity={0: 5}) is unknown


def test_a_report_changes_only_what_it_is_about() -> None:
    known = REPORTED.with_report(monitor=True).with_report(capacity={2: 20, 3: 40})
    assert known.reported == Capabilities(bundles=True, monitor=True, capacity={0: 10, 2: 20, 3: 40})
    assert known.with_report(bundles=False).usable == known.usable._replace(bundles=False)


def test_what_has_failed_is_not_usable_until_the_next_cycle() -> None:
    failed = REPORTED._replace(bundles_failed=True, tags_failed=True)
    assert failed.usable == Capabilities(tags=False, capacity={0: 10, 2: 30})
    assert failed.renewed() == REPORTED


def test_a_capacity_that_was_seen_overrides_the_report() -> None:
    seen = REPORTED._replace(seen_capacity={2: 12}, capacity_asked=True)
    assert seen.usable.capacity == {0: 10, 2: 12}
    assert seen.without_capacity(reported=False) == REPORTED._replace(capacity_asked=True)
    assert seen.without_capacity(reported=True) == KnownCapabilities(Capabilities(bundles=True))
