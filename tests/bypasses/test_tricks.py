"""Every trick, against every set of rules, with real mail."""

from __future__ import annotations

from typing import Any

import pytest

from tests.bypasses.catalogue import HONEST, TRICKS
from tests.bypasses.rulesets import DEFAULTS, STRICT, Setting
from tests.bypasses.trick import Honest, Trick

pytestmark = pytest.mark.slow
ALONE = [setting for setting in Setting if setting is not Setting.BASE]
OURS = ["base", *(setting.value for setting in ALONE), "defaults", "defaults, static lines bound", "strict"]
PLAIN = ["none", "plain", "plain, IPv4 only"]
NO_ADVERTISEMENTS = {Setting.PREFIX.value, Setting.BINDING.value, "strict"}
CHECKS = [
    f"{check}, IPv{version}"
    for check in (
        "large ping outward",
        "large ping inward",
        "address resolution",
        "DHCP",
        "path-MTU discovery",
    )
    for version in (4, 6)
]
CHECKS.append("DHCP by way of a lightweight relay agent, IPv6")
ROGUE = [
    "router advertisement",
    "DHCP answer, IPv4",
    "DHCP answer, IPv6",
    "DHCP answer to a relay agent, IPv6",
]
every_trick = pytest.mark.parametrize("trick", TRICKS, ids=lambda trick: trick.name)


def finding(campaign: Any, rules: str, trick: Trick) -> dict[str, Any]:
    """What came of a trick; its hosts have tried, whatever came of it."""
    found: dict[str, Any] = campaign[rules]["tricks"][trick.name]
    assert found["frames"] > 0, found
    return found


def test_names_are_unique() -> None:
    assert len({trick.name for trick in TRICKS}) == len(TRICKS)


@every_trick
def test_it_works_where_there_are_no_rules(campaign: Any, trick: Trick) -> None:
    found = finding(campaign, "none", trick)
    assert found["delivered"], found


@every_trick
def test_against_plain_rules(campaign: Any, trick: Trick) -> None:
    found = finding(campaign, "plain, IPv4 only" if trick.without_tcp6 else "plain", trick)
    assert found["delivered"] == trick.plain, found


@every_trick
def test_each_setting_alone_closes_what_the_catalogue_says(campaign: Any, trick: Trick) -> None:
    base = finding(campaign, "base", trick)
    if Setting.BASE in trick.closed_by:
        assert not base["delivered"], base
        return
    assert base["delivered"], base
    closing = {setting for setting in ALONE if not finding(campaign, setting.value, trick)["delivered"]}
    assert closing == trick.closed_by


@every_trick
@pytest.mark.parametrize(
    ("rules", "settings"),
    [
        ("defaults", DEFAULTS),
        ("defaults, static lines bound", DEFAULTS | {Setting.BINDINGS}),
        ("strict", STRICT),
    ],
    ids=["defaults", "bound", "strict"],
)
def test_settings_together_close_what_each_closes(
    campaign: Any, trick: Trick, rules: str, settings: frozenset[Setting]
) -> None:
    found = finding(campaign, rules, trick)
    assert found["delivered"] == (not trick.is_closed_by(settings)), found


@pytest.mark.parametrize("rules", [*PLAIN, *OURS])
@pytest.mark.parametrize("mail", HONEST, ids=lambda mail: mail.name)
def test_honest_mail_arrives(campaign: Any, mail: Honest, rules: str) -> None:
    found = campaign[rules]["honest"][mail.name]
    assert found["delivered"], found


@pytest.mark.parametrize("rules", OURS)
@pytest.mark.parametrize("check", CHECKS)
def test_what_lines_need_keeps_working(campaign: Any, check: str, rules: str) -> None:
    assert campaign[rules]["works"][check] == ""


def test_everything_that_lines_need_is_checked(campaign: Any) -> None:
    assert set(campaign["defaults"]["works"]) == set(CHECKS)


@pytest.mark.parametrize("rules", OURS)
@pytest.mark.parametrize("message", ROGUE)
def test_what_only_routers_and_servers_send(campaign: Any, message: str, rules: str) -> None:
    assert campaign[rules]["rogue"][message] == (rules not in NO_ADVERTISEMENTS)
