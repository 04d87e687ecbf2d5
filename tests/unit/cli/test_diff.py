"""``op25b diff``, called as a person calls it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from op25b_app.cli.main import main
from op25b_app.diff import effect
from op25b_app.diff.text import summary
from op25b_app.policy.loader import load

EXAMPLE = Path(__file__).parents[3] / "example.yaml"
AT = "2027-01-15T08:00:00Z"


def diff(old: Path, new: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["diff", str(old), str(new), "--at", AT, *arguments])


def reported(old: Path, new: Path, *arguments: str) -> Any:
    result = diff(old, new, "--json", *arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def changed(folder: Path, *changes: tuple[str, str]) -> Path:
    """example.yaml with other words, each of which it must hold."""
    text = EXAMPLE.read_text()
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    path = folder / "new.yaml"
    path.write_text(text)
    return path


def test_a_smaller_static_space(tmp_path: Path) -> None:
    new = changed(tmp_path, ("[100.64.8.0/24, ", "[100.64.8.0/25, "))
    result = diff(EXAMPLE, new)
    assert result.exit_code == 0
    head, mail, switch, *lines = result.stdout.splitlines()
    assert head == "24 of 24 lines keep their traffic"
    assert mail == (
        "port 25 to any destination closes for 128 addresses, of 4,194,304 addresses in the own IPv4 space"
    )
    assert switch == "access-1"
    assert lines[:2] == [
        "  becomes blocked",
        "    mail from 100.64.8.128/25 (128 addresses) to any IPv4 address but 192.0.2.25, on port 3",
    ]
    assert lines[-1].startswith("  rules +")
    switch = reported(EXAMPLE, new)["switches"]["access-1"]
    mail = switch["becomes_blocked"][0]
    assert mail["kind"] == "mail"
    assert mail["ports"] == [[3, 3]]
    assert mail["sources"]["prefixes"] == ["100.64.8.128/25"]
    assert mail["sources"]["addresses"] == 128
    assert mail["destinations"]["all_but"] is True
    assert mail["destinations"]["prefixes"] == ["192.0.2.25/32"]
    assert switch["becomes_permitted"] == []
    assert set(switch["rules"]) == {"added", "removed", "changed", "unchanged"}


def test_another_name_treats_no_packet_differently(tmp_path: Path) -> None:
    new = changed(tmp_path, ("name: Example ISP", "name: Other ISP"))
    result = diff(EXAMPLE, new)
    assert result.exit_code == 0
    assert result.stdout == "no packet is treated differently\naccess-1: nothing changes\n"
    assert reported(EXAMPLE, new)["differs"] is False


def test_of_a_new_switch_nobody_says_that_it_treats_packets_as_before(tmp_path: Path) -> None:
    switch = "switches:\n  two: {dpid: 0x2, subscriber_ports: [1-2], uplink_ports: [3]}\n"
    result = diff(EXAMPLE, changed(tmp_path, ("switches:\n", switch)))
    assert result.stdout.splitlines() == [
        "two: new in the policy; all rules are installed",
        "no packet is treated differently on the switches of both policies",
        "access-1: nothing changes",
    ]
    result = diff(EXAMPLE, changed(tmp_path, ("  access-1:", "  access-2:"), ("dpid: 0x1", "dpid: 0x2")))
    assert "treated differently" not in result.stdout


def test_rules_may_change_where_no_verdict_does(tmp_path: Path) -> None:
    new = changed(tmp_path, ("trusted_ports: [26]", "trusted_ports: [26]\n    forwarding: {table: 10}"))
    result = diff(EXAMPLE, new)
    assert "  permitted packets go on to table 10 instead of NORMAL" in result.stdout.splitlines()
    switch = reported(EXAMPLE, new)["switches"]["access-1"]
    assert switch["becomes_blocked"] == switch["becomes_permitted"] == []
    assert switch["rules"]["changed"] > 0


def test_an_empty_dynamic_space_is_warned_of(tmp_path: Path) -> None:
    new = changed(tmp_path, ('dynamic: [100.64.0.0/10, "2001:db8:1000::/36"]', "dynamic: []"))
    sentence = "access-1 would block nothing: address_space.dynamic is empty"
    assert diff(EXAMPLE, new).stdout.splitlines()[-1] == f"warning: {sentence}; a reload asks for --yes"
    assert reported(EXAMPLE, new)["stops_blocking"] == [sentence]


def test_what_opens_far_wider_is_reported(tmp_path: Path) -> None:
    new = changed(tmp_path, ("192.0.2.25", "0.0.0.0/1"))
    sentence = (
        "mail_destinations let dynamic space reach 56.5 % of the IPv4 Internet on port 25;"
        " name the ISP's own mail servers or networks"
    )
    assert diff(EXAMPLE, new).stdout.splitlines()[-1] == f"warning: {sentence}; a reload asks for --yes"
    assert reported(EXAMPLE, new)["opens"] == [sentence]
    assert reported(new, EXAMPLE)["opens"] == []


def test_lines_that_lose_everything_come_first(tmp_path: Path) -> None:
    new = changed(tmp_path, ("exceptions:", "hardening: {source_validation: binding}\nexceptions:"))
    sentence = "1 of 24 lines keeps its traffic; 23 lose all of it"
    reason = "because nothing is bound there: ports 1-2 and 4-24 of access-1"
    said = diff(EXAMPLE, new).stdout.splitlines()
    assert said[:2] == [sentence, f"23 lines lose all traffic, {reason}"]
    cut_off = f"23 of 24 lines would lose all traffic, {reason}"
    assert said[-1] == f"warning: {cut_off}; a reload asks for --yes"
    assert reported(EXAMPLE, new)["cuts_off"] == [cut_off]
    assert reported(EXAMPLE, new)["lines"]["loses all"] == 23
    lost = reported(EXAMPLE, new)["cut_off"]
    ports = [port for port in range(1, 25) if port != 3]
    assert lost == [{"switch": "access-1", "port": port, "vlan": None} for port in ports]
    assert reported(new, new)["cut_off"] == []
    assert reported(new, EXAMPLE)["cut_off"] == []
    policies = [load(path, 1_800_000_000.0).policy for path in (EXAMPLE, new)]
    assert policies[0] is not None
    assert policies[1] is not None
    assert summary(effect(policies[0], policies[1], 1_800_000_000.0))[0] == sentence


def test_lists_are_cut_unless_all_is_asked_for(tmp_path: Path) -> None:
    """Of every four addresses up to .199 three are blocked now, a single one and a pair; and all above."""
    pools = ", ".join(f"100.64.8.{number}" for number in range(0, 200, 4))
    new = changed(tmp_path, ("static: [100.64.8.0/24", f"static: [{pools}"))
    cut = diff(EXAMPLE, new).stdout.splitlines()
    listed = cut[5:26]
    assert listed[:2] == ["      100.64.8.1      1 address", "      100.64.8.2/31   2 addresses"]
    assert listed[20] == "      and 83 more (176 addresses; --all lists them)"
    whole = diff(EXAMPLE, new, "--all").stdout.splitlines()
    assert whole[5 + 102] == "      100.64.8.224/27  32 addresses"
    assert not [line for line in whole if "--all" in line]
    sources = reported(EXAMPLE, new)["switches"]["access-1"]["becomes_blocked"][0]["sources"]
    everything = reported(EXAMPLE, new, "--all")["switches"]["access-1"]["becomes_blocked"][0]["sources"]
    assert len(sources["prefixes"]) == 20
    assert len(everything["prefixes"]) == 20 + sources["more_prefixes"]
    assert everything["more_prefixes"] == 0


def test_one_switch_of_several(tmp_path: Path) -> None:
    new = changed(tmp_path, ("switches:", "switches:\n  access-9: {dpid: 0x9, subscriber_ports: [1]}"))
    assert "access-9: new in the policy; all rules are installed" in diff(EXAMPLE, new).stdout
    assert "access-9" not in diff(EXAMPLE, new, "--switch", "access-1").stdout
    assert reported(EXAMPLE, new, "--switch", "access-9")["added"] == ["access-9"]
    result = diff(EXAMPLE, new, "--switch", "x")
    assert result.exit_code == 2
    assert "no switch is called 'x'; the switches are access-1, access-9" in result.stderr


def test_the_problems_of_both_policies_are_reported(tmp_path: Path) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text("isp: {}\n")
    new.write_text("isp: {mail_destinations: [1]}\naddress_space: {dynamic: []}\nswitches: {}\n")
    result = diff(old, new)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert f"{old}:1:1: error: 'mail_destinations' is missing" in result.stderr
    assert f"{new}:1:27: error: '1' is not a prefix" in result.stderr


@pytest.mark.parametrize("arguments", [[], [str(EXAMPLE)]])
def test_two_policies_are_needed(arguments: list[str]) -> None:
    assert CliRunner().invoke(main, ["diff", *arguments]).exit_code == 2
