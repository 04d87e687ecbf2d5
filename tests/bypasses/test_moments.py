"""Nothing gets past while rules change or the switch restarts, under attempts without end."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.slow
KINDS = ["IPv4", "IPv6", "fragments", "two tags", "unlisted"]
FORBIDDEN = ["IPv4", "IPv6"]
"""What plain rules stop as long as they stand."""
MOMENTS = ["ours, connected", "ours, reloaded", "ours, restarted", "ours, restarted without a controller"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gets_through_where_there_are_no_rules(moments: Any, kind: str) -> None:
    _, leaked = moments["frames"]["no rules"][kind]
    assert leaked > 0


@pytest.mark.parametrize("kind", FORBIDDEN)
@pytest.mark.parametrize("moment", ["plain rules, reloaded", "plain rules, restarted"])
def test_plain_rules_leak_at_that_moment(moments: Any, moment: str, kind: str) -> None:
    """A script deletes and adds; a restarted switch of fail_mode standalone has no rules."""
    _, leaked = moments["frames"][moment][kind]
    assert leaked > 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("moment", MOMENTS)
def test_ours_never_leak(moments: Any, moment: str, kind: str) -> None:
    sent, leaked = moments["frames"][moment][kind]
    assert sent > 100
    assert leaked == 0


def test_a_restart_opens_port_25_where_the_rules_are_plain(moments: Any) -> None:
    assert not moments["mail"]["plain rules"]["spam"]["delivered"]
    assert moments["mail"]["plain rules, restarted"]["spam"]["delivered"]


@pytest.mark.parametrize("moment", ["ours, reloaded", "ours, restarted", "ours, controller back"])
def test_afterwards_honest_mail_arrives_and_spam_does_not(moments: Any, moment: str) -> None:
    mail = moments["mail"][moment]
    assert mail["honest"]["delivered"], mail
    assert not mail["spam"]["delivered"], mail
