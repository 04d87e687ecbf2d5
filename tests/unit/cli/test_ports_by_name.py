"""The commands that read a policy with ports by name, without the switch that knows them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import op25b_app as op25b_api
from op25b_app.cli.main import main
from op25b_app.openflow.ofctl import format_rule

POLICY = """\
isp: {mail_destinations: [192.0.2.25]}
address_space: {dynamic: [100.64.0.0/10], static: [100.64.8.0/24]}
switches:
  access-1:
    dpid: 1
    subscriber_ports: ["vlan*"]
    uplink_ports: [eth25]
    bindings: [{port: vlan1, addresses: [100.64.8.0/24]}]
  access-2: {dpid: 2, subscriber_ports: [1], uplink_ports: [2]}
"""
SHOWN = """\
OFPT_FEATURES_REPLY (OF1.3) (xid=0x2): dpid:000000000000000{dpid}
OFPST_PORT_DESC reply (OF1.3) (xid=0x3):
 1(vlan1): addr:aa:55:aa:55:00:16
 2(vlan2): addr:aa:55:aa:55:00:17
 {uplink}(eth25): addr:aa:55:aa:55:00:18
"""
EXCEPTION = "exceptions: [{name: a, source: {switch: access-1, port: vlan1}, destination: 203.0.113.1}]\n"
MISSING = (
    "op25b: the policy has ports of access-1 by name, and only they know the numbers: give --ports "
    "access-1=FILE, with what 'ovs-ofctl -O OpenFlow13 show' prints"
)
PACKET = ("--in-port", "2", "--src", "100.64.0.1", "--dst", "203.0.113.1")


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "shown").write_text(SHOWN.format(dpid=1, uplink=25))
    return tmp_path / "policy.yaml"


def op25b(command: str, *arguments: object) -> Result:
    return CliRunner().invoke(main, [command, *map(str, arguments)])


def test_check_says_what_it_did_not_check(policy: Path) -> None:
    result = op25b("check", policy, "--verbose")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert (
        f"{policy}: not checked: ports by name, which are known when the switch connects: access-1" in lines
    )
    assert any("by name vlan* subscriber, eth25 uplink" in line for line in lines)
    assert json.loads(op25b("check", policy, "--json").stdout)["ports_by_name"] == ["access-1"]


@pytest.mark.parametrize(
    "command",
    [
        ("rules", "--switch", "access-1"),
        ("explain", "--switch", "access-1", *PACKET),
        ("explain", "--src", "100.64.8.1", "--dst", "203.0.113.1"),
        ("prove", "--switch", "access-1", "--flows", "{folder}/shown"),
        ("diff", "{folder}/policy.yaml"),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_without_its_ports_nothing_is_said_of_a_switch(policy: Path, command: tuple[str, ...]) -> None:
    name, *arguments = (each.replace("{folder}", str(policy.parent)) for each in command)
    result = op25b(name, policy, *arguments)
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"{MISSING}\n")


def test_of_other_switches_all_is_said(policy: Path) -> None:
    assert op25b("rules", policy, "--switch", "access-2").exit_code == 0
    assert op25b("diff", policy, policy, "--switch", "access-2").exit_code == 0
    policy.write_text(POLICY + EXCEPTION)
    result = op25b("rules", policy, "--switch", "access-2")
    assert (result.exit_code, result.stderr) == (1, f"{MISSING}\n"), "answers come in by its uplink"
    shown = f"access-1={policy.parent}/shown"
    assert op25b("rules", policy, "--switch", "access-2", "--ports", shown).exit_code == 0


def test_rules_are_those_of_the_numbers(policy: Path) -> None:
    by_name = op25b("rules", policy, "--switch", "access-1", "--ports", policy.parent / "shown")
    assert (by_name.exit_code, by_name.stderr) == (0, "")
    numbers = policy.parent / "numbers.yaml"
    text = POLICY.replace('["vlan*"]', "[1-2]").replace("[eth25]", "[25]").replace("port: vlan1", "port: 1")
    numbers.write_text(text)
    assert by_name.stdout == op25b("rules", numbers, "--switch", "access-1").stdout


def test_what_was_asked_of_the_switch_is_explained_and_proven(policy: Path) -> None:
    ports = ("--ports", policy.parent / "shown")
    result = op25b("explain", policy, "--switch", "access-1", *PACKET, *ports)
    assert (result.exit_code, result.stdout.partition(":")[0]) == (0, "block")
    own = op25b(
        "explain", policy, "--src", "100.64.8.1", "--dst", "203.0.113.1", "--ports", f"access-1={ports[1]}"
    )
    assert "port 1 of access-1" in own.stdout
    flows = policy.parent / "flows"
    flows.write_text(op25b("rules", policy, "--switch", "access-1", "--format", "ofctl", *ports).stdout)
    arguments = ("prove", policy, "--switch", "access-1", "--flows", flows)
    assert op25b(*arguments, *ports).exit_code == 0
    ports[1].write_text(SHOWN.format(dpid=1, uplink=26))
    assert op25b(*arguments, *ports).exit_code == 1, "the rules are for another uplink"


def test_diff_shows_what_names_mean_there(policy: Path) -> None:
    new = policy.parent / "new.yaml"
    new.write_text(POLICY.replace("uplink_ports: [eth25]", "trusted_ports: [eth25]"))
    ports = ("--ports", f"access-1={policy.parent / 'shown'}")
    assert op25b("diff", policy, policy, *ports).exit_code == 0
    result = op25b("diff", policy, new, *ports)
    assert result.exit_code == 0
    assert "port 25, uplink before and trusted now" in result.stdout


def test_names_that_fit_no_port_are_told(policy: Path) -> None:
    policy.write_text(POLICY.replace("eth25", "eth9"))
    result = op25b("rules", policy, "--switch", "access-1", "--ports", policy.parent / "shown")
    assert result.exit_code == 0
    assert result.stderr == (
        "op25b: warning: access-1: no port is called 'eth9': "
        "correct access-1 in the policy, or add the port\n"
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("{folder}/missing", "cannot read {folder}/missing: No such file or directory; name a file"),
        ("{folder}/policy.yaml", "{folder}/policy.yaml: there is no port in it; write what 'ovs-ofctl"),
        (
            "{folder}/other",
            "{folder}/other is about the datapath id 0x2, and access-1 has 0x1; name the file",
        ),
    ],
)
def test_a_file_of_ports_that_is_none_is_refused(policy: Path, given: str, expected: str) -> None:
    (policy.parent / "other").write_text(SHOWN.format(dpid=2, uplink=25))
    folder = str(policy.parent)
    result = op25b("rules", policy, "--switch", "access-1", "--ports", given.replace("{folder}", folder))
    assert result.exit_code == 1
    assert expected.replace("{folder}", folder) in result.stderr


def test_a_file_of_ports_is_for_a_switch(policy: Path) -> None:
    result = op25b("diff", policy, policy, "--ports", policy.parent / "shown")
    assert result.exit_code == 2
    assert "is for no switch; write NAME=FILE, where NAME is access-1" in " ".join(result.stderr.split())


def test_the_api_asks_for_numbers(policy: Path) -> None:
    loaded = op25b_api.load(policy)
    for ask in (
        lambda: op25b_api.compile_rules(loaded, "access-1"),
        lambda: loaded.decide("access-1", 1, "100.64.0.1", "203.0.113.1"),
        lambda: op25b_api.prove(loaded, "access-1", ""),
        lambda: op25b_api.diff(loaded, loaded),
    ):
        with pytest.raises(ValueError, match=r"has ports of access-1 by name; give their numbers, as policy"):
            ask()
    ports = {"access-1": {"vlan1": 1, "vlan2": 2, "eth25": 25}}
    known = loaded.with_ports(ports)
    rules = op25b_api.compile_rules(known, "access-1")
    text = "\n".join(map(format_rule, rules))
    assert isinstance(op25b_api.prove(known, "access-1", text), op25b_api.Proven)
    assert op25b_api.diff(known, loaded.with_ports(ports)).treats_all_alike
    with pytest.raises(ValueError, match="access-1: no port is called 'eth25'"):
        known.with_ports({"access-1": {"vlan1": 1}})
    with pytest.raises(KeyError, match="no switch is called 'access-9'"):
        loaded.with_ports({"access-9": {}})
